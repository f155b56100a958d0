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
    upstream::relay::Goodbye,
};

/// Held by a body. The watch ends with it.
pub struct Ending {
    state: Rc<State>,
    watch: AbortHandle,
}

#[derive(Default)]
struct State {
    why: Cell<Option<Goodbye>>,
    reader: RefCell<Option<Waker>>,
}

// === impl Ending ===

impl Ending {
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
        Self { state, watch: watch.abort_handle() }
    }

    /// Whether the stream is to end now; if not, the reader is woken when it is.
    pub fn poll(&self, cx: &Context<'_>) -> Option<Goodbye> {
        let why = self.state.why.get();
        if why.is_none() {
            let mut reader = self.state.reader.borrow_mut();
            if !reader.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
                *reader = Some(cx.waker().clone());
            }
        }
        why
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.watch.abort();
    }
}
