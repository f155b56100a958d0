//! The chain of discovery filters: every one must keep a candidate; what later ones change wins.

use super::*;
use crate::domain::record::Outcome;
use crate::plugin::{bindings::v0_1::discovery, convert, counts::Word, fault::FaultKind, host_calls::CallState};

impl PluginSet {
    /// Whether a candidate is published. Never on the path of a request, never cached: it's asked when something changed.
    ///
    /// # Errors
    /// A filter couldn't decide: the candidate's earlier verdict stands, a new one waits.
    pub async fn filter(&self, worker: &Worker, candidate: &Candidate) -> Result<Verdict, Fault> {
        let now = Timestamp::now();
        let mut trail = Trail::new();
        let judged = self.filter_in_turn(worker, candidate, now, &mut trail).await;
        let Some(id) = trail.id() else { return judged };
        let inputs = self.recorded_inputs(Kind::DiscoveryFilter, now, None, Some(&candidate.attributes), &[]);
        let outcome = judged.as_ref().map_or_else(failed, |verdict| outcome(trail.last(), verdict));
        self.keep(id, &trail, None, inputs, outcome);
        judged.map_err(|fault| Fault { record: Some(id), ..fault })
    }

    async fn filter_in_turn(
        &self,
        worker: &Worker,
        candidate: &Candidate,
        now: Timestamp,
        trail: &mut Trail,
    ) -> Result<Verdict, Fault> {
        let mut kept = Keeping::nothing_yet();
        for plugin in &self.filters {
            trail.asks(&plugin.name);
            trail.misses(&self.context.recorder);
            let inputs = &plugin.declaration().inputs;
            let request =
                discovery::Candidate { attributes: convert::attributes(&candidate.attributes, &inputs.attributes), now: now.0 };
            let verdict = worker.ask(
                plugin,
                &request,
                || CallState::at(now),
                |answer, _| {
                    convert::verdict(answer?).map_err(|error| Fault::new(&plugin.name, FaultKind::Output, error.to_string()))
                },
            );
            let verdict = verdict.await?;
            plugin.counts.decided(if matches!(verdict, Verdict::Keep(_)) { Word::Keep } else { Word::Drop });
            match verdict {
                Verdict::Keep(next) => kept.absorb(next),
                dropped @ Verdict::Drop(_) => return Ok(dropped),
            }
        }
        Ok(Verdict::Keep(kept))
    }
}

/// What the chain came to, for the record.
pub(super) fn outcome(by: Option<&PluginName>, verdict: &Verdict) -> Outcome {
    let reason = match verdict {
        Verdict::Keep(keeping) => &keeping.reason,
        Verdict::Drop(reason) => reason,
    };
    recording::decided(by, verdict.into(), reason, None)
}

impl Keeping {
    pub(super) fn nothing_yet() -> Self {
        Self { reason: reason("no-filter"), name: None, access: None, upstream_path: None, labels: Default::default() }
    }

    pub(super) fn absorb(&mut self, later: Self) {
        self.reason = later.reason;
        self.name = later.name.or(self.name.take());
        self.access = later.access.or(self.access.take());
        self.upstream_path = later.upstream_path.or(self.upstream_path);
        for (name, values) in later.labels.iter() {
            self.labels.set(name, values.iter().cloned());
        }
    }
}
