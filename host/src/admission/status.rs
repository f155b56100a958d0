//! What admission did, for operators: the set that runs, the last refusal, and counters.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};
use serde_json::{Value, json};

use crate::{domain::Timestamp, plugin::PluginSet};

/// Shared between admission, which writes it, and the admin listener.
#[derive(Clone, Default)]
pub struct AdmissionStatus(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    active: Option<(Arc<PluginSet>, Timestamp)>,
    refused: Option<(String, Timestamp)>,
    source: String,
}

/// Counters of swaps.
#[derive(Clone, Default)]
pub struct Metrics {
    swaps: Counter,
    refusals: Counter,
    generation: Gauge,
    /// 1 while what was found last is refused.
    refused: Gauge,
}

// === impl AdmissionStatus ===

impl AdmissionStatus {
    pub fn active(&self) -> Option<Arc<PluginSet>> {
        self.lock().active.as_ref().map(|(set, _)| Arc::clone(set))
    }

    /// Why what was found last isn't used, if so.
    pub fn refusal(&self) -> Option<String> {
        self.lock().refused.as_ref().map(|(why, _)| why.clone())
    }

    pub(super) fn starts(&self, source: String) {
        self.lock().source = source;
    }

    pub(super) fn activated(&self, set: Arc<PluginSet>) {
        let mut state = self.lock();
        state.active = Some((set, Timestamp::now()));
        state.refused = None;
    }

    pub(super) fn refused(&self, why: Option<String>) {
        self.lock().refused = why.map(|why| (why, Timestamp::now()));
    }

    /// The state as the admin listener shows it.
    pub fn to_json(&self) -> Value {
        let state = self.lock();
        let plugins = state.active.as_ref().map(|(set, _)| set.plugins().map(|plugin| describe(plugin)).collect::<Vec<_>>());
        json!({
            "source": state.source,
            "generation": state.active.as_ref().map(|(set, _)| set.generation()),
            "digest": state.active.as_ref().map(|(set, _)| set.digest.clone()),
            "active_since_ms": state.active.as_ref().map(|(_, since)| since.0),
            "refused": state.refused.as_ref().map(|(why, at)| json!({"why": why, "at_ms": at.0})),
            "plugins": plugins.unwrap_or_default(),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn describe(plugin: &crate::plugin::Plugin) -> Value {
    let faults: serde_json::Map<String, Value> =
        plugin.counts.faults().map(|(kind, count)| (kind.code().to_owned(), count.into())).collect();
    json!({
        "name": plugin.name.name,
        "kind": plugin.spec.kind,
        "sha256": plugin.sha256,
        "bytes": plugin.component_bytes,
        "grants": {
            "log": plugin.spec.grants.log,
            "key_sets": plugin.spec.grants.key_sets,
            "may_read_session": plugin.spec.grants.may_read_session,
        },
        "reads": plugin.declaration().inputs.describe(),
        "call_budget_ms": plugin.spec.call_budget_ms,
        "memory_bytes": plugin.spec.memory_bytes,
        "calls": plugin.counts.calls(),
        "cache_hits": plugin.counts.cache_hits(),
        "faults": faults,
    })
}

// === impl Metrics ===

impl Metrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("plugin_swaps", "Plugin sets activated", metrics.swaps.clone());
        registry.register("plugin_refusals", "Plugin sets refused", metrics.refusals.clone());
        registry.register("plugin_generation", "The plugin set that decides", metrics.generation.clone());
        registry.register(
            "plugin_refused",
            "1 while what stands in the plugin directory isn't what decides",
            metrics.refused.clone(),
        );
        metrics
    }

    pub(super) fn activated(&self, set: &PluginSet) {
        self.swaps.inc();
        self.generation.set(i64::try_from(set.generation().0).unwrap_or(i64::MAX));
        self.refused.set(0);
    }

    pub(super) fn refused(&self) {
        self.refusals.inc();
        self.refused.set(1);
    }

    pub(super) fn settled(&self) {
        self.refused.set(0);
    }
}
