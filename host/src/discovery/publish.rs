//! Writes addresses back to the tasks, where ClearML's clients and its web application look for them, and again when a
//! client's own update wiped them.
//!
//! Wired by `run` unless `clearml.publish` is off; of several replicas the one that leads writes. It compares what the assembler routes with what the source saw in each
//! task, and writes only where they differ. What other writers put into a runtime isn't its business and survives.

mod address;
mod write;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{Metrics, Records, assemble::Assembled, clearml::Observed};
use crate::{
    clearml::{Client, Edition, Error, RuntimeEdit},
    config::Config,
    domain::{SessionId, SourceKind},
    kubernetes::election::Leader,
};

pub use address::written;
use address::{Addresses, Wanted};
use write::Writer;

/// See the module.
pub struct Publisher {
    client: Arc<Client>,
    addresses: Addresses,
    writer: Writer,
    edition: Option<(Edition, Instant)>,
    tasks: HashMap<SessionId, History>,
    metrics: Metrics,
}

/// What was done to one task.
#[derive(Default)]
struct History {
    /// When the last write was over: an observation that began earlier doesn't show it.
    wrote: Option<Instant>,
    /// How often in a row something else stood where this gateway had written.
    contested: u32,
    failures: u32,
    not_before: Option<Instant>,
}

/// An edition changes when a server is upgraded.
const EDITION_HOLDS: Duration = Duration::from_secs(3600);

/// Somebody else writes the same keys: after so many times the other gets the word for a while.
const CONTEST: u32 = 3;
const REST: Duration = Duration::from_secs(300);

// === impl Publisher ===

impl Publisher {
    pub fn new(client: Arc<Client>, config: &Config, records: Arc<Records>, metrics: Metrics) -> Self {
        let api = config.clearml.as_ref().and_then(|clearml| clearml.public_api_url.as_ref());
        let api = api.map_or_else(|| client.base().to_owned(), |url| url.as_str().trim_end_matches('/').to_owned());
        Self {
            addresses: Addresses {
                gateway: config.public_origin(),
                name: config.name.clone(),
                api,
                tcp_address: config.tcp_address(),
                records,
            },
            writer: Writer::new(Arc::clone(&client)),
            client,
            edition: None,
            tasks: HashMap::new(),
            metrics,
        }
    }

    /// Runs until the assembler or the source is gone.
    pub async fn run(
        mut self,
        mut assembled: watch::Receiver<Assembled>,
        mut observed: watch::Receiver<Observed>,
        mut leader: Leader,
    ) {
        loop {
            let more = tokio::select! {
                changed = assembled.changed() => changed,
                changed = observed.changed() => changed,
                () = leader.changed() => Ok(()),
            };
            if more.is_err() {
                return;
            }
            if !leader.leads() {
                continue;
            }
            let (routed, seen) = (assembled.borrow_and_update().clone(), observed.borrow_and_update().clone());
            // A table that is older than the observation says nothing of tasks that came with it.
            if seen.look == 0 || routed.look(SourceKind::Clearml) < seen.look {
                continue;
            }
            if let Err(error) = self.publish(&routed, &seen, &leader).await {
                tracing::warn!(%error, "addresses can't be written back now");
            }
        }
    }

    /// Brings every task up to date. An error means that none can be.
    async fn publish(&mut self, routed: &Assembled, seen: &Observed, leader: &Leader) -> Result<(), Error> {
        self.tasks.retain(|session, _| seen.tasks.contains_key(session));
        let wanted = wanted(routed);
        if wanted.is_empty() && seen.tasks.values().all(BTreeMap::is_empty) {
            return Ok(());
        }
        let edition = self.edition().await?;
        for (session, there) in seen.tasks.iter().filter(|(session, _)| !routed.undecided.contains(*session)) {
            if !leader.leads() {
                break;
            }
            let edit = self.addresses.plan(edition, session, wanted.get(session).unwrap_or(&Wanted::default()), there);
            let history = self.tasks.entry(session.clone()).or_default();
            if edit == RuntimeEdit::default() {
                history.contested = 0;
                continue;
            }
            if history.write_now(seen, edit.set.keys().any(|key| there.contains_key(key)), session) {
                let outcome = self.writer.write(session.as_str(), &edit).await;
                history.wrote(outcome, session, &self.metrics);
            }
        }
        Ok(())
    }

    async fn edition(&mut self) -> Result<Edition, Error> {
        if let Some((edition, asked)) = self.edition
            && asked.elapsed() < EDITION_HOLDS
        {
            return Ok(edition);
        }
        let edition = self.client.edition().await?;
        self.edition = Some((edition, Instant::now()));
        Ok(edition)
    }
}

/// By session, what its keys follow from.
fn wanted(routed: &Assembled) -> HashMap<&SessionId, Wanted<'_>> {
    let mut wanted: HashMap<&SessionId, Wanted<'_>> = HashMap::new();
    for endpoint in routed.endpoints.iter().filter(|endpoint| endpoint.source == SourceKind::Clearml) {
        let session = wanted.entry(&endpoint.id.session).or_default();
        session.endpoints.push(endpoint);
        session.since.extend(routed.leases.get(&endpoint.id).map(|lease| (&endpoint.id, lease.since)));
    }
    for (id, refusal) in routed.refused.iter().filter(|(_, refusal)| refusal.is_published()) {
        wanted.entry(&id.session).or_default().refused.push((id, refusal.code));
    }
    wanted
}

// === impl History ===

impl History {
    /// `replaced`: other values stand where ours would be.
    fn write_now(&mut self, seen: &Observed, replaced: bool, session: &SessionId) -> bool {
        let now = Instant::now();
        let stale = self.wrote.zip(seen.began).is_some_and(|(wrote, began)| wrote >= began);
        if stale || self.not_before.is_some_and(|instant| instant > now) {
            return false;
        }
        self.contested = if replaced && self.wrote.is_some() { self.contested + 1 } else { 0 };
        if self.contested < CONTEST {
            return true;
        }
        tracing::warn!(%session, "something else writes this task's addresses, perhaps another gateway: it has the word for a while");
        self.contested = 0;
        self.not_before = Some(now + REST);
        false
    }

    fn wrote(&mut self, outcome: Result<(), Error>, session: &SessionId, metrics: &Metrics) {
        let now = Instant::now();
        metrics.published(outcome.is_ok());
        match outcome {
            Ok(()) => {
                tracing::info!(%session, "wrote the session's addresses to its task");
                (self.wrote, self.failures, self.not_before) = (Some(now), 0, None);
            }
            Err(error) => {
                self.failures += 1;
                // A task that has just ended refuses; it will be gone with the next look.
                tracing::warn!(%session, %error, "a session's addresses can't be written to its task");
                let pause = Duration::from_secs(1).saturating_mul(2_u32.saturating_pow(self.failures.min(16)));
                self.not_before = Some(now + pause.min(REST));
            }
        }
    }
}

#[cfg(test)]
mod tests;
