//! A client of the Kubernetes API: JSON over TLS, nothing between the test and what the server says. A crate for it would bring
//! types of its own into the workspace, and hide what the server answers to a wrong object.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;

use crate::TlsClient;

type Connection = SendRequest<Full<Bytes>>;

/// Speaks for one user. Belongs to the test that made it, as its connections belong to that test's runtime; clones share them.
#[derive(Clone)]
pub struct Api {
    tls: TlsClient,
    address: SocketAddr,
    token: Option<String>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

/// An answer of the server.
#[derive(Debug)]
pub struct Said {
    pub status: u16,
    pub body: Value,
}

/// How a patch is meant.
#[derive(Clone, Copy, Debug)]
pub enum Patch {
    Merge,
    Apply,
}

// === impl Api ===

impl Api {
    pub(super) fn new(tls: TlsClient, address: SocketAddr) -> Self {
        Self { tls, address, token: None, idle: Arc::default() }
    }

    /// The same server for somebody else.
    #[must_use]
    pub(super) fn with_token(tls: TlsClient, address: SocketAddr, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..Self::new(tls, address) }
    }

    /// # Panics
    /// When the server refuses, as in all of these.
    pub async fn get(&self, path: &str) -> Value {
        self.done(Method::GET, path, "application/json", Bytes::new()).await
    }

    /// None where there's no such object.
    pub async fn find(&self, path: &str) -> Option<Value> {
        let said = self.call(Method::GET, path, "application/json", Bytes::new()).await;
        (said.status != 404).then(|| said.granted(path))
    }

    pub async fn create(&self, path: &str, object: &Value) -> Value {
        self.done(Method::POST, path, "application/json", object.to_string()).await
    }

    /// The same for an object as its authors wrote it.
    pub async fn create_yaml(&self, path: &str, object: Vec<u8>) -> Value {
        self.done(Method::POST, path, "application/yaml", object).await
    }

    pub async fn replace(&self, path: &str, object: &Value) -> Value {
        self.done(Method::PUT, path, "application/json", object.to_string()).await
    }

    /// A null removes what it's the value of.
    pub async fn merge(&self, path: &str, change: &Value) -> Value {
        self.patch(path, Patch::Merge, change).await.granted(path)
    }

    pub async fn patch(&self, path: &str, how: Patch, change: &Value) -> Said {
        self.call(Method::PATCH, path, how.media_type(), change.to_string()).await
    }

    pub async fn delete(&self, path: &str) -> Value {
        self.done(Method::DELETE, path, "application/json", Bytes::new()).await
    }

    async fn done(&self, method: Method, path: &str, kind: &str, body: impl Into<Bytes>) -> Value {
        self.call(method.clone(), path, kind, body).await.granted(&format!("{method} {path}"))
    }

    /// Whatever the server says.
    ///
    /// # Panics
    /// When it says nothing.
    pub async fn call(&self, method: Method, path: &str, kind: &str, body: impl Into<Bytes>) -> Said {
        let told = self.try_call(method.clone(), path, kind, body.into()).await;
        told.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// # Errors
    /// What happened on the connection.
    pub async fn try_call(&self, method: Method, path: &str, kind: &str, body: Bytes) -> Result<Said, Box<dyn std::error::Error>> {
        let mut connection = self.connection().await?;
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, self.address.to_string());
        request = request.header(header::CONTENT_TYPE, kind).header(header::ACCEPT, "application/json");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let reply = connection.send_request(request.body(Full::new(body))?).await?;
        let status = reply.status().as_u16();
        let text = reply.into_body().collect().await?.to_bytes();
        self.idle.lock().unwrap().push(connection);
        // Some paths answer with a word.
        let body = serde_json::from_slice(&text).unwrap_or_else(|_| String::from_utf8_lossy(&text).into_owned().into());
        Ok(Said { status, body })
    }

    async fn connection(&self) -> Result<Connection, Box<dyn std::error::Error>> {
        loop {
            let Some(mut kept) = self.idle.lock().unwrap().pop() else { break };
            if kept.ready().await.is_ok() {
                return Ok(kept);
            }
        }
        let stream = self.tls.connect_to(self.address, super::SERVER_NAME).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

// === impl Said ===

impl Said {
    /// # Panics
    /// When the server refused.
    pub fn granted(self, what: &str) -> Value {
        assert!((200..300).contains(&self.status), "{what}: {} {}", self.status, self.message());
        self.body
    }

    /// What the server says on why.
    pub fn message(&self) -> String {
        self.body["message"].as_str().map_or_else(|| self.body.to_string(), str::to_owned)
    }
}

// === impl Patch ===

impl Patch {
    fn media_type(self) -> &'static str {
        match self {
            Self::Merge => "application/merge-patch+json",
            Self::Apply => "application/apply-patch+yaml",
        }
    }
}
