//! What each plugin did, as metrics: read from the active set when somebody scrapes.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

use crate::{
    admission::{AdmissionStatus, Stage},
    plugin::Plugin,
};

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
        let counter = MetricType::Counter;
        let mut calls = encoder.encode_descriptor("plugin_calls", "Calls of a plugin that ran Wasm", None, counter)?;
        for plugin in set.plugins() {
            ConstCounter::new(plugin.counts.calls()).encode(calls.encode_family(&labels(plugin))?)?;
        }
        let about = "Decisions of a plugin that were taken from the cache";
        let mut hits = encoder.encode_descriptor("plugin_cache_hits", about, None, counter)?;
        for plugin in set.plugins() {
            ConstCounter::new(plugin.counts.cache_hits()).encode(hits.encode_family(&labels(plugin))?)?;
        }
        let about = "Decisions of a plugin, from the cache or not";
        let mut decisions = encoder.encode_descriptor("plugin_decisions", about, None, counter)?;
        for plugin in set.plugins() {
            for (word, count) in plugin.counts.decisions() {
                let labels = with(plugin, ("decision", word.code()));
                ConstCounter::new(count).encode(decisions.encode_family(&labels)?)?;
            }
        }
        let about = "Calls that decided nothing, by what went wrong";
        let mut faults = encoder.encode_descriptor("plugin_faults", about, None, counter)?;
        for plugin in set.plugins() {
            for (kind, count) in plugin.counts.faults() {
                let labels = with(plugin, ("kind", kind.code()));
                ConstCounter::new(count).encode(faults.encode_family(&labels)?)?;
            }
        }
        let about = "1 for a plugin that was seen to keep state, and gets a fresh instance for each call";
        let mut isolated = encoder.encode_descriptor("plugin_keeps_state", about, None, MetricType::Gauge)?;
        for plugin in set.plugins() {
            ConstGauge::new(i64::from(plugin.is_isolated())).encode(isolated.encode_family(&labels(plugin))?)?;
        }
        let about = "Calls that were made again on a fresh instance, to see whether they come out alike";
        let mut rechecks = encoder.encode_descriptor("plugin_rechecks", about, None, counter)?;
        for plugin in set.plugins() {
            ConstCounter::new(plugin.counts.rechecks()).encode(rechecks.encode_family(&labels(plugin))?)?;
        }
        self.encode_admission(&mut encoder)?;
        let about = "How long a plugin's calls took";
        let mut durations =
            encoder.encode_descriptor("plugin_call_duration", about, Some(&Unit::Seconds), MetricType::Histogram)?;
        for plugin in set.plugins() {
            let found = plugin.counts.durations();
            let seconds = |micros: u64| micros as f64 / 1e6;
            let buckets: Vec<(f64, u64)> =
                found.buckets.iter().map(|(end, count)| (end.map_or(f64::MAX, seconds), *count)).collect();
            let count = buckets.iter().map(|(_, count)| count).sum();
            durations.encode_family(&labels(plugin))?.encode_histogram::<NoLabelSet>(
                seconds(found.sum_us),
                count,
                &buckets,
                None,
            )?;
        }
        Ok(())
    }
}

impl PluginMetrics {
    /// What is on its way, and what became of people since the last swap.
    fn encode_admission(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let about = "1 for the stage in which a plugin set is that doesn't decide yet";
        let mut stages = encoder.encode_descriptor("plugin_candidate", about, None, MetricType::Gauge)?;
        let current = self.0.candidate_stage();
        for stage in Stage::ALL {
            ConstGauge::new(i64::from(current == Some(stage))).encode(stages.encode_family(&[("stage", stage.word())])?)?;
        }
        let about = "While a set is watched: people whom the set before lets in, by what became of them";
        let mut people = encoder.encode_descriptor("plugin_watched_people", about, None, MetricType::Gauge)?;
        let Some(numbers) = self.0.watched_people() else { return Ok(()) };
        for (outcome, count) in [("admitted", numbers.admitted), ("failing", numbers.failing), ("denied", numbers.denied)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            ConstGauge::new(count).encode(people.encode_family(&[("outcome", outcome)])?)?;
        }
        Ok(())
    }
}

fn labels(plugin: &Plugin) -> [(&'static str, &str); 2] {
    [("plugin", plugin.name.name.as_str()), ("digest", plugin.name.digest.as_str())]
}

fn with<'a>(plugin: &'a Plugin, label: (&'static str, &'static str)) -> [(&'static str, &'a str); 3] {
    let [name, digest] = labels(plugin);
    [name, digest, label]
}
