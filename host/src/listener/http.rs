//! The HTTP listener of one worker: accepts, counts and serves connections until it's told to drain. Called by each worker's
//! thread inside its `LocalSet`.

use std::{io, net::SocketAddr, rc::Rc, time::Duration};

use hyper::server::conn::http1;
use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{Instant, MissedTickBehavior},
};

use super::{
    connection, http2,
    preface::{self, Version},
    proxy_protocol,
    tls::{Alpn, Tls},
};
use crate::{
    request::{Decisions, Downstream, Settings, Slots, Worker},
    upstream::{keep_alive, relay::Goodbye},
};

/// Whether to go on: a listener stops accepting when it changes, and connections end after the request that they're at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Drain {
    #[default]
    Not,
    /// Upgraded connections may go on until this instant; then everything is closed.
    Until(Instant),
}

/// The sockets of one worker.
pub struct Sockets {
    plain: Socket,
    /// For HTTPS.
    secure: Option<(Socket, Tls)>,
}

struct Socket {
    listener: TcpListener,
    port: u16,
}

/// How long to wait when there's no descriptor left: something must be closed first.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);
/// For goodbyes at the end of a drain.
const GOODBYES: Duration = Duration::from_secs(4);
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Serves connections on these sockets until `drain` says to stop, then waits for those that are open, at most until the
/// instant that it names.
pub async fn serve_worker<D: Decisions>(worker: Rc<Worker<D>>, sockets: Sockets, slots: Slots, mut drain: watch::Receiver<Drain>) {
    let http = Rc::new(protocol(&worker.gateway.settings));
    let mut connections = JoinSet::new();
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = drain.changed() => break,
            (accepted, tls, port) = sockets.accept() => match accepted {
                Ok((stream, peer)) => {
                    let Some(slot) = slots.take() else {
                        worker.gateway.metrics.refused_connections.inc();
                        continue;
                    };
                    prepare(&stream);
                    let downstream = Downstream::new(peer.ip(), port, &worker.gateway.settings, slot);
                    let (worker, http, slots, drain) = (worker.clone(), http.clone(), slots.clone(), drain.clone());
                    match tls {
                        None => connections.spawn_local(plain(worker, http, stream, downstream, slots, drain)),
                        Some(tls) => connections.spawn_local(secured(worker, http, tls.clone(), stream, downstream, slots, drain)),
                    };
                }
                Err(error) => pause_after(&error).await,
            },
            Some(ended) = connections.join_next() => note(ended),
            _ = sweep.tick() => worker.upstream.sweep(),
        }
    }
    drop(sockets);
    let all_ended = async {
        while let Some(ended) = connections.join_next().await {
            note(ended);
        }
        worker.upgraded.none_left().await;
    };
    let mut all_ended = std::pin::pin!(all_ended);
    loop {
        let until = match *drain.borrow_and_update() {
            Drain::Until(until) => until,
            Drain::Not => Instant::now(),
        };
        tokio::select! {
            () = &mut all_ended => return,
            () = tokio::time::sleep_until(until) => break,
            // In more of a hurry, perhaps.
            Ok(()) = drain.changed() => {}
        }
    }
    tracing::info!(open = worker.upgraded.count(), "connections are still open at the end of the drain: they're told so");
    worker.live.close_all(Goodbye::Draining);
    let _ = tokio::time::timeout(GOODBYES, all_ended).await;
}

/// Finds out what the client speaks, and serves it.
async fn plain<D: Decisions>(
    worker: Rc<Worker<D>>,
    http: Rc<http1::Builder>,
    stream: TcpStream,
    downstream: Downstream,
    slots: Slots,
    mut drain: watch::Receiver<Drain>,
) {
    let _counted = Counted::new(&worker);
    let settings = &worker.gateway.settings;
    let Some((stream, downstream)) = introduced(settings, stream, downstream).await else { return };
    let version = tokio::select! {
        version = preface::version(stream, settings.keep_alive, settings.request_head) => version,
        // Nothing was asked yet.
        _ = drain.wait_for(|drain| *drain != Drain::Not) => return,
    };
    match version {
        Some((stream, Version::Http1)) => connection::serve(worker, http, stream, downstream, drain).await,
        Some((stream, Version::Http2)) => http2::serve(worker, stream, downstream, slots, drain).await,
        None => {}
    }
}

/// By a peer that speaks for clients: with the one whom it names. None where it doesn't, or takes too long.
async fn introduced(settings: &Settings, mut stream: TcpStream, downstream: Downstream) -> Option<(TcpStream, Downstream)> {
    let peer = downstream.connection.client;
    if !settings.speaks_proxy_protocol(peer) {
        return Some((stream, downstream));
    }
    match tokio::time::timeout(settings.request_head, proxy_protocol::read(&mut stream)).await {
        Ok(Ok(Some(client))) => Some((stream, downstream.for_client(client.ip(), settings))),
        Ok(Ok(None)) => Some((stream, downstream)),
        Ok(Err(error)) => {
            tracing::info!(target: "access", %peer, %error, "connection refused");
            None
        }
        Err(_) => None,
    }
}

/// Does the handshake, and serves what comes of it.
async fn secured<D: Decisions>(
    worker: Rc<Worker<D>>,
    http: Rc<http1::Builder>,
    tls: Tls,
    stream: TcpStream,
    downstream: Downstream,
    slots: Slots,
    mut drain: watch::Receiver<Drain>,
) {
    let _counted = Counted::new(&worker);
    let Some((stream, downstream)) = introduced(&worker.gateway.settings, stream, downstream).await else { return };
    let accepted = tokio::select! {
        accepted = tls.accept(stream, Alpn::Http) => accepted,
        // Nothing was asked yet.
        _ = drain.wait_for(|drain| *drain != Drain::Not) => return,
    };
    match accepted {
        Ok(accepted) => {
            let downstream = downstream.over_tls(accepted.name, accepted.certificate);
            if accepted.is_http2 {
                http2::serve(worker, accepted.stream, downstream, slots, drain).await;
            } else {
                connection::serve(worker, http, accepted.stream, downstream, drain).await;
            }
        }
        Err(error) => tracing::debug!(peer = %downstream.connection.client, %error, "no TLS"),
    }
}

/// How HTTP/1.1 is spoken. Timeouts aren't hyper's: see `upstream::deadline`.
fn protocol(settings: &Settings) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.max_headers(settings.headers).max_header_size(settings.head_bytes).half_close(false).pipeline_flush(false);
    http
}

/// One of the connections that the metric counts.
struct Counted(Gauge);

// === impl Counted ===

impl Counted {
    fn new<D>(worker: &Worker<D>) -> Self {
        let gauge = worker.gateway.metrics.connections.clone();
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

// === impl Sockets ===

impl Sockets {
    pub fn new(plain: TcpListener, secure: Option<(TcpListener, Tls)>) -> Self {
        Self { plain: Socket::new(plain), secure: secure.map(|(secure, tls)| (Socket::new(secure), tls)) }
    }

    /// The next connection, and the port by which it came.
    async fn accept(&self) -> (io::Result<(TcpStream, SocketAddr)>, Option<&Tls>, u16) {
        let Self { plain, secure } = self;
        match secure {
            None => (plain.listener.accept().await, None, plain.port),
            Some((secure, tls)) => tokio::select! {
                accepted = plain.listener.accept() => (accepted, None, plain.port),
                accepted = secure.listener.accept() => (accepted, Some(tls), secure.port),
            },
        }
    }
}

// === impl Socket ===

impl Socket {
    fn new(listener: TcpListener) -> Self {
        let port = listener.local_addr().map_or(0, |address| address.port());
        Self { listener, port }
    }
}

pub(super) fn prepare(stream: &TcpStream) {
    // A small write that waits for an acknowledgement is a keystroke that lags.
    let _ = stream.set_nodelay(true);
    let _ = keep_alive(stream);
}

/// A connection that was gone before it was accepted is its client's matter; no descriptors or memory is ours, and passes.
pub(super) async fn pause_after(error: &io::Error) {
    let is_clients = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    );
    if !is_clients {
        tracing::error!(%error, "cannot accept connections; trying on");
        tokio::time::sleep(EXHAUSTED_PAUSE).await;
    }
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection's task panicked");
    }
}
