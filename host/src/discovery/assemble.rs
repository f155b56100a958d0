//! The one task that owns what is discovered. It takes reports from sources and sets of plugins, has the filters judge what is
//! new or changed, applies the dial rules, and swaps a whole table together with the set whose filters made it: no request
//! sees new plugins with old verdicts.
//!
//! Started by the wiring on the control thread. What lies below it (a worker for plugins, the snapshot) is behind `Stage`.

mod place;
mod state;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::Instant,
};

use super::{
    Report,
    dial::{DialRules, Refusal, Resolver},
    leases::{self, Lease, Leases, Role},
    status::{Board, Metrics},
};
use crate::{
    domain::{Candidate, Endpoint, EndpointId, SessionId, SourceKind, decision::Verdict},
    kubernetes::{election::Leader, pods::RECENT},
};

use state::State;

pub use state::Key;

/// Where verdicts come from and where the table goes.
pub trait Stage {
    type Plugins;

    /// The chain of discovery filters. The error says which plugin failed and how.
    fn filter(&self, plugins: &Self::Plugins, candidate: &Candidate) -> impl Future<Output = Result<Verdict, String>>;

    /// Puts both into use at once, for all requests from now on.
    fn swap(&self, plugins: &Arc<Self::Plugins>, endpoints: &[Arc<Endpoint>]);
}

/// A set of plugins that passed admission.
pub struct NewPlugins<P> {
    pub plugins: Arc<P>,
    /// Told when the set is in use, or will be with the first discovery.
    pub taken: oneshot::Sender<()>,
}

/// What the assembler is told through. Both are bounded: who says more waits.
pub struct Inbox<P> {
    pub reports: mpsc::Sender<Report>,
    pub plugins: mpsc::Sender<NewPlugins<P>>,
}

/// What was made of the last reports; for the publisher.
#[derive(Clone, Debug, Default)]
pub struct Assembled {
    /// The latest look of each source that it's made from.
    pub looks: BTreeMap<SourceKind, u64>,
    /// All that may be reached, whatever the protocol.
    pub endpoints: Arc<[Arc<Endpoint>]>,
    /// Sessions of which something isn't decided yet: nothing is taken back from them.
    pub undecided: Arc<BTreeSet<SessionId>>,
    /// The ports of TCP endpoints.
    pub leases: Arc<BTreeMap<EndpointId, Lease>>,
    /// TCP endpoints without one.
    pub refused: Arc<BTreeMap<EndpointId, leases::Refusal>>,
}

/// See the module.
pub struct Assembler<S: Stage> {
    stage: S,
    rules: Arc<DialRules>,
    resolver: Resolver,
    state: State,
    leases: Leases,
    leader: Leader,
    plugins: Option<Arc<S::Plugins>>,
    /// What is in use: swapped only when it would be another.
    in_use: Option<Arc<[Arc<Endpoint>]>>,
    looks: BTreeMap<SourceKind, u64>,
    /// When the latest look of each source was begun.
    began: BTreeMap<SourceKind, Instant>,
    reports: mpsc::Receiver<Report>,
    new_plugins: mpsc::Receiver<NewPlugins<S::Plugins>>,
    resolving: JoinSet<(Key, Arc<Candidate>, Result<std::net::SocketAddr, Refusal>)>,
    assembled: watch::Sender<Assembled>,
    board: Arc<Board>,
    metrics: Metrics,
}

/// How often what a filter or the resolver failed on is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Candidates between which others on this thread get their turn.
const BATCH: usize = 64;

// === impl Assembled ===

impl Assembled {
    /// Zero: none yet.
    pub fn look(&self, source: SourceKind) -> u64 {
        self.looks.get(&source).copied().unwrap_or_default()
    }
}

// === impl Assembler ===

impl<S: Stage> Assembler<S> {
    /// `sources` are those that are configured: the board calls the gateway ready when each has reported once.
    pub fn new(
        stage: S,
        rules: Arc<DialRules>,
        resolver: Resolver,
        leases: Leases,
        leader: Leader,
        sources: impl IntoIterator<Item = SourceKind>,
        metrics: Metrics,
    ) -> (Self, Inbox<S::Plugins>) {
        let sources: Vec<_> = sources.into_iter().collect();
        let (report, reports) = mpsc::channel(4);
        let (new_plugin, new_plugins) = mpsc::channel(1);
        let assembler = Self {
            stage,
            rules,
            resolver,
            state: State::new(sources.clone()),
            leases,
            leader,
            plugins: None,
            in_use: None,
            looks: BTreeMap::new(),
            began: BTreeMap::new(),
            reports,
            new_plugins,
            resolving: JoinSet::new(),
            assembled: watch::Sender::default(),
            board: Arc::new(Board::new(sources)),
            metrics,
        };
        (assembler, Inbox { reports: report, plugins: new_plugin })
    }

    /// For the admin listener and readiness.
    pub fn board(&self) -> Arc<Board> {
        self.board.clone()
    }

    /// For the publisher.
    pub fn assembled(&self) -> watch::Receiver<Assembled> {
        self.assembled.subscribe()
    }

    /// Runs until both ends of the inbox are gone.
    pub async fn run(mut self) {
        let mut retry = tokio::time::interval(RETRY);
        retry.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let mut taken = None;
            tokio::select! {
                Some(report) = self.reports.recv() => self.take_report(report),
                Some(new) = self.new_plugins.recv() => {
                    self.plugins = Some(new.plugins);
                    self.state.forget_decisions();
                    // Whatever comes of the filters, the old table mustn't stay with the old set.
                    self.in_use = None;
                    taken = Some(new.taken);
                }
                Some(resolved) = self.resolving.join_next() => {
                    let Ok((key, candidate, address)) = resolved else { continue };
                    self.state.resolved(&key, &candidate, address);
                }
                () = self.leader.changed() => self.state.upset(),
                _ = retry.tick(), if self.state.retries() || self.leases.waits() => {
                    if !self.state.retries() && !self.leases.is_due() {
                        continue;
                    }
                    self.state.retry();
                }
                else => return,
            }
            self.decide().await;
            self.resolve();
            self.assemble();
            if let Some(taken) = taken {
                // Who asked may have gone.
                let _ = taken.send(());
            }
        }
    }

    fn take_report(&mut self, report: Report) {
        let Report { source, outcome, look, began } = report;
        self.metrics.looked(source, outcome.is_ok());
        match outcome {
            Ok(found) => {
                self.board.succeeded(source);
                self.looks.insert(source, look);
                self.began.insert(source, began);
                self.state.replace(source, found);
            }
            Err(error) => self.board.failed(source, error),
        }
    }

    /// Asks the filters about everything that they haven't judged.
    async fn decide(&mut self) {
        let Some(plugins) = &self.plugins else { return };
        for (count, key) in self.state.undecided().into_iter().enumerate() {
            let Some(candidate) = self.state.candidate(&key) else { continue };
            let verdict = self.stage.filter(plugins, &candidate).await;
            if let Err(fault) = &verdict {
                self.metrics.filter_faults.inc();
                tracing::warn!(endpoint = %key.0, fault, "a discovery filter failed: an earlier verdict stands, a new candidate waits");
            }
            self.state.decided(&key, verdict);
            if count % BATCH == BATCH - 1 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Starts to look up the names that were kept. What a filter drops costs no look-up.
    fn resolve(&mut self) {
        for (key, candidate, name) in self.state.locate(&self.rules) {
            let (resolver, rules) = (self.resolver.clone(), self.rules.clone());
            self.resolving.spawn(async move {
                let address = resolver.pin(&rules, &name, candidate.port).await;
                (key, candidate, address)
            });
        }
    }

    /// Who has just come to lead looks once more before it gives out ports: its predecessor may have given some meanwhile.
    fn role(&self) -> Role {
        if !self.leader.leads() {
            return Role::Follows;
        }
        let since = self.leader.leadership().map(|leadership| leadership.since);
        let looks = [(SourceKind::Clearml, Duration::ZERO), (SourceKind::Kubernetes, RECENT)];
        let has_looked = |since: Instant| {
            looks.iter().all(|(source, recent)| self.began.get(source).is_none_or(|began| *began + *recent > since))
        };
        if self.board.ready() && since.flatten().is_none_or(has_looked) { Role::Leads } else { Role::Waits }
    }

    /// Builds the table and swaps it, if it's another one than before.
    fn assemble(&mut self) {
        let Some(plugins) = &self.plugins else { return };
        if !self.board.discovered() {
            return;
        }
        if self.state.settle() || self.in_use.is_none() {
            let endpoints = self.state.place();
            let endpoints = self.leases.assign(endpoints, self.role(), |id| self.state.claim(id));
            if !self.in_use.as_deref().is_some_and(|in_use| is_same(in_use, &endpoints)) {
                let endpoints: Arc<[Arc<Endpoint>]> = endpoints.into();
                self.stage.swap(plugins, &endpoints);
                self.metrics.swaps.inc();
                tracing::info!(endpoints = endpoints.len(), "routes changed");
                self.in_use = Some(endpoints);
            }
            let (sessions, rejected) = self.state.describe(&self.leases);
            self.metrics.describe(&sessions);
            self.metrics.describe_ports(self.leases.counts());
            self.board.describe(sessions, rejected, self.leases.describe());
        }
        let endpoints = self.in_use.clone().unwrap_or_default();
        let mut undecided = self.state.undecided_sessions();
        undecided.extend(self.leases.undecided().map(|id| id.session.clone()));
        let undecided = Arc::new(undecided);
        let (leases, refused) = (Arc::new(self.leases.held().clone()), Arc::new(self.leases.refused().clone()));
        self.assembled.send_replace(Assembled { looks: self.looks.clone(), endpoints, undecided, leases, refused });
    }
}

fn is_same(one: &[Arc<Endpoint>], other: &[Arc<Endpoint>]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| Arc::ptr_eq(one, other))
}

#[cfg(test)]
mod tests;
