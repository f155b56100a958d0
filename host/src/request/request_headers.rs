//! The request's headers on their way to a session: what concerns one connection only, what only the gateway may say, and
//! credentials go; what the gateway says itself is added. Works in place on the map that the client's request came in.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{client, cookies, wellformed};
use crate::{domain::decision::HeaderEdit, error::Error, plugin::CredentialInputs};

pub const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How many gateways a request has passed: one that comes back to where it was would go round for ever.
const HOPS: HeaderName = HeaderName::from_static("x-wicketgate-hops");
/// What the gateway says to the session.
pub struct Said {
    pub hops: HeaderValue,
    pub forwarded_for: HeaderValue,
    pub proto: HeaderValue,
    pub host: HeaderValue,
    /// On path routes whose upstream doesn't see the prefix.
    pub prefix: Option<HeaderValue>,
    pub request_id: HeaderValue,
}

/// Counts this gateway in.
///
/// # Errors
/// 508 after the fourth.
pub fn hops(headers: &HeaderMap) -> Result<HeaderValue, Error> {
    let Some(before) = headers.get(HOPS) else { return Ok(HeaderValue::from_static("1")) };
    match before.as_bytes() {
        b"1" => Ok(HeaderValue::from_static("2")),
        b"2" => Ok(HeaderValue::from_static("3")),
        b"3" => Ok(HeaderValue::from_static("4")),
        _ => Err(Error::looped()),
    }
}

/// Removes credentials, and says whether one was a cookie.
pub fn strip_credentials(headers: &mut HeaderMap, credentials: &CredentialInputs, authorization_is_ours: bool) -> bool {
    for name in &credentials.headers {
        // An application's own token passes.
        if *name != header::AUTHORIZATION || authorization_is_ours {
            headers.remove(name);
        }
    }
    if authorization_is_ours {
        headers.remove(header::AUTHORIZATION);
    }
    cookies::strip_credentials(headers, credentials)
}

/// Removes what isn't for the session and adds what the gateway says. `upgrade` is what the request changes to.
pub fn prepare(headers: &mut HeaderMap, upgrade: Option<&str>, said: Said) {
    let found = Found::new(headers, is_ours);
    let wants_trailers =
        found.has(Class::Te) && wellformed::tokens(headers, &header::TE).any(|token| token.eq_ignore_ascii_case("trailers"));
    found.remove(headers);
    if found.has(Class::Expect) {
        // Decided and connected by now, the gateway itself answers `100 Continue` when it begins to read the body.
        headers.remove(header::EXPECT);
    }
    if found.has(Class::TransferEncoding) {
        headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    if let Some(value) = upgrade.and_then(|upgrade| HeaderValue::from_str(upgrade).ok()) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, value);
    } else if wants_trailers {
        headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    headers.insert(client::FORWARDED_FOR, said.forwarded_for);
    headers.insert(client::FORWARDED_PROTO, said.proto);
    headers.insert(FORWARDED_HOST, said.host);
    headers.insert(REQUEST_ID, said.request_id);
    headers.insert(HOPS, said.hops);
    if let Some(prefix) = said.prefix {
        headers.insert(FORWARDED_PREFIX, prefix);
    }
}

/// Removes from a response what concerns one connection only.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    Found::new(headers, |_| false).remove(headers);
}

/// What of a message's headers concerns one connection only (RFC 9110, section 7.6.1) or isn't its sender's to say: one pass
/// over the names, because most messages have none of them and looking up each costs a hash.
struct Found {
    classes: u8,
    /// Beside `Connection`.
    removed: Vec<HeaderName>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Connection = 1,
    Te = 2,
    TransferEncoding = 4,
    Expect = 8,
}

// === impl Found ===

impl Found {
    fn new(headers: &HeaderMap, is_refused: fn(&str) -> bool) -> Self {
        let mut found = Self { classes: 0, removed: Vec::new() };
        for name in headers.keys() {
            let text = name.as_str();
            let class = match text.as_bytes()[0] {
                b'c' if text == "connection" => {
                    found.classes |= Class::Connection as u8;
                    continue;
                }
                b'e' if text == "expect" => {
                    found.classes |= Class::Expect as u8;
                    continue;
                }
                b't' if text == "te" => Class::Te as u8,
                b't' if text == "transfer-encoding" => Class::TransferEncoding as u8,
                b'k' if text == "keep-alive" => 0,
                b'u' if text == "upgrade" => 0,
                b'p' if matches!(text, "proxy-connection" | "proxy-authenticate" | "proxy-authorization") => 0,
                _ if is_refused(text) => 0,
                _ => continue,
            };
            found.classes |= class;
            found.removed.push(name.clone());
        }
        found
    }

    fn has(&self, class: Class) -> bool {
        self.classes & class as u8 != 0
    }

    /// With whatever `Connection` names besides. It can't name away what the message can't do without.
    fn remove(&self, headers: &mut HeaderMap) {
        if self.has(Class::Connection) {
            let is_usual = |token: &str| token.eq_ignore_ascii_case("keep-alive") || token.eq_ignore_ascii_case("close");
            let named: Vec<HeaderName> = wellformed::tokens(headers, &header::CONNECTION)
                .filter(|token| !is_usual(token))
                .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
                .filter(|name| !matches!(*name, header::HOST | header::CONTENT_LENGTH | header::SET_COOKIE | header::EXPECT))
                .collect();
            for name in named {
                headers.remove(name);
            }
            headers.remove(header::CONNECTION);
        }
        for name in &self.removed {
            headers.remove(name);
        }
    }
}

/// Applies a policy's changes.
pub fn edit(headers: &mut HeaderMap, edits: &[HeaderEdit]) {
    for edit in edits {
        match edit {
            HeaderEdit::Set(name, value) => {
                headers.insert(name, value.clone());
            }
            HeaderEdit::Append(name, value) => {
                headers.append(name, value.clone());
            }
            HeaderEdit::Remove(name) => {
                headers.remove(name);
            }
        }
    }
}

/// Removes the query parameters of these names; None when there was none.
pub fn strip_query(query: &str, names: &[String]) -> Option<String> {
    let is_credential = |pair: &&str| {
        let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
        decoded.is_some_and(|(name, _)| names.iter().any(|known| *known == name))
    };
    if names.is_empty() || !query.split('&').any(|pair| is_credential(&pair)) {
        return None;
    }
    Some(query.split('&').filter(|pair| !is_credential(pair)).collect::<Vec<_>>().join("&"))
}

/// Whether a trailer of a client's is left out.
pub fn is_refused_trailer(name: &str) -> bool {
    is_ours(name) || name == "cookie"
}

/// Whether only the gateway may say this: identity, forwarding, the client's certificate (RFC 9440 and what proxies call it),
/// and what servers that read `_` for `-` take for them.
fn is_ours(name: &str) -> bool {
    const FROM_X: [&str; 7] =
        ["x-wicketgate-", "x-forwarded-", "x-request-id", "x-real-ip", "x-client-cert", "x-ssl-client-", "x-tls-client-"];
    let name = name.as_bytes();
    match name.first() {
        Some(b'f') => name == b"forwarded",
        Some(b'x') => FROM_X.iter().any(|ours| begins(name, ours)),
        Some(b'c') => begins(name, "client-cert"),
        Some(b's') => begins(name, "ssl-client-"),
        _ => false,
    }
}

fn begins(name: &[u8], ours: &str) -> bool {
    let same = |(a, b): (&u8, u8)| *a == b || *a == b'_' && b == b'-';
    name.len() >= ours.len() && name.iter().zip(ours.bytes()).all(same)
}
