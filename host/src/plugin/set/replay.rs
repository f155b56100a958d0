//! Decisions run again: recorded inputs, or those that somebody wrote, through this set's chains. The host's answers are the
//! recorded ones, so nothing is asked, nothing is cached, nothing is logged, and nobody gets in by it.

use std::cell::RefCell;

use super::{authenticate, route, *};
use crate::{
    domain::record::{Http, Inputs as Recorded, Known, MayRead, Outcome, Tcp},
    plugin::{
        bindings::v0_1::{authentication, discovery, routing, types},
        convert,
        fault::FaultKind,
        host_calls::{self, CallState},
        inputs::Gathered,
        question::Ask,
    },
};

/// The plugins read something that wasn't recorded, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotRecorded(pub String);

/// Why there's no decision.
enum Stop {
    NotRecorded(String),
    Fault(Fault),
}

// === impl PluginSet ===

impl PluginSet {
    /// Runs inputs through the chain of their kind. A recorded decision about a request goes through the authenticators first, so
    /// that a policy is asked about whom these say it is; a written one is about the identity that is written.
    pub fn replay(&self, worker: &Worker, inputs: &Recorded) -> Result<Outcome, NotRecorded> {
        let outcome = match inputs.kind {
            Kind::DiscoveryFilter => self.filter_again(worker, inputs),
            Kind::Authenticator => self.authenticate_again(worker, inputs).map(|(outcome, _)| outcome),
            Kind::RoutingPolicy if inputs.known.is_everything() || self.authenticators.is_empty() => {
                self.route_again(worker, inputs, inputs.identity.as_ref().unwrap_or(&Identity::Anonymous))
            }
            Kind::RoutingPolicy => match self.authenticate_again(worker, inputs) {
                Ok((_, Some(identity))) => self.route_again(worker, inputs, &identity),
                Ok((outcome, None)) => Ok(outcome),
                Err(stop) => Err(stop),
            },
        };
        let mut outcome = match outcome {
            Ok(outcome) => outcome,
            Err(Stop::Fault(fault)) => failed(&fault),
            Err(Stop::NotRecorded(what)) => return Err(NotRecorded(what)),
        };
        // As a record holds it, so that the two can be compared.
        if !inputs.known.is_everything() {
            self.context.recorder.redact_again(&mut outcome);
        }
        Ok(outcome)
    }

    /// The person whom this set lets in on these inputs, or the owner whose candidate it publishes; None when it doesn't, can't tell
    /// or doesn't know who it is.
    pub fn admits(&self, worker: &Worker, inputs: &Recorded) -> Option<String> {
        let person = |identity: &Identity| identity.principal().map(|principal| principal.id.clone());
        let entering = match inputs.kind {
            Kind::DiscoveryFilter => {
                let owner = inputs.session.as_ref()?.first("owner")?.to_owned();
                return self.filter_again(worker, inputs).ok().filter(Outcome::admits).map(|_| owner);
            }
            _ => self.authenticate_again(worker, inputs).ok()?.1?,
        };
        if inputs.kind == Kind::RoutingPolicy {
            self.route_again(worker, inputs, &entering).ok().filter(Outcome::admits)?;
        }
        person(&entering)
    }

    /// With the identity that goes on to the policies, where somebody may go on.
    fn authenticate_again(&self, worker: &Worker, inputs: &Recorded) -> Result<(Outcome, Option<Identity>), Stop> {
        let now = inputs.now_ms;
        let mut abstained: Option<Authentication> = None;
        for plugin in &self.authenticators {
            let request = authentication::Request {
                subject: convert::subject(&gather(plugin, inputs)?),
                session: attributes(plugin, inputs),
                now: now.0,
            };
            let decision = run_again(worker, plugin, inputs, &request, |answer, call| {
                let looks = std::mem::take(&mut call.looks);
                let parsed = authenticate::parse(answer?, looks, now, &self.context.hosts);
                parsed.map(|(decision, _)| decision).map_err(|error| broken(plugin, error))
            })?;
            let Authentication::Anonymous { challenge, .. } = &decision else {
                let identity = match &decision {
                    Authentication::Allow(allowance) => Some(Identity::Principal(Arc::clone(&allowance.principal))),
                    _ => None,
                };
                return Ok((authenticate::outcome(Some(&plugin.name), &decision, None), identity));
            };
            let offers = |decision: &Authentication| matches!(decision, Authentication::Anonymous { challenge: Some(_), .. });
            if abstained.as_ref().is_none_or(|earlier| challenge.is_some() && !offers(earlier)) {
                abstained = Some(decision);
            }
        }
        let nobody = || Authentication::Anonymous { reason: reason("no-authenticator"), challenge: None };
        Ok((authenticate::outcome(None, &abstained.unwrap_or_else(nobody), None), Some(Identity::Anonymous)))
    }

    fn route_again(&self, worker: &Worker, inputs: &Recorded, identity: &Identity) -> Result<Outcome, Stop> {
        let now = inputs.now_ms;
        for plugin in &self.policies {
            let declaration = plugin.declaration();
            let may_read_session = match (&inputs.may_read_session, declaration.may_read_session) {
                (_, false) => None,
                (Some(answer), true) => Some(fact_answer(answer)),
                (None, true) if inputs.known.is_everything() => Some(types::FactAnswer::No),
                (None, true) => return Err(Stop::NotRecorded("the fact may-read-session".into())),
            };
            let request = routing::Request {
                subject: convert::subject(&gather(plugin, inputs)?),
                session: attributes(plugin, inputs),
                identity: declaration.inputs.identity.then(|| convert::identity(identity)),
                may_read_session,
                now: now.0,
            };
            let decision = run_again(worker, plugin, inputs, &request, |answer, _| {
                convert::routing(answer?, now, &self.context.hosts)
                    .map(|(decision, _)| decision)
                    .map_err(|error| broken(plugin, error))
            });
            let owner = inputs.session.as_ref().and_then(|session| session.first("owner"));
            let is_owner = identity.principal().is_some_and(|principal| Some(principal.id.as_str()) == owner);
            let decision = match decision {
                Err(Stop::Fault(fault)) if plugin.spec.on_fault == OnFault::OwnerOnly && is_owner => {
                    Some(route::owner_only(&fault))
                }
                other => other?,
            };
            if let Some(decision) = decision {
                return Ok(route::outcome(Some(&plugin.name), &decision, None));
            }
        }
        let nobody = Routing::Reject { reason: reason("no-policy-decided"), message: None };
        Ok(route::outcome(None, &nobody, None))
    }

    fn filter_again(&self, worker: &Worker, inputs: &Recorded) -> Result<Outcome, Stop> {
        let mut kept = Keeping::nothing_yet();
        for plugin in &self.filters {
            let candidate = discovery::Candidate { attributes: attributes(plugin, inputs), now: inputs.now_ms.0 };
            let verdict = run_again(worker, plugin, inputs, &candidate, |answer, _| {
                convert::verdict(answer?).map_err(|error| broken(plugin, error))
            })?;
            match verdict {
                Verdict::Keep(next) => kept.absorb(next),
                Verdict::Drop(_) => return Ok(filter::outcome(Some(&plugin.name), &verdict)),
            }
        }
        Ok(filter::outcome(self.filters.last().map(|plugin| &*plugin.name), &Verdict::Keep(kept)))
    }
}

/// One call with the host's recorded answers.
fn run_again<Q: Ask, T: PartialEq>(
    worker: &Worker,
    plugin: &Arc<Plugin>,
    inputs: &Recorded,
    question: &Q,
    read: impl Fn(Result<Q::Answer, Fault>, &mut CallState) -> Result<T, Fault>,
) -> Result<T, Stop> {
    let missing = RefCell::new(None);
    let state = || {
        let recorded =
            host_calls::Recorded { tokens: inputs.tokens.clone(), is_everything: inputs.known.is_everything(), missing: None };
        CallState { recorded: Some(recorded), ..CallState::at(inputs.now_ms) }
    };
    let answer = worker.ask_blocking(plugin, question, state, |answer, call| {
        *missing.borrow_mut() = call.recorded.take().and_then(|recorded| recorded.missing);
        read(answer, call)
    });
    match (missing.into_inner(), answer) {
        (Some(missing), _) => Err(Stop::NotRecorded(missing)),
        (None, answer) => answer.map_err(Stop::Fault),
    }
}

/// What the plugin declared, out of what is there.
fn gather<'a>(plugin: &'a Plugin, inputs: &'a Recorded) -> Result<Gathered<'a>, Stop> {
    let declared = &plugin.declaration().inputs;
    if let Known::These(words) = &inputs.known {
        let known = Inputs::of_words(words.iter()).map_err(|error| Stop::NotRecorded(error.to_string()))?;
        if let Some(missing) = known.lacks(declared) {
            return Err(Stop::NotRecorded(format!("the input '{missing}'")));
        }
    }
    if let Some(Tcp { tls_name, client_address, client_certificate, listener_port }) = &inputs.tcp {
        return Ok(Gathered {
            is_tcp: true,
            tls_name: tls_name.as_deref().filter(|_| declared.tls_name),
            client_address: client_address.filter(|_| declared.client_address),
            client_certificate: client_certificate.as_ref().map(|bytes| &*bytes.0).filter(|_| declared.client_certificate),
            listener_port: listener_port.filter(|_| declared.listener_port),
            ..Gathered::default()
        });
    }
    Ok(inputs.http.as_ref().map_or_else(Gathered::default, |http| gather_http(declared, http)))
}

fn gather_http<'a>(declared: &'a Inputs, http: &'a Http) -> Gathered<'a> {
    let wanted_cookie = |name: &str| declared.cookies.iter().any(|pattern| pattern.matches(name));
    let lines = |name: &'a http::HeaderName| {
        let same = move |line: &str| line.eq_ignore_ascii_case(name.as_str());
        http.headers.iter().filter(move |(line, _)| same(line)).map(|(_, value)| (name.as_str(), value))
    };
    let parameters =
        |name: &'a String| http.query.iter().filter(move |(known, _)| known == name).map(|(name, value)| (name, value.to_vec()));
    Gathered {
        is_tcp: false,
        method: http.method.as_deref().filter(|_| declared.method),
        authority: http.authority.as_deref().filter(|_| declared.authority),
        path: http.path.as_deref().and_then(|path| Some(declared.path?.of(path))),
        upgrade: http.upgrade.as_deref().filter(|_| declared.upgrade),
        tls_name: http.tls_name.as_deref().filter(|_| declared.tls_name),
        client_address: http.client_address.filter(|_| declared.client_address),
        client_certificate: http.client_certificate.as_ref().map(|bytes| &*bytes.0).filter(|_| declared.client_certificate),
        listener_port: http.listener_port.filter(|_| declared.listener_port),
        cookies: http.cookies.iter().filter(|(name, _)| wanted_cookie(name)).collect(),
        headers: declared.headers.iter().flat_map(lines).collect(),
        query: declared.query.iter().flat_map(parameters).collect(),
    }
}

fn attributes(plugin: &Plugin, inputs: &Recorded) -> Vec<types::Attribute> {
    let declared = &plugin.declaration().inputs.attributes;
    inputs.session.as_ref().map_or_else(Vec::new, |session| convert::attributes(session, declared))
}

fn fact_answer(answer: &MayRead) -> types::FactAnswer {
    match answer {
        MayRead::Yes => types::FactAnswer::Yes,
        MayRead::No => types::FactAnswer::No,
        MayRead::Unavailable(why) => types::FactAnswer::Unavailable(why.clone()),
    }
}

fn broken(plugin: &Plugin, error: impl ToString) -> Fault {
    Fault::new(&plugin.name, FaultKind::Output, error.to_string())
}
