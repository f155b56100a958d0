//! What a set's chains decided, as records.

use super::*;
use crate::{
    domain::{
        Attributes,
        record::{Decided, Decision as Recorded, Known, Outcome, Record},
    },
    plugin::{inputs::Gathered, record::Judge},
};

impl PluginSet {
    /// What a chain decided from, without credentials, and what these judges would decide from.
    pub(super) fn recorded_inputs(
        &self,
        kind: Kind,
        now: Timestamp,
        subject: Option<&Subject<'_>>,
        session: Option<&Attributes>,
        judges: &[Arc<Judge>],
    ) -> record::Inputs {
        let wider = (!judges.is_empty()).then(|| {
            let mut inputs = self.recorded.clone();
            judges.iter().for_each(|judge| inputs.extend(&judge.inputs));
            inputs
        });
        let recorded = wider.as_ref().unwrap_or(&self.recorded);
        let (http, tcp) =
            subject.map_or((None, None), |subject| self.context.recorder.subject(&recorded.gather(subject), &recorded.credentials));
        record::Inputs {
            kind,
            now_ms: now,
            known: Known::These(wider.as_ref().map_or_else(|| Arc::clone(&self.recorded_words), |wider| wider.words().into())),
            http,
            tcp,
            session: session.cloned(),
            identity: None,
            may_read_session: None,
            tokens: Vec::new(),
        }
    }

    /// A fault as it's logged and shown: plugins may put what they were given into their words.
    pub(super) fn scrubbed(&self, fault: Fault, gathered: &Gathered<'_>) -> Fault {
        let message = self.context.recorder.secrets(gathered, &self.recorded.credentials).scrub(&fault.message);
        Fault { message, ..fault }
    }

    pub(super) fn keep(
        &self,
        id: RecordId,
        trail: &Trail,
        subject: Option<&Subject<'_>>,
        inputs: record::Inputs,
        mut outcome: Outcome,
    ) {
        let recorder = &self.context.recorder;
        let gathered = subject.map(|subject| self.recorded.gather(subject)).unwrap_or_default();
        recorder.redact(&mut outcome, &recorder.secrets(&gathered, &self.recorded.credentials));
        recorder.keep(Record {
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
