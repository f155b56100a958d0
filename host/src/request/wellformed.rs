//! Which requests are refused before anything is decided about them, and a first look at their headers. hyper has parsed the
//! message by then: it refuses bad request lines, header names and chunks with 400, heads over the limits with 431, and where
//! both `Content-Length` and `Transfer-Encoding` are sent it drops the former and closes the connection after the response
//! (RFC 9112, section 6.3).

use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header, request::Parts};

use super::Settings;
use crate::{error::Error, route::path};

/// What a request's headers told at first sight.
#[derive(Clone)]
pub struct Survey {
    /// `Host`, as sent.
    pub host: HeaderValue,
    /// The same in lower case, where it wasn't.
    lowered: Option<String>,
    /// What the client wants to change to, in lower case. Requests of HTTP/1.1 without a body that name it in `Connection`, and
    /// streams of HTTP/2 that become a WebSocket.
    pub upgrade: Option<String>,
}

// === impl Survey ===

impl Survey {
    /// Looks through a request's head; the error is the client's. `is_websocket` is a stream of HTTP/2 that becomes one.
    pub fn new(parts: &Parts, has_body: bool, is_websocket: bool, settings: &Settings) -> Result<Self, Error> {
        if matches!(parts.method, Method::CONNECT | Method::TRACE) {
            return Err(Error::method_refused("CONNECT and TRACE are not served here."));
        }
        let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
        if target.len() > settings.target_bytes {
            return Err(Error::too_large(StatusCode::URI_TOO_LONG, "The request's target is over the limit."));
        }
        if !target.starts_with('/') {
            return Err(Error::malformed("The request's target must be a path."));
        }
        if path::is_ambiguous(parts.uri.path()) {
            return Err(Error::malformed("The path must not hold dot segments, backslashes or NUL, in any encoding."));
        }
        let host = host(parts)?;
        let lowered = host.as_bytes().iter().any(u8::is_ascii_uppercase).then(|| lower(&host));
        if let Some(expect) = parts.headers.get(header::EXPECT)
            && !expect.as_bytes().eq_ignore_ascii_case(b"100-continue")
        {
            return Err(Error::expectation());
        }
        let upgrade = match is_websocket {
            true => Some("websocket".to_owned()),
            false if has_body => None,
            false => upgrade(parts),
        };
        Ok(Self { host, lowered, upgrade })
    }

    /// The authority that the client asked for, in lower case.
    pub fn authority(&self) -> &str {
        // Only visible ASCII was taken, so this never falls back.
        self.lowered.as_deref().unwrap_or_else(|| self.host.to_str().unwrap_or_default())
    }
}

/// The one `Host`, which an absolute target must repeat.
fn host(parts: &Parts) -> Result<HeaderValue, Error> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let host = hosts.next().ok_or_else(|| Error::malformed("The request has no Host header."))?;
    if hosts.next().is_some() {
        return Err(Error::malformed("The request has more than one Host header."));
    }
    let is_host_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(byte);
    if host.is_empty() || !host.as_bytes().iter().all(is_host_byte) {
        return Err(Error::malformed("The Host header isn't a host with an optional port."));
    }
    if let Some(authority) = parts.uri.authority() {
        let is_same = authority.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes());
        if !is_same || parts.uri.scheme_str().is_none() {
            return Err(Error::malformed("The request's target and its Host header name different hosts."));
        }
    }
    Ok(host.clone())
}

/// h2c is never passed on: an upstream that took it would answer requests that nobody decided about.
fn upgrade(parts: &Parts) -> Option<String> {
    let wanted = parts.headers.get(header::UPGRADE)?;
    let is_named = tokens(&parts.headers, &header::CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"));
    let wanted = wanted.to_str().ok()?.trim().to_ascii_lowercase();
    let fits = parts.version == Version::HTTP_11 && is_named && !wanted.is_empty() && !wanted.contains(',') && wanted != "h2c";
    fits.then_some(wanted)
}

/// The elements of a header that is a list of tokens.
pub fn tokens<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

fn lower(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase()
}
