//! Writes addresses back to the pods that are sessions: as annotations, and as an Event where something changed for people.
//!
//! Wired by `run`; works only while this replica leads. It compares what the assembler routes with what stands in each pod, and
//! writes only where they differ. Of two gateways that serve one pod the first one writes (`wicketgate.io/published-by`).

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::sync::watch;

use super::{
    Observed,
    annotations::{is_for, key, written},
};
use crate::{
    config::Config,
    discovery::{
        Metrics, Records,
        assemble::Assembled,
        leases::{Refusal, record::Record},
    },
    domain::{Endpoint, Protocol, SessionId, SourceKind},
    kubernetes::{
        Cluster, Error,
        election::Leader,
        events::Severity,
        pods::{ANNOTATIONS, Pod},
    },
};

/// See the module.
pub struct Publisher {
    cluster: Cluster,
    addresses: Addresses,
    metrics: Metrics,
    /// Pods in which everything stands as it should, and from what that followed.
    settled: HashMap<SessionId, Settled>,
    /// By pod: what became of the last tries.
    tried: HashMap<String, Tried>,
}

/// What annotations are made of.
struct Addresses {
    /// The gateway's public URL without a slash at its end.
    gateway: String,
    name: String,
    tcp_address: String,
    records: Arc<Records>,
}

/// The very values; another one may say something else.
struct Settled {
    pod: Arc<Pod>,
    endpoints: Vec<Arc<Endpoint>>,
    refused: Vec<Refusal>,
}

/// When a pod was last written, or tried to be, and how often in a row before.
struct Tried {
    at: Instant,
    in_a_row: u32,
}

/// What is to be written into one pod.
struct Change {
    pod: Arc<Pod>,
    /// None: it's no session any more.
    settles: Option<(SessionId, Settled)>,
    annotations: BTreeMap<String, Option<String>>,
}

/// What one session's annotations follow from.
#[derive(Default)]
struct Wanted<'a> {
    endpoints: Vec<&'a Arc<Endpoint>>,
    refused: Vec<(&'a crate::domain::EndpointId, &'a Refusal)>,
}

/// Writes at a time.
const AT_ONCE: usize = 8;
/// What was refused, or is overwritten by somebody else each time, is tried again after this time, and after twice as long each
/// time that it comes to that in a row.
const RETRY: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

// === impl Publisher ===

impl Publisher {
    pub fn new(cluster: Cluster, config: &Config, records: Arc<Records>, metrics: Metrics) -> Self {
        let addresses =
            Addresses { gateway: config.public_origin(), name: config.name.clone(), tcp_address: config.tcp_address(), records };
        Self { cluster, addresses, metrics, settled: HashMap::new(), tried: HashMap::new() }
    }

    /// Runs until the assembler or the source is gone.
    pub async fn run(
        mut self,
        mut assembled: watch::Receiver<Assembled>,
        mut observed: watch::Receiver<Observed>,
        mut leader: Leader,
    ) {
        let mut left = false;
        loop {
            let more = tokio::select! {
                changed = assembled.changed() => changed,
                changed = observed.changed() => changed,
                () = leader.changed() => Ok(()),
                () = tokio::time::sleep(RETRY), if left => Ok(()),
            };
            if more.is_err() {
                return;
            }
            left = false;
            if !leader.leads() {
                continue;
            }
            let (routed, seen) = (assembled.borrow_and_update().clone(), observed.borrow_and_update().clone());
            // A table that is older than the observation says nothing of pods that came with it.
            if seen.look == 0 || routed.look(SourceKind::Kubernetes) < seen.look {
                continue;
            }
            left = self.publish(&routed, &seen, &leader).await;
        }
    }

    /// Brings every pod up to date. Answers whether something is left to do.
    async fn publish(&mut self, routed: &Assembled, seen: &Observed, leader: &Leader) -> bool {
        self.settled.retain(|session, _| seen.pods.contains_key(session));
        self.tried.retain(|_, tried| tried.at.elapsed() < 2 * LONGEST_PAUSE);
        let wanted = wanted(routed);
        let nothing = Wanted::default();
        let mut changes = Vec::new();
        let mut left = false;
        for (session, pod) in seen.pods.iter().filter(|(session, _)| !routed.undecided.contains(*session)) {
            let wanted = wanted.get(session).unwrap_or(&nothing);
            if self.settled.get(session).is_some_and(|settled| settled.is(pod, wanted)) {
                continue;
            }
            let settles = Settled::new(pod, wanted);
            let annotations = self.addresses.plan(pod, wanted, routed);
            if annotations.is_empty() {
                self.settled.insert(session.clone(), settles);
            } else if self.tried.get(&pod.name).is_some_and(Tried::rests) {
                left = true;
            } else {
                changes.push(Change { pod: Arc::clone(pod), settles: Some((session.clone(), settles)), annotations });
            }
        }
        for pod in seen.left.iter() {
            let annotations = self.addresses.plan(pod, &nothing, routed);
            if self.tried.get(&pod.name).is_some_and(Tried::rests) {
                left = true;
            } else if !annotations.is_empty() {
                changes.push(Change { pod: Arc::clone(pod), settles: None, annotations });
            }
        }
        let cluster = self.cluster.clone();
        let mut changes = changes.into_iter();
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < AT_ONCE
                && leader.leads()
                && let Some(change) = changes.next()
            {
                running.push(write(&cluster, change));
            }
            let Some((change, outcome)) = running.next().await else { return left || changes.next().is_some() };
            left |= self.wrote(change, outcome);
        }
    }

    /// Answers whether it must be tried again.
    fn wrote(&mut self, change: Change, outcome: Result<(), Error>) -> bool {
        let Change { pod, settles, .. } = change;
        let in_a_row = self.tried.get(&pod.name).filter(|tried| tried.at.elapsed() < 2 * tried.pause());
        let in_a_row = in_a_row.map_or(0, |tried| tried.in_a_row.saturating_add(1));
        self.tried.insert(pod.name.clone(), Tried { at: Instant::now(), in_a_row });
        match outcome {
            Ok(()) => {
                self.metrics.published(true);
                tracing::info!(pod = pod.name, withdrawn = settles.is_none(), "wrote a session's addresses to its pod");
                self.settled.extend(settles);
                false
            }
            // The watch will say so, too.
            Err(error) if error.is_gone() => false,
            Err(error) => {
                self.metrics.published(false);
                tracing::warn!(pod = pod.name, %error, "a session's addresses can't be written to its pod");
                true
            }
        }
    }
}

async fn write(cluster: &Cluster, change: Change) -> (Change, Result<(), Error>) {
    let outcome = cluster.annotate(&change.pod.name, &change.pod.uid, &change.annotations).await;
    if outcome.is_ok()
        && let Some((severity, reason, note)) = news(&change.annotations)
        && let Err(error) = cluster.tell(&change.pod, severity, reason, &note).await
    {
        tracing::debug!(pod = change.pod.name, %error, "no Event");
    }
    (change, outcome)
}

/// What an Event says of a change; nothing of changes that concern nobody.
fn news(annotations: &BTreeMap<String, Option<String>>) -> Option<(Severity, &'static str, String)> {
    let of = |key: &'static str| {
        annotations.iter().filter_map(move |(name, value)| {
            let rest = name.strip_prefix(ANNOTATIONS)?.strip_prefix(key)?;
            (rest.is_empty() || rest.starts_with('.')).then_some((rest.trim_start_matches('.'), value.as_deref()))
        })
    };
    let named = |(name, value): (&str, &str)| if name.is_empty() { value.to_owned() } else { format!("{name} {value}") };
    let refused: Vec<_> = of(written::STATUS).filter_map(|(name, value)| Some(named((name, value?)))).collect();
    if !refused.is_empty() {
        return Some((Severity::Warning, "NotServed", format!("not served: {}", refused.join(", "))));
    }
    let addresses = || of(written::ENDPOINT).chain(of(written::EXTERNAL_ADDRESS));
    let there: Vec<_> = addresses().filter_map(|(name, value)| Some(named((name, value?)))).collect();
    if !there.is_empty() {
        return Some((Severity::Normal, "Published", format!("reached at {}", there.join(", "))));
    }
    (addresses().next().is_some()).then(|| (Severity::Normal, "Withdrawn", "not reached through the gateway any more".to_owned()))
}

fn wanted(routed: &Assembled) -> HashMap<&SessionId, Wanted<'_>> {
    let mut wanted: HashMap<&SessionId, Wanted<'_>> = HashMap::new();
    for endpoint in routed.endpoints.iter().filter(|endpoint| endpoint.source == SourceKind::Kubernetes) {
        wanted.entry(&endpoint.id.session).or_default().endpoints.push(endpoint);
    }
    for (id, refusal) in routed.refused.iter().filter(|(_, refusal)| refusal.is_published()) {
        wanted.entry(&id.session).or_default().refused.push((id, refusal));
    }
    wanted
}

// === impl Tried ===

impl Tried {
    fn pause(&self) -> Duration {
        RETRY.saturating_mul(2_u32.saturating_pow(self.in_a_row.min(16))).min(LONGEST_PAUSE)
    }

    fn rests(&self) -> bool {
        self.at.elapsed() < self.pause()
    }
}

// === impl Settled ===

impl Settled {
    fn new(pod: &Arc<Pod>, wanted: &Wanted<'_>) -> Self {
        Self {
            pod: Arc::clone(pod),
            endpoints: wanted.endpoints.iter().map(|endpoint| Arc::clone(endpoint)).collect(),
            refused: wanted.refused.iter().map(|(_, refusal)| (*refusal).clone()).collect(),
        }
    }

    fn is(&self, pod: &Arc<Pod>, wanted: &Wanted<'_>) -> bool {
        Arc::ptr_eq(&self.pod, pod)
            && self.endpoints.len() == wanted.endpoints.len()
            && self.endpoints.iter().zip(&wanted.endpoints).all(|(settled, wanted)| Arc::ptr_eq(settled, wanted))
            && self.refused.iter().eq(wanted.refused.iter().map(|(_, refusal)| *refusal))
    }
}

// === impl Addresses ===

impl Addresses {
    /// What to change in a pod. Empty where another gateway publishes.
    fn plan(&self, pod: &Pod, wanted: &Wanted<'_>, routed: &Assembled) -> BTreeMap<String, Option<String>> {
        let by = format!("{ANNOTATIONS}{}", written::BY);
        let publisher = pod.annotations.get(&by);
        if publisher.is_some_and(|name| *name != self.name) && !is_for(pod, &self.name) {
            return BTreeMap::new();
        }
        let mut keys = self.keys(wanted, routed);
        if !keys.is_empty() {
            keys.insert(by, self.name.clone());
        }
        let there = pod
            .annotations
            .iter()
            .filter(|(name, _)| publisher.is_some() && name.strip_prefix(ANNOTATIONS).is_some_and(written::is));
        let gone = there.filter(|(name, _)| !keys.contains_key(*name)).map(|(name, _)| (name.clone(), None));
        let mut plan: BTreeMap<_, _> = gone.collect();
        plan.extend(keys.into_iter().filter(|(name, value)| pod.annotations.get(name) != Some(value)).map(|(n, v)| (n, Some(v))));
        plan
    }

    fn keys(&self, wanted: &Wanted<'_>, routed: &Assembled) -> BTreeMap<String, String> {
        let mut keys = BTreeMap::new();
        let mut records = BTreeMap::new();
        for endpoint in &wanted.endpoints {
            let name = &endpoint.id.name;
            match (endpoint.protocol, routed.leases.get(&endpoint.id)) {
                (Protocol::Http, _) => {
                    keys.insert(key(written::ENDPOINT, name), format!("{}{}", self.gateway, endpoint.id.path()));
                }
                (Protocol::Tcp, Some(lease)) => {
                    keys.insert(key(written::EXTERNAL_ADDRESS, name), format!("{}:{}", self.tcp_address, lease.port));
                    // The pod's own port; its address is the pod's, whatever becomes of that.
                    let (host, upstream_port) = ("-".to_owned(), endpoint.upstream.port());
                    let record = Record { port: lease.port, since: lease.since, host, upstream_port };
                    records.insert(name.as_str(), self.records.write(&endpoint.id, &record));
                }
                (Protocol::Tcp, None) => {}
            }
        }
        for (id, refusal) in &wanted.refused {
            keys.insert(key(written::STATUS, &id.name), refusal.code.to_owned());
        }
        if let Some(records) = Some(records).filter(|records| !records.is_empty())
            && let Ok(json) = serde_json::to_string(&records)
        {
            keys.insert(format!("{ANNOTATIONS}{}", written::LEASES), json);
        }
        keys
    }
}

#[cfg(test)]
mod tests;
