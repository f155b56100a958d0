//! What a decision is about, before it is reduced to the inputs that a plugin declared. Borrowed from the request: nothing is
//! copied until a plugin asks for it.

use std::net::IpAddr;

use http::{HeaderMap, Method};

/// A request or a connection.
pub enum Subject<'a> {
    Http(HttpSubject<'a>),
    Tcp(TcpSubject<'a>),
}

/// An HTTP request.
pub struct HttpSubject<'a> {
    pub method: &'a Method,
    /// Lower case, with the port where one was sent.
    pub authority: &'a str,
    /// Behind the route's prefix, as sent; begins with `/`.
    pub path: &'a str,
    /// As sent, without the `?`.
    pub query: Option<&'a str>,
    /// As the client sent them: identity and forwarding headers included, so a plugin that declares one sees what was sent.
    pub headers: &'a HeaderMap,
    /// Lower case.
    pub upgrade: Option<&'a str>,
    pub connection: &'a Connection,
}

/// A TCP connection to a port of the range.
pub struct TcpSubject<'a> {
    pub connection: &'a Connection,
}

/// What is known of the downstream connection.
#[derive(Clone)]
pub struct Connection {
    /// The client as the trusted-proxy rules see it.
    pub client: IpAddr,
    pub listener_port: u16,
    pub tls_name: Option<Box<str>>,
    /// In DER.
    pub client_certificate: Option<Box<[u8]>>,
}

impl Subject<'_> {
    pub fn connection(&self) -> &Connection {
        match self {
            Self::Http(http) => http.connection,
            Self::Tcp(tcp) => tcp.connection,
        }
    }
}
