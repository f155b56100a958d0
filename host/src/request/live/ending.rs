//! The end of a stream that a decision, and not its session, brings about: a task watches over the body and ends it.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    task::{Context, Waker},
};

use tokio::task::AbortHandle;

use super::{Held, Lifetime};
use crate::{
    domain::Endpoint,
    request::{Decisions, Worker},
    upstream::{deadline::now_ms, relay::Goodbye},
};

/// Held by a body. The watch ends with it.
pub enum Ending {
    /// It may well be over before anything has to be watched.
    Waiting {
        since_ms: u64,
        start: Option<Box<dyn FnOnce() -> Self>>,
    },
    Watching {
        state: Rc<State>,
        watch: AbortHandle,
    },
}

#[derive(Default)]
pub struct State {
    why: Cell<Option<Goodbye>>,
    reader: RefCell<Option<Waker>>,
}

/// What lasts for so long is watched.
const LASTS_MS: u64 = 5_000;

// === impl Ending ===

impl Ending {
    /// Watches once the body has gone on for a while. Noticed when it's polled, which the listener does at intervals.
    pub fn once_it_lasts(start: impl FnOnce() -> Self + 'static) -> Self {
        Self::Waiting { since_ms: now_ms(), start: Some(Box::new(start)) }
    }

    pub fn watch<D: Decisions>(
        worker: &Rc<Worker<D>>,
        endpoint: &Arc<Endpoint>,
        lifetime: Lifetime,
        held: impl Held + 'static,
    ) -> Self {
        let state = Rc::new(State::default());
        let (worker, endpoint, said) = (Rc::clone(worker), Arc::clone(endpoint), Rc::clone(&state));
        let watch = tokio::task::spawn_local(async move {
            said.why.set(Some(worker.live.watch(&endpoint, lifetime, held).await));
            if let Some(reader) = said.reader.take() {
                reader.wake();
            }
        });
        Self::Watching { state, watch: watch.abort_handle() }
    }

    /// Whether the stream is to end now; if not, the reader is woken when it is.
    pub fn poll(&mut self, cx: &Context<'_>) -> Option<Goodbye> {
        if let Self::Waiting { since_ms, start } = self {
            if now_ms().saturating_sub(*since_ms) < LASTS_MS {
                return None;
            }
            *self = start.take()?();
        }
        let Self::Watching { state, .. } = self else { return None };
        let why = state.why.get();
        if why.is_none() {
            let mut reader = state.reader.borrow_mut();
            if !reader.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
                *reader = Some(cx.waker().clone());
            }
        }
        why
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Self::Watching { watch, .. } = self {
            watch.abort();
        }
    }
}
