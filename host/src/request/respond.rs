//! The one place that makes responses of errors, challenges and redirects. A client sees a sentence and the request's id;
//! never an address, a name of something it may not know of, or a cause.

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::{Body, request_headers::REQUEST_ID};
use crate::error::Error;

const HTML_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors *");

/// How a client wants to read an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    Browser,
    Json,
    Text,
}

// === impl Reader ===

impl Reader {
    /// By what the client accepts.
    pub fn new(accept: Option<&HeaderValue>) -> Self {
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
