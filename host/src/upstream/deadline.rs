//! The one deadline of a downstream connection: what is being waited for, and until when. Moving it costs two stores; no timer
//! is touched. The listener looks at it at intervals and acts on what is overdue; the pipeline and the bodies move it.
//!
//! So a deadline is noticed up to one interval late (`Deadline::interval`), which saves arming and disarming a timer for
//! each head, response and body of each request.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    sync::{
        LazyLock,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

thread_local! {
    /// What the clock said when this thread last looked.
    static NOW_MS: Cell<u64> = const { Cell::new(0) };
}

/// What a connection waits for. Atomic only because an upgraded connection must be `Send`; one thread uses it.
#[derive(Debug)]
pub struct Deadline {
    phase: AtomicU8,
    at_ms: AtomicU64,
    overdue: AtomicBool,
    cut: AtomicBool,
}

/// What is being waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// The next request.
    Idle = 0,
    /// The rest of a request's head.
    Head = 1,
    /// The gateway itself, which has limits of its own.
    Deciding = 2,
    /// The rest of a request's body.
    Upload = 3,
    /// A response's head.
    Waiting = 4,
    /// The rest of a response's body, or a client that takes it.
    Download = 5,
}

/// A future that ends with None when the deadline passed.
pub struct Within<'a, F> {
    deadline: &'a Deadline,
    future: F,
}

// === impl Deadline ===

impl Deadline {
    pub fn new(phase: Phase, within: Duration) -> Self {
        Self {
            phase: AtomicU8::new(phase as u8),
            at_ms: AtomicU64::new(now_ms().saturating_add(millis(within))),
            overdue: AtomicBool::new(false),
            cut: AtomicBool::new(false),
        }
    }

    /// From now on this is waited for, for so long.
    pub fn enter(&self, phase: Phase, within: Duration) {
        self.phase.store(phase as u8, Relaxed);
        self.extend(within);
    }

    /// The gateway itself is at work: no deadline.
    pub fn suspend(&self) {
        self.overdue.store(false, Relaxed);
        self.cut.store(false, Relaxed);
        self.phase.store(Phase::Deciding as u8, Relaxed);
        self.at_ms.store(u64::MAX, Relaxed);
    }

    /// Something moved: the same again, for so long from now.
    pub fn extend(&self, within: Duration) {
        self.at_ms.store(now_ms().saturating_add(millis(within)), Relaxed);
    }

    /// The request's body went over its limit: what comes of the exchange is due to that.
    pub fn cut(&self) {
        self.cut.store(true, Relaxed);
    }

    pub fn is_cut(&self) -> bool {
        self.cut.load(Relaxed)
    }

    pub fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Head,
            3 => Phase::Upload,
            4 => Phase::Waiting,
            5 => Phase::Download,
            _ => Phase::Deciding,
        }
    }

    /// For the listener: what is overdue now, if anything. From then on `Within` gives up.
    pub fn overdue(&self) -> Option<Phase> {
        tick();
        if now_ms() < self.at_ms.load(Relaxed) {
            return None;
        }
        self.overdue.store(true, Relaxed);
        Some(self.phase())
    }

    /// The future, given up once the listener finds this overdue. The listener polls its connection then, and with it this.
    pub fn within<F: Future + Unpin>(&self, future: F) -> Within<'_, F> {
        Within { deadline: self, future }
    }

    /// How often to look, so that the shortest of these durations is kept to a quarter of itself.
    pub fn interval(durations: impl IntoIterator<Item = Duration>) -> Duration {
        let shortest = durations.into_iter().min().unwrap_or(Duration::MAX);
        (shortest / 4).clamp(Duration::from_millis(10), Duration::from_secs(5))
    }
}

// === impl Within ===

impl<F: Future + Unpin> Future for Within<'_, F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = Pin::new(&mut self.future).poll(cx) {
            return Poll::Ready(Some(output));
        }
        if self.deadline.overdue.load(Relaxed) { Poll::Ready(None) } else { Poll::Pending }
    }
}

/// Looks at the clock, for everything that this thread does until it's called again. The listener does each time when one of
/// its connections wakes up: a request asks for the time at a dozen places, all within one or two such wakes.
pub fn tick() {
    NOW_MS.set(millis(START.elapsed()));
}

/// Milliseconds since the program first asked, as of the last `tick` of this thread.
pub fn now_ms() -> u64 {
    NOW_MS.get()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_is_not_overdue() {
        let deadline = Deadline::new(Phase::Idle, Duration::ZERO);
        assert_eq!(deadline.overdue(), Some(Phase::Idle));
        deadline.enter(Phase::Upload, Duration::from_secs(60));
        assert_eq!(deadline.overdue(), None);
        deadline.enter(Phase::Waiting, Duration::ZERO);
        assert_eq!(deadline.overdue(), Some(Phase::Waiting));
        deadline.suspend();
        assert_eq!(deadline.overdue(), None);
    }

    #[test]
    fn the_interval_follows_the_shortest() {
        let seconds = Duration::from_secs;
        assert_eq!(Deadline::interval([seconds(15), seconds(2)]), Duration::from_millis(500));
        assert_eq!(Deadline::interval([seconds(300)]), seconds(5));
    }
}
