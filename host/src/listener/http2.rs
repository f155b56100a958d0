//! One downstream connection of HTTP/2: hyper drives the protocol, this watches the streams' deadlines, the connection's own
//! and the drain. Each stream runs as a task of its own on the worker's thread, with a deadline of its own.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    error::Error as _,
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use hyper::{rt::Executor, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::{Instant, sleep},
};

use super::{
    http::Drain,
    paced::{Paced, Turn},
};
use crate::{
    request::{self, Decisions, Downstream, Settings, Slots, Worker},
    upstream::{Deadline, Phase, deadline::tick},
};

/// The streams of one connection: spawned here, counted, and dropped when they are overdue, which resets them.
#[derive(Clone)]
struct Streams(Rc<State>);

struct State {
    open: Cell<usize>,
    /// When the last one ended, or the connection began.
    quiet_since: Cell<Instant>,
    /// The deadline of the stream that hyper spawns next: it does so right after it has called the service.
    next: RefCell<Option<Arc<Deadline>>>,
    interval: Duration,
    body_idle: Duration,
}

/// One of them.
struct Open(Streams);

/// How far a connection has come.
enum Stage {
    Serving,
    /// The client was told to go away, and it ends with its last stream.
    Closing(Instant),
}

/// Serves one connection to its end.
pub async fn serve<D: Decisions, S: AsyncRead + AsyncWrite + Unpin + 'static>(
    worker: Rc<Worker<D>>,
    stream: S,
    downstream: Downstream,
    slots: Slots,
    mut drain: watch::Receiver<Drain>,
) {
    let settings = &worker.gateway.settings;
    let (keep_alive, body_idle) = (settings.keep_alive, settings.bounds.body_idle);
    let age = Duration::from_secs(settings.http2.connection_age_s);
    let peer = downstream.connection.client;
    let streams = Streams::new(settings);
    let metrics = worker.gateway.metrics.clone();
    let http = protocol(settings, streams.clone());
    let service = {
        let (worker, streams) = (worker.clone(), streams.clone());
        service_fn(move |mut request| {
            request::http2::relieve(&mut request, &worker.gateway.settings);
            let (worker, downstream) = (worker.clone(), downstream.stream(slots.take()));
            streams.expect(downstream.deadline.clone());
            // In a box of its own, which is freed before the answer's body is sent: that may take long, and there may be many.
            Box::pin(async move {
                let response = request::answer(&worker, &downstream, request).await;
                if downstream.deadline.phase() == Phase::Deciding {
                    // The gateway's own answer: a client that doesn't take it mustn't hold the stream.
                    downstream.deadline.enter(Phase::Download, body_idle);
                }
                Ok::<_, Infallible>(response)
            })
        })
    };
    metrics.http2_connections.inc();
    let turn = Turn::default();
    let stream = Paced::new(stream, turn.clone());
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let mut timer = pin!(sleep(streams.0.interval));
    let mut draining = pin!(async move {
        let _ = drain.wait_for(|drain| *drain != Drain::Not).await;
    });
    let (began, mut stage) = (Instant::now(), Stage::Serving);
    poll_fn(|cx| {
        tick();
        let mut is_over = false;
        while timer.as_mut().poll(cx).is_ready() {
            timer.as_mut().reset(Instant::now() + streams.0.interval);
            match stage {
                Stage::Serving => is_over = streams.quiet_for() >= keep_alive || began.elapsed() >= age,
                // What a client doesn't read of its last answers is given up.
                Stage::Closing(since) if streams.quiet_for().min(since.elapsed()) >= body_idle => return Poll::Ready(()),
                Stage::Closing(_) => {}
            }
        }
        if matches!(stage, Stage::Serving) && (is_over || draining.as_mut().poll(cx).is_ready()) {
            stage = Stage::Closing(Instant::now());
            connection.as_mut().graceful_shutdown();
        }
        turn.begin();
        connection.as_mut().poll(cx).map(|ended| match ended {
            Err(error) if is_malformed(&error) => {
                metrics.malformed.inc();
                tracing::info!(target: "access", %peer, %error, "malformed HTTP/2");
            }
            Err(error) => tracing::debug!(%peer, %error, "connection ended"),
            Ok(()) => {}
        })
    })
    .await;
    metrics.http2_connections.dec();
}

/// How HTTP/2 is spoken.
fn protocol(settings: &Settings, streams: Streams) -> http2::Builder<Streams> {
    let limits = &settings.http2;
    let mut http = http2::Builder::new(streams);
    http.timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(settings.head_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        .max_send_buf_size(limits.send_buffer_bytes)
        .max_pending_accept_reset_streams(limits.pending_resets)
        .max_local_error_reset_streams(limits.malformed)
        .keep_alive_interval(Duration::from_millis(limits.ping_ms))
        .keep_alive_timeout(Duration::from_millis(limits.ping_timeout_ms))
        .enable_connect_protocol();
    http
}

/// Whether it was the gateway that found something wrong, rather than the client that went away.
fn is_malformed(error: &hyper::Error) -> bool {
    error.source().and_then(|source| source.downcast_ref::<h2::Error>()).is_some_and(h2::Error::is_library)
}

// === impl Streams ===

impl Streams {
    fn new(settings: &Settings) -> Self {
        let bounds = &settings.bounds;
        Self(Rc::new(State {
            open: Cell::new(0),
            quiet_since: Cell::new(Instant::now()),
            next: RefCell::new(None),
            interval: Deadline::interval([settings.keep_alive, bounds.body_idle, bounds.response_head]),
            body_idle: bounds.body_idle,
        }))
    }

    /// The next one has this deadline.
    fn expect(&self, deadline: Arc<Deadline>) {
        *self.0.next.borrow_mut() = Some(deadline);
    }

    /// For how long there hasn't been one.
    fn quiet_for(&self) -> Duration {
        if self.0.open.get() == 0 { self.0.quiet_since.get().elapsed() } else { Duration::ZERO }
    }

    fn open(&self) -> Open {
        self.0.open.set(self.0.open.get() + 1);
        Open(self.clone())
    }
}

impl<F: Future<Output = ()> + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let open = self.open();
        match self.0.next.take() {
            Some(deadline) => tokio::task::spawn_local(watched(stream, deadline, open)),
            // The sending half of an upgraded stream, whose end the upgrade sees to.
            None => tokio::task::spawn_local(async move {
                stream.await;
                drop(open);
            }),
        };
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let Streams(state) = &self.0;
        state.open.set(state.open.get().saturating_sub(1));
        state.quiet_since.set(Instant::now());
    }
}

/// Runs a stream until it ends or nothing more is to be expected of it; dropped before its end, it's reset.
async fn watched(stream: impl Future<Output = ()>, deadline: Arc<Deadline>, open: Open) {
    let Streams(state) = &open.0;
    let (interval, body_idle) = (state.interval, state.body_idle);
    let mut stream = pin!(stream);
    let mut timer = pin!(sleep(interval));
    poll_fn(|cx| {
        tick();
        while timer.as_mut().poll(cx).is_ready() {
            timer.as_mut().reset(Instant::now() + interval);
            match deadline.overdue() {
                None | Some(Phase::Deciding) => {}
                // The pipeline, polled below, sees it and answers.
                Some(Phase::Upload | Phase::Waiting) => deadline.extend(body_idle),
                Some(Phase::Idle | Phase::Head | Phase::Download) => return Poll::Ready(()),
            }
        }
        stream.as_mut().poll(cx)
    })
    .await;
}
