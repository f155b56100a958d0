//! The one place that makes responses of errors, challenges and redirects. A client sees a sentence and the request's id;
//! never an address, a name of something it may not know of, or a cause.

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version, header, request::Parts};

use super::{Body, request_headers::REQUEST_ID};
use crate::error::Error;

const HTML_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors *");

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// How a client wants to read an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    Browser,
    Json,
    Text,
    /// As a status of gRPC, in the headers of an answer without a body.
    Grpc,
}

/// What a request says of that, kept until it's needed.
pub struct Reading {
    accept: Option<HeaderValue>,
    pub is_grpc: bool,
}

/// The status that an answer stands for, where its own is another.
#[derive(Clone, Copy)]
pub struct StandsFor(pub StatusCode);

// === impl Reading ===

impl Reading {
    pub fn of(parts: &Parts) -> Self {
        Self { accept: parts.headers.get(header::ACCEPT).cloned(), is_grpc: is_grpc(parts) }
    }

    pub fn reader(&self) -> Reader {
        if self.is_grpc { Reader::Grpc } else { Reader::new(self.accept.as_ref()) }
    }
}

/// Whether a request is a call of gRPC, of which there's none by HTTP/1.1.
pub fn is_grpc(parts: &Parts) -> bool {
    parts.version == Version::HTTP_2
        && parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

// === impl Reader ===

impl Reader {
    /// By what the client accepts.
    fn new(accept: Option<&HeaderValue>) -> Self {
        let accept = accept.map_or(&b""[..], |accept| accept.as_bytes());
        if memchr::memmem::find(accept, b"text/html").is_some() {
            Self::Browser
        } else if memchr::memmem::find(accept, b"json").is_some() {
            Self::Json
        } else {
            Self::Text
        }
    }
}

/// What an error looks like to a client.
pub fn error(error: &Error, reader: Reader, request_id: &str) -> Response<Body> {
    told(error.status.code(), &error.public, reader, request_id)
}

/// 401 with how to authenticate.
pub fn unauthorized(schemes: &[HeaderValue], reader: Reader, request_id: &str) -> Response<Body> {
    let mut response = told(StatusCode::UNAUTHORIZED, "Log in, or send a token in Authorization.", reader, request_id);
    for scheme in schemes {
        response.headers_mut().append(header::WWW_AUTHENTICATE, scheme.clone());
    }
    if schemes.is_empty() {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// Elsewhere, this time only.
pub fn redirect(status: StatusCode, location: HeaderValue, request_id: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    name(headers, request_id);
    response
}

fn told(status: StatusCode, text: &str, reader: Reader, request_id: &str) -> Response<Body> {
    let title = status.canonical_reason().unwrap_or("Error");
    let (kind, body) = match reader {
        Reader::Browser => ("text/html; charset=utf-8", page(status, title, text, request_id)),
        Reader::Json => {
            let body = serde_json::json!({ "error": title, "message": text, "request_id": request_id });
            ("application/json", format!("{body}\n"))
        }
        Reader::Grpc => return grpc(status, text, request_id),
        Reader::Text => ("text/plain; charset=utf-8", format!("{text}\n")),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if reader == Reader::Browser {
        headers.insert(header::CONTENT_SECURITY_POLICY, HTML_POLICY);
    }
    name(headers, request_id);
    response
}

/// A response of trailers only, with the status that gRPC makes of HTTP's (its documents: "HTTP to gRPC status code mapping").
fn grpc(status: StatusCode, text: &str, request_id: &str) -> Response<Body> {
    let code = match status.as_u16() {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    };
    let mut message = String::new();
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => message.push(char::from(byte)),
            _ => message.push_str(&format!("%{byte:02X}")),
        }
    }
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(StandsFor(status));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from(code));
    if let Ok(message) = HeaderValue::try_from(message) {
        headers.insert(GRPC_MESSAGE, message);
    }
    name(headers, request_id);
    response
}

fn page(status: StatusCode, title: &str, text: &str, request_id: &str) -> String {
    maud::html! {
        (maud::DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { (status.as_u16()) " " (title) }
                style { "body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;color:#222}small{color:#666}" }
            }
            body {
                h1 { (title) }
                p { (text) }
                p { small { "Request " (request_id) } }
            }
        }
    }
    .into_string()
}

fn name(headers: &mut HeaderMap, request_id: &str) {
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, value);
    }
}
