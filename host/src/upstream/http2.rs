//! HTTP/2 with upstreams that declare it: a few connections for each peer and worker, many exchanges at a time on each, a new
//! one when the peer says that it goes away. Called by `Upstream` with a request that is ready for HTTP/1.1.

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::HashMap,
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use futures_util::future::{FutureExt, Shared};
use http::{Request, Response, Uri, Version, header, uri};
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
    rt::Executor,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::oneshot;

use super::{
    Bounds, Connector, Deadline, Metrics, Peer, RequestBody, ResponseBody,
    body::Lent,
    deadline::now_ms,
    http::{copy, failure, is_repeatable, is_stale, overdue},
    tls::Inside,
};
use crate::{config, error::Error};

/// Connections of one worker to upstreams that speak HTTP/2.
pub struct Multiplexed {
    peers: RefCell<HashMap<Peer, Vec<Connection>>>,
    connector: Rc<Connector>,
    limits: config::Http2,
    head_bytes: usize,
    headers: usize,
}

type Sender = SendRequest<RequestBody>;

/// A connection, perhaps one that is being opened. Closed by dropping it.
#[derive(Clone)]
struct Connection(Rc<State>);

struct State {
    /// For all who wait until it's open.
    opening: Shared<oneshot::Receiver<Result<Sender, Error>>>,
    sender: OnceCell<Sender>,
    exchanges: Cell<usize>,
    /// How many the peer allows.
    room: Rc<Cell<usize>>,
    idle_since_ms: Cell<u64>,
}

/// One exchange's place on a connection, up to the end of the response's body.
pub(crate) struct Place(Connection);

/// Spawns hyper's tasks on the worker's thread.
#[derive(Clone)]
struct Local;

/// A request that a peer didn't process is sent again so often: each time the connection was one that it had given up.
const RETRIES: usize = 2;

// === impl Multiplexed ===

impl Multiplexed {
    pub fn new(connector: Rc<Connector>, limits: config::Http2, head_bytes: usize, headers: usize) -> Self {
        Self { peers: RefCell::default(), connector, limits, head_bytes, headers }
    }

    /// As `Upstream::exchange`.
    pub async fn exchange(
        &self,
        peer: &Peer,
        mut request: Request<RequestBody>,
        deadline: &Arc<Deadline>,
        bounds: &Bounds,
        metrics: &Metrics,
    ) -> Result<Response<ResponseBody>, Error> {
        address(&mut request, peer)?;
        let mut retries = 0;
        loop {
            let connection = self.choose(peer);
            let was_open = connection.0.sender.get().is_some();
            let place = connection.place();
            let mut sender = connection.sender().await?;
            let again = request.body().is_empty().then(|| copy(&request));
            let sent = pin!(sender.try_send_request(request));
            let Some(outcome) = deadline.within(sent).await else { return Err(overdue(deadline)) };
            let mut failed = match outcome {
                Ok(response) => return self.answered(response, place, deadline, bounds),
                Err(failed) => failed,
            };
            let error = failure(failed.error(), deadline);
            let repeated = again
                .filter(|request| is_unprocessed(failed.error()) || was_open && is_repeatable(request) && is_stale(failed.error()));
            match failed.take_message().or(repeated) {
                Some(unsent) if retries < RETRIES => request = unsent,
                _ => return Err(error),
            }
            tracing::debug!(address = %peer.address, %error, "a kept connection had been given up");
            metrics.retries.inc();
            retries += 1;
        }
    }

    fn answered(
        &self,
        response: Response<Incoming>,
        place: Place,
        deadline: &Arc<Deadline>,
        bounds: &Bounds,
    ) -> Result<Response<ResponseBody>, Error> {
        // hyper counts no lines in HTTP/2.
        if response.headers().len() > self.headers {
            return Err(Error::malfunction(format_args!(
                "{} header lines, expected {} at most",
                response.headers().len(),
                self.headers
            )));
        }
        let (mut parts, body) = response.into_parts();
        parts.version = Version::HTTP_11;
        let body = ResponseBody::new(body, Some(Lent::Shared(place)), deadline.clone(), bounds.body_idle);
        Ok(Response::from_parts(parts, body))
    }

    /// The connection with the fewest exchanges, or another one where all have many and there may be more.
    fn choose(&self, peer: &Peer) -> Connection {
        let mut peers = self.peers.borrow_mut();
        let connections = peers.entry(peer.clone()).or_default();
        connections.retain(|connection| !connection.is_closed());
        let limit = self.limits.upstream_streams;
        if let Some(least) = connections.iter().min_by_key(|connection| connection.0.exchanges.get())
            && (least.has_room(limit) || connections.len() >= self.limits.upstream_connections)
        {
            return least.clone();
        }
        let connection = self.open(peer);
        connections.push(connection.clone());
        connection
    }

    /// Opens one beside whoever waits for it: who goes away doesn't take it from the others.
    fn open(&self, peer: &Peer) -> Connection {
        let (opened, opening) = oneshot::channel();
        let (connector, peer, http) = (self.connector.clone(), peer.clone(), self.protocol());
        let room = Rc::new(Cell::new(usize::MAX));
        let told = room.clone();
        tokio::task::spawn_local(async move {
            let _ = opened.send(open(&connector, &peer, &http, told).await);
        });
        Connection(Rc::new(State {
            opening: opening.shared(),
            sender: OnceCell::new(),
            exchanges: Cell::new(0),
            room,
            idle_since_ms: Cell::new(now_ms()),
        }))
    }

    fn protocol(&self) -> http2::Builder<Local> {
        let limits = &self.limits;
        let mut http = http2::Builder::new(Local);
        // All streams together may fill what they may fill each: a client that reads slowly mustn't hold up the others.
        let exchanges = u32::try_from(limits.upstream_streams).unwrap_or(u32::MAX);
        let all = limits.upstream_window_bytes.saturating_mul(exchanges).min(0x7fff_ffff);
        http.timer(TokioTimer::new())
            .initial_stream_window_size(limits.upstream_window_bytes)
            .initial_connection_window_size(all)
            .max_header_list_size(u32::try_from(self.head_bytes).unwrap_or(u32::MAX))
            .max_send_buf_size(limits.send_buffer_bytes)
            .keep_alive_interval(Duration::from_millis(limits.ping_ms))
            .keep_alive_timeout(Duration::from_millis(limits.ping_timeout_ms));
        http
    }

    /// Closes what has been idle for too long. To be called about once a second.
    pub fn sweep(&self) {
        let oldest = now_ms().saturating_sub(self.limits.upstream_idle_ms);
        self.peers.borrow_mut().retain(|_, connections| {
            connections.retain(|connection| !connection.is_closed() && !connection.is_idle_since(oldest));
            !connections.is_empty()
        });
    }
}

async fn open(connector: &Connector, peer: &Peer, http: &http2::Builder<Local>, room: Rc<Cell<usize>>) -> Result<Sender, Error> {
    let stream = connector.connect(peer.address, peer.tls.as_ref(), Inside::Http2, &[]).await?;
    let (sender, connection) = http.handshake(TokioIo::new(stream)).await.map_err(Error::malfunction)?;
    let address = peer.address;
    tokio::task::spawn_local(async move {
        let mut connection = pin!(connection);
        let driven = poll_fn(|cx| {
            let polled = connection.as_mut().poll(cx);
            room.set(connection.current_max_send_streams());
            polled
        });
        if let Err(error) = driven.await {
            tracing::debug!(%address, %error, "upstream connection ended");
        }
    });
    Ok(sender)
}

/// The target and `Host` as HTTP/2 has them (RFC 9113, section 8.3.1), and nothing that concerns one connection of HTTP/1.1.
fn address(request: &mut Request<RequestBody>, peer: &Peer) -> Result<(), Error> {
    let headers = request.headers_mut();
    headers.remove(header::CONNECTION);
    headers.remove(header::TRANSFER_ENCODING);
    let host = headers.remove(header::HOST).ok_or_else(|| Error::internal("a request without a host"))?;
    let mut target = uri::Parts::default();
    target.scheme = Some(if peer.tls.is_some() { uri::Scheme::HTTPS } else { uri::Scheme::HTTP });
    target.authority = Some(uri::Authority::try_from(host.as_bytes()).map_err(Error::internal)?);
    target.path_and_query = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::from_parts(target).map_err(Error::internal)?;
    *request.version_mut() = Version::HTTP_2;
    Ok(())
}

/// The peer says that it did nothing with the request (RFC 9113, section 8.7).
fn is_unprocessed(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|source| source.downcast_ref::<h2::Error>());
    cause.is_some_and(|error| error.is_remote() && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM)))
}

// === impl Connection ===

impl Connection {
    /// # Errors
    /// Why it couldn't be opened.
    async fn sender(&self) -> Result<Sender, Error> {
        if let Some(sender) = self.0.sender.get() {
            return Ok(sender.clone());
        }
        let opened = self.0.opening.clone().await.unwrap_or_else(|_| Err(Error::internal("a connection's task has ended")))?;
        Ok(self.0.sender.get_or_init(|| opened).clone())
    }

    fn place(&self) -> Place {
        self.0.exchanges.set(self.0.exchanges.get() + 1);
        Place(self.clone())
    }

    fn has_room(&self, limit: usize) -> bool {
        self.0.exchanges.get() < self.0.room.get().min(limit)
    }

    /// It ended, or was never opened.
    fn is_closed(&self) -> bool {
        match self.0.sender.get() {
            Some(sender) => sender.is_closed(),
            None => matches!(self.0.opening.peek(), Some(Ok(Err(_)) | Err(_))),
        }
    }

    fn is_idle_since(&self, oldest_ms: u64) -> bool {
        self.0.exchanges.get() == 0 && self.0.idle_since_ms.get() < oldest_ms
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Connection(state) = &self.0;
        state.exchanges.set(state.exchanges.get().saturating_sub(1));
        state.idle_since_ms.set(now_ms());
    }
}

// === impl Local ===

impl<F: Future + 'static> Executor<F> for Local {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
