//! Which replica publishes: the one that holds the Lease.
//!
//! As Kubernetes' own components do it, a holder is judged by whether its record *changes*, measured on our own clock: clocks of
//! two machines are never compared. Written here because the one crate for it compares them. A write counts only on the record
//! that was read (`resourceVersion`), so that two who find the Lease free don't both get it.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff,
};
use kube::{Api, api::PostParams};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{Cluster, Error};
use crate::{config, shutdown::Shutdown};

/// Who leads, as far as this replica knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    /// Since when it's this replica.
    pub since: Option<Instant>,
    /// Until when, unless it's renewed: before anybody else may take it.
    pub until: Option<Instant>,
    /// Whoever holds the Lease.
    pub holder: Option<String>,
}

/// Whether this replica publishes addresses and leases ports. Without an election it always does.
#[derive(Clone, Debug)]
pub struct Leader(Option<watch::Receiver<Leadership>>);

/// See the module.
pub struct Election {
    api: Api<Lease>,
    lease: String,
    identity: String,
    valid: Duration,
    every: Duration,
    observed: Option<Observed>,
    /// When the last renewal that succeeded was begun.
    renewed: Instant,
    leadership: watch::Sender<Leadership>,
    failing: bool,
}

/// A state of the Lease, and since when it's known.
struct Observed {
    version: Option<String>,
    since: Instant,
}

enum Outcome {
    Held,
    /// Somebody else has it.
    Anothers,
}

/// How often a Lease that somebody else holds is looked at, and how soon a failed renewal is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// For one call, at most.
const CALL: Duration = Duration::from_secs(5);

// === impl Leader ===

impl Leader {
    /// There are no other replicas.
    pub fn alone() -> Self {
        Self(None)
    }

    pub fn is_elected(&self) -> bool {
        self.0.is_some()
    }

    pub fn leads(&self) -> bool {
        // By the clock, since this may be asked before the election has noticed how late it is.
        self.0.as_ref().is_none_or(|leadership| {
            let Leadership { since, until, .. } = *leadership.borrow();
            since.is_some() && until.is_some_and(|until| Instant::now() < until)
        })
    }

    /// What an election has come to; none without one.
    pub fn leadership(&self) -> Option<Leadership> {
        self.0.as_ref().map(|leadership| leadership.borrow().clone())
    }

    /// Waits for news; for ever where there's no election, or none any more.
    pub async fn changed(&mut self) {
        if let Some(leadership) = &mut self.0
            && leadership.changed().await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }
}

// === impl Election ===

impl Election {
    pub fn new(cluster: &Cluster, config: &config::Election, gateway: &str) -> (Self, Leader) {
        let (leadership, seen) = watch::channel(Leadership::default());
        let election = Self {
            api: Api::namespaced(cluster.client.clone(), &cluster.namespace),
            lease: config.lease.clone().unwrap_or_else(|| gateway.to_owned()),
            identity: cluster.identity.clone(),
            valid: Duration::from_secs(config.lease_s),
            every: Duration::from_secs(config.renew_s),
            observed: None,
            renewed: Instant::now(),
            leadership,
            failing: false,
        };
        (election, Leader(Some(seen)))
    }

    /// Stands for election until the gateway is asked to stop; then the Lease is given back, so that another replica needn't wait
    /// for its end.
    pub async fn run(mut self, mut stop: Shutdown) {
        tokio::select! {
            () = self.stand() => {}
            () = stop.draining() => {}
        }
        let led = self.leadership.borrow().since.is_some();
        self.step_down();
        if led {
            match timeout(CALL, self.release()).await {
                Ok(Ok(())) => tracing::info!(lease = self.lease, "gave the Lease back"),
                Ok(Err(error)) => tracing::warn!(lease = self.lease, %error, "the Lease can't be given back: it ends by itself"),
                Err(_) => tracing::warn!(lease = self.lease, "the Lease can't be given back in time: it ends by itself"),
            }
        }
    }

    async fn stand(&mut self) {
        loop {
            while !matches!(self.attempt().await, Some(Outcome::Held)) {
                // Not all replicas at once.
                sleep(RETRY.mul_f64(0.8 + 0.4 * fastrand::f64())).await;
            }
            tracing::info!(
                lease = self.lease,
                identity = self.identity,
                "this replica leads: it publishes addresses and leases ports"
            );
            self.leadership.send_modify(|leadership| {
                leadership.since = Some(Instant::now());
                leadership.holder = Some(self.identity.clone());
            });
            while let Ok(Outcome::Held) = timeout_at(self.until(), self.renew()).await {}
            tracing::warn!(lease = self.lease, "this replica doesn't lead any more");
            self.step_down();
        }
    }

    /// What is begun until then is over when the Lease ends, if it takes no longer than a write may.
    fn until(&self) -> Instant {
        self.renewed + self.valid * 2 / 3
    }

    fn step_down(&self) {
        self.leadership.send_modify(|leadership| leadership.since = None);
    }

    /// The next renewal, tried until it succeeds or somebody else has the Lease.
    async fn renew(&mut self) -> Outcome {
        sleep(self.every).await;
        loop {
            if let Some(outcome) = self.attempt().await {
                return outcome;
            }
            sleep(RETRY).await;
        }
    }

    /// None when nothing could be found out.
    async fn attempt(&mut self) -> Option<Outcome> {
        let began = Instant::now();
        let error = match timeout(self.call(), self.take()).await {
            Ok(Ok(outcome)) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!(lease = self.lease, "the Lease can be read and written again");
                }
                if matches!(outcome, Outcome::Held) {
                    self.renewed = began;
                    let until = self.until();
                    // Nobody needs to wake up for it.
                    self.leadership.send_if_modified(|leadership| {
                        leadership.until = Some(until);
                        false
                    });
                }
                return Some(outcome);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} ms", self.call().as_millis()),
        };
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(lease = self.lease, error, "the Lease can't be had: nothing is published by this replica");
        }
        None
    }

    /// Short enough for a second try before it's too late.
    fn call(&self) -> Duration {
        CALL.min(self.valid / 6)
    }

    /// Takes the Lease if it's ours, free, or wasn't renewed for as long as it's valid.
    async fn take(&mut self) -> Result<Outcome, Error> {
        let Some(mut lease) = self.api.get_opt(&self.lease).await? else {
            let metadata = ObjectMeta { name: Some(self.lease.clone()), ..ObjectMeta::default() };
            let lease = Lease { metadata, spec: Some(self.record(0)) };
            return Self::written(self.api.create(&PostParams::default(), &lease).await);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().filter(|holder| !holder.is_empty());
        if holder.as_ref() != Some(&self.identity) {
            self.see(holder.clone());
            if holder.is_some() && !self.is_over(&lease, &spec) {
                return Ok(Outcome::Anothers);
            }
        }
        let transitions = spec.lease_transitions.unwrap_or_default();
        let mut record = self.record(transitions.saturating_add(1));
        if holder.as_ref() == Some(&self.identity) {
            record.acquire_time = spec.acquire_time;
            record.lease_transitions = Some(transitions);
        }
        lease.spec = Some(record);
        Self::written(self.api.replace(&self.lease, &PostParams::default(), &lease).await)
    }

    /// Somebody else was quicker: that's no failure.
    fn written(answer: kube::Result<Lease>) -> Result<Outcome, Error> {
        match answer.map_err(Error::from) {
            Ok(_) => Ok(Outcome::Held),
            Err(error) if error.is_conflict() => Ok(Outcome::Anothers),
            Err(error) => Err(error),
        }
    }

    fn see(&self, holder: Option<String>) {
        self.leadership.send_if_modified(|leadership| {
            let news = leadership.holder != holder;
            leadership.holder = holder;
            news
        });
    }

    /// Whether the record hasn't changed for as long as it says that it's valid.
    fn is_over(&mut self, lease: &Lease, spec: &LeaseSpec) -> bool {
        let version = &lease.metadata.resource_version;
        let observed = match &self.observed {
            Some(observed) if observed.version == *version => observed,
            _ => self.observed.insert(Observed { version: version.clone(), since: Instant::now() }),
        };
        let valid =
            spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).map_or(self.valid, Duration::from_secs);
        observed.since.elapsed() > valid
    }

    fn record(&self, transitions: i32) -> LeaseSpec {
        let now = MicroTime(jiff::Timestamp::now());
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.valid.as_secs()).ok(),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }

    async fn release(&self) -> Result<(), Error> {
        let mut lease = self.api.get(&self.lease).await?;
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_ref() == Some(&self.identity) {
            spec.holder_identity = Some(String::new());
            self.api.replace(&self.lease, &PostParams::default(), &lease).await?;
        }
        Ok(())
    }
}
