//! The chain of routing policies: in order, the first that doesn't abstain wins; if all abstain it's a rejection.

use super::{authenticate::earlier_end, *};
use crate::domain::Credential;
use crate::plugin::{
    bindings::v0_1::routing,
    convert,
    facts::Answer,
    fault::FaultKind,
    host_calls::CallState,
    inputs::{encode_attributes, encode_bytes, encode_identity},
};

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
        authentication: &Authentication,
    ) -> Result<Routed, Fault> {
        for plugin in &self.policies {
            let asked = self.ask_policy(worker, plugin, subject, endpoint, authentication).await;
            let (decision, cached, holds_until) = match asked {
                Ok(step) => step,
                Err(fault) if plugin.spec.on_fault == OnFault::OwnerOnly && is_owner(endpoint, authentication) => {
                    tracing::error!(%fault, session = %endpoint.id.session, "the policy failed: only the owner gets in");
                    (Some(Arc::new(owner_only())), false, Timestamp::now())
                }
                Err(fault) => return Err(fault),
            };
            if let Some(decision) = decision {
                return Ok(Routed { decision, plugin: Some(Arc::clone(&plugin.name)), cached, holds_until });
            }
        }
        let decision = Arc::new(Routing::Reject { reason: reason("no-policy-decided"), message: None });
        Ok(Routed { decision, plugin: None, cached: false, holds_until: Timestamp::now() })
    }

    async fn ask_policy(
        &self,
        worker: &Worker,
        plugin: &Arc<Plugin>,
        subject: &Subject<'_>,
        endpoint: &Endpoint,
        authentication: &Authentication,
    ) -> Result<(Option<Arc<Routing>>, bool, Timestamp), Fault> {
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
            Ok(Entry { decision: Decision::Routing(decision), holds_until }) => {
                plugin.counts.hit();
                return Ok((decision, true, holds_until));
            }
            Ok(_) => return Err(super::authenticate::unreachable_entry(plugin)),
            Err(key) => key,
        };
        let may_read = if declaration.may_read_session { Some(self.may_read(endpoint, token).await) } else { None };
        let request = routing::Request {
            subject: convert::subject(&gathered),
            session: convert::attributes(&endpoint.attributes, &inputs.attributes),
            identity: inputs.identity.then(|| convert::identity(&identity)),
            may_read_session: may_read.as_ref().map(convert::fact_answer),
            now: now.0,
        };
        let (decision, lifetime) = worker.call(plugin, |instance, budget| {
            let answer = instance.route(&request, CallState::at(now), budget)?;
            convert::routing(answer, now, &self.context.hosts).map_err(|error| Fault {
                plugin: Arc::clone(&plugin.name),
                kind: FaultKind::Output,
                message: error.to_string(),
            })
        })?;
        let decision = decision.map(Arc::new);
        let entry = Decision::Routing(decision.clone());
        let ends = [earlier_end(lifetime, lifetime.valid_until, now), may_read.map(|answer| answer.holds_until), known_until];
        let holds_until = self.holds_until(now, entry.lets_in(), ends);
        worker.remember(key, Entry { decision: entry, holds_until });
        Ok((decision, false, holds_until))
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

fn is_owner(endpoint: &Endpoint, authentication: &Authentication) -> bool {
    match (endpoint.attributes.first("owner"), authentication) {
        (Some(owner), Authentication::Allow(allowance)) => owner == allowance.principal.id,
        _ => false,
    }
}

fn owner_only() -> Routing {
    Routing::Forward(Arc::new(Forwarding {
        reason: reason("owner-only"),
        endpoint: None,
        request_headers: Vec::new(),
        response_headers: Vec::new(),
        limits: Limits::default(),
    }))
}
