//! What one thread keeps for its decisions: instances ready for calls, and the cache. Never shared, never locked.

use std::{
    cell::RefCell,
    collections::HashMap,
    sync::{Arc, Weak},
};

use super::{
    Kind,
    cache::{DecisionCache, Entry},
    engine::Engine,
    fault::Fault,
    instance::{Budget, Instance},
    loaded::Plugin,
    set::PluginSet,
};
use crate::domain::Timestamp;

/// An instance and a spare, so that a trap costs the next caller no instantiation.
const INSTANCES: usize = 2;

/// The plugin side of one thread.
pub struct Worker {
    engine: Arc<Engine>,
    slots: RefCell<HashMap<u64, Slot>>,
    cache: RefCell<DecisionCache>,
    /// The buffer in which cache keys are built.
    key: RefCell<Vec<u8>>,
    /// Whether its calls count as what plugins did.
    counts: bool,
}

struct Slot {
    plugin: Weak<Plugin>,
    ready: Vec<Instance>,
}

// === impl Worker ===

impl Worker {
    pub fn new(engine: Arc<Engine>) -> Self {
        let cache = DecisionCache::new(&engine.limits.cache);
        Self { engine, slots: RefCell::default(), cache: RefCell::new(cache), key: RefCell::default(), counts: true }
    }

    /// One on which decisions are run again, which plugins' counts don't show.
    pub fn for_replay(engine: Arc<Engine>) -> Self {
        Self { counts: false, ..Self::new(engine) }
    }

    /// Lets go of all instances: the next call of each plugin is the first of a fresh one.
    pub fn forget_instances(&self) {
        self.slots.borrow_mut().clear();
    }

    /// Instantiates and configures a set's plugins of the given kinds before the set is used, and lets go of instances whose
    /// set is gone.
    ///
    /// # Errors
    /// The first plugin that can't be instantiated here, or declares something else than at admission.
    pub fn prepare(&self, set: &PluginSet, kinds: &[Kind]) -> Result<(), Fault> {
        self.slots.borrow_mut().retain(|_, slot| slot.plugin.strong_count() > 0);
        self.cache.borrow_mut().forget_all_but(|plugin| self.slots.borrow().contains_key(&plugin));
        for plugin in set.plugins().filter(|plugin| kinds.contains(&plugin.spec.kind)) {
            self.replenish(plugin)?;
        }
        Ok(())
    }

    /// Runs one call on an instance. The budget counts from here. Some calls are made again on a fresh instance: a plugin whose
    /// answers then differ keeps state, and gets a fresh instance for each call from then on.
    pub(super) fn call<T: PartialEq>(
        &self,
        plugin: &Arc<Plugin>,
        run: impl Fn(&mut Instance, Budget) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let budget = Budget::new(plugin.spec.call_budget_ms);
        let outcome =
            if plugin.is_isolated() { self.call_fresh(plugin, budget, &run) } else { self.call_kept(plugin, budget, &run) };
        if !self.counts {
            return outcome;
        }
        plugin.counts.count(&outcome, budget.elapsed());
        if self.engine.limits.recheck_one_in > 0
            && outcome.is_ok()
            && !plugin.is_isolated()
            && plugin.counts.calls().is_multiple_of(self.engine.limits.recheck_one_in)
        {
            return self.recheck(plugin, outcome, &run);
        }
        outcome
    }

    fn call_kept<T>(
        &self,
        plugin: &Arc<Plugin>,
        budget: Budget,
        run: impl Fn(&mut Instance, Budget) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let ready = self.slots.borrow_mut().get_mut(&plugin.key).and_then(|slot| slot.ready.pop());
        let outcome = match ready {
            Some(instance) => Ok(instance),
            None => Instance::ready(&self.engine, plugin, Timestamp::now()),
        };
        let outcome = outcome.and_then(|mut instance| {
            let answer = run(&mut instance, budget);
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

    fn call_fresh<T>(
        &self,
        plugin: &Arc<Plugin>,
        budget: Budget,
        run: impl Fn(&mut Instance, Budget) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        run(&mut Instance::ready(&self.engine, plugin, Timestamp::now())?, budget)
    }

    /// The same call on fresh instances. Only when two of these agree with each other against the kept one is it state: keys may
    /// have changed in between.
    fn recheck<T: PartialEq>(
        &self,
        plugin: &Arc<Plugin>,
        kept: Result<T, Fault>,
        run: impl Fn(&mut Instance, Budget) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        plugin.counts.recheck();
        let again = || self.call_fresh(plugin, Budget::new(plugin.spec.call_budget_ms), &run);
        let (Ok(answer), fresh) = (&kept, again()) else { return kept };
        if fresh.as_ref().is_ok_and(|fresh| fresh == answer) || fresh.as_ref().ok() != again().as_ref().ok() {
            return kept;
        }
        plugin.isolate();
        tracing::error!(
            plugin = %plugin.name,
            "the plugin answers the same inputs otherwise on a fresh instance: it keeps state between calls, and gets a fresh \
             instance for each from now on"
        );
        fresh
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
