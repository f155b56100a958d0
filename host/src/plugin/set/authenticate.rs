//! The chain of authenticators: in order, the first that doesn't abstain wins.

use std::cell::RefCell;

use super::*;
use crate::{
    domain::{
        decision::{Allowance, Lifetime},
        facts::Introspection,
        record::Outcome as Recorded,
    },
    plugin::{
        bindings::v0_1::authentication,
        convert::{self, BadAnswer},
        counts::Word,
        facts::Answer,
        fault::FaultKind,
        host_calls::{CallState, Look, Outcome},
        inputs::{Gathered, encode_attributes},
        key_set::{Refusal, check_unsigned, is_token_shaped},
        record::Said,
    },
};

/// Tokens of one request that the server is asked about at most.
const MOST_INTROSPECTIONS: usize = 4;

pub(super) type Introspections = Vec<(String, Answer<Introspection>)>;

impl PluginSet {
    /// Who a subject comes from. Without an endpoint (there is no such session) the plugins see no session attributes.
    ///
    /// # Errors
    /// A plugin couldn't decide: the caller answers 503 and lets nothing through.
    pub async fn authenticate(
        &self,
        worker: &Worker,
        subject: &Subject<'_>,
        endpoint: Option<&Endpoint>,
    ) -> Result<Authenticated, Fault> {
        let now = Timestamp::now();
        let mut trail = Trail::new();
        let mut evidence = Evidence::default();
        let mut decided = self.authenticate_in_turn(worker, subject, endpoint, &mut trail, &mut evidence).await;
        let tokens = if trail.id().is_some() { evidence.tokens() } else { Vec::new() };
        if let Ok(authenticated) = &mut decided {
            authenticated.evidence = evidence;
        }
        let Some(id) = trail.id() else { return decided };
        let session = endpoint.map(|endpoint| &endpoint.attributes);
        let judges = self.judges();
        let mut inputs = self.recorded_inputs(Kind::Authenticator, now, Some(subject), session, &judges);
        inputs.tokens = self.tokens_for(&judges, subject, now, tokens).await;
        let outcome =
            decided.as_ref().map_or_else(failed, |step| outcome(step.plugin.as_deref(), &step.decision, Some(step.holds_until)));
        self.keep(id, &trail, Some(subject), inputs, outcome);
        decided.map_err(|fault| Fault { record: Some(id), ..fault })
    }

    async fn authenticate_in_turn(
        &self,
        worker: &Worker,
        subject: &Subject<'_>,
        endpoint: Option<&Endpoint>,
        trail: &mut Trail,
        evidence: &mut Evidence,
    ) -> Result<Authenticated, Fault> {
        let mut abstained: Option<Authenticated> = None;
        let mut authorization_is_ours = false;
        for plugin in &self.authenticators {
            trail.asks(&plugin.name);
            let mut step = self.ask_authenticator(worker, plugin, subject, endpoint, trail, evidence).await?;
            authorization_is_ours |= step.authorization_is_ours;
            step.authorization_is_ours = authorization_is_ours;
            let Authentication::Anonymous { challenge, .. } = &*step.decision else { return Ok(step) };
            // The first challenge offered is the one that a policy's `unauthenticated` becomes.
            let better = abstained.as_ref().is_none_or(|earlier| challenge.is_some() && !offers_challenge(&earlier.decision));
            if better {
                abstained = Some(step);
            }
        }
        Ok(match abstained {
            Some(step) => Authenticated { authorization_is_ours, plugin: None, ..step },
            None => Authenticated {
                decision: Arc::new(Authentication::Anonymous { reason: reason("no-authenticator"), challenge: None }),
                authorization_is_ours,
                plugin: None,
                cached: false,
                holds_until: self.holds_until(Timestamp::now(), false, []),
                record: None,
                evidence: Evidence::default(),
            },
        })
    }

    async fn ask_authenticator(
        &self,
        worker: &Worker,
        plugin: &Arc<Plugin>,
        subject: &Subject<'_>,
        endpoint: Option<&Endpoint>,
        trail: &mut Trail,
        evidence: &mut Evidence,
    ) -> Result<Authenticated, Fault> {
        let now = Timestamp::now();
        let inputs = &plugin.declaration().inputs;
        let gathered = inputs.gather(subject);
        let found = worker.find(now, |key| {
            key.extend_from_slice(&plugin.key.to_be_bytes());
            for verification in plugin.verifications().iter() {
                key.extend_from_slice(&verification.key_set.revision().to_be_bytes());
            }
            gathered.encode(key);
            key.push(u8::from(endpoint.is_some()));
            if let Some(endpoint) = endpoint {
                encode_attributes(key, &endpoint.attributes, &inputs.attributes);
            }
        });
        let key = match found {
            Ok(Entry { decision: Decision::Authentication { decision, authorization_is_ours, said }, holds_until, record }) => {
                evidence.add(said);
                plugin.counts.hit(word(&decision));
                let plugin = Some(Arc::clone(&plugin.name));
                let evidence = Evidence::default();
                return Ok(Authenticated { decision, authorization_is_ours, plugin, cached: true, holds_until, record, evidence });
            }
            // A key begins with the plugin's number, and a plugin has one kind.
            Ok(_) => return Err(unreachable_entry(plugin)),
            Err(key) => key,
        };
        let record = trail.misses(&self.context.recorder);
        let introspections = self.introspect(plugin, &gathered, now).await;
        let facts_end = introspections.iter().map(|(_, answer)| answer.holds_until).min();
        let request = authentication::Request {
            subject: convert::subject(&gathered),
            session: endpoint.map_or_else(Vec::new, |endpoint| convert::attributes(&endpoint.attributes, &inputs.attributes)),
            now: now.0,
        };
        let seen = RefCell::new(Vec::new());
        let state = || CallState { introspections: introspections.clone(), ..CallState::at(now) };
        let decided = worker.ask(plugin, &request, state, |answer, call| {
            let call = std::mem::replace(call, CallState::at(now));
            *seen.borrow_mut() = self.context.recorder.evidence(&plugin.verifications(), &call);
            let authorization_is_ours = is_ours(plugin, &gathered, &call);
            let parsed = answer.and_then(|answer| {
                parse(answer, call.looks, now, &self.context.hosts)
                    .map_err(|error| Fault::new(&plugin.name, FaultKind::Output, error.to_string()))
            });
            let (decision, end) = parsed.map_err(|fault| self.scrubbed(fault, &gathered))?;
            Ok((decision, end, authorization_is_ours))
        });
        let decided = decided.await;
        let seen = seen.into_inner();
        let said = (!seen.is_empty()).then(|| seen.into());
        evidence.add(Said::clone(&said));
        let (decision, end, authorization_is_ours) = decided?;
        plugin.counts.decided(word(&decision));
        let holds_until = self.holds_until(now, matches!(decision, Authentication::Allow(_)), [end, facts_end]);
        let decision = Arc::new(decision);
        let remembered = Decision::Authentication { decision: Arc::clone(&decision), authorization_is_ours, said };
        worker.remember(key, Entry { decision: remembered, holds_until, record });
        let (plugin, evidence) = (Some(Arc::clone(&plugin.name)), Evidence::default());
        Ok(Authenticated { decision, authorization_is_ours, plugin, cached: false, holds_until, record, evidence })
    }

    /// Asks the server about the tokens of a request, when one of the plugin's key sets works that way. A token that a key
    /// of ours accepts isn't asked about, and one that is over by its own word isn't either.
    pub(super) async fn introspect(&self, plugin: &Plugin, gathered: &Gathered<'_>, now: Timestamp) -> Introspections {
        let verifications = plugin.verifications();
        let Some(holds) = verifications.iter().find_map(|verification| verification.key_set.introspection()) else {
            return Vec::new();
        };
        let ours = |token: &str| {
            verifications.iter().any(|verification| verification.key_set.verify(token, &verification.requirements, now).is_ok())
        };
        let credentials = &plugin.declaration().inputs.credentials;
        // Only one that has ended isn't worth the question: one for another audience may still be the server's, and must be known as
        // that to be kept from the workload.
        let is_over = |token: &str| {
            let mut asking = verifications.iter().filter(|verification| verification.key_set.introspection().is_some());
            asking.all(|verification| check_unsigned(token, &verification.requirements, now) == Err(Refusal::Expired))
        };
        let tokens = gathered.tokens(credentials).filter(|token| is_token_shaped(token) && !is_over(token) && !ours(token));
        let mut answers: Introspections = Vec::new();
        for token in tokens.take(MOST_INTROSPECTIONS) {
            if answers.iter().all(|(known, _)| known != token) {
                answers.push((token.to_owned(), self.context.facts.introspect(token, holds).await));
            }
        }
        answers
    }
}

/// Whether a token in `Authorization` is one of ours, whichever credential identified the subject. An expired one is, too;
/// and while nobody can tell, it counts as ours: it's kept from the workload. What the plugin verified in its call isn't
/// verified again.
fn is_ours(plugin: &Plugin, gathered: &Gathered<'_>, call: &CallState) -> bool {
    gathered.bearers().any(|token| {
        let asked = call.introspections.iter().find(|(known, _)| known == token);
        asked.is_some_and(|(_, answer)| !matches!(answer.value, Ok(Introspection::Refused(_))))
            || plugin.verifications().iter().enumerate().any(|(number, verification)| {
                let outcome = || {
                    let look = call.looks.iter().find(|look| look.verification == number && look.token.reveal() == token);
                    look.map_or_else(
                        || {
                            let verified = verification.key_set.verify(token, &verification.requirements, call.now);
                            Outcome::of(&verified.map(|verified| verified.valid_until))
                        },
                        |look| Outcome::of(&look.verdict),
                    )
                };
                verification.key_set.introspection().is_none() && outcome() != Outcome::NotOurs
            })
    })
}

/// The decision with the instant at which it ends by itself.
pub(super) fn parse(
    answer: authentication::Decision,
    looks: Vec<Look>,
    now: Timestamp,
    hosts: &KnownHosts,
) -> Result<(Authentication, Option<Timestamp>), BadAnswer> {
    Ok(match answer {
        authentication::Decision::Allow(allowance) => {
            let lifetime = convert::lifetime(allowance.lifetime, now)?;
            let accepted = looks.into_iter().rev().find_map(|look| Some((look.token, look.verdict.ok()?)));
            let (token, token_end) = accepted.map_or((None, None), |(token, end)| (Some(token), end));
            let valid_until = [lifetime.valid_until, token_end].into_iter().flatten().min();
            let principal = Arc::new(convert::principal(allowance.principal)?);
            let allowance = Allowance { principal, reason: convert::reason(allowance.reason)?, valid_until, token };
            (Authentication::Allow(allowance), earlier_end(lifetime, valid_until, now))
        }
        authentication::Decision::Challenge(challenge) => (Authentication::Challenge(convert::challenge(challenge, hosts)?), None),
        authentication::Decision::Deny(denial) => {
            let lifetime = convert::lifetime(denial.lifetime, now)?;
            (Authentication::Deny(convert::reason(denial.reason)?), earlier_end(lifetime, lifetime.valid_until, now))
        }
        authentication::Decision::Abstain(abstention) => {
            let challenge = abstention.challenge.map(|challenge| convert::challenge(challenge, hosts)).transpose()?;
            (Authentication::Anonymous { reason: convert::reason(abstention.reason)?, challenge }, None)
        }
    })
}

pub(super) fn earlier_end(lifetime: Lifetime, valid_until: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    [valid_until, lifetime.recheck_after.map(|after| now.plus(after))].into_iter().flatten().min()
}

/// What the chain came to, for the record.
pub(super) fn outcome(by: Option<&PluginName>, decision: &Authentication, holds_until: Option<Timestamp>) -> Recorded {
    let reason = match decision {
        Authentication::Allow(allowance) => &allowance.reason,
        Authentication::Challenge(challenge) => &challenge.reason,
        Authentication::Deny(reason) | Authentication::Anonymous { reason, .. } => reason,
    };
    recording::decided(by, decision.into(), reason, holds_until)
}

fn word(decision: &Authentication) -> Word {
    match decision {
        Authentication::Allow(_) => Word::Allow,
        Authentication::Challenge(_) => Word::Challenge,
        Authentication::Deny(_) => Word::Deny,
        Authentication::Anonymous { .. } => Word::Abstain,
    }
}

fn offers_challenge(decision: &Authentication) -> bool {
    matches!(decision, Authentication::Anonymous { challenge: Some(_), .. })
}

pub(super) fn unreachable_entry(plugin: &Plugin) -> Fault {
    let message = "a cache entry of another kind".to_owned();
    Fault::new(&plugin.name, FaultKind::Instance, message)
}
