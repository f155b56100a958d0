//! The time that a guest sees: the call's `now`, plus what it has waited for since the call began. A wait takes no time here: the
//! guest's clock goes on to where the wait ends, and the wait is charged to the call's budget. So a decision stays a function of
//! its inputs, whatever else the machine does, and an hour's sleep ends the call at once.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::{
    async_trait,
    p2::{
        DynPollable, Pollable,
        bindings::clocks::{monotonic_clock, wall_clock},
        subscribe,
    },
};

use crate::domain::Timestamp;

const NS_PER_S: u64 = 1_000_000_000;
const NS_PER_MS: u64 = 1_000_000;

/// One guest's clock, wall and monotonic alike.
#[derive(Clone, Default)]
pub struct Clock(Arc<Mutex<Time>>);

#[derive(Default)]
struct Time {
    /// Nanoseconds since 1970.
    now: u64,
    /// The earliest end of what is waited for.
    next: Option<u64>,
}

/// The clock with the table that its timers are in.
pub struct ClockView<'a> {
    pub clock: &'a Clock,
    pub table: &'a mut ResourceTable,
}

/// For the linker: how to reach a `ClockView`.
pub struct HasClock;

struct Timer {
    clock: Clock,
    until: u64,
}

// === impl Clock ===

impl Clock {
    fn with<T>(&self, change: impl FnOnce(&mut Time) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A call begins at this instant.
    pub fn set(&self, now: Timestamp) {
        self.with(|time| *time = Time { now: now.0.saturating_mul(NS_PER_MS), next: None });
    }

    /// Goes on to the end of the wait that ends first. Answers how long that took, or nothing where nobody waits for a time.
    pub fn go_on(&self) -> Option<Duration> {
        self.with(|time| {
            let next = time.next.take()?;
            let waited = next.saturating_sub(time.now);
            time.now = time.now.max(next);
            Some(Duration::from_nanos(waited))
        })
    }

    fn now(&self) -> u64 {
        self.with(|time| time.now)
    }
}

impl HasData for HasClock {
    type Data<'a> = ClockView<'a>;
}

#[async_trait]
impl Pollable for Timer {
    async fn ready(&mut self) {
        poll_fn(|_| {
            self.clock.with(|time| {
                if time.now >= self.until {
                    return Poll::Ready(());
                }
                // Nobody wakes this: whoever runs the call lets the clock go on and polls again.
                time.next = Some(time.next.map_or(self.until, |next| next.min(self.until)));
                Poll::Pending
            })
        })
        .await;
    }
}

impl wall_clock::Host for ClockView<'_> {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        let now = self.clock.now();
        let nanoseconds = u32::try_from(now % NS_PER_S).unwrap_or_default();
        Ok(wall_clock::Datetime { seconds: now / NS_PER_S, nanoseconds })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime { seconds: 0, nanoseconds: 1 })
    }
}

impl monotonic_clock::Host for ClockView<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.clock.now())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, until: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let timer = self.table.push(Timer { clock: self.clock.clone(), until })?;
        subscribe(self.table, timer)
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.subscribe_instant(self.clock.now().saturating_add(duration))
    }
}
