//! Connections that outlast the decision by which they were let in: WebSockets, streams, TCP. Each is decided about again when
//! its decision ends, when its route changes, and now and then besides, with the plugins of that moment; and only such a
//! decision, the session's end or the gateway's closes it. A swap of plugins by itself closes nothing.

mod ending;
mod request;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{DecisionSet, Decisions, Worker};
use crate::{
    config,
    domain::{Endpoint, Timestamp},
    error::{Error, Kind},
    route::RouteTable,
    upstream::relay::Goodbye,
};

pub use self::{ending::Ending, request::LiveRequest};

/// The live connections of one worker.
pub struct Live {
    recheck: Duration,
    undecided: Duration,
    entries: RefCell<BTreeMap<u64, Entry>>,
    next: Cell<u64>,
    closing: Cell<Option<Goodbye>>,
}

struct Entry {
    endpoint: Arc<Endpoint>,
    wake: Rc<Notify>,
}

/// A place in the register.
struct Registered<'a> {
    live: &'a Live,
    number: u64,
    wake: Rc<Notify>,
}

/// What deciding once more came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Again {
    /// The endpoint is the same, perhaps with other attributes.
    Holds(Lifetime, Arc<Endpoint>),
    Denied,
    /// There's no such route any more, or it leads elsewhere.
    Gone,
    /// Nothing could decide; why.
    Undecided(String),
}

/// How long a decision is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// It's over then, whatever comes: a token's end.
    pub valid_until: Option<Timestamp>,
    /// From then on it's to be asked again.
    pub holds_until: Timestamp,
}

/// Somebody who can be decided about again.
pub trait Held {
    fn again(&self) -> impl Future<Output = Again>;

    /// Whether the routes of this moment have this very endpoint.
    fn is_routed(&self, endpoint: &Arc<Endpoint>) -> bool;
}

impl<H: Held> Held for Box<H> {
    async fn again(&self) -> Again {
        H::again(self).await
    }

    fn is_routed(&self, endpoint: &Arc<Endpoint>) -> bool {
        H::is_routed(self, endpoint)
    }
}

/// Decisions are asked for again no more often, however short they hold, unless a token ends.
const SHORTEST: Duration = Duration::from_secs(5);

// === impl Again ===

impl Again {
    /// What an error on the way says about a connection that's open.
    pub fn of(error: &Error) -> Self {
        match error.kind {
            Kind::PluginFault | Kind::NotReady | Kind::Internal => Self::Undecided(error.to_string()),
            Kind::NotFound => Self::Gone,
            _ => Self::Denied,
        }
    }
}

// === impl Live ===

impl Live {
    pub fn new(config: &config::Live) -> Self {
        Self {
            recheck: Duration::from_secs(config.recheck_s),
            undecided: Duration::from_secs(config.undecided_s),
            entries: RefCell::default(),
            next: Cell::default(),
            closing: Cell::default(),
        }
    }

    /// Resolves when a connection to this endpoint has to be left.
    pub async fn watch(&self, endpoint: &Arc<Endpoint>, mut lifetime: Lifetime, held: impl Held) -> Goodbye {
        let registered = self.register(endpoint);
        // Connecting takes its time: the route may have changed since the decision.
        if !held.is_routed(endpoint) {
            registered.wake.notify_one();
        }
        let mut undecided_since: Option<Instant> = None;
        loop {
            let due = if undecided_since.is_some() { SHORTEST.min(self.due(lifetime)) } else { self.due(lifetime) };
            tokio::select! {
                () = registered.wake.notified() => {}
                () = tokio::time::sleep(due) => {}
            }
            if let Some(why) = self.closing.get() {
                return why;
            }
            // Boxed, so that a connection that only waits doesn't keep the room for it.
            match Box::pin(held.again()).await {
                Again::Holds(next, endpoint) => {
                    (lifetime, undecided_since) = (next, None);
                    registered.now_at(endpoint);
                }
                Again::Denied => return Goodbye::Denied,
                Again::Gone => return Goodbye::Gone,
                Again::Undecided(why) => {
                    let since = *undecided_since.get_or_insert_with(Instant::now);
                    let is_over = lifetime.valid_until.is_some_and(|end| end <= Timestamp::now());
                    if is_over || since.elapsed() >= self.undecided {
                        tracing::warn!(endpoint = %endpoint.id, why, "a live connection is closed: nothing can decide about it");
                        return Goodbye::Undecided;
                    }
                }
            }
        }
    }

    /// How long until the decision is made again. Not all at once, where many came at once.
    pub fn due(&self, lifetime: Lifetime) -> Duration {
        let now = Timestamp::now();
        let latest = self.recheck.mul_f64(0.9 + 0.1 * fastrand::f64());
        let asked_again = lifetime.holds_until.since(now).max(SHORTEST);
        let over = lifetime.valid_until.map_or(Duration::MAX, |end| end.since(now));
        // A millisecond later, the end has passed for whoever looks at a clock.
        latest.min(asked_again).min(over.saturating_add(Duration::from_millis(1)))
    }

    /// Everything is to be left.
    pub fn close_all(&self, why: Goodbye) {
        self.closing.set(Some(why));
        self.entries.borrow().values().for_each(|entry| entry.wake.notify_one());
    }

    pub fn closing(&self) -> Option<Goodbye> {
        self.closing.get()
    }

    /// Those whose route isn't what it was are decided about now.
    fn compare(&self, routes: &RouteTable) {
        for entry in self.entries.borrow().values() {
            if !routes.holds(&entry.endpoint) {
                entry.wake.notify_one();
            }
        }
    }

    fn register(&self, endpoint: &Arc<Endpoint>) -> Registered<'_> {
        let number = self.next.get();
        self.next.set(number + 1);
        let wake = Rc::new(Notify::new());
        self.entries.borrow_mut().insert(number, Entry { endpoint: Arc::clone(endpoint), wake: Rc::clone(&wake) });
        if self.closing.get().is_some() {
            wake.notify_one();
        }
        Registered { live: self, number, wake }
    }
}

// === impl Registered ===

impl Registered<'_> {
    /// Changes are compared with this from now on.
    fn now_at(&self, endpoint: Arc<Endpoint>) {
        if let Some(entry) = self.live.entries.borrow_mut().get_mut(&self.number) {
            entry.endpoint = endpoint;
        }
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.live.entries.borrow_mut().remove(&self.number);
    }
}

/// Looks at each change of the routes, for as long as the worker lives.
pub async fn follow<D: Decisions>(worker: Rc<Worker<D>>) {
    let mut changes = worker.decisions.changes();
    while changes.changed().await.is_ok() {
        changes.mark_unchanged();
        if let Some(set) = worker.decisions.current() {
            worker.live.compare(set.routes());
        }
    }
}
