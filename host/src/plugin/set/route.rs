//! The chain of routing policies: in order, the first that doesn't abstain wins; if all abstain it's a rejection.

use super::{authenticate::earlier_end, *};
use crate::domain::{
    Credential,
    record::{MayRead, Outcome},
};
use crate::plugin::{
    bindings::v0_1::routing,
    convert,
    counts::Word,
    facts::Answer,
    fault::FaultKind,
    host_calls::CallState,
    inputs::{encode_attributes, encode_bytes, encode_identity},
};

/// What one policy said.
struct Step {
    /// None is an abstention.
    decision: Option<Arc<Routing>>,
    cached: bool,
    holds_until: Timestamp,
    record: Option<RecordId>,
}

impl PluginSet {
    /// Whether an identity may use an endpoint, and how.
    ///
    /// # Errors
    /// A plugin couldn't decide: the caller answers 503 and lets nothing through.
    pub async fn route(
        &self,
        worker: &Worker,
        subject: &Subject<'_>,
        endpoint: &Endpoint,
        authenticated: &Authenticated,
    ) -> Result<Routed, Fault> {
        let now = Timestamp::now();
        let mut trail = Trail::new();
        let routed = self.route_in_turn(worker, subject, endpoint, &authenticated.decision, &mut trail).await;
        let Some(id) = trail.id() else { return routed };
        let judges = self.judges();
        let mut inputs = self.recorded_inputs(Kind::RoutingPolicy, now, Some(subject), Some(&endpoint.attributes), &judges);
        inputs.tokens = self.tokens_for(&judges, subject, now, authenticated.evidence.tokens()).await;
        if trail.may_read.is_none() && judges.iter().any(|judge| judge.may_read_session) {
            let token = match &*authenticated.decision {
                Authentication::Allow(allowance) => allowance.token.as_ref(),
                _ => None,
            };
            trail.may_read = Some(recorded(&self.may_read(endpoint, token).await));
        }
        inputs.identity = Some(match &*authenticated.decision {
            Authentication::Allow(allowance) => Identity::Principal(Arc::clone(&allowance.principal)),
            _ => Identity::Anonymous,
        });
        inputs.may_read_session = trail.may_read.take();
        let outcome = routed
            .as_ref()
            .map_or_else(failed, |routed| outcome(routed.plugin.as_deref(), &routed.decision, Some(routed.holds_until)));
        self.keep(id, &trail, Some(subject), inputs, outcome);
        routed.map_err(|fault| Fault { record: Some(id), ..fault })
    }

    async fn route_in_turn(
        &self,
        worker: &Worker,
        subject: &Subject<'_>,
        endpoint: &Endpoint,
        authentication: &Authentication,
        trail: &mut Trail,
    ) -> Result<Routed, Fault> {
        for plugin in &self.policies {
            trail.asks(&plugin.name);
            let asked = self.ask_policy(worker, plugin, subject, endpoint, authentication, trail).await;
            let step = match asked {
                Ok(step) => step,
                Err(fault) if plugin.spec.on_fault == OnFault::OwnerOnly && is_owner(endpoint, authentication) => {
                    tracing::error!(%fault, session = %endpoint.id.session, "the policy failed: only the owner gets in");
                    let decision = Some(Arc::new(owner_only(&fault)));
                    Step { decision, cached: false, holds_until: Timestamp::now(), record: trail.id() }
                }
                Err(fault) => return Err(fault),
            };
            if let Step { decision: Some(decision), cached, holds_until, record } = step {
                return Ok(Routed { decision, plugin: Some(Arc::clone(&plugin.name)), cached, holds_until, record });
            }
        }
        let decision = Arc::new(Routing::Reject { reason: reason("no-policy-decided"), message: None });
        Ok(Routed { decision, plugin: None, cached: false, holds_until: Timestamp::now(), record: trail.id() })
    }

    async fn ask_policy(
        &self,
        worker: &Worker,
        plugin: &Arc<Plugin>,
        subject: &Subject<'_>,
        endpoint: &Endpoint,
        authentication: &Authentication,
        trail: &mut Trail,
    ) -> Result<Step, Fault> {
        let now = Timestamp::now();
        let declaration = plugin.declaration();
        let inputs = &declaration.inputs;
        let gathered = inputs.gather(subject);
        let (identity, token, known_until) = match authentication {
            Authentication::Allow(allowance) => {
                (Identity::Principal(Arc::clone(&allowance.principal)), allowance.token.as_ref(), allowance.valid_until)
            }
            _ => (Identity::Anonymous, None, None),
        };
        let found = worker.find(now, |key| {
            key.extend_from_slice(&plugin.key.to_be_bytes());
            gathered.encode(key);
            encode_attributes(key, &endpoint.attributes, &inputs.attributes);
            if inputs.identity || declaration.may_read_session {
                encode_identity(key, &identity);
            }
            if declaration.may_read_session {
                encode_bytes(key, endpoint.id.session.as_str().as_bytes());
                // Two tokens of one name may read different sessions.
                encode_bytes(key, token.map_or(&[], |token| token.reveal().as_bytes()));
            }
        });
        let key = match found {
            Ok(Entry { decision: Decision::Routing(decision), holds_until, record }) => {
                plugin.counts.hit(word(decision.as_deref()));
                return Ok(Step { decision, cached: true, holds_until, record });
            }
            Ok(_) => return Err(super::authenticate::unreachable_entry(plugin)),
            Err(key) => key,
        };
        let record = trail.misses(&self.context.recorder);
        let may_read = if declaration.may_read_session { Some(self.may_read(endpoint, token).await) } else { None };
        if let Some(answer) = &may_read {
            trail.may_read = Some(recorded(answer));
        }
        let request = routing::Request {
            subject: convert::subject(&gathered),
            session: convert::attributes(&endpoint.attributes, &inputs.attributes),
            identity: inputs.identity.then(|| convert::identity(&identity)),
            may_read_session: may_read.as_ref().map(convert::fact_answer),
            now: now.0,
        };
        let decided = worker.ask(
            plugin,
            &request,
            || CallState::at(now),
            |answer, _| {
                let parsed = answer.and_then(|answer| {
                    convert::routing(answer, now, &self.context.hosts)
                        .map_err(|error| Fault::new(&plugin.name, FaultKind::Output, error.to_string()))
                });
                parsed.map_err(|fault| self.scrubbed(fault, &gathered))
            },
        );
        let (decision, lifetime) = decided.await?;
        let decision = decision.map(Arc::new);
        plugin.counts.decided(word(decision.as_deref()));
        let entry = Decision::Routing(decision.clone());
        let ends = [earlier_end(lifetime, lifetime.valid_until, now), may_read.map(|answer| answer.holds_until), known_until];
        let holds_until = self.holds_until(now, entry.lets_in(), ends);
        worker.remember(key, Entry { decision: entry, holds_until, record });
        Ok(Step { decision, cached: false, holds_until, record })
    }

    async fn may_read(&self, endpoint: &Endpoint, token: Option<&Credential>) -> Answer<bool> {
        match token {
            Some(token) => self.context.facts.may_read_session(token, &endpoint.id.session).await,
            // Nobody whom the server knows: it would say no.
            None => Answer {
                value: Ok(false),
                holds_until: self.holds_until(Timestamp::now(), false, []),
                revision: 0,
                was_good: false,
            },
        }
    }
}

/// What the chain came to, for the record.
pub(super) fn outcome(by: Option<&PluginName>, decision: &Routing, holds_until: Option<Timestamp>) -> Outcome {
    let reason = match decision {
        Routing::Forward(forwarding) => &forwarding.reason,
        Routing::Redirect { reason, .. } | Routing::Reject { reason, .. } | Routing::Unauthenticated(reason) => reason,
    };
    recording::decided(by, decision.into(), reason, holds_until)
}

fn recorded(answer: &Answer<bool>) -> MayRead {
    match &answer.value {
        Ok(true) => MayRead::Yes,
        Ok(false) => MayRead::No,
        Err(why) => MayRead::Unavailable(why.clone()),
    }
}

fn word(decision: Option<&Routing>) -> Word {
    match decision {
        Some(Routing::Forward(_)) => Word::Forward,
        Some(Routing::Redirect { .. }) => Word::Redirect,
        Some(Routing::Reject { .. }) => Word::Reject,
        Some(Routing::Unauthenticated(_)) => Word::Unauthenticated,
        None => Word::Abstain,
    }
}

fn is_owner(endpoint: &Endpoint, authentication: &Authentication) -> bool {
    match (endpoint.attributes.first("owner"), authentication) {
        (Some(owner), Authentication::Allow(allowance)) => owner == allowance.principal.id,
        _ => false,
    }
}

/// What the policy failed in stands beside the reason: the decision looks like any other otherwise.
pub(super) fn owner_only(fault: &Fault) -> Routing {
    let failed = format!("the policy failed ({}): {}", fault.kind, fault.message);
    Routing::Forward(Arc::new(Forwarding {
        reason: Reason { detail: Some(failed.into()), ..reason("owner-only") },
        endpoint: None,
        request_headers: Vec::new(),
        response_headers: Vec::new(),
        limits: Limits::default(),
    }))
}
