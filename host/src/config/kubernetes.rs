//! `kubernetes`: the cluster in which the gateway runs. Without the section nothing of Kubernetes is used.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kubernetes {
    /// Where pods, ConfigMaps and the Lease are. None: that of the service account, or of the kubeconfig's context.
    pub namespace: Option<String>,
    /// None: the service account that's mounted into the gateway's pod.
    pub kubeconfig: Option<PathBuf>,
    pub pods: Pods,
    pub election: Election,
}

/// What pods are good for.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pods {
    /// Pods of ClearML's agent say whether a task's address is its own.
    pub agent: bool,
    /// Pods with annotations of ours are sessions.
    pub annotated: bool,
}

/// One of the replicas publishes addresses and leases ports.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Election {
    /// The name of the Lease. None: the gateway's name.
    pub lease: Option<String>,
    /// A leader that doesn't renew it is replaced after so long.
    pub lease_s: u64,
    pub renew_s: u64,
}

impl Default for Pods {
    fn default() -> Self {
        Self { agent: true, annotated: true }
    }
}

impl Default for Election {
    fn default() -> Self {
        Self { lease: None, lease_s: 15, renew_s: 5 }
    }
}
