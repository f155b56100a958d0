//! Sessions and their endpoints.

use std::{fmt, net::SocketAddr, sync::Arc};

use super::{Attributes, Transport};

/// A session's id, unique across sources: `[A-Za-z0-9_-]{1,128}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(Arc<str>);

/// An endpoint's name within its session: `[A-Za-z0-9_-]{1,63}`, or empty for the default endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointName(Arc<str>);

/// One endpoint of one session.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId {
    pub session: SessionId,
    pub name: EndpointName,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    Http,
    Tcp,
}

/// How the upstream sees the path of a path route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpstreamPath {
    /// Without the route's prefix, which goes into `X-Forwarded-Prefix`.
    #[default]
    Strip,
    /// As the client sent it: for applications that are told their base URL.
    Keep,
}

/// Where a session was found, in the order in which sources win when two claim one session id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    Clearml,
    Kubernetes,
    File,
}

/// An endpoint that every filter kept and whose address may be dialled: what a route leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    pub id: EndpointId,
    pub source: SourceKind,
    pub protocol: Protocol,
    pub upstream: SocketAddr,
    /// The host as declared, for which a certificate of the upstream must be.
    pub upstream_name: Arc<str>,
    pub upstream_path: UpstreamPath,
    pub transport: Transport,
    /// The port of the gateway that leads here: of TCP endpoints, which have one as soon as they are routed.
    pub listener_port: Option<u16>,
    /// What the upstream is called in `Host`, where the source says so; otherwise the client's `Host` is passed on.
    pub display_name: Arc<str>,
    /// The label of its host route under the base domain, when it has one of its own.
    pub host_label: Option<Arc<str>>,
    /// What plugins may read of it: the candidate's attributes with the filters' changes.
    pub attributes: Attributes,
}

// === impl SessionId ===

impl SessionId {
    /// None when the text isn't a well-formed id.
    pub fn parse(text: &str) -> Option<Self> {
        is_name(text, 128).then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl EndpointName ===

impl EndpointName {
    /// None when the text isn't a well-formed name. Empty is the default endpoint.
    pub fn parse(text: &str) -> Option<Self> {
        (text.is_empty() || is_name(text, 63)).then(|| Self(text.into()))
    }

    pub fn is_default(&self) -> bool {
        self.0.is_empty()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// === impl EndpointId ===

impl EndpointId {
    /// The segment of a path route: `<session>`, or `<session>.<endpoint>` for a named endpoint.
    pub fn segment(&self) -> String {
        if self.name.is_default() { self.session.to_string() } else { format!("{}.{}", self.session, self.name.as_str()) }
    }

    /// The path of its path route, with a slash at the end.
    pub fn path(&self) -> String {
        format!("/service/{}/", self.segment())
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.segment())
    }
}

fn is_name(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_strict_grammar_is_a_name() {
        for bad in ["", "a/b", "a.b", "..", "a b", "a%2fb", "é", &"a".repeat(129)] {
            assert!(SessionId::parse(bad).is_none(), "{bad:?}");
        }
        assert!(SessionId::parse("4b8c_A-1").is_some());
        assert!(EndpointName::parse("").is_some_and(|name| name.is_default()));
        assert!(EndpointName::parse(&"a".repeat(64)).is_none());
    }

    #[test]
    fn a_named_endpoint_has_a_segment_of_its_own() {
        let id = EndpointId { session: SessionId::parse("t1").unwrap(), name: EndpointName::parse("api").unwrap() };
        assert_eq!(id.path(), "/service/t1.api/");
    }
}
