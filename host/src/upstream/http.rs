//! One exchange with an upstream, by HTTP/1.1 unless it declares HTTP/2: over a kept connection where there is one, sent once more when that turned out to
//! be stale, and with every failure told apart. Called by the pipeline with a request that is ready for the wire.

use std::{rc::Rc, sync::Arc};

use http::{Method, Request, Response};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;

use super::{
    Bounds, Connector, Deadline, Metrics, Multiplexed, Peer, Phase, Pool, RequestBody, ResponseBody, Stream, Tls,
    body::{Broken, Lent},
    tls::Inside,
};
use crate::{
    config,
    domain::UpstreamHttp,
    error::{Error, Retry},
};

/// The way to all upstreams, for one worker.
pub struct Upstream {
    pub bounds: Bounds,
    pub connector: Rc<Connector>,
    metrics: Metrics,
    pool: Rc<Pool>,
    multiplexed: Multiplexed,
    /// No response's head may be longer.
    head_bytes: usize,
    headers: usize,
}

/// A response whose connection may be upgraded: not one of the pool's.
pub type Raw = Response<Incoming>;

// === impl Upstream ===

impl Upstream {
    pub fn new(bounds: Bounds, http2: config::Http2, tls: Arc<Tls>, metrics: Metrics, head_bytes: usize, headers: usize) -> Self {
        let pool = Rc::new(Pool::new(bounds.idle, bounds.idle_connections));
        let connector = Rc::new(Connector::new(tls, bounds.connect, metrics.clone()));
        let multiplexed = Multiplexed::new(connector.clone(), http2, head_bytes, headers);
        Self { bounds, connector, metrics, pool, multiplexed, head_bytes, headers }
    }

    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Closes what has been idle for too long. To be called about once a second.
    pub fn sweep(&self) {
        self.pool.sweep();
        self.multiplexed.sweep();
    }

    /// Sends the request and answers the response once its head is there. What isn't a kept connection's way is boxed: each request
    /// would carry the room for it, and that room is copied. `deadline` is the one that the request's body
    /// moves.
    pub async fn exchange(
        &self,
        peer: &Peer,
        request: Request<RequestBody>,
        deadline: &Arc<Deadline>,
    ) -> Result<Response<ResponseBody>, Error> {
        if peer.http == UpstreamHttp::Http2 {
            return Box::pin(self.multiplexed.exchange(peer, request, deadline, &self.bounds, &self.metrics)).await;
        }
        let (request, error) = match self.pool.take(peer) {
            Some(sender) => match self.try_kept(sender, peer, request, deadline).await {
                Ok(response) => return Ok(response),
                Err((Some(request), error)) if error.retry == Retry::OnNewConnection => (request, error),
                Err((_, error)) => return Err(error),
            },
            None => return Box::pin(self.send_fresh(peer, request, deadline)).await,
        };
        tracing::debug!(address = %peer.address, %error, "kept connection was stale");
        self.metrics.retries.inc();
        Box::pin(self.send_fresh(peer, request, deadline)).await
    }

    /// The same over a connection of its own that can be upgraded. Its driver lives for as long as the connection does.
    pub async fn exchange_upgradable(
        &self,
        peer: &Peer,
        request: Request<RequestBody>,
        deadline: &Arc<Deadline>,
    ) -> Result<Raw, Error> {
        let stream = self.connect(peer).await?;
        let (mut sender, connection) = self.handshake(stream).await?;
        let address = peer.address;
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%address, %error, "upstream connection ended");
            }
        });
        let sent = std::pin::pin!(sender.send_request(request));
        match deadline.within(sent).await {
            Some(answered) => answered.map_err(|error| failure(&error, deadline)),
            None => Err(overdue(deadline)),
        }
    }

    /// Over a kept connection. With the error comes the request, where it may be sent once more.
    async fn try_kept(
        &self,
        mut sender: SendRequest<RequestBody>,
        peer: &Peer,
        request: Request<RequestBody>,
        deadline: &Arc<Deadline>,
    ) -> Result<Response<ResponseBody>, (Option<Request<RequestBody>>, Error)> {
        let again = is_repeatable(&request).then(|| copy(&request));
        let sent = std::pin::pin!(sender.try_send_request(request));
        match deadline.within(sent).await {
            Some(Ok(response)) => Ok(self.lend(response, sender, peer, deadline)),
            Some(Err(mut unsent)) => {
                let error = failure(unsent.error(), deadline);
                match (unsent.take_message(), again) {
                    (Some(request), _) => Err((Some(request), error.retry(Retry::OnNewConnection))),
                    (None, Some(request)) if is_stale(unsent.error()) => Err((Some(request), error.retry(Retry::OnNewConnection))),
                    (None, _) => Err((None, error)),
                }
            }
            None => Err((None, overdue(deadline))),
        }
    }

    async fn send_fresh(
        &self,
        peer: &Peer,
        request: Request<RequestBody>,
        deadline: &Arc<Deadline>,
    ) -> Result<Response<ResponseBody>, Error> {
        let stream = self.connect(peer).await?;
        let (mut sender, connection) = self.handshake(stream).await?;
        let address = peer.address;
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%address, %error, "upstream connection ended");
            }
        });
        let sent = std::pin::pin!(sender.send_request(request));
        match deadline.within(sent).await {
            Some(Ok(response)) => Ok(self.lend(response, sender, peer, deadline)),
            Some(Err(error)) => Err(failure(&error, deadline)),
            None => Err(overdue(deadline)),
        }
    }

    fn lend(
        &self,
        response: Response<Incoming>,
        sender: SendRequest<RequestBody>,
        peer: &Peer,
        deadline: &Arc<Deadline>,
    ) -> Response<ResponseBody> {
        let lent = Lent::Kept { pool: self.pool.clone(), peer: peer.clone(), sender };
        response.map(|body| ResponseBody::new(body, Some(lent), deadline.clone(), self.bounds.body_idle))
    }

    async fn connect(&self, peer: &Peer) -> Result<Stream, Error> {
        self.connector.connect(peer.address, peer.tls.as_ref(), Inside::Http1, &[]).await
    }

    async fn handshake(
        &self,
        stream: Stream,
    ) -> Result<(SendRequest<RequestBody>, http1::Connection<TokioIo<Stream>, RequestBody>), Error> {
        http1::Builder::new()
            .max_headers(self.headers)
            .max_header_size(self.head_bytes)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(Error::internal)
    }
}

/// Safe methods (RFC 9110, section 9.2.1) without a body: sending them twice does no more than once.
pub(super) fn is_repeatable(request: &Request<RequestBody>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) && request.body().is_empty()
}

pub(super) fn copy(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut copy = Request::new(request.body().empty_again());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

/// The connection ended before a byte of an answer.
pub(super) fn is_stale(error: &hyper::Error) -> bool {
    error.is_incomplete_message() || error.is_closed() || error.is_canceled() || cause::<std::io::Error>(error).is_some()
}

/// What was overdue decides whose fault it is.
pub(super) fn overdue(deadline: &Deadline) -> Error {
    if deadline.phase() == Phase::Upload { Error::client_slow() } else { Error::response_timeout() }
}

pub(super) fn failure(error: &hyper::Error, deadline: &Deadline) -> Error {
    // By HTTP/2 the stream was reset for it, and the error says no more than that.
    if deadline.is_cut() || matches!(cause::<Broken>(error), Some(Broken::TooLarge)) {
        return Error::too_large(http::StatusCode::PAYLOAD_TOO_LARGE, "The request's body is over the limit.");
    }
    if error.is_user() || cause::<Broken>(error).is_some() {
        return Error::client_gone();
    }
    if error.is_parse() { Error::malfunction(error) } else { Error::reset(error) }
}

fn cause<E: std::error::Error + 'static>(error: &hyper::Error) -> Option<&E> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        source = error.source();
    }
    None
}
