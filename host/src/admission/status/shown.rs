//! The state as `/plugins` shows it.

use serde_json::{Map, Value, json};

use super::{AdmissionStatus, Watched};
use crate::plugin::{Plugin, PluginSet};

// === impl AdmissionStatus ===

impl AdmissionStatus {
    pub fn to_json(&self) -> Value {
        let state = self.lock();
        let active = state.active.as_ref();
        let plugins: Vec<Value> =
            active.map(|active| active.set.plugins().map(|plugin| describe(plugin)).collect()).unwrap_or_default();
        json!({
            "source": state.source,
            "generation": active.map(|active| active.set.generation()),
            "digest": active.map(|active| active.set.digest.clone()),
            "active_since_ms": active.map(|active| active.since.0),
            "activated_by": active.map(|active| active.mode),
            "is_saved_set": active.is_some_and(|active| active.is_saved),
            "refused": state.refused,
            "rejected": state.rejected.as_ref().map(|rejected| json!({"digest": rejected.digest, "why": rejected.why})),
            "candidate": state.candidate,
            "comparison": state.comparison,
            "watch": state.watch.as_ref().map(|watch| watched(watch, active.map(|active| &*active.set))),
            "history": state.history,
            "plugins": plugins,
        })
    }
}

/// The watch, with what each plugin did in this set and in the one before.
fn watched(watch: &Watched, active: Option<&PluginSet>) -> Value {
    let mut shown = serde_json::to_value(watch).unwrap_or_default();
    let done = |set: &PluginSet| -> Map<String, Value> {
        let one = |plugin: &Plugin| {
            let faults: u64 = plugin.counts.faults().map(|(_, count)| count).sum();
            let deadlines: u64 = plugin.counts.faults().filter(|(kind, _)| kind.code() == "deadline").map(|(_, count)| count).sum();
            let denials: u64 = plugin.counts.decisions().filter(|(word, _)| word.is_denial()).map(|(_, count)| count).sum();
            json!({"calls": plugin.counts.calls(), "errors": faults, "deadlines": deadlines, "denials": denials})
        };
        set.plugins().map(|plugin| (plugin.spec.name.clone(), one(plugin))).collect()
    };
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("before".into(), done(&watch.before).into());
        shown.insert("before_generation".into(), watch.before.generation().0.into());
        shown.insert("now".into(), active.map(done).unwrap_or_default().into());
    }
    shown
}

fn describe(plugin: &Plugin) -> Value {
    let faults: Map<String, Value> = plugin.counts.faults().map(|(kind, count)| (kind.code().to_owned(), count.into())).collect();
    let decisions: Map<String, Value> =
        plugin.counts.decisions().map(|(word, count)| (word.code().to_owned(), count.into())).collect();
    let durations = plugin.counts.durations();
    let buckets: Vec<Value> = durations.buckets.iter().map(|(end, count)| json!({"up_to_us": end, "calls": count})).collect();
    let last_fault = plugin.counts.last_fault();
    json!({
        "name": plugin.name.name,
        "kind": plugin.spec.kind,
        "contract": plugin.contract(),
        "sha256": plugin.sha256,
        "bytes": plugin.component_bytes,
        "grants": {
            "log": plugin.spec.grants.log,
            "key_sets": plugin.spec.grants.key_sets,
            "facts": plugin.spec.grants.may_read_session.then_some("may-read-session").as_slice(),
        },
        "wasi": plugin.wasi_imports(),
        "reads": plugin.declaration().inputs.describe(),
        "call_budget_ms": plugin.spec.call_budget_ms,
        "memory_bytes": plugin.spec.memory_bytes,
        "calls": plugin.counts.calls(),
        "cache_hits": plugin.counts.cache_hits(),
        "decisions": decisions,
        "durations": {"sum_us": durations.sum_us, "buckets": buckets},
        "faults": faults,
        "last_fault": last_fault.map(|fault| json!({"at_ms": fault.at, "kind": fault.kind.code(), "message": fault.message})),
        "rechecked": plugin.counts.rechecks(),
        "keeps_state": plugin.is_isolated(),
    })
}
