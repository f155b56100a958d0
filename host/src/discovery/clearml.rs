//! Source `clearml`: asks the API server again and again which tasks want to be reachable.
//!
//! `run` is started by the wiring. Each look is reported to the assembler, and what tasks say of earlier write-backs goes to
//! the publisher. A server that fails is asked less often; what it said last stays.

mod runtime;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, watch};

pub use self::runtime::Gateway;
use super::{Report, candidates::Found, publish};
use crate::{
    clearml::{Client, Error, Task},
    config,
    domain::{SessionId, SourceKind},
};

/// What tasks had in their runtime at one look, as far as it was or could be written by a gateway. No secrets.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Counts looks; zero: none yet.
    pub look: u64,
    /// When the look began: what was written later isn't seen in it.
    pub began: Option<Instant>,
    pub tasks: BTreeMap<SessionId, BTreeMap<String, String>>,
}

/// See the module.
pub struct Source {
    client: Arc<Client>,
    poll: Duration,
    longest_poll: Duration,
    most: usize,
    /// Names of queues, or ids. Empty: all.
    queues: Vec<String>,
    gateway: Gateway,
    reports: mpsc::Sender<Report>,
    observed: watch::Sender<Observed>,
    look: u64,
    known: HashSet<String>,
    names: QueueNames,
}

/// Queue names by id, asked for again now and then, and when an unknown one turns up.
#[derive(Default)]
struct QueueNames {
    names: HashMap<String, String>,
    asked: Option<Instant>,
}

/// Names of queues change rarely.
const QUEUES_HOLD: Duration = Duration::from_secs(300);

/// An unknown queue (a deleted one) is asked for no more often.
const QUEUES_REST: Duration = Duration::from_secs(15);

// === impl Source ===

impl Source {
    pub fn new(
        client: Arc<Client>,
        config: &config::Clearml,
        gateway: Gateway,
        reports: mpsc::Sender<Report>,
    ) -> (Self, watch::Receiver<Observed>) {
        let (observed, observations) = watch::channel(Observed::default());
        let poll = Duration::from_millis(config.poll_ms);
        let source = Self {
            client,
            poll,
            longest_poll: Duration::from_millis(config.longest_poll_ms).max(poll),
            most: config.sessions,
            queues: config.queues.clone(),
            gateway,
            reports,
            observed,
            look: 0,
            known: HashSet::new(),
            names: QueueNames::default(),
        };
        (source, observations)
    }

    /// Runs until nobody reads the reports any more.
    pub async fn run(mut self) {
        let mut failures = 0;
        loop {
            let began = tokio::time::Instant::now();
            let outcome = self.look().await.map_err(|error| error.to_string());
            failures = if outcome.is_ok() { 0 } else { failures + 1 };
            let report = Report { source: SourceKind::Clearml, outcome, look: self.look, began };
            if self.reports.send(report).await.is_err() {
                return;
            }
            tokio::time::sleep(pause(self.poll, self.longest_poll, failures, fastrand::f64())).await;
        }
    }

    async fn look(&mut self) -> Result<Found, Error> {
        let began = Instant::now();
        let mut tasks = self.client.sessions(self.known.iter().map(String::as_str), self.most).await?;
        if tasks.len() > self.most {
            tracing::warn!(found = tasks.len(), taken = self.most, "more sessions than clearml.sessions: the rest is left out");
            tasks.truncate(self.most);
        }
        self.known = tasks.iter().map(|task| task.id.clone()).collect();
        let unknown = tasks.iter().filter_map(|task| task.queue.as_ref()).any(|queue| !self.names.names.contains_key(queue));
        self.names.refresh(&self.client, unknown, !self.queues.is_empty()).await?;

        let mut found = Found::default();
        let mut observed = BTreeMap::new();
        for task in &tasks {
            let queues = self.names.of(task);
            if !self.serves(task, &queues) {
                continue;
            }
            runtime::candidates(task, &queues, &self.gateway, &mut found);
            if let Some(session) = SessionId::parse(&task.id) {
                observed.insert(session, publish::written(&task.runtime));
            }
        }
        self.look += 1;
        self.observed.send_replace(Observed { look: self.look, began: Some(began), tasks: observed });
        Ok(found)
    }

    /// Whether the task's queue is one of those that are configured.
    fn serves(&self, task: &Task, names: &[String]) -> bool {
        self.queues.is_empty() || self.queues.iter().any(|queue| names.contains(queue) || task.queue.as_ref() == Some(queue))
    }
}

/// How long to wait: longer with each failure, and never for exactly the same time, so that gateways that saw a server fail
/// don't come back to it all at once. `chance` is between 0 and 1.
fn pause(poll: Duration, longest: Duration, failures: u32, chance: f64) -> Duration {
    if failures == 0 {
        return poll.mul_f64(0.9 + 0.2 * chance);
    }
    let backed_off = poll.saturating_mul(2_u32.saturating_pow(failures.min(16))).min(longest);
    backed_off.mul_f64(0.5 + 0.5 * chance)
}

// === impl QueueNames ===

impl QueueNames {
    /// Asks where it's time to. An error counts only where names are `needed` and none are known.
    async fn refresh(&mut self, client: &Client, unknown: bool, needed: bool) -> Result<(), Error> {
        let old = self.asked.is_none_or(|asked| asked.elapsed() > if unknown { QUEUES_REST } else { QUEUES_HOLD });
        if !old || !(unknown || needed) {
            return Ok(());
        }
        match client.queues().await {
            Ok(names) => self.names = names,
            Err(error) if needed && self.asked.is_none() => return Err(error),
            Err(error) => tracing::warn!(%error, "queue names can't be asked for: the known ones stay"),
        }
        self.asked = Some(Instant::now());
        Ok(())
    }

    /// The task's queue by its name, and the one that the Kubernetes agent says it came from.
    fn of(&self, task: &Task) -> Vec<String> {
        let named = |queue: &String| self.names.get(queue.as_str()).unwrap_or(queue).clone();
        let mut queues: Vec<String> = task.queue.iter().chain(&task.kubernetes_queue).map(named).collect();
        queues.dedup();
        queues
    }
}

#[cfg(test)]
mod tests;
