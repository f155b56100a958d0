//! The cluster for the rooms that use it: pods as a source, the election, ConfigMaps.

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::gauge::ConstGauge,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use super::discovery::Ends;
use crate::{
    config::{self, Config},
    discovery::pods::{Gateway, Publisher, Source},
    kubernetes::{
        Cluster, Error, config_maps,
        election::{Election, Leader},
        pods,
    },
    shutdown::Shutdown,
};

/// One cluster, and one namespace of it.
pub struct Kubernetes {
    cluster: Cluster,
    config: config::Kubernetes,
}

/// Whether this replica leads, as a metric.
#[derive(Debug)]
pub struct LeaderMetric(pub Leader);

/// Changes of pods that the source hasn't looked at yet.
const WAITING_EVENTS: usize = 256;
/// For giving the Lease back at the end.
const RELEASE: Duration = Duration::from_secs(6);

// === impl Kubernetes ===

impl Kubernetes {
    /// None where nothing of Kubernetes is configured. Nothing is asked yet.
    ///
    /// # Errors
    /// Neither a service account nor a kubeconfig can be read.
    pub async fn connect(config: &Config) -> Result<Option<Self>, Error> {
        let Some(kubernetes) = &config.kubernetes else { return Ok(None) };
        let cluster = Cluster::connect(kubernetes, &config.name).await?;
        tracing::info!(namespace = cluster.namespace(), identity = cluster.identity(), "in a cluster");
        Ok(Some(Self { cluster, config: kubernetes.clone() }))
    }

    pub fn server(&self) -> (&str, u16) {
        self.cluster.server()
    }

    pub fn looks_at_pods(&self) -> bool {
        self.config.pods.agent || self.config.pods.annotated
    }

    /// Nobody stands for it yet.
    pub fn election(&self, gateway: &str) -> (Election, Leader) {
        Election::new(&self.cluster, &self.config.election, gateway)
    }

    /// Starts looking at pods, and writing to those that are sessions.
    pub fn start(&self, config: &Config, ends: Ends) {
        let Ends { records, reports, assembled, metrics, leader } = ends;
        let (told, events) = mpsc::channel(WAITING_EVENTS);
        tokio::task::spawn_local(pods::follow(self.cluster.clone(), leader.clone(), told));
        let gateway = Gateway { name: config.name.clone(), records: Arc::clone(&records) };
        let (source, observed) = Source::new(self.config.pods.clone(), gateway, events, reports);
        tokio::task::spawn_local(source.run());
        if self.config.pods.annotated {
            let publisher = Publisher::new(self.cluster.clone(), config, records, metrics);
            tokio::task::spawn_local(publisher.run(assembled, observed, leader));
        }
    }

    /// Starts watching the ConfigMaps of plugins, if any are named.
    pub fn follow_config_maps(&self, names: &[String]) -> Option<watch::Receiver<config_maps::Seen>> {
        if names.is_empty() {
            return None;
        }
        let (seen, changes) = watch::channel(config_maps::Seen::default());
        tokio::task::spawn_local(config_maps::follow(self.cluster.clone(), names.to_vec(), seen));
        Some(changes)
    }
}

/// Stands for election once the gateway can serve: one that can't would keep the others from leading.
pub fn stand(election: Election, ready: impl Future<Output = ()> + 'static, stop: Shutdown) -> JoinHandle<()> {
    tokio::task::spawn_local(async move {
        let mut ended = stop.clone();
        tokio::select! {
            () = ready => election.run(stop).await,
            () = ended.draining() => {}
        }
    })
}

/// Waits until the Lease was given back, if it was this replica's.
pub async fn end(election: Option<JoinHandle<()>>) {
    if let Some(election) = election {
        // It has a deadline of its own.
        let _ = tokio::time::timeout(RELEASE, election).await;
    }
}

// === impl LeaderMetric ===

impl Collector for LeaderMetric {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let leads = ConstGauge::new(i64::from(self.0.leads()));
        let help = "1 on the replica that publishes addresses and leases ports";
        let metric = encoder.encode_descriptor("leader", help, None, leads.metric_type())?;
        leads.encode(metric)
    }
}
