//! The admin port: opened with an error that says what is in the way, and served with limits of its own, so that nobody who
//! can reach it keeps operators out for long.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::Admin;
use crate::shutdown::Shutdown;

/// For a request's head, and between two requests of a connection: longer than Prometheus' usual minute would hold places.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// A request with all of its headers. No browser's or probe's comes near it.
const LARGEST_HEAD: usize = 16 * 1024;

/// After a failed `accept` (out of file descriptors) there's no use in trying at once.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error("admin.listen: {0} is in use by another program; choose another port or stop that program")]
    InUse(SocketAddr),
    #[error("admin.listen: {0} can't be listened on: {1}")]
    Listen(SocketAddr, #[source] io::Error),
}

/// Opens the port.
///
/// # Errors
/// When it's taken or not ours to take, with a sentence that names the key.
pub async fn bind(listen: SocketAddr) -> Result<TcpListener, AdminError> {
    TcpListener::bind(listen).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => AdminError::InUse(listen),
        _ => AdminError::Listen(listen, error),
    })
}

impl Admin {
    /// Serves until what is under way should be cut off: probes and metrics go on while the gateway drains.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, mut shutdown: Shutdown) {
        let mut connections = JoinSet::new();
        loop {
            // At the limit, new connections wait in the kernel's queue until one is over.
            let has_place = connections.len() < self.connections;
            tokio::select! {
                () = shutdown.hurrying() => return,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept(), if has_place => match accepted {
                    Ok((stream, _)) => { connections.spawn(Arc::clone(&self).connection(stream)); }
                    Err(error) => {
                        tracing::warn!(%error, "admin: a connection could not be accepted");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) {
        let service = service_fn(|request| {
            let response = self.answer(&request);
            async move { Ok::<_, Infallible>(response) }
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(LARGEST_HEAD)
            .serve_connection(TokioIo::new(stream), service)
            .await;
        if let Err(error) = served {
            tracing::debug!(%error, "admin: connection ended");
        }
    }
}
