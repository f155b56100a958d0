//! A plugin set: the chains of one generation, and the way through them. Immutable; a change is another set.

use std::{fmt, sync::Arc};

use super::{
    Kind, PluginName,
    cache::{Decision, Entry},
    convert::KnownHosts,
    facts::Facts,
    fault::Fault,
    inputs::{CredentialInputs, Inputs},
    loaded::{OnFault, Plugin},
    record::{Evidence, Recorder, Trail, failed},
    subject::Subject,
    worker::Worker,
};
use crate::{
    config,
    domain::{
        Candidate, Endpoint, Identity, Timestamp,
        decision::{Authentication, Forwarding, Keeping, Limits, Reason, Routing, Verdict},
        record::{self, RecordId},
    },
};

mod authenticate;
mod filter;
mod judged;
mod recording;
mod replay;
mod route;

pub use self::replay::NotRecorded;

/// Counts the sets of this process; a higher one is newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Generation(pub u64);

/// Everything that decides, of one generation.
pub struct PluginSet {
    generation: Generation,
    /// Digest of the manifest with its components: equal sets are the same.
    pub digest: String,
    filters: Vec<Arc<Plugin>>,
    authenticators: Vec<Arc<Plugin>>,
    policies: Vec<Arc<Plugin>>,
    credentials: CredentialInputs,
    /// What records hold of a subject: all that any plugin declared, and what the configuration adds.
    recorded: Inputs,
    recorded_words: Arc<[String]>,
    context: Arc<DecisionContext>,
}

/// What decisions need beside the plugins; the same for all sets.
pub struct DecisionContext {
    pub facts: Facts,
    pub hosts: KnownHosts,
    pub cache: config::DecisionCache,
    pub recorder: Recorder,
}

/// What the authenticators said.
pub struct Authenticated {
    pub decision: Arc<Authentication>,
    /// The request's `Authorization` holds a token of ours: no workload gets it.
    pub authorization_is_ours: bool,
    /// Who decided; None when everybody abstained.
    pub plugin: Option<Arc<PluginName>>,
    pub cached: bool,
    pub holds_until: Timestamp,
    /// Where it can be looked up why.
    pub record: Option<RecordId>,
    /// What key sets said of the tokens, for the records of what follows.
    pub evidence: Evidence,
}

/// What the routing policies said.
pub struct Routed {
    pub decision: Arc<Routing>,
    /// Who decided; None when everybody abstained.
    pub plugin: Option<Arc<PluginName>>,
    pub cached: bool,
    pub holds_until: Timestamp,
    /// Where it can be looked up why.
    pub record: Option<RecordId>,
}

// === impl PluginSet ===

impl PluginSet {
    /// Plugins in the order of the manifest, which is the order of each chain.
    pub fn new(generation: Generation, digest: String, plugins: Vec<Arc<Plugin>>, context: Arc<DecisionContext>) -> Self {
        let of = |kind| plugins.iter().filter(|plugin| plugin.spec.kind == kind).cloned().collect::<Vec<_>>();
        let mut credentials = CredentialInputs::default();
        plugins.iter().for_each(|plugin| credentials.extend(&plugin.declaration().inputs.credentials));
        let mut recorded = context.recorder.inputs().clone();
        plugins.iter().for_each(|plugin| recorded.extend(&plugin.declaration().inputs));
        Self {
            generation,
            digest,
            filters: of(Kind::DiscoveryFilter),
            authenticators: of(Kind::Authenticator),
            policies: of(Kind::RoutingPolicy),
            credentials,
            recorded_words: recorded.words().into(),
            recorded,
            context,
        }
    }

    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// What this set's plugins declared as credentials: workloads don't get these.
    pub fn credentials(&self) -> &CredentialInputs {
        &self.credentials
    }

    pub fn plugins(&self) -> impl Iterator<Item = &Arc<Plugin>> {
        self.filters.iter().chain(&self.authenticators).chain(&self.policies)
    }

    /// One of its plugins as a set of its own, for what is about it alone.
    pub fn alone(&self, plugin: &Arc<Plugin>) -> Self {
        Self::new(self.generation, self.digest.clone(), vec![Arc::clone(plugin)], Arc::clone(&self.context))
    }

    /// It comes to what the other set does on the same inputs: the plugins that are asked for decisions of this kind are the same.
    pub fn decides_like(&self, other: &Self, kind: Kind) -> bool {
        let alike = |ours: &[Arc<Plugin>], theirs: &[Arc<Plugin>]| {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(our, their)| our.decides_like(their))
        };
        match kind {
            Kind::DiscoveryFilter => alike(&self.filters, &other.filters),
            Kind::Authenticator => alike(&self.authenticators, &other.authenticators),
            // They're asked about whom the authenticators let in.
            Kind::RoutingPolicy => alike(&self.policies, &other.policies) && alike(&self.authenticators, &other.authenticators),
        }
    }

    /// Where this set's decisions are recorded.
    pub fn recorder(&self) -> &Recorder {
        &self.context.recorder
    }

    /// The instant until which a decision may be used: never longer than the configuration says, nor than it says itself.
    fn holds_until(&self, now: Timestamp, lets_in: bool, ends: impl IntoIterator<Item = Option<Timestamp>>) -> Timestamp {
        let cache = &self.context.cache;
        let longest = std::time::Duration::from_secs(if lets_in { cache.longest_s } else { cache.longest_denial_s });
        ends.into_iter().flatten().fold(now.plus(longest), Ord::min)
    }
}

/// A host's own reason, where no plugin gave one.
fn reason(code: &str) -> Reason {
    Reason { code: code.into(), detail: None }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
