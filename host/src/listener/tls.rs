//! TLS for whoever connects: handshakes with the certificates in force, for the HTTPS listener and for TCP ports that end
//! TLS. A handle is shared by all threads; a change of the files swaps what the next handshake uses, and open connections
//! don't notice. It knows nothing of what is spoken inside.

mod chosen;
mod files;
mod follow;
mod metrics;
mod validity;

#[cfg(test)]
mod tests;

use std::{io, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use prometheus_client::registry::Registry;
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

pub use self::{files::Unusable, follow::Follower};
use self::{
    files::{Files, Loaded},
    metrics::Metrics,
};
use crate::config;

/// The certificates in force. Cheap to clone; works on any thread.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    serving: ArcSwap<Serving>,
    handshake: Duration,
    metrics: Metrics,
}

/// What handshakes use, made whole from one reading of the files.
struct Serving {
    http: Arc<ServerConfig>,
    raw: Arc<ServerConfig>,
}

/// Which protocols inside are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// HTTP/2, then HTTP/1.1. A client that names only others is refused (RFC 7301, section 3.2).
    Http,
    /// The gateway doesn't know what is spoken inside, and agrees to nothing.
    None,
}

/// A connection after its handshake.
pub struct Accepted {
    pub stream: TlsStream<TcpStream>,
    /// The name that the client asked for, in lower case.
    pub name: Option<Box<str>>,
    /// The client's certificate as DER, which has been verified.
    pub certificate: Option<Box<[u8]>>,
    pub is_http2: bool,
}

/// A handshake that came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the TLS handshake took too long")]
    TooSlow,
    #[error("the TLS handshake failed: {0}")]
    Failed(#[from] io::Error),
}

// === impl Tls ===

impl Tls {
    /// Reads the files. None when there are no certificates; otherwise with the task that follows them.
    ///
    /// # Errors
    /// The first file that can't be used.
    pub fn new(config: &config::Tls, registry: &mut Registry) -> Result<Option<(Self, Follower)>, Unusable> {
        if config.certificates.is_empty() {
            return Ok(None);
        }
        let files = Files::read(config)?;
        let loaded = files.load(config.client_certificates)?;
        let shared = Shared {
            serving: ArcSwap::new(Arc::clone(&loaded.serving)),
            handshake: Duration::from_millis(config.handshake_ms),
            metrics: Metrics::register(registry),
        };
        shared.take(loaded);
        let tls = Self(Arc::new(shared));
        Ok(Some((tls.clone(), Follower::new(tls, config, files))))
    }

    /// Reads the files and makes of them what a start would make. Answers what should be looked at.
    ///
    /// # Errors
    /// The first file that can't be used.
    pub fn check(config: &config::Tls) -> Result<Vec<String>, Unusable> {
        if config.certificates.is_empty() {
            return Ok(Vec::new());
        }
        Ok(Files::read(config)?.load(config.client_certificates)?.warnings)
    }

    /// Does the handshake, for `tls.handshake_ms` at most.
    ///
    /// # Errors
    /// The client was too slow, went away, asked for nothing that there is, or showed no good certificate.
    pub async fn accept(&self, stream: TcpStream, alpn: Alpn) -> Result<Accepted, TlsError> {
        let config = {
            let serving = self.0.serving.load();
            Arc::clone(if alpn == Alpn::Http { &serving.http } else { &serving.raw })
        };
        let handshake = TlsAcceptor::from(config).accept(stream);
        let outcome = match tokio::time::timeout(self.0.handshake, handshake).await {
            Ok(outcome) => outcome.map_err(TlsError::Failed),
            Err(_) => Err(TlsError::TooSlow),
        };
        self.0.metrics.handshake(outcome.as_ref().err());
        outcome.map(Accepted::new)
    }
}

// === impl Shared ===

impl Shared {
    /// From the next handshake on.
    fn take(&self, loaded: Loaded) {
        loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        self.metrics.serves(&loaded.certificates);
        self.serving.store(loaded.serving);
    }
}

// === impl Accepted ===

impl Accepted {
    fn new(stream: TlsStream<TcpStream>) -> Self {
        let (_, session) = stream.get_ref();
        let name = session.server_name().map(|name| name.to_ascii_lowercase().into());
        let certificate = session.peer_certificates().and_then(<[_]>::first).map(|certificate| certificate.as_ref().into());
        let is_http2 = session.alpn_protocol() == Some(b"h2");
        Self { stream, name, certificate, is_http2 }
    }
}
