//! What each plugin did, as metrics: read from the active set when somebody scrapes.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::counter::ConstCounter,
};

use crate::admission::AdmissionStatus;

/// Collects the counts of the active set's plugins. They start anew with each component.
pub struct PluginMetrics(pub AdmissionStatus);

impl std::fmt::Debug for PluginMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PluginMetrics")
    }
}

impl Collector for PluginMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(set) = self.0.active() else { return Ok(()) };
        let mut calls = encoder.encode_descriptor(
            "plugin_calls",
            "Calls of a plugin that ran Wasm",
            None,
            prometheus_client::metrics::MetricType::Counter,
        )?;
        for plugin in set.plugins() {
            let labels = [("plugin", plugin.name.name.as_str()), ("digest", plugin.name.digest.as_str())];
            ConstCounter::new(plugin.counts.calls()).encode(calls.encode_family(&labels)?)?;
        }
        let mut hits = encoder.encode_descriptor(
            "plugin_cache_hits",
            "Decisions of a plugin that were taken from the cache",
            None,
            prometheus_client::metrics::MetricType::Counter,
        )?;
        for plugin in set.plugins() {
            let labels = [("plugin", plugin.name.name.as_str()), ("digest", plugin.name.digest.as_str())];
            ConstCounter::new(plugin.counts.cache_hits()).encode(hits.encode_family(&labels)?)?;
        }
        let mut faults = encoder.encode_descriptor(
            "plugin_faults",
            "Calls that decided nothing, by what went wrong",
            None,
            prometheus_client::metrics::MetricType::Counter,
        )?;
        for plugin in set.plugins() {
            for (kind, count) in plugin.counts.faults() {
                let labels =
                    [("plugin", plugin.name.name.as_str()), ("digest", plugin.name.digest.as_str()), ("kind", kind.code())];
                ConstCounter::new(count).encode(faults.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
