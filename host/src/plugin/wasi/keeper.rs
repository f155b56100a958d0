//! What one thread for plugins with WASI does: it keeps instances, and gives every call its turns.

use std::{
    cell::RefCell,
    collections::HashMap,
    panic::AssertUnwindSafe,
    rc::Rc,
    sync::{Arc, Weak},
};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::{Semaphore, SemaphorePermit, mpsc},
    time::timeout_at,
};

use super::{
    instance::{Blueprint, WasiInstance},
    threads::{Call, INSTANCES, Instances, Job, late},
};
use crate::{
    domain::Timestamp,
    plugin::{
        fault::{Fault, FaultKind},
        loaded::{Declaration, LoadError},
    },
};

/// One thread's instances.
pub struct Keeper {
    engine: wasmtime::Engine,
    slots: RefCell<HashMap<u64, Rc<Slot>>>,
}

/// Those of one plugin.
struct Slot {
    plugin: Weak<Blueprint>,
    turns: Semaphore,
    ready: RefCell<Vec<WasiInstance>>,
}

// === impl Keeper ===

impl Keeper {
    pub fn new(engine: wasmtime::Engine) -> Self {
        Self { engine, slots: RefCell::default() }
    }

    /// Takes what comes, and gives everybody a turn before the next look. (A runtime's own queue of tasks looks at what comes from
    /// other threads after dozens of turns only.)
    pub async fn work(self, mut wanted: mpsc::UnboundedReceiver<Job>) {
        let mut running = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                job = wanted.recv() => match job {
                    // Whoever waits for a call that panicked is told that it was given up.
                    Some(job) => running.push(AssertUnwindSafe(self.take(job)).catch_unwind()),
                    None => return,
                },
                Some(_) = running.next() => {}
            }
        }
    }

    /// Who asked may have gone: then nobody is answered.
    async fn take(&self, job: Job) {
        match job {
            Job::Configure { plugin, done } => {
                let _ = done.send(self.configure(&plugin).await);
            }
            Job::Prepare { plugin, done } => {
                let slot = self.slot(&plugin);
                let _ = done.send(slot.replenish(&self.engine, &plugin).await);
            }
            Job::Call(call) => self.call(*call).await,
            Job::Replace { plugin } => {
                let slot = self.slot(&plugin);
                slot.ready.borrow_mut().clear();
                // A plugin that can't be instantiated any more says so on the next call.
                let _ = slot.replenish(&self.engine, &plugin).await;
            }
            Job::ForgetGone => self.slots.borrow_mut().retain(|_, slot| slot.plugin.strong_count() > 0),
        }
    }

    async fn configure(&self, plugin: &Blueprint) -> Result<Declaration, LoadError> {
        let now = Timestamp::now();
        WasiInstance::instantiate(&self.engine, plugin, now).await?.configure(plugin, now).await
    }

    async fn call(&self, call: Call) {
        let Call { plugin, question, state, budget, instances, done, place } = call;
        let slot = self.slot(&plugin);
        let begun = timeout_at(budget.end().into(), slot.begin(&self.engine, &plugin, instances)).await;
        let (asked, turn) = match begun {
            // Who asked has gone meanwhile: a client that didn't wait, as a rule.
            Ok(Ok((instance, _turn))) if done.is_closed() => {
                if instances == Instances::Kept {
                    slot.keep(instance);
                }
                return;
            }
            Ok(Ok((mut instance, turn))) => {
                let asked = instance.ask(question, state, budget).await;
                let usable = asked.0.as_ref().err().is_none_or(|fault| fault.kind.spares_the_instance());
                if usable && instances == Instances::Kept && !instance.is_worn_out() {
                    slot.keep(instance);
                }
                (asked, Some(turn))
            }
            Ok(Err(fault)) => ((Err(fault), state), None),
            Err(_) => ((Err(late(&plugin, budget)), state), None),
        };
        drop((place, turn));
        let _ = done.send(asked);
        let _ = slot.replenish(&self.engine, &plugin).await;
    }

    fn slot(&self, plugin: &Arc<Blueprint>) -> Rc<Slot> {
        let empty = || {
            let (turns, ready) = (Semaphore::new(INSTANCES), RefCell::default());
            Rc::new(Slot { plugin: Arc::downgrade(plugin), turns, ready })
        };
        Rc::clone(self.slots.borrow_mut().entry(plugin.key).or_insert_with(empty))
    }
}

// === impl Slot ===

impl Slot {
    /// Waits for a turn and takes an instance for it.
    async fn begin(
        &self,
        engine: &wasmtime::Engine,
        plugin: &Blueprint,
        instances: Instances,
    ) -> Result<(WasiInstance, SemaphorePermit<'_>), Fault> {
        let turn = self.turns.acquire().await.map_err(|_| plugin.fault(FaultKind::Instance, "there are no turns"))?;
        let kept = (instances == Instances::Kept).then(|| self.ready.borrow_mut().pop()).flatten();
        let instance = match kept {
            Some(instance) => instance,
            None => WasiInstance::ready(engine, plugin, Timestamp::now()).await?,
        };
        Ok((instance, turn))
    }

    /// Makes instances for all turns that nobody has.
    async fn replenish(&self, engine: &wasmtime::Engine, plugin: &Blueprint) -> Result<(), Fault> {
        while self.ready.borrow().len() < self.turns.available_permits() {
            let Ok(_turn) = self.turns.try_acquire() else { break };
            let spare = WasiInstance::ready(engine, plugin, Timestamp::now()).await?;
            self.keep_at(0, spare);
        }
        Ok(())
    }

    /// For the next call: its memory is warm.
    fn keep(&self, instance: WasiInstance) {
        self.keep_at(usize::MAX, instance);
    }

    fn keep_at(&self, place: usize, instance: WasiInstance) {
        let mut ready = self.ready.borrow_mut();
        if ready.len() < INSTANCES {
            let place = place.min(ready.len());
            ready.insert(place, instance);
        }
    }
}
