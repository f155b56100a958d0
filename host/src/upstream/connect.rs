//! New connections to upstreams, plain or over TLS, in time or not at all.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::{Metrics, Tls, keep_alive, peer::Secured, tls::Inside};
use crate::error::Error;

/// Opens connections to upstreams.
pub struct Connector {
    tls: Arc<Tls>,
    /// For a connection with its handshake.
    within: Duration,
    metrics: Metrics,
}

/// A connection with an upstream.
pub enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

// === impl Connector ===

impl Connector {
    pub fn new(tls: Arc<Tls>, within: Duration, metrics: Metrics) -> Self {
        Self { tls, within, metrics }
    }

    /// `preface` goes first, before any TLS.
    ///
    /// # Errors
    /// The upstream's: it can't be reached, takes too long, or its TLS is no good.
    pub async fn connect(
        &self,
        address: SocketAddr,
        secured: Option<&Secured>,
        inside: Inside,
        preface: &[u8],
    ) -> Result<Stream, Error> {
        self.metrics.connects.inc();
        let connect = async {
            let refused = |error: io::Error| Error::connect_refused(format_args!("{address}: {error}"));
            let mut stream = TcpStream::connect(address).await.map_err(refused)?;
            // A small write that waits for an acknowledgement is a keystroke that lags.
            let _ = stream.set_nodelay(true);
            let _ = keep_alive(&stream);
            if !preface.is_empty() {
                stream.write_all(preface).await.map_err(refused)?;
            }
            let Some(secured) = secured else { return Ok(Stream::Plain(stream)) };
            let failed = |error: io::Error| Error::tls_failed(format_args!("{address} as {}: {error}", secured.name));
            let stream = self.tls.connect(stream, secured, inside).await.map_err(failed)?;
            Ok(Stream::Tls(Box::new(stream)))
        };
        let outcome = tokio::time::timeout(self.within, connect).await.unwrap_or_else(|_| Err(Error::connect_timeout()));
        if outcome.is_err() {
            self.metrics.connect_failures.inc();
        }
        outcome
    }
}

// === impl Stream ===

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
