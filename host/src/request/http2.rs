//! A request of HTTP/2 as the rest of the path expects one: with a `Host`, a target in origin form, one line of cookies, and a
//! WebSocket as the upgrade that it is in HTTP/1.1. hyper has parsed the message by then: it resets streams with
//! connection-specific headers, `TE` beside `trailers`, missing or doubled pseudo-headers, and bodies of another length than
//! announced; heads over the limit get 431.

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header, request::Parts};
use hyper::ext::Protocol;

use super::Settings;
use crate::error::Error;

const KEY: HeaderName = HeaderName::from_static("sec-websocket-key");
const ACCEPT: HeaderName = HeaderName::from_static("sec-websocket-accept");
/// What a server shows that it read the key as a WebSocket's (RFC 6455, section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A stream that became a WebSocket (RFC 8441), whose upstream is asked by HTTP/1.1 with a key made here.
pub struct ExtendedConnect {
    key: HeaderValue,
    accept: String,
}

/// The request had more header lines than are read, and has none any more.
#[derive(Clone, Copy)]
struct Relieved;

/// Frees a head of too many lines before anything else is read: hyper counts none in HTTP/2, and a few bytes can stand for a
/// hundred kilobytes of them. `translate` refuses it.
pub fn relieve<B>(request: &mut Request<B>, settings: &Settings) {
    if request.headers().len() > settings.headers {
        *request.headers_mut() = HeaderMap::new();
        request.extensions_mut().insert(Relieved);
    }
}

/// Makes of a request what it is in HTTP/1.1. The error is the client's.
pub fn translate(parts: &mut Parts, has_body: bool) -> Result<Option<ExtendedConnect>, Error> {
    if parts.extensions.get::<Relieved>().is_some() {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(Error::too_large(status, "The request has too many header lines."));
    }
    let connect = extended_connect(parts)?;
    if parts.method == Method::CONNECT && connect.is_none() {
        // Refused with its target as it is.
        return Ok(None);
    }
    if !matches!(parts.uri.scheme_str(), None | Some("http" | "https")) {
        return Err(Error::malformed("The request's scheme is neither http nor https."));
    }
    host(parts)?;
    let target = parts.uri.path_and_query().cloned().ok_or_else(|| Error::malformed("The request has no path."))?;
    parts.uri = Uri::from(target);
    join_cookies(&mut parts.headers);
    if has_body && !parts.headers.contains_key(header::CONTENT_LENGTH) {
        // A body without a length has chunks in HTTP/1.1.
        parts.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    if connect.is_some() {
        parts.method = Method::GET;
    }
    Ok(connect)
}

fn extended_connect(parts: &Parts) -> Result<Option<ExtendedConnect>, Error> {
    match parts.extensions.get::<Protocol>() {
        None => Ok(None),
        Some(protocol) if protocol.as_str().eq_ignore_ascii_case("websocket") => ExtendedConnect::new().map(Some),
        Some(_) => Err(Error::not_implemented("The only protocol that a stream can change to is websocket.")),
    }
}

/// `:authority` counts; a `Host` beside it must say the same, and a `Host` alone counts in its place (RFC 9113, section
/// 8.3.1).
fn host(parts: &mut Parts) -> Result<(), Error> {
    let Some(authority) = parts.uri.authority() else { return Ok(()) };
    let is_same = |host: &HeaderValue| host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes());
    if !parts.headers.get_all(header::HOST).iter().all(is_same) {
        return Err(Error::malformed("The request's :authority and its Host header name different hosts."));
    }
    let host = HeaderValue::from_str(authority.as_str()).map_err(Error::internal)?;
    parts.headers.insert(header::HOST, host);
    Ok(())
}

/// Clients may send each cookie on a line of its own (RFC 9113, section 8.2.3), which HTTP/1.1 doesn't know.
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(header::COOKIE).iter().nth(1).is_none() {
        return;
    }
    let lines: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b"; "[..])) {
        headers.insert(header::COOKIE, joined);
    }
}

// === impl ExtendedConnect ===

impl ExtendedConnect {
    fn new() -> Result<Self, Error> {
        let mut random = [0; 16];
        aws_lc_rs::rand::fill(&mut random).map_err(Error::internal)?;
        let key = STANDARD.encode(random);
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &[key.as_bytes(), GUID].concat());
        Ok(Self { accept: STANDARD.encode(hash), key: HeaderValue::try_from(key).map_err(Error::internal)? })
    }

    /// Asks the upstream as HTTP/1.1 does.
    pub fn ask(&self, headers: &mut HeaderMap) {
        headers.insert(KEY, self.key.clone());
    }

    /// What the upstream's 101 is to a client of HTTP/2. The error is an upstream that didn't read the key.
    pub fn answer(&self, headers: &mut HeaderMap) -> Result<StatusCode, Error> {
        let is_ours = headers.remove(ACCEPT).is_some_and(|accept| accept.as_bytes() == self.accept.as_bytes());
        headers.remove(header::CONNECTION);
        headers.remove(header::UPGRADE);
        if is_ours { Ok(StatusCode::OK) } else { Err(Error::malfunction("the upstream's Sec-WebSocket-Accept isn't for our key")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_value_is_the_rfcs() {
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &[b"dGhlIHNhbXBsZSBub25jZQ==", GUID].concat());
        assert_eq!(STANDARD.encode(hash), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let [one, two] = [(); 2].map(|()| ExtendedConnect::new().unwrap());
        assert_ne!(one.key, two.key);
    }
}
