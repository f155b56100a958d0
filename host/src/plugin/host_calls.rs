//! What a plugin can call: `log` and `jwt`. The state here belongs to one instance and is set anew for each call.

use std::sync::Arc;

use wasmtime::{ResourceLimiter, component::Component};

use super::{
    PluginName,
    bindings::v0_1::{jwt, log, types},
    facts::Answer,
    instance::Budget,
    key_set::{KeySet, LONGEST_TOKEN, Refusal, Requirements, Verified, check_recorded, check_unsigned, select_claims},
};
use crate::domain::{
    Credential, Timestamp,
    facts::Introspection,
    record::{Refused, Token, TokenAnswer},
};

pub const LOG_LINES_PER_CALL: u32 = 16;
pub const LOG_LINE_BYTES: usize = 1024;
/// Verifications in one call at most, each of which is remembered to its end: eight tokens under eight key sets.
const MOST_LOOKS: usize = 64;
const TABLE_ELEMENTS: usize = 20_000;

/// One declared verification, bound to its key set.
pub struct Verification {
    pub key_set: Arc<KeySet>,
    pub requirements: Requirements,
}

/// What the host knows during a call.
pub struct HostState {
    plugin: Arc<PluginName>,
    verifications: Arc<[Verification]>,
    memory_limit: usize,
    /// Of all of the component's memories.
    pub memory_bytes: usize,
    pub call: CallState,
}

/// The part that is set anew for each call.
pub struct CallState {
    pub now: Timestamp,
    /// What the server said of each token of this call.
    pub introspections: Vec<(String, Answer<Introspection>)>,
    /// What was verified in this call, in order.
    pub looks: Vec<Look>,
    pub log_lines: u32,
    /// For a call that is run again: what was answered then, in place of all key sets.
    pub recorded: Option<Recorded>,
    /// What is left of the call's time.
    pub budget: Budget,
}

/// The host's answers of an earlier call.
pub struct Recorded {
    pub tokens: Vec<Token>,
    /// A token that isn't among them has no good signature, or else wasn't recorded.
    pub is_everything: bool,
    /// What was asked for and isn't there: then the new decision says nothing.
    pub missing: Option<String>,
}

/// One verification that the guest asked for.
pub struct Look {
    pub verification: usize,
    pub token: Credential,
    /// The token's end, where it was accepted and has one.
    pub verdict: Result<Option<Timestamp>, Refusal>,
}

/// What a verification says of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Accepted {
        valid_until: Option<Timestamp>,
    },
    /// A key of ours made it, and it isn't valid here or now.
    Ours,
    /// Somebody else's, or no token at all.
    NotOurs,
}

/// The guest asked for more memory than it may have.
#[derive(Debug, thiserror::Error)]
#[error("{wanted} bytes of memory, at most {limit}")]
pub struct OverMemory {
    wanted: usize,
    limit: usize,
}

// === impl HostState ===

impl HostState {
    pub fn new(plugin: Arc<PluginName>, verifications: Arc<[Verification]>, memory_limit: usize) -> Self {
        Self { plugin, verifications, memory_limit, memory_bytes: 0, call: CallState::at(Timestamp(0)) }
    }

    /// Writes a line for the operator, unless the call has written its share.
    pub fn write_line(&mut self, level: log::Level, message: &str) {
        // What is run again was logged the first time.
        if self.call.recorded.is_some() {
            return;
        }
        self.call.log_lines += 1;
        if self.call.log_lines > LOG_LINES_PER_CALL {
            if self.call.log_lines == LOG_LINES_PER_CALL + 1 {
                tracing::warn!(target: "plugin", plugin = %self.plugin, "further lines of this call are left out");
            }
            return;
        }
        let mut end = message.len().min(LOG_LINE_BYTES);
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        let message = message[..end].escape_debug();
        match level {
            log::Level::Debug => tracing::debug!(target: "plugin", plugin = %self.plugin, "{message}"),
            log::Level::Info => tracing::info!(target: "plugin", plugin = %self.plugin, "{message}"),
            log::Level::Warn => tracing::warn!(target: "plugin", plugin = %self.plugin, "{message}"),
            log::Level::Error => tracing::error!(target: "plugin", plugin = %self.plugin, "{message}"),
        }
    }

    /// Says of so many lines that they aren't written.
    pub fn leave_out(&mut self, lines: u64) {
        if self.call.recorded.is_none() {
            tracing::warn!(target: "plugin", plugin = %self.plugin, lines, "further lines of this call are left out");
        }
    }

    fn verify_token(&mut self, number: usize, token: &str) -> Result<Verified, Refusal> {
        let verification = &self.verifications[number];
        if let Some(recorded) = &mut self.call.recorded {
            return recorded.verify(verification, token, self.call.now);
        }
        self.call.verify(verification, token)
    }
}

// === impl CallState ===

impl CallState {
    pub fn at(now: Timestamp) -> Self {
        Self { now, introspections: Vec::new(), looks: Vec::new(), log_lines: 0, recorded: None, budget: Budget::new(0) }
    }

    /// What a key set says of a token: by its keys, or by the server's answers that are here.
    pub fn verify(&self, verification: &Verification, token: &str) -> Result<Verified, Refusal> {
        match verification.key_set.introspection() {
            None => verification.key_set.verify(token, &verification.requirements, self.now),
            Some(_) => self.introspected(token, &verification.requirements),
        }
    }

    fn introspected(&self, token: &str, requirements: &Requirements) -> Result<Verified, Refusal> {
        let Some((_, answer)) = self.introspections.iter().find(|(known, _)| known == token) else {
            check_unsigned(token, requirements, self.now)?;
            return Err(Refusal::Malformed("not the value of a declared credential, or not like a token".into()));
        };
        match &answer.value {
            Ok(Introspection::Accepted(claims)) => {
                // The server's word is about now, and the set asks again when it's used up; what the token says of its end holds
                // all the same. The two aren't mixed: a token's end ends what it opened, a question's doesn't.
                let valid_until = check_unsigned(token, requirements, self.now)?;
                Ok(Verified { claims: select_claims(claims, &requirements.claims), valid_until })
            }
            Ok(Introspection::Refused(why)) => Err(Refusal::Refused(why.clone())),
            Err(why) => Err(Refusal::Unavailable(why.clone())),
        }
    }
}

// === impl Recorded ===

impl Recorded {
    fn verify(&mut self, verification: &Verification, token: &str, now: Timestamp) -> Result<Verified, Refusal> {
        let key_set = verification.key_set.name();
        let requirements = &verification.requirements;
        let Some(known) = self.tokens.iter().find(|known| known.token == token && known.key_set == key_set) else {
            if self.is_everything {
                return Err(Refusal::Signature);
            }
            let missing = format!("what key set '{key_set}' says of a token");
            self.missing.get_or_insert_with(|| missing.clone());
            return Err(Refusal::Unavailable(missing));
        };
        match &known.answer {
            TokenAnswer::Claims(claims) => {
                let valid_until = check_recorded(claims, requirements, now)?;
                Ok(Verified { claims: select_claims(claims, &requirements.claims), valid_until })
            }
            TokenAnswer::Unavailable(why) => Err(Refusal::Unavailable(why.clone())),
            TokenAnswer::Refused(refused) => Err(match refused {
                Refused::Malformed => Refusal::Malformed("as recorded".into()),
                Refused::Algorithm => Refusal::Algorithm("as recorded".into()),
                Refused::UnknownKey => Refusal::UnknownKey,
                Refused::Signature => Refusal::Signature,
                Refused::CriticalHeader => Refusal::CriticalHeader,
                Refused::ByServer => Refusal::Refused("as recorded".into()),
            }),
        }
    }
}

// === impl Outcome ===

impl Outcome {
    pub fn of(verdict: &Result<Option<Timestamp>, Refusal>) -> Self {
        match verdict {
            Ok(valid_until) => Self::Accepted { valid_until: *valid_until },
            Err(
                Refusal::Malformed(_)
                | Refusal::Algorithm(_)
                | Refusal::UnknownKey
                | Refusal::Signature
                | Refusal::CriticalHeader
                | Refusal::Refused(_),
            ) => Self::NotOurs,
            // While nobody can tell, it counts as ours.
            Err(Refusal::Expired | Refusal::NotYetValid | Refusal::Audience | Refusal::Issuer | Refusal::Unavailable(_)) => {
                Self::Ours
            }
        }
    }
}

// === the contract's host side ===

impl types::Host for HostState {}

impl log::Host for HostState {
    fn write(&mut self, level: log::Level, message: String) {
        self.write_line(level, &message);
    }
}

impl jwt::Host for HostState {
    fn verify(&mut self, verification: u32, token: String) -> Result<jwt::Verified, jwt::VerifyError> {
        let number = verification as usize;
        if number >= self.verifications.len() {
            return Err(jwt::VerifyError::Undeclared);
        }
        if token.len() > LONGEST_TOKEN {
            return Err(jwt::VerifyError::Malformed(format!("over {LONGEST_TOKEN} bytes")));
        }
        if self.call.looks.len() >= MOST_LOOKS {
            return Err(jwt::VerifyError::Unavailable(format!("over {MOST_LOOKS} verifications in one call")));
        }
        let verified = self.verify_token(number, &token);
        let verdict = verified.as_ref().map(|verified| verified.valid_until).map_err(Clone::clone);
        self.call.looks.push(Look { verification: number, token: Credential::new(token), verdict });
        match verified {
            Ok(Verified { claims, valid_until }) => Ok(jwt::Verified {
                claims: claims.into_iter().map(|claim| claim.map(claim_value)).collect(),
                valid_until: valid_until.map(|Timestamp(ms)| ms),
            }),
            Err(refusal) => Err(match refusal {
                Refusal::Malformed(why) => jwt::VerifyError::Malformed(why),
                Refusal::Algorithm(name) => jwt::VerifyError::Algorithm(name),
                Refusal::UnknownKey => jwt::VerifyError::UnknownKey,
                Refusal::Signature => jwt::VerifyError::Signature,
                Refusal::Expired => jwt::VerifyError::Expired,
                Refusal::NotYetValid => jwt::VerifyError::NotYetValid,
                Refusal::Audience => jwt::VerifyError::Audience,
                Refusal::Issuer => jwt::VerifyError::Issuer,
                Refusal::CriticalHeader => jwt::VerifyError::CriticalHeader,
                Refusal::Refused(why) => jwt::VerifyError::Refused(why),
                Refusal::Unavailable(why) => jwt::VerifyError::Unavailable(why),
            }),
        }
    }
}

fn claim_value(value: serde_json::Value) -> jwt::ClaimValue {
    use serde_json::Value;
    match value {
        Value::String(text) => jwt::ClaimValue::Text(text),
        Value::Bool(value) => jwt::ClaimValue::Boolean(value),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => jwt::ClaimValue::Integer(integer),
            None => jwt::ClaimValue::Json(number.to_string()),
        },
        Value::Array(items) if items.iter().all(Value::is_string) => {
            jwt::ClaimValue::Texts(items.into_iter().filter_map(|item| item.as_str().map(str::to_owned)).collect())
        }
        other => jwt::ClaimValue::Json(other.to_string()),
    }
}

impl ResourceLimiter for HostState {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.memory_bytes + desired.saturating_sub(current);
        if wanted > self.memory_limit {
            return Err(OverMemory { wanted, limit: self.memory_limit }.into());
        }
        self.memory_bytes = wanted;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }
}

/// The contract's interfaces that a component imports, each with its version.
pub fn imports(component: &Component, engine: &wasmtime::Engine) -> Vec<String> {
    component.component_type().imports(engine).map(|(name, _)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SecretEncoding;

    #[test]
    fn a_call_verifies_so_often_and_no_more() {
        let key_set = Arc::new(KeySet::secret("s", "secret", SecretEncoding::Raw).unwrap());
        let verification = Verification { key_set, requirements: Requirements::default() };
        let plugin = Arc::new(PluginName { name: "p".into(), digest: "0".into() });
        let mut state = HostState::new(plugin, Arc::new([verification]), 0);
        for _ in 0..MOST_LOOKS {
            let refused = jwt::Host::verify(&mut state, 0, "a.b.c".into());
            assert!(matches!(refused, Err(jwt::VerifyError::Malformed(_))));
        }
        assert!(matches!(jwt::Host::verify(&mut state, 0, "a.b.c".into()), Err(jwt::VerifyError::Unavailable(_))));
        assert_eq!(state.call.looks.len(), MOST_LOOKS);
    }
}
