//! Builders of whole requests and candidates.

use crate::discovery::Candidate;
use crate::prelude::*;
use crate::routing::FactAnswer;
use crate::{Attributes, Field, HttpRequest, Identity, Principal, Subject, TcpConnection, Timestamp, authentication, routing};

/// 2026-01-01T00:00:00Z, the `now` of every request that doesn't say otherwise.
pub const NOW: Timestamp = 1_767_225_600_000;

/// A request with everything in it, before it's reduced to what the plugin declared.
#[derive(Debug, Clone)]
pub struct Whole<R>(pub(super) R);

/// Builds a request of any kind.
#[derive(Debug, Clone)]
pub struct Builder {
    subject: Subject,
    session: Attributes,
    identity: Identity,
    may_read_session: FactAnswer,
    now: Timestamp,
}

/// A `GET` of this path from 192.0.2.1, of nobody, for no session.
pub fn get(path: &str) -> Builder {
    Builder::new(Subject::Http(HttpRequest {
        method: Some("GET".to_owned()),
        authority: Some("gateway.example".to_owned()),
        path: Some(path.to_owned()),
        client_address: Some("192.0.2.1".to_owned()),
        listener_port: Some(443),
        ..HttpRequest::default()
    }))
}

/// A TCP connection from this address.
pub fn tcp(client_address: &str) -> Builder {
    Builder::new(Subject::Tcp(TcpConnection {
        client_address: Some(client_address.to_owned()),
        listener_port: Some(10_022),
        ..TcpConnection::default()
    }))
}

/// A candidate with these attributes, on top of those of a running session with a well-formed HTTP endpoint.
pub fn candidate(attributes: &[(&str, &str)]) -> Candidate {
    let given = [
        ("source", "file"),
        ("session.id", "s1"),
        ("status", "running"),
        ("endpoint.name", ""),
        ("endpoint.protocol", "http"),
        ("endpoint.address", "10.0.0.1"),
        ("endpoint.port", "8080"),
    ];
    let kept = given.iter().filter(|(name, _)| attributes.iter().all(|(it, _)| it != name));
    Candidate { attributes: collect(kept.chain(attributes)), now: NOW }
}

/// A person, by id and role, of company `c1`.
pub fn principal(id: &str, role: &str) -> Principal {
    Principal { id: id.to_owned(), role: Some(role.to_owned()), company: Some("c1".to_owned()), ..Principal::default() }
}

/// A name that comes again adds a value.
fn collect<'a>(pairs: impl IntoIterator<Item = &'a (&'a str, &'a str)>) -> Attributes {
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    for (name, value) in pairs {
        match all.iter_mut().find(|(it, _)| it == name) {
            Some((_, values)) => values.push((*value).to_owned()),
            None => all.push(((*name).to_owned(), vec![(*value).to_owned()])),
        }
    }
    all.into_iter().collect()
}

// === impl Builder ===

impl Builder {
    fn new(subject: Subject) -> Self {
        Self { subject, session: Attributes::default(), identity: Identity::Anonymous, may_read_session: FactAnswer::No, now: NOW }
    }

    fn http(&mut self) -> Option<&mut HttpRequest> {
        match &mut self.subject {
            Subject::Http(http) => Some(http),
            Subject::Tcp(_) => None,
        }
    }

    /// Changes the HTTP request in any way. A TCP connection stays as it is.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut HttpRequest)) -> Self {
        if let Some(http) = self.http() {
            change(http);
        }
        self
    }

    #[must_use]
    pub fn method(self, method: &str) -> Self {
        self.with(|http| http.method = Some(method.to_owned()))
    }

    #[must_use]
    pub fn cookie(self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.with(|http| http.cookies.push(Field::new(name, value)))
    }

    #[must_use]
    pub fn header(self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.with(|http| http.headers.push(Field::new(name.to_ascii_lowercase(), value)))
    }

    #[must_use]
    pub fn query(self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.with(|http| http.query.push(Field::new(name, value)))
    }

    #[must_use]
    pub fn client_address(mut self, address: &str) -> Self {
        match &mut self.subject {
            Subject::Http(http) => http.client_address = Some(address.to_owned()),
            Subject::Tcp(tcp) => tcp.client_address = Some(address.to_owned()),
        }
        self
    }

    /// A client certificate that the host verified.
    #[must_use]
    pub fn client_certificate(mut self, der: &[u8]) -> Self {
        match &mut self.subject {
            Subject::Http(http) => http.client_certificate = Some(der.to_owned()),
            Subject::Tcp(tcp) => tcp.client_certificate = Some(der.to_owned()),
        }
        self
    }

    /// The session that was asked for, by its attributes. A name that comes again adds a value.
    #[must_use]
    pub fn session(mut self, attributes: &[(&str, &str)]) -> Self {
        self.session = collect(attributes);
        self
    }

    #[must_use]
    pub fn by(mut self, principal: Principal) -> Self {
        self.identity = Identity::Principal(principal);
        self
    }

    #[must_use]
    pub fn may_read_session(mut self, answer: FactAnswer) -> Self {
        self.may_read_session = answer;
        self
    }

    #[must_use]
    pub fn now(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    /// As an authenticator gets it.
    pub fn authenticate(self) -> Whole<authentication::Request> {
        Whole(authentication::Request { subject: self.subject, session: self.session, now: self.now })
    }

    /// As a routing policy gets it.
    pub fn route(self) -> Whole<routing::Request> {
        Whole(routing::Request {
            subject: self.subject,
            session: self.session,
            identity: Some(self.identity),
            may_read_session: Some(self.may_read_session),
            now: self.now,
        })
    }
}
