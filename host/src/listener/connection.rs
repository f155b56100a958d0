//! One downstream connection of HTTP/1.1: hyper drives the protocol, this watches the deadline and the drain.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use hyper::{
    rt::{Read, ReadBufCursor, Write},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::Instant,
};

use super::http::Drain;
use crate::{
    request::{self, Decisions, Downstream, Worker},
    upstream::{Deadline, Phase, deadline::tick},
};

/// A stream that tells when the first byte of a request came.
struct Watched<S> {
    io: TokioIo<S>,
    deadline: Arc<Deadline>,
    head: std::time::Duration,
}

/// Serves one connection to its end.
pub async fn serve<D: Decisions, S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    worker: Rc<Worker<D>>,
    http: Rc<http1::Builder>,
    stream: S,
    downstream: Downstream,
    mut drain: watch::Receiver<Drain>,
) {
    let settings = &worker.gateway.settings;
    let downstream = Rc::new(downstream);
    let peer = downstream.connection.client;
    let deadline = downstream.deadline.clone();
    let (keep_alive, body_idle) = (settings.keep_alive, settings.bounds.body_idle);
    let interval = Deadline::interval([settings.request_head, keep_alive, body_idle, settings.bounds.response_head]);
    let io = Watched { io: TokioIo::new(stream), deadline: deadline.clone(), head: settings.request_head };
    let malformed = worker.gateway.metrics.malformed.clone();
    let service = service_fn(move |request| {
        let (worker, downstream) = (worker.clone(), downstream.clone());
        async move { Ok::<_, Infallible>(request::answer(&worker, &downstream, request).await) }
    });
    let mut connection = pin!(http.serve_connection(io, service).with_upgrades());
    let mut timer = pin!(tokio::time::sleep(interval));
    let mut draining = pin!(async move {
        let _ = drain.wait_for(|drain| *drain != Drain::Not).await;
    });
    let mut is_draining = false;
    poll_fn(|cx| {
        tick();
        let mut is_due = false;
        while timer.as_mut().poll(cx).is_ready() {
            is_due = true;
            timer.as_mut().reset(Instant::now() + interval);
        }
        if is_due {
            match deadline.overdue() {
                None | Some(Phase::Deciding) => {}
                // hyper ends an idle connection at once. If its last bytes don't go out, it's overdue again.
                Some(Phase::Idle) => {
                    connection.as_mut().graceful_shutdown();
                    deadline.enter(Phase::Download, body_idle);
                }
                // The pipeline, polled below, sees it and answers.
                Some(Phase::Upload | Phase::Waiting) => deadline.extend(body_idle),
                Some(Phase::Head | Phase::Download) => return Poll::Ready(()),
            }
        }
        if !is_draining && draining.as_mut().poll(cx).is_ready() {
            is_draining = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx).map(|ended| {
            match ended {
                // Such a request never got as far as the access log.
                Err(error) if error.is_parse() => {
                    malformed.inc();
                    tracing::info!(target: "access", %peer, %error, "malformed request");
                }
                Err(error) => tracing::debug!(%peer, %error, "connection ended"),
                Ok(()) => {}
            }
        })
    })
    .await;
}

// === impl Watched ===

impl<S: AsyncRead + Unpin> Read for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if read.is_ready() && self.deadline.phase() == Phase::Idle {
            self.deadline.enter(Phase::Head, self.head);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> Write for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}
