//! The chain of discovery filters: every one must keep a candidate; what later ones change wins.

use super::*;
use crate::plugin::{bindings::v0_1::discovery, convert, fault::FaultKind, host_calls::CallState};

impl PluginSet {
    /// Whether a candidate is published. Never on the path of a request, never cached: it's asked when something changed.
    ///
    /// # Errors
    /// A filter couldn't decide: the candidate's earlier verdict stands, a new one waits.
    pub async fn filter(&self, worker: &Worker, candidate: &Candidate) -> Result<Verdict, Fault> {
        let now = Timestamp::now();
        let mut kept =
            Keeping { reason: reason("no-filter"), name: None, access: None, upstream_path: None, labels: Default::default() };
        for plugin in &self.filters {
            let inputs = &plugin.declaration().inputs;
            let request =
                discovery::Candidate { attributes: convert::attributes(&candidate.attributes, &inputs.attributes), now: now.0 };
            let verdict = worker.call(plugin, |instance, budget| {
                let answer = instance.filter(&request, CallState::at(now), budget)?;
                convert::verdict(answer).map_err(|error| Fault {
                    plugin: Arc::clone(&plugin.name),
                    kind: FaultKind::Output,
                    message: error.to_string(),
                })
            })?;
            match verdict {
                Verdict::Keep(next) => kept.absorb(next),
                dropped @ Verdict::Drop(_) => return Ok(dropped),
            }
        }
        Ok(Verdict::Keep(kept))
    }
}

impl Keeping {
    fn absorb(&mut self, later: Self) {
        self.reason = later.reason;
        self.name = later.name.or(self.name.take());
        self.access = later.access.or(self.access.take());
        self.upstream_path = later.upstream_path.or(self.upstream_path);
        for (name, values) in later.labels.iter() {
            self.labels.set(name, values.iter().cloned());
        }
    }
}
