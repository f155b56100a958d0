//! An HTTP server on loopback, on a thread of its own, so that a test that blocks doesn't stop it.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::oneshot, task::LocalSet};

/// What an answer's body is.
pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// What a handler makes of a request. An error closes the connection without an answer.
pub type Answer = Result<Response<Body>, Closed>;

/// The connection is closed where the answer would be.
#[derive(Debug)]
pub struct Closed;

/// Runs until it's dropped.
pub struct Server {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// Serves HTTP/1.1 with upgrades on a free port of loopback.
    pub fn start<H, F>(handler: H) -> Self
    where
        H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
        F: Future<Output = Answer> + 'static,
    {
        Self::start_at(Ipv4Addr::LOCALHOST.into(), handler)
    }

    /// The same at another address of this machine.
    pub fn start_at<H, F>(address: IpAddr, handler: H) -> Self
    where
        H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
        F: Future<Output = Answer> + 'static,
    {
        let listener = std::net::TcpListener::bind((address, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            LocalSet::new().block_on(&runtime, async {
                tokio::select! {
                    () = accept(TcpListener::from_std(listener).unwrap(), Arc::new(handler)) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, stop: Some(stop), thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn accept<H, F>(listener: TcpListener, handler: Arc<H>)
where
    H: Fn(Request<Incoming>) -> F + 'static,
    F: Future<Output = Answer> + 'static,
{
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let handler = Arc::clone(&handler);
        tokio::task::spawn_local(async move {
            let service = service_fn(|request| handler(request));
            // An error is the client's doing, or the handler's wish.
            let _ =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed on purpose")
    }
}

impl std::error::Error for Closed {}

/// A body that is there at once.
pub fn whole(text: impl Into<Bytes>) -> Body {
    use http_body_util::BodyExt;
    Body::new(http_body_util::Full::new(text.into()).map_err(|never: Infallible| match never {}))
}
