//! Kubernetes' API server, as far as the gateway uses it: pods to find and annotate, a Lease to elect the replica that publishes,
//! Events, and ConfigMaps with plugins. Always within one namespace.
//!
//! All use of `kube` is here. What pods mean is `discovery`'s business; who leads, and what a change of plugins does, is wired by
//! `run`. The rooms above see the types below and no types of the client's.

pub mod config_maps;
pub mod election;
pub mod events;
pub mod pods;
mod watch;

use std::time::Duration;

use kube::{
    Client,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::config;

/// A connection to the API server, for one namespace. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    namespace: String,
    /// Host and port of the API server.
    server: (String, u16),
    /// The gateway's name, by which Events say who they're from.
    gateway: String,
    /// For one write: what a leader began while it was sure to be one is over when another one may lead.
    write: Duration,
    /// This replica: the host's name (in a pod, the pod's) and a number of its own, since a restarted container keeps the name.
    identity: String,
}

/// The API server refused, or couldn't be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("kubernetes.kubeconfig: {0}")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    #[error(
        "no service account is mounted here ({0}): in a pod, `automountServiceAccountToken` must be true; elsewhere name a file in \
         kubernetes.kubeconfig"
    )]
    ServiceAccount(#[from] kube::config::InClusterError),
    #[error("{}", api_sentence(.0))]
    Api(#[from] kube::Error),
    #[error("no answer within {} ms", .0.as_millis())]
    Slow(Duration),
}

/// A connection that says nothing for so long is taken for dead. Watches are begun anew before.
const SILENCE: Duration = Duration::from_secs(75);
/// Within which the server ends a watch: what was lost unnoticed is noticed then.
const WATCH_S: u32 = 60;
const CONNECT: Duration = Duration::from_secs(5);

// === impl Cluster ===

impl Cluster {
    /// Reads the service account or the kubeconfig. Nothing is asked yet.
    ///
    /// # Errors
    /// Neither can be read, or TLS can't be set up.
    pub async fn connect(config: &config::Kubernetes, gateway: &str) -> Result<Self, Error> {
        let mut settings = match &config.kubeconfig {
            Some(path) => kube::Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &KubeConfigOptions::default()).await?,
            None => kube::Config::incluster()?,
        };
        settings.connect_timeout = Some(CONNECT);
        // Whoever asks here asks again by itself, and says meanwhile that the server refuses.
        settings.default_retry = false;
        settings.read_timeout = Some(SILENCE);
        let namespace = config.namespace.clone().unwrap_or_else(|| settings.default_namespace.clone());
        let host = settings.cluster_url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = settings.cluster_url.port_u16().unwrap_or(443);
        let host_name = hostname::get().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self {
            client: Client::try_from(settings)?,
            namespace,
            server: (host, port),
            gateway: gateway.to_owned(),
            write: Duration::from_secs(config.election.lease_s) / 4,
            identity: format!("{host_name}_{:08x}", fastrand::u32(..)),
        })
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    pub fn server(&self) -> (&str, u16) {
        (&self.server.0, self.server.1)
    }

    /// Of this replica.
    pub fn identity(&self) -> &str {
        &self.identity
    }
}

// === impl Error ===

impl Error {
    /// What the server answered, if it did.
    fn status(&self) -> Option<u16> {
        match self {
            Self::Api(kube::Error::Api(status)) => Some(status.code),
            _ => None,
        }
    }

    fn is_conflict(&self) -> bool {
        self.status() == Some(409)
    }

    /// What was asked about isn't there any more.
    pub fn is_gone(&self) -> bool {
        self.status() == Some(404)
    }
}

/// What an operator needs of an error: the server's own words, which name verb, resource and namespace where a right is missing.
fn api_sentence(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} ({})", status.message.trim_end_matches('.'), status.code),
        other => chain(other),
    }
}

/// An error with its causes: the outermost alone says no more than that a service failed.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
