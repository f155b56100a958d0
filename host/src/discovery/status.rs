//! What operators see of discovery: the JSON of the admin listener's `/sessions`, readiness, and metrics.

use std::{
    collections::{BTreeMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use serde::Serialize;

use super::{
    assemble::Key,
    candidates::{Rejection, protocol_name, source_name},
    leases::LeaseStatus,
};
use crate::domain::{Candidate, SourceKind, Timestamp};

/// The current status. Written by the assembler, read by the admin listener.
pub struct Board(Mutex<Status>);

/// The whole of it, as JSON.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    pub sources: BTreeMap<SourceKind, SourceStatus>,
    #[serde(serialize_with = "shared")]
    pub sessions: Arc<Vec<SessionStatus>>,
    /// What was declared and can't be an endpoint.
    #[serde(serialize_with = "shared")]
    pub rejected: Arc<Vec<Rejection>>,
    /// Ports that are leased or rest after a lease.
    #[serde(serialize_with = "shared")]
    pub leases: Arc<Vec<LeaseStatus>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SourceStatus {
    /// Milliseconds since 1970. None: it never succeeded.
    pub last_success_ms: Option<u64>,
    /// None while it succeeds.
    pub last_error_ms: Option<u64>,
    pub last_error: Option<String>,
    /// Whether the latest look failed: then what it found before is served.
    pub failing: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SessionStatus {
    pub id: String,
    pub source: SourceKind,
    pub name: Option<String>,
    pub owner: Option<String>,
    pub endpoints: Vec<EndpointStatus>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EndpointStatus {
    pub name: String,
    pub protocol: &'static str,
    /// As declared.
    pub address: String,
    pub port: u16,
    /// Of its path route; None for protocols without one.
    pub path: Option<String>,
    #[serde(flatten)]
    pub state: EndpointState,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum EndpointState {
    Routed {
        upstream: SocketAddr,
        /// The gateway's port that leads there, of TCP endpoints.
        #[serde(skip_serializing_if = "Option::is_none")]
        listener_port: Option<u16>,
    },
    /// By a filter.
    Dropped {
        reason: String,
    },
    /// By the dial rules, because somebody else holds the address, or for want of a port.
    Refused {
        reason: String,
    },
    Waiting {
        reason: String,
    },
}

/// Discovery's metrics.
#[derive(Clone, Default)]
pub struct Metrics {
    looks: Family<LookLabels, Counter>,
    endpoints: Family<StateLabels, Gauge>,
    sessions: Gauge,
    ports: Family<StateLabels, Gauge>,
    writes: Family<ResultLabel, Counter>,
    pub swaps: Counter,
    pub filter_faults: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LookLabels {
    source: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

/// Only so many rejections are shown: their number is up to those who write nonsense.
const REJECTIONS_SHOWN: usize = 500;
/// Refused endpoints that one change of the routes may write into the log.
const REFUSALS_LOGGED: usize = 20;

// === impl Board ===

impl Board {
    /// The sources that are configured.
    pub fn new(sources: impl IntoIterator<Item = SourceKind>) -> Self {
        let sources = sources.into_iter().map(|source| (source, SourceStatus::default())).collect();
        Self(Mutex::new(Status { sources, ..Status::default() }))
    }

    pub fn status(&self) -> Status {
        self.change(|status| status.clone())
    }

    /// Every configured source has succeeded once.
    pub fn ready(&self) -> bool {
        self.change(|status| status.sources.values().all(|source| source.last_success_ms.is_some()))
    }

    /// Some source has succeeded, or there's none: what is known may be served.
    pub fn discovered(&self) -> bool {
        self.change(|status| status.sources.is_empty() || status.sources.values().any(|source| source.last_success_ms.is_some()))
    }

    pub fn succeeded(&self, source: SourceKind) {
        let recovered = self.change(|status| {
            let source = status.sources.entry(source).or_default();
            source.last_success_ms = Some(Timestamp::now().0);
            (source.last_error_ms, source.last_error) = (None, None);
            std::mem::take(&mut source.failing)
        });
        if recovered {
            tracing::info!(source = source_name(source), "the source answers again");
        }
    }

    pub fn failed(&self, source: SourceKind, error: String) {
        let news = self.change(|status| {
            let source = status.sources.entry(source).or_default();
            let news = !source.failing || source.last_error.as_ref() != Some(&error);
            source.failing = true;
            source.last_error_ms = Some(Timestamp::now().0);
            source.last_error = Some(error.clone());
            news
        });
        if news {
            tracing::warn!(source = source_name(source), error, "the source failed: what it had before stays");
        }
    }

    pub fn describe(&self, sessions: Vec<SessionStatus>, mut rejected: Vec<Rejection>, leases: Vec<LeaseStatus>) {
        rejected.truncate(REJECTIONS_SHOWN);
        let sessions = Arc::new(sessions);
        let before = self.change(|status| {
            status.rejected = Arc::new(rejected);
            status.leases = Arc::new(leases);
            std::mem::replace(&mut status.sessions, Arc::clone(&sessions))
        });
        let known: HashSet<_> = refused(&before).collect();
        // Their number is up to those who declare them, too.
        for (session, endpoint, reason) in refused(&sessions).filter(|refused| !known.contains(refused)).take(REFUSALS_LOGGED) {
            tracing::warn!(session, endpoint, reason, "an endpoint is refused");
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Status) -> T) -> T {
        // Nothing in here panics half-way.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Session, endpoint and reason of what is declared and not served.
fn refused(sessions: &[SessionStatus]) -> impl Iterator<Item = (&str, &str, &str)> {
    let endpoints = sessions.iter().flat_map(|session| session.endpoints.iter().map(|endpoint| (session.id.as_str(), endpoint)));
    endpoints.filter_map(|(session, endpoint)| match &endpoint.state {
        EndpointState::Refused { reason } => Some((session, endpoint.name.as_str(), reason.as_str())),
        _ => None,
    })
}

fn shared<T: Serialize, S: serde::Serializer>(list: &Arc<Vec<T>>, serializer: S) -> Result<S::Ok, S::Error> {
    list.as_ref().serialize(serializer)
}

/// A session with its first endpoint.
pub fn session(candidate: &Candidate, endpoint: EndpointStatus) -> SessionStatus {
    SessionStatus {
        id: candidate.id.session.to_string(),
        source: candidate.source,
        name: candidate.attributes.first("session.name").map(str::to_owned),
        owner: candidate.owner().map(str::to_owned),
        endpoints: vec![endpoint],
    }
}

/// One endpoint.
pub fn endpoint(key: &Key, candidate: &Candidate, state: EndpointState) -> EndpointStatus {
    EndpointStatus {
        name: key.0.name.as_str().to_owned(),
        protocol: protocol_name(key.1),
        address: candidate.host.clone(),
        port: candidate.port,
        path: matches!(key.1, crate::domain::Protocol::Http).then(|| key.0.path()),
        state,
    }
}

// === impl Metrics ===

impl Metrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("discovery_looks", "Looks at a source, by result", metrics.looks.clone());
        registry.register("discovery_endpoints", "Endpoints by what became of them", metrics.endpoints.clone());
        registry.register("discovery_sessions", "Sessions found", metrics.sessions.clone());
        registry.register("tcp_ports", "Ports of the range by what became of them", metrics.ports.clone());
        registry.register("discovery_swaps", "Changes of the routes", metrics.swaps.clone());
        registry.register("discovery_filter_faults", "Failures of discovery filters", metrics.filter_faults.clone());
        registry.register("discovery_publications", "Writes of addresses to tasks, by result", metrics.writes.clone());
        metrics
    }

    pub fn published(&self, succeeded: bool) {
        let result = if succeeded { "ok" } else { "error" };
        self.writes.get_or_create(&ResultLabel { result }).inc();
    }

    pub fn looked(&self, source: SourceKind, succeeded: bool) {
        let result = if succeeded { "ok" } else { "error" };
        self.looks.get_or_create(&LookLabels { source: source_name(source), result }).inc();
    }

    pub fn describe_ports(&self, counts: [(&'static str, usize); 4]) {
        for (state, count) in counts {
            self.ports.get_or_create(&StateLabels { state }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    pub fn describe(&self, sessions: &[SessionStatus]) {
        let mut counts = BTreeMap::from([("routed", 0), ("dropped", 0), ("refused", 0), ("waiting", 0)]);
        for endpoint in sessions.iter().flat_map(|session| &session.endpoints) {
            *counts.entry(endpoint.state.name()).or_default() += 1;
        }
        for (state, count) in counts {
            self.endpoints.get_or_create(&StateLabels { state }).set(count);
        }
        self.sessions.set(i64::try_from(sessions.len()).unwrap_or(i64::MAX));
    }
}

// === impl EndpointState ===

impl EndpointState {
    fn name(&self) -> &'static str {
        match self {
            Self::Routed { .. } => "routed",
            Self::Dropped { .. } => "dropped",
            Self::Refused { .. } => "refused",
            Self::Waiting { .. } => "waiting",
        }
    }
}
