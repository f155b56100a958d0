//! An HTTP client that shows everything and does nothing by itself: no redirects, no cookies, a connection per request.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;

/// Headers that go with each request.
#[derive(Clone, Debug, Default)]
pub struct Client {
    headers: Vec<(String, String)>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Client {
    /// Sends this header, too.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    pub async fn get(&self, url: &str) -> Reply {
        self.send(http::Method::GET, url, Bytes::new()).await
    }

    pub async fn post(&self, url: &str, body: impl Into<Bytes>) -> Reply {
        self.send(http::Method::POST, url, body.into()).await
    }

    /// # Panics
    /// When there's no answer.
    pub async fn send(&self, method: http::Method, url: &str, body: Bytes) -> Reply {
        self.try_send(method, url, body).await.unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    /// # Errors
    /// What happened on the connection.
    pub async fn try_send(&self, method: http::Method, url: &str, body: Bytes) -> Result<Reply, Box<dyn std::error::Error>> {
        let (parts, body) = self.open(method, url, body).await?.into_parts();
        Ok(Reply { status: parts.status, headers: parts.headers, body: body.collect().await?.to_bytes() })
    }

    /// An answer whose body is still coming. `http` URLs only; a name is looked up as one of loopback.
    ///
    /// # Errors
    /// What happened on the connection.
    pub async fn open(
        &self,
        method: http::Method,
        url: &str,
        body: Bytes,
    ) -> Result<http::Response<Incoming>, Box<dyn std::error::Error>> {
        let uri: Uri = url.parse()?;
        let authority = uri.authority().ok_or("a URL without a host")?.clone();
        let address: SocketAddr = match authority.as_str().parse() {
            Ok(address) => address,
            Err(_) => SocketAddr::from(([127, 0, 0, 1], authority.port_u16().unwrap_or(80))),
        };
        let stream = tokio::net::TcpStream::connect(address).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection.with_upgrades());
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, authority.as_str());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        Ok(sender.send_request(request.body(Full::new(body))?).await?)
    }
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// # Panics
    /// When the body isn't JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}
