//! What a set's chains decided, as records.

use super::*;
use crate::domain::{
    Attributes,
    record::{Decided, Decision as Recorded, Known, Outcome, Record, Token},
};

impl PluginSet {
    /// What a chain decided from, without credentials.
    pub(super) fn recorded_inputs(
        &self,
        kind: Kind,
        now: Timestamp,
        subject: Option<&Subject<'_>>,
        session: Option<&Attributes>,
        tokens: Vec<Token>,
    ) -> record::Inputs {
        let (http, tcp) = subject.map_or((None, None), |subject| {
            self.context.recorder.subject(&self.recorded.gather(subject), &self.recorded.credentials)
        });
        record::Inputs {
            kind,
            now_ms: now,
            known: Known::These(Arc::clone(&self.recorded_words)),
            http,
            tcp,
            session: session.cloned(),
            identity: None,
            may_read_session: None,
            tokens,
        }
    }

    pub(super) fn keep(&self, id: RecordId, trail: &Trail, inputs: record::Inputs, outcome: Outcome) {
        self.context.recorder.keep(Record {
            id,
            generation: self.generation.0,
            set: self.digest.clone(),
            asked: trail.asked(),
            inputs,
            outcome,
            took_us: trail.took_us(),
        });
    }
}

/// A decision for the record; by no plugin when all abstained.
pub(super) fn decided(by: Option<&PluginName>, decision: Recorded, reason: &Reason, holds_until: Option<Timestamp>) -> Outcome {
    Outcome::Decided(Decided {
        by: by.map(|by| by.name.clone()),
        decision,
        reason: reason.code.to_string(),
        detail: reason.detail.as_deref().map(str::to_owned),
        holds_until_ms: holds_until,
    })
}
