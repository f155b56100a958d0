//! The response's headers on their way to the client: what concerns one connection only goes, and what would reach beyond the
//! session. Works in place on the map that the upstream's response came in.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{consulted::DECISION, cookies, request_headers};
use crate::{plugin::CredentialInputs, route::Route};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// What speaks for a whole origin, which a session on a path doesn't have to itself: service workers of a wider scope, wiping
/// everybody's storage, moving the origin elsewhere, and reports about everybody's requests.
const ORIGIN_WIDE: [HeaderName; 6] = [
    HeaderName::from_static("service-worker-allowed"),
    HeaderName::from_static("clear-site-data"),
    header::ALT_SVC,
    header::STRICT_TRANSPORT_SECURITY,
    HeaderName::from_static("nel"),
    HeaderName::from_static("report-to"),
];

/// What a response belongs to.
pub struct Belonging<'a> {
    pub route: &'a Route,
    pub credentials: &'a CredentialInputs,
    /// The upstream's address and the `Host` that it was sent: both are its own to it.
    pub upstream: SocketAddr,
    /// Whether it was reached by TLS, whose port may be left out.
    pub is_tls: bool,
    pub host: &'a HeaderValue,
    pub placing: Placing,
}

/// Where the session's pages are, as the client and the upstream see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placing {
    /// Under the route's prefix, of which the upstream knows nothing.
    Stripped,
    /// Under the route's prefix, as the upstream was told.
    Kept,
    /// On a host of its own.
    Host,
}

/// Removes what isn't for the client.
pub fn prepare(headers: &mut HeaderMap, belonging: &Belonging<'_>) {
    let mut found = Found::default();
    for name in headers.keys() {
        found.note(name);
    }
    if found.hop_by_hop {
        request_headers::remove_hop_by_hop(headers);
    }
    if found.decision {
        headers.remove(DECISION);
    }
    let is_on_path = belonging.placing != Placing::Host;
    if found.origin_wide && is_on_path {
        for name in ORIGIN_WIDE {
            headers.remove(name);
        }
    }
    if found.set_cookie {
        let prefix = is_on_path.then_some(belonging.route.prefix.as_ref());
        cookies::drop_foreign(headers, &cookies::Scope { credentials: belonging.credentials, prefix });
    }
    if found.location
        && let Some(mapped) = headers.get(header::LOCATION).and_then(|location| belonging.map(location.to_str().ok()?))
    {
        headers.insert(header::LOCATION, mapped);
    }
    // Without a Referer the session's own requests would be taken for another's.
    if found.referrer_policy && is_on_path {
        let hides = headers.get_all(header::REFERRER_POLICY).iter().any(|policy| {
            let policy = policy.as_bytes();
            [&b"no-referrer"[..], b"origin", b"strict-origin"].iter().any(|hiding| policy.eq_ignore_ascii_case(hiding))
        });
        if hides {
            headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        }
    }
}

#[derive(Default)]
struct Found {
    hop_by_hop: bool,
    origin_wide: bool,
    /// What only the gateway says.
    decision: bool,
    set_cookie: bool,
    location: bool,
    referrer_policy: bool,
}

// === impl Found ===

impl Found {
    fn note(&mut self, name: &HeaderName) {
        match *name {
            header::CONNECTION
            | header::TRANSFER_ENCODING
            | header::UPGRADE
            | header::TE
            | header::PROXY_AUTHENTICATE
            | header::PROXY_AUTHORIZATION => self.hop_by_hop = true,
            header::SET_COOKIE => self.set_cookie = true,
            header::LOCATION => self.location = true,
            header::REFERRER_POLICY => self.referrer_policy = true,
            _ if *name == DECISION => self.decision = true,
            _ if *name == KEEP_ALIVE || *name == PROXY_CONNECTION => self.hop_by_hop = true,
            _ => self.origin_wide |= ORIGIN_WIDE.contains(name),
        }
    }
}

// === impl Belonging ===

impl Belonging<'_> {
    /// A redirect to the upstream's own address, or to a path of its own, is mapped onto the route; any other is left alone.
    fn map(&self, location: &str) -> Option<HeaderValue> {
        let path = if location.starts_with('/') && !location.starts_with("//") { location } else { self.own_path(location)? };
        if self.placing != Placing::Stripped {
            return (path.len() != location.len()).then(|| HeaderValue::from_str(path).ok()).flatten();
        }
        // An application that was told its prefix says it itself.
        let behind = path.strip_prefix(self.route.prefix.as_ref());
        if behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(['/', '?', '#'])) {
            return (path.len() != location.len()).then(|| HeaderValue::from_str(path).ok()).flatten();
        }
        HeaderValue::try_from(format!("{}{path}", self.route.prefix)).ok()
    }

    /// The path of an absolute location that is the upstream's own.
    fn own_path<'a>(&self, location: &'a str) -> Option<&'a str> {
        let behind = location.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"))?.1;
        let (authority, path) = behind.split_at(behind.find('/').unwrap_or(behind.len()));
        let is_own = authority.eq_ignore_ascii_case(self.host.to_str().ok()?)
            || authority.parse() == Ok(self.upstream)
            || self.upstream.port() == (if self.is_tls { 443 } else { 80 }) && authority.parse() == Ok(self.upstream.ip());
        is_own.then_some(if path.is_empty() { "/" } else { path })
    }
}
