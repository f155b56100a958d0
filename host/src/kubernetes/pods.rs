//! Pods of the namespace: watched, and annotated.
//!
//! Whoever reads the channel of `follow` keeps the pods: what was known stays known until the server has said everything again.

use std::{collections::BTreeMap, net::IpAddr};

use futures_util::StreamExt;
use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Resource,
    api::{Patch, PatchParams},
    runtime::watcher,
};
use litemap::LiteMap;
use serde::{Deserialize, de::IgnoredAny};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use super::{
    Cluster, Error, WATCH_S,
    election::Leader,
    watch::{Heard, watch},
};

/// As much of a pod as anybody here asks for. Ten thousand of them are kept in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    pub name: String,
    pub uid: String,
    /// RFC 3339; set by the server.
    pub created: String,
    pub life: Life,
    /// Of its own, or the machine's where it's on the machine's network.
    pub addresses: Vec<IpAddr>,
    pub host_network: bool,
    /// Those in `LABELS`. They are few, as annotations are: of a tree, the first leaf alone takes half a kilobyte.
    pub labels: LiteMap<String, String>,
    /// Those that begin with `ANNOTATIONS`.
    pub annotations: LiteMap<String, String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Life {
    /// It has no address yet, or none of its containers runs.
    #[default]
    Starting,
    Running,
    /// It came to its end, or somebody asked for that: it takes nothing new.
    Ended,
}

/// What happens to pods.
#[derive(Debug)]
pub enum PodEvent {
    /// All there are; others are gone. What was written after the listing was begun may be missing.
    Listed {
        pods: Vec<Pod>,
        began: Instant,
    },
    Applied(Pod),
    /// By name.
    Gone(String),
    /// The server can't say now what happens; it's asked again.
    Failed(String),
}

/// The labels that are kept: those of ClearML's agent, and of Jobs by both of their names.
const LABELS: [&str; 4] = ["CLEARML", "clearml-task-id", "job-name", "batch.kubernetes.io/job-name"];
/// The annotations that are kept.
pub const ANNOTATIONS: &str = "wicketgate.io/";

/// A listing that is no older, with the watch that works since, is as good as a new one to who comes to lead.
pub const RECENT: std::time::Duration = std::time::Duration::from_secs(10);

/// Of a page of the first listing: a page with all that the server says of each pod is in memory at once.
const PAGE: u32 = 250;

/// Tells what happens to the namespace's pods until nobody listens any more.
///
/// A replica that comes to lead lists them anew: its predecessor may have written what a watch that has just failed didn't say.
pub async fn follow(cluster: Cluster, mut leader: Leader, told: mpsc::Sender<PodEvent>) {
    let api: Api<Watched> = Api::namespaced(cluster.client, &cluster.namespace);
    let config = watcher::Config::default().timeout(WATCH_S).page_size(PAGE);
    let mut watching = Box::pin(watch(api.clone(), config.clone()));
    let mut led = leader.leads();
    let mut listed = None::<Instant>;
    loop {
        let heard = tokio::select! {
            heard = watching.next() => heard,
            () = leader.changed() => {
                if !std::mem::replace(&mut led, leader.leads()) && led && listed.is_none_or(|listed| listed.elapsed() > RECENT) {
                    watching = Box::pin(watch(api.clone(), config.clone()));
                }
                continue;
            }
        };
        let event = match heard {
            None => return,
            Some(heard) => match heard {
                Heard::Listed { objects, began } => {
                    listed = Some(began);
                    PodEvent::Listed { pods: objects.into_iter().map(|watched| watched.pod).collect(), began }
                }
                Heard::Applied(watched) => PodEvent::Applied(watched.pod),
                Heard::Gone(watched) => PodEvent::Gone(watched.pod.name),
                Heard::Failed(error) => PodEvent::Failed(error),
            },
        };
        if told.send(event).await.is_err() {
            return;
        }
    }
}

impl Cluster {
    /// Sets annotations of one pod, and removes those without a value.
    ///
    /// # Errors
    /// The pod is gone (another one of its name counts as that: the server compares `uid`), or the server refuses.
    pub async fn annotate(&self, pod: &str, uid: &str, annotations: &BTreeMap<String, Option<String>>) -> Result<(), Error> {
        let api: Api<Watched> = Api::namespaced(self.client.clone(), &self.namespace);
        let patch = serde_json::json!({ "metadata": { "uid": uid, "annotations": annotations } });
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        let written = timeout(self.write, api.patch(pod, &params, &patch)).await;
        written.map_err(|_| Error::Slow(self.write))??;
        Ok(())
    }
}

// === impl Pod ===

impl Pod {
    /// Whether the other one says the same about where it is and whose, whatever its annotations say.
    pub fn is_where(&self, other: &Self) -> bool {
        let Self { name, uid, created, life, addresses, host_network, labels, annotations: _ } = self;
        (name, uid, created, life) == (&other.name, &other.uid, &other.created, &other.life)
            && (addresses, host_network, labels) == (&other.addresses, &other.host_network, &other.labels)
    }
}

/// A pod on its way out of the client: with the metadata that the client itself needs.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Raw")]
struct Watched {
    pod: Pod,
    metadata: ObjectMeta,
}

// What the server says of a pod, as far as it's looked at; everything else is skipped unread.

#[derive(Deserialize)]
struct Raw {
    metadata: RawMetadata,
    #[serde(default)]
    spec: RawSpec,
    #[serde(default)]
    status: RawStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMetadata {
    name: Option<String>,
    namespace: Option<String>,
    #[serde(default)]
    uid: String,
    resource_version: Option<String>,
    #[serde(default)]
    creation_timestamp: String,
    deletion_timestamp: Option<IgnoredAny>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawSpec {
    host_network: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawStatus {
    phase: String,
    #[serde(rename = "podIP")]
    pod_ip: Option<IpAddr>,
    #[serde(rename = "podIPs")]
    pod_ips: Vec<RawAddress>,
}

#[derive(Deserialize)]
struct RawAddress {
    ip: IpAddr,
}

// === impl Watched ===

impl From<Raw> for Watched {
    fn from(raw: Raw) -> Self {
        let Raw { metadata, spec, status } = raw;
        let addresses: Vec<IpAddr> = match status.pod_ips.is_empty() {
            true => status.pod_ip.into_iter().collect(),
            false => status.pod_ips.into_iter().map(|address| address.ip).collect(),
        };
        let life = match status.phase.as_str() {
            _ if metadata.deletion_timestamp.is_some() => Life::Ended,
            "Succeeded" | "Failed" => Life::Ended,
            "Running" if !addresses.is_empty() => Life::Running,
            _ => Life::Starting,
        };
        let annotations = metadata.annotations.into_iter().filter(|(name, _)| name.starts_with(ANNOTATIONS)).collect();
        let labels = metadata.labels.into_iter().filter(|(name, _)| LABELS.contains(&name.as_str())).collect();
        let pod = Pod {
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid,
            created: metadata.creation_timestamp,
            life,
            addresses,
            host_network: spec.host_network,
            labels,
            annotations,
        };
        let (name, namespace, resource_version) = (metadata.name, metadata.namespace, metadata.resource_version);
        Self { pod, metadata: ObjectMeta { name, namespace, resource_version, ..ObjectMeta::default() } }
    }
}

impl Resource for Watched {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> std::borrow::Cow<'_, str> {
        "Pod".into()
    }

    fn group((): &()) -> std::borrow::Cow<'_, str> {
        "".into()
    }

    fn version((): &()) -> std::borrow::Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> std::borrow::Cow<'_, str> {
        "pods".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(json: &str) -> Pod {
        serde_json::from_str::<Watched>(json).unwrap().pod
    }

    #[test]
    fn a_pod_is_read_as_far_as_it_is_looked_at() {
        let read = pod(r#"{"apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": "nb-0", "uid": "u1", "creationTimestamp": "2026-01-01T00:00:00Z", "resourceVersion": "7",
                    "labels": {"job-name": "j", "app": "x"}, "annotations": {"wicketgate.io/port": "8888", "other": "y"},
                    "managedFields": [{"manager": "m"}]},
                "spec": {"containers": []},
                "status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}}"#);
        assert_eq!((read.name.as_str(), read.uid.as_str(), read.life, read.host_network), ("nb-0", "u1", Life::Running, false));
        assert_eq!(read.addresses, ["10.0.0.1".parse::<IpAddr>().unwrap(), "fd00::1".parse().unwrap()]);
        assert_eq!(read.labels.keys().collect::<Vec<_>>(), ["job-name"]);
        assert_eq!(read.annotations.keys().collect::<Vec<_>>(), ["wicketgate.io/port"]);
    }

    #[test]
    fn a_pod_that_is_being_deleted_has_ended_whatever_its_phase() {
        let status = r#""status": {"phase": "Running", "podIP": "10.0.0.1"}"#;
        assert_eq!(pod(&format!(r#"{{"metadata": {{"name": "p"}}, {status}}}"#)).life, Life::Running);
        let metadata = r#""metadata": {"name": "p", "deletionTimestamp": "2026-01-01T00:00:00Z"}"#;
        assert_eq!(pod(&format!("{{{metadata}, {status}}}")).life, Life::Ended);
        assert_eq!(pod(r#"{"metadata": {"name": "p"}, "status": {"phase": "Failed"}}"#).life, Life::Ended);
        assert_eq!(
            pod(r#"{"metadata": {"name": "p"}, "status": {"phase": "Running"}}"#).life,
            Life::Starting,
            "without an address"
        );
        assert_eq!(pod(r#"{"metadata": {"name": "p"}}"#).life, Life::Starting);
    }
}
