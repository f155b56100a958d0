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
}

struct Slot {
    plugin: Weak<Plugin>,
    ready: Vec<Instance>,
}

// === impl Worker ===

impl Worker {
    pub fn new(engine: Arc<Engine>) -> Self {
        let cache = DecisionCache::new(&engine.limits.cache);
        Self { engine, slots: RefCell::default(), cache: RefCell::new(cache), key: RefCell::default() }
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

    /// Runs one call on an instance. The budget counts from here.
    pub(super) fn call<T>(
        &self,
        plugin: &Arc<Plugin>,
        run: impl FnOnce(&mut Instance, Budget) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let budget = Budget::new(plugin.spec.call_budget_ms);
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
        plugin.counts.count(&outcome);
        if let Err(fault) = &outcome
            && !fault.kind.spares_the_instance()
        {
            // A plugin that can't be instantiated any more says so on the next call.
            let _ = self.replenish(plugin);
        }
        outcome
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
