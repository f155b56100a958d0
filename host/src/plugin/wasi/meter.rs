//! What a call on a shared thread takes: the processor's time while this guest runs, not while others do, and the time that it waits.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

use tokio::time::Sleep;

use super::clock::Clock;
use crate::plugin::instance::{Budget, OverBudget, thread_time};

/// Shared by the future that runs the call and the epoch's callback inside it.
#[derive(Clone)]
pub struct Meter(Arc<Mutex<Use>>);

struct Use {
    budget: Budget,
    used: Duration,
    /// The thread's processor time when this guest's turn began.
    turn_began: Duration,
    /// The guest didn't wait: its turn was over.
    turn_is_over: bool,
}

// === impl Meter ===

impl Meter {
    pub fn new() -> Self {
        let (used, turn_began) = (Duration::ZERO, Duration::ZERO);
        Self(Arc::new(Mutex::new(Use { budget: Budget::new(0), used, turn_began, turn_is_over: false })))
    }

    pub fn begin(&self, budget: Budget) {
        *self.lock() = Use { budget, used: Duration::ZERO, turn_began: thread_time(), turn_is_over: false };
    }

    /// At each tick of the epoch while the guest runs: whether it may go on after the others had their turns.
    pub fn end_turn(&self) -> Result<(), OverBudget> {
        let mut call = self.lock();
        call.turn_is_over = true;
        let this_turn = thread_time().saturating_sub(call.turn_began);
        call.check(this_turn)
    }

    /// Runs a call to its end, or to that of its budget: by what it used, and far above that by the clock.
    ///
    /// # Errors
    /// The budget is used up. The call is given up, and its store with it.
    pub async fn run<T>(&self, clock: &Clock, call: impl Future<Output = T>) -> Result<T, OverBudget> {
        let (end, over) = {
            let call = self.lock();
            (call.budget.end(), OverBudget(call.budget.allowance()))
        };
        let mut call = pin!(call);
        let mut stalled: Option<Pin<Box<Sleep>>> = None;
        let to_its_end = poll_fn(|context| {
            loop {
                self.lock().turn_began = thread_time();
                let polled = call.as_mut().poll(context);
                let turn_was_over = self.lock().leave();
                match polled {
                    Poll::Ready(answer) => return Poll::Ready(Ok(answer)),
                    Poll::Pending if turn_was_over => return Poll::Pending,
                    Poll::Pending => {}
                }
                match clock.go_on() {
                    Some(waited) => {
                        let mut call = self.lock();
                        call.used = call.used.saturating_add(waited);
                        if let Err(over) = call.check(Duration::ZERO) {
                            return Poll::Ready(Err(over));
                        }
                    }
                    // Nothing that is linked waits for anything but the clock; should it, then no longer than the budget.
                    None => {
                        let stalled = stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.lock().left())));
                        return stalled.as_mut().poll(context).map(|()| Err(OverBudget(self.lock().budget.allowance())));
                    }
                }
            }
        });
        tokio::time::timeout_at(end.into(), to_its_end).await.unwrap_or(Err(over))
    }

    fn lock(&self) -> MutexGuard<'_, Use> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Use ===

impl Use {
    /// Counts the turn; whether it was over, rather than that the guest waits.
    fn leave(&mut self) -> bool {
        self.used += thread_time().saturating_sub(self.turn_began);
        std::mem::take(&mut self.turn_is_over)
    }

    fn left(&self) -> Duration {
        self.budget.allowance().saturating_sub(self.used)
    }

    fn check(&self, this_turn: Duration) -> Result<(), OverBudget> {
        if self.used.saturating_add(this_turn) >= self.budget.allowance() {
            return Err(OverBudget(self.budget.allowance()));
        }
        Ok(())
    }
}
