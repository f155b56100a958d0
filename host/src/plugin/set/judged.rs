//! Records by which another set is to decide: the one before, while this one is watched, or one in this one's shadow. Such a record
//! holds what that set decides from, too: its inputs, and what its key sets say of the tokens.

use super::*;
use crate::{
    domain::{Credential, record::Token},
    plugin::{
        host_calls::{CallState, Look},
        record::{Following, Judge},
    },
};

/// Tokens of one request that are verified for a judge's authenticator at most.
const MOST_TOKENS: usize = 8;

impl PluginSet {
    /// Gets each record from now on, with room for so many that wait. Until that is let go, the records of this set's decisions hold
    /// all that `judge` decides from.
    pub fn follow_for(&self, judge: &Self, room: usize) -> Following {
        let judge = Judge {
            generation: self.generation.0,
            inputs: judge.recorded.clone(),
            authenticators: judge.authenticators.clone(),
            may_read_session: judge.policies.iter().any(|policy| policy.declaration().may_read_session),
        };
        self.context.recorder.follow_for(judge, room)
    }

    pub(super) fn judges(&self) -> Vec<Arc<Judge>> {
        self.context.recorder.judges(self.generation.0)
    }

    /// Adds what the judges' key sets say of a subject's tokens, where this set's plugins didn't ask: one that fails before it looks
    /// at a token must not hide whose request it was.
    pub(super) async fn tokens_for(
        &self,
        judges: &[Arc<Judge>],
        subject: &Subject<'_>,
        now: Timestamp,
        mut tokens: Vec<Token>,
    ) -> Vec<Token> {
        let recorder = &self.context.recorder;
        for plugin in judges.iter().flat_map(|judge| &judge.authenticators) {
            let (verifications, inputs) = (plugin.verifications(), &plugin.declaration().inputs);
            let gathered = inputs.gather(subject);
            let mut call = CallState { introspections: self.introspect(plugin, &gathered, now).await, ..CallState::at(now) };
            for token in gathered.tokens(&inputs.credentials).take(MOST_TOKENS) {
                for (number, verification) in verifications.iter().enumerate() {
                    if !recorder.knows(&tokens, token, verification) {
                        let verdict = call.verify(verification, token).map(|verified| verified.valid_until);
                        call.looks.push(Look { verification: number, token: Credential::new(token), verdict });
                    }
                }
            }
            tokens.extend(recorder.evidence(&verifications, &call));
        }
        tokens
    }
}
