//! Cookies on their way through: the gateway's own never reach a session, and a session sets none that would reach another
//! one or replace the gateway's.

use http::{HeaderMap, HeaderValue, header};

use crate::plugin::{CredentialInputs, NamePattern, cookie_parts};

/// Which cookies a session may set.
pub struct Scope<'a> {
    pub credentials: &'a CredentialInputs,
    /// On a path route, the route's prefix. None on a host of the session's own.
    pub prefix: Option<&'a str>,
}

/// Takes the credentials out of a request's cookies, and says whether there was one. Without one nothing is copied.
pub fn strip_credentials(headers: &mut HeaderMap, credentials: &CredentialInputs) -> bool {
    if credentials.cookies.is_empty() {
        return false;
    }
    let is_credential = |part: &[u8]| name(part).is_some_and(|name| is_named(&credentials.cookies, name));
    if !headers.get_all(header::COOKIE).iter().any(|line| cookie_parts(line.as_bytes()).any(is_credential)) {
        return false;
    }
    let mut kept = Vec::new();
    for part in headers.get_all(header::COOKIE).iter().flat_map(|line| cookie_parts(line.as_bytes())) {
        if !part.is_empty() && !is_credential(part) {
            if !kept.is_empty() {
                kept.extend_from_slice(b"; ");
            }
            kept.extend_from_slice(part);
        }
    }
    match HeaderValue::from_bytes(&kept) {
        Ok(value) if !kept.is_empty() => headers.insert(header::COOKIE, value),
        _ => headers.remove(header::COOKIE),
    };
    true
}

/// Drops the `Set-Cookie` lines of a response that a session may not set.
pub fn drop_foreign(headers: &mut HeaderMap, scope: &Scope<'_>) {
    if headers.get_all(header::SET_COOKIE).iter().all(|line| scope.admits(line.as_bytes())) {
        return;
    }
    let kept: Vec<HeaderValue> =
        headers.get_all(header::SET_COOKIE).iter().filter(|line| scope.admits(line.as_bytes())).cloned().collect();
    headers.remove(header::SET_COOKIE);
    for line in kept {
        headers.append(header::SET_COOKIE, line);
    }
}

// === impl Scope ===

impl Scope<'_> {
    /// Whether a session may set this cookie. A line without a name is refused: browsers send its value bare, where it can
    /// look like any cookie. `Domain` always reaches further than one host, so it's refused; without `Path`, browsers take
    /// the directory of the request, which is inside the session.
    fn admits(&self, line: &[u8]) -> bool {
        let mut parts = cookie_parts(line);
        let Some(name) = parts.next().and_then(name) else { return false };
        if is_named(&self.credentials.cookies, name) {
            return false;
        }
        parts.all(|attribute| {
            let (key, value) = match memchr::memchr(b'=', attribute) {
                Some(at) => (attribute[..at].trim_ascii(), attribute[at + 1..].trim_ascii()),
                None => (attribute.trim_ascii(), &b""[..]),
            };
            if key.eq_ignore_ascii_case(b"domain") {
                return value.is_empty();
            }
            !key.eq_ignore_ascii_case(b"path") || self.is_inside(value)
        })
    }

    fn is_inside(&self, path: &[u8]) -> bool {
        let Some(prefix) = self.prefix else { return true };
        // A path that doesn't begin with a slash counts as none (RFC 6265, section 5.2.4).
        if path.first() != Some(&b'/') {
            return true;
        }
        path.strip_prefix(prefix.as_bytes()).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }
}

fn is_named(patterns: &[NamePattern], name: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(name))
}

fn name(part: &[u8]) -> Option<&str> {
    let at = memchr::memchr(b'=', part)?;
    std::str::from_utf8(part[..at].trim_ascii()).ok().filter(|name| !name.is_empty())
}
