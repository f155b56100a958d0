//! WebSockets and whatever else HTTP/1.1 is upgraded to: after the upstream's 101 the bytes are copied both ways until both
//! sides ended or nothing moved for too long. Its life is its own: it holds no snapshot, so a swap of plugins closes nothing.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use http::Response;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::watch,
    time::Instant,
};

/// Counts open upgraded connections of a worker, so that a drain can wait for them.
#[derive(Clone, Debug)]
pub struct Open {
    count: watch::Sender<usize>,
    gauge: Gauge,
}

/// One open upgraded connection.
pub struct Guard(Open);

/// Copied bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    pub from_client: u64,
    pub from_upstream: u64,
}

/// One direction: what was read and not yet written.
struct Pipe {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    state: PipeState,
    bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PipeState {
    Open,
    /// The reader ended; what's buffered goes out, then the writer's half is closed.
    Ending,
    Closed,
}

/// Enough for a WebSocket frame of a notebook's output in one go.
const BUFFER_BYTES: usize = 16 * 1024;

// === impl Open ===

impl Open {
    pub fn new(gauge: Gauge) -> Self {
        Self { count: watch::Sender::new(0), gauge }
    }

    pub fn enter(&self) -> Guard {
        self.count.send_modify(|count| *count += 1);
        self.gauge.inc();
        Guard(self.clone())
    }

    pub fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// Ends when none is open.
    pub async fn none_left(&self) {
        // The sender lives in self, so waiting can't fail.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.count.send_modify(|count| *count = count.saturating_sub(1));
        self.0.gauge.dec();
    }
}

/// Carries the bytes once both sides have switched, until both ended, one broke, or nothing moved for `idle`. Spawned by the
/// pipeline before it passes the 101 on; not a byte moves before hyper has written that.
pub fn carry<B>(client: OnUpgrade, upstream: &mut Response<B>, idle: Duration) -> impl Future<Output = Copied> + use<B> {
    let upstream = hyper::upgrade::on(upstream);
    async move {
        let (client, upstream) = match (client.await, upstream.await) {
            (Ok(client), Ok(upstream)) => (client, upstream),
            (Err(error), _) | (_, Err(error)) => {
                tracing::debug!(%error, "the upgrade did not happen");
                return Copied::default();
            }
        };
        copy(client, upstream, idle).await
    }
}

async fn copy(client: Upgraded, upstream: Upgraded, idle: Duration) -> Copied {
    let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
    let (mut up, mut down) = (Pipe::new(), Pipe::new());
    let mut timer = pin!(tokio::time::sleep(idle));
    let mut moved_at = Instant::now();
    let (mut seen, mut looked) = (0, false);
    poll_fn(|cx| {
        let one = up.poll(cx, Pin::new(&mut client), Pin::new(&mut upstream));
        let two = down.poll(cx, Pin::new(&mut upstream), Pin::new(&mut client));
        if matches!(one, Poll::Ready(Err(_))) || matches!(two, Poll::Ready(Err(_))) || (one.is_ready() && two.is_ready()) {
            return Poll::Ready(());
        }
        if seen != up.bytes + down.bytes || !looked {
            (seen, looked) = (up.bytes + down.bytes, true);
            moved_at = Instant::now();
        }
        while timer.as_mut().poll(cx).is_ready() {
            if moved_at.elapsed() >= idle {
                return Poll::Ready(());
            }
            timer.as_mut().reset(moved_at + idle);
        }
        Poll::Pending
    })
    .await;
    Copied { from_client: up.bytes, from_upstream: down.bytes }
}

// === impl Pipe ===

impl Pipe {
    fn new() -> Self {
        Self { buffer: vec![0; BUFFER_BYTES].into(), start: 0, end: 0, state: PipeState::Open, bytes: 0 }
    }

    /// Moves what can be moved; ready when the reader ended and the writer was told.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut from: Pin<&mut (impl AsyncRead + ?Sized)>,
        mut to: Pin<&mut (impl AsyncWrite + ?Sized)>,
    ) -> Poll<std::io::Result<()>> {
        loop {
            while self.start < self.end {
                let written = ready!(to.as_mut().poll_write(cx, &self.buffer[self.start..self.end]))?;
                if written == 0 {
                    return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
                }
                self.start += written;
                self.bytes += written as u64;
            }
            match self.state {
                PipeState::Open => {
                    let mut buffer = ReadBuf::new(&mut self.buffer);
                    if from.as_mut().poll_read(cx, &mut buffer)?.is_pending() {
                        ready!(to.as_mut().poll_flush(cx))?;
                        return Poll::Pending;
                    }
                    (self.start, self.end) = (0, buffer.filled().len());
                    if self.end == 0 {
                        self.state = PipeState::Ending;
                    }
                }
                PipeState::Ending => {
                    ready!(to.as_mut().poll_shutdown(cx))?;
                    self.state = PipeState::Closed;
                }
                PipeState::Closed => return Poll::Ready(Ok(())),
            }
        }
    }
}
