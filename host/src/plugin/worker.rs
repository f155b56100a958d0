//! What one thread keeps for its decisions: instances ready for calls, and the cache. Never shared, never locked.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
};

use super::{
    Kind,
    cache::{DecisionCache, Entry},
    engine::Engine,
    fault::Fault,
    host_calls::CallState,
    instance::{Budget, Instance},
    loaded::{Plugin, Pre},
    question::Ask,
    set::PluginSet,
    wasi::{self, Instances},
};
use crate::domain::Timestamp;

/// An instance and a spare, so that a trap costs the next caller no instantiation.
pub const INSTANCES: usize = 2;

/// The plugin side of one thread.
pub struct Worker {
    engine: Arc<Engine>,
    slots: RefCell<HashMap<u64, Slot>>,
    /// The plugins of the set that was prepared last.
    prepared: RefCell<HashSet<u64>>,
    /// Plugins with WASI that were asked, where that must be known.
    elsewhere: RefCell<HashMap<u64, Weak<wasi::Blueprint>>>,
    cache: RefCell<DecisionCache>,
    /// The buffer in which cache keys are built.
    key: RefCell<Vec<u8>>,
    /// Whether its calls count as what plugins did.
    counts: bool,
    /// Which instances its calls run on.
    instances: Instances,
}

struct Slot {
    plugin: Weak<Plugin>,
    ready: Vec<Instance>,
}

// === impl Worker ===

impl Worker {
    pub fn new(engine: Arc<Engine>) -> Self {
        let cache = DecisionCache::new(&engine.limits.cache);
        Self {
            engine,
            slots: RefCell::default(),
            prepared: RefCell::default(),
            elsewhere: RefCell::default(),
            cache: RefCell::new(cache),
            key: RefCell::default(),
            counts: true,
            instances: Instances::Kept,
        }
    }

    /// One on which decisions are run again, which plugins' counts don't show.
    pub fn for_replay(engine: Arc<Engine>) -> Self {
        Self { counts: false, ..Self::new(engine) }
    }

    /// The same, with an instance of its own for each call.
    pub fn for_replay_on_fresh_instances(engine: Arc<Engine>) -> Self {
        Self { instances: Instances::Fresh, ..Self::for_replay(engine) }
    }

    /// Lets go of all instances: the next call of each plugin is the first of a fresh one.
    pub fn forget_instances(&self) {
        self.slots.borrow_mut().clear();
        for (_, blueprint) in self.elsewhere.borrow_mut().drain() {
            if let Some(blueprint) = blueprint.upgrade() {
                self.engine.wasi_threads.replace(&blueprint);
            }
        }
    }

    /// The memory of the instance that this thread's next call of a plugin gets; none where it has none ready.
    pub fn memory_bytes(&self, plugin: &Plugin) -> Option<usize> {
        let slots = self.slots.borrow();
        slots.get(&plugin.key).and_then(|slot| slot.ready.last()).map(Instance::memory_bytes)
    }

    /// Instantiates and configures a set's plugins of the given kinds before the set is used, and lets go of all instances but those
    /// of the set before, which decides until then: others may be held for hours by a request that they decided about, and are
    /// made anew where that asks again. Those with WASI have had theirs, on their own threads, since they were loaded.
    ///
    /// # Errors
    /// The first plugin that can't be instantiated here, or declares something else than at admission.
    pub fn prepare(&self, set: &PluginSet, kinds: &[Kind]) -> Result<(), Fault> {
        let plugins: HashSet<u64> = set.plugins().map(|plugin| plugin.key).collect();
        let before = self.prepared.replace(plugins.clone());
        let stays = |key: &u64| plugins.contains(key) || before.contains(key);
        self.slots.borrow_mut().retain(|key, slot| slot.plugin.strong_count() > 0 && stays(key));
        self.engine.wasi_threads.forget_gone();
        self.cache.borrow_mut().forget_all_but(|plugin| self.slots.borrow().contains_key(&plugin));
        let here = |plugin: &&Arc<Plugin>| kinds.contains(&plugin.spec.kind) && !matches!(plugin.pre, Pre::Wasi(_));
        for plugin in set.plugins().filter(here) {
            self.replenish(plugin)?;
        }
        Ok(())
    }

    /// Asks a plugin; `read` makes of the answer, and of what the host saw in the call, what is wanted. A plugin without WASI has
    /// answered by the first poll; one with WASI is waited for, and this thread does other things meanwhile.
    ///
    /// Some calls are made again on a fresh instance: a plugin whose answers then differ keeps state, and gets a fresh instance for
    /// each call from then on. So whatever a call needs is made anew each time.
    pub(super) async fn ask<Q: Ask, T: PartialEq>(
        &self,
        plugin: &Arc<Plugin>,
        question: &Q,
        state: impl Fn() -> CallState,
        read: impl Fn(Result<Q::Answer, Fault>, &mut CallState) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let budget = Budget::new(plugin.spec.call_budget_ms);
        let instances = if plugin.is_isolated() { Instances::Fresh } else { self.instances };
        let outcome = self.ask_once(plugin, question, state(), &read, budget, instances).await;
        if !self.counts {
            return outcome;
        }
        plugin.counts.count(&outcome, budget.elapsed());
        if self.engine.limits.recheck_one_in > 0
            && outcome.is_ok()
            && !plugin.is_isolated()
            && plugin.counts.calls().is_multiple_of(self.engine.limits.recheck_one_in)
        {
            return self.recheck(plugin, outcome, question, state, read).await;
        }
        outcome
    }

    /// The same on a thread that has nothing else to do: where the plugin has WASI, it sleeps until the answer is there.
    pub(super) fn ask_blocking<Q: Ask, T: PartialEq>(
        &self,
        plugin: &Arc<Plugin>,
        question: &Q,
        state: impl Fn() -> CallState,
        read: impl Fn(Result<Q::Answer, Fault>, &mut CallState) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        wasi::wait(self.ask(plugin, question, state, read))
    }

    async fn ask_once<Q: Ask, T>(
        &self,
        plugin: &Arc<Plugin>,
        question: &Q,
        state: CallState,
        read: impl Fn(Result<Q::Answer, Fault>, &mut CallState) -> Result<T, Fault>,
        budget: Budget,
        instances: Instances,
    ) -> Result<T, Fault> {
        if let Pre::Wasi(blueprint) = &plugin.pre {
            if !self.counts {
                self.elsewhere.borrow_mut().insert(plugin.key, Arc::downgrade(blueprint));
            }
            let asked = self.engine.wasi_threads.ask(blueprint, question.clone().into(), state, budget, instances);
            let (answer, mut state) = Box::pin(asked).await;
            let was_answered = answer.is_ok();
            let read = read(answer.and_then(|answer| blueprint.expect::<Q>(answer)), &mut state);
            // After a fault of the call itself its thread did what is to be done.
            if was_answered && instances == Instances::Kept && read.as_ref().is_err_and(|fault| !fault.kind.spares_the_instance()) {
                // Which of them answered isn't known here any more.
                self.engine.wasi_threads.replace(blueprint);
            }
            return read;
        }
        let run = |instance: &mut Instance| {
            let answer = question.ask(instance, state, budget);
            read(answer, instance.call_state())
        };
        match instances {
            Instances::Kept => self.call_kept(plugin, run),
            Instances::Fresh => run(&mut Instance::ready(&self.engine, plugin, Timestamp::now())?),
        }
    }

    fn call_kept<T>(&self, plugin: &Arc<Plugin>, run: impl FnOnce(&mut Instance) -> Result<T, Fault>) -> Result<T, Fault> {
        let ready = self.slots.borrow_mut().get_mut(&plugin.key).and_then(|slot| slot.ready.pop());
        let outcome = match ready {
            Some(instance) => Ok(instance),
            None => Instance::ready(&self.engine, plugin, Timestamp::now()),
        };
        let outcome = outcome.and_then(|mut instance| {
            let answer = run(&mut instance);
            let usable = answer.as_ref().err().is_none_or(|fault| fault.kind.spares_the_instance());
            if usable && !instance.is_worn_out() {
                self.give_back(plugin, instance);
            }
            answer
        });
        if let Err(fault) = &outcome
            && !fault.kind.spares_the_instance()
        {
            // A plugin that can't be instantiated any more says so on the next call.
            let _ = self.replenish(plugin);
        }
        outcome
    }

    /// The same call on fresh instances. Only when two of these agree with each other against the kept one is it state: keys may
    /// have changed in between.
    async fn recheck<Q: Ask, T: PartialEq>(
        &self,
        plugin: &Arc<Plugin>,
        kept: Result<T, Fault>,
        question: &Q,
        state: impl Fn() -> CallState,
        read: impl Fn(Result<Q::Answer, Fault>, &mut CallState) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        plugin.counts.recheck();
        let again = async || {
            let budget = Budget::new(plugin.spec.call_budget_ms);
            self.ask_once(plugin, question, state(), &read, budget, Instances::Fresh).await
        };
        // A call that fails says nothing of state: a key set may be out of reach, or the machine busy.
        let (Ok(answer), Ok(first)) = (&kept, again().await) else { return kept };
        if first == *answer || again().await.ok().as_ref() != Some(&first) {
            return kept;
        }
        plugin.isolate();
        tracing::error!(
            plugin = %plugin.name,
            "the plugin answers the same inputs otherwise on a fresh instance: it keeps state between calls, and gets a fresh \
             instance for each from now on"
        );
        Ok(first)
    }

    /// Looks a decision up under the key that `build` writes; on a miss the key comes back for `remember`.
    pub(super) fn find(&self, now: Timestamp, build: impl FnOnce(&mut Vec<u8>)) -> Result<Entry, Box<[u8]>> {
        let mut key = self.key.borrow_mut();
        key.clear();
        build(&mut key);
        self.cache.borrow().find(&key, now).cloned().ok_or_else(|| key.as_slice().into())
    }

    pub(super) fn remember(&self, key: Box<[u8]>, entry: Entry) {
        self.cache.borrow_mut().remember(key, entry);
    }

    fn replenish(&self, plugin: &Arc<Plugin>) -> Result<(), Fault> {
        let missing = {
            let slots = self.slots.borrow();
            INSTANCES.saturating_sub(slots.get(&plugin.key).map_or(0, |slot| slot.ready.len()))
        };
        for _ in 0..missing {
            self.give_back(plugin, Instance::ready(&self.engine, plugin, Timestamp::now())?);
        }
        Ok(())
    }

    fn give_back(&self, plugin: &Arc<Plugin>, instance: Instance) {
        let mut slots = self.slots.borrow_mut();
        let slot = slots
            .entry(plugin.key)
            .or_insert_with(|| Slot { plugin: Arc::downgrade(plugin), ready: Vec::with_capacity(INSTANCES) });
        if slot.ready.len() < INSTANCES {
            slot.ready.push(instance);
        }
    }
}
