//! Counters and gauges of swaps.

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

use crate::plugin::PluginSet;

/// What became of sets.
#[derive(Clone, Default)]
pub struct Metrics {
    swaps: Counter,
    refusals: Counter,
    rollbacks: Counter,
    generation: Gauge,
    /// 1 while what was found last is refused.
    refused: Gauge,
    /// 1 while a set is in the shadow of the one that decides.
    shadow: Gauge,
    /// Of the last comparison.
    compared: Gauge,
    differences: Gauge,
}

// === impl Metrics ===

impl Metrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("plugin_swaps", "Plugin sets activated", metrics.swaps.clone());
        registry.register("plugin_refusals", "Plugin sets refused", metrics.refusals.clone());
        registry.register("plugin_rollbacks", "Plugin sets taken back after they were activated", metrics.rollbacks.clone());
        registry.register("plugin_generation", "The plugin set that decides", metrics.generation.clone());
        registry.register(
            "plugin_refused",
            "1 while what stands in the plugin directory isn't what decides",
            metrics.refused.clone(),
        );
        registry.register("plugin_shadow", "1 while a plugin set is compared in the shadow", metrics.shadow.clone());
        registry.register(
            "plugin_compared_decisions",
            "Recorded decisions that the last new plugin set was compared by",
            metrics.compared.clone(),
        );
        registry.register("plugin_differing_decisions", "Those of them that come out otherwise", metrics.differences.clone());
        metrics
    }

    /// `is_saved`: it's not what stands in the directory.
    pub fn activated(&self, set: &PluginSet, is_saved: bool) {
        self.swaps.inc();
        self.generation.set(gauge(set.generation().0));
        self.refused.set(i64::from(is_saved));
        self.shadow.set(0);
    }

    pub fn refused(&self) {
        self.refusals.inc();
        self.refused.set(1);
        self.shadow.set(0);
    }

    pub fn rolled_back(&self) {
        self.rollbacks.inc();
        self.refused.set(1);
    }

    pub fn settled(&self) {
        self.refused.set(0);
        self.shadow.set(0);
    }

    pub fn in_shadow(&self, is_there: bool) {
        self.shadow.set(i64::from(is_there));
    }

    pub fn compared(&self, replayed: u64, differences: u64) {
        self.compared.set(gauge(replayed));
        self.differences.set(gauge(differences));
    }
}

fn gauge(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
