//! ConfigMaps with plugins, watched by name: a change is known in a second, where the mounted directory shows it after up to a
//! minute or more (kubelet looks once per sync period and through a cache).
//!
//! `follow` is started by the wiring. What the files mean is `admission`'s business.

use std::{collections::BTreeMap, pin::pin, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::{Stream, StreamExt, stream::select_all};
use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Api, Resource, runtime::watcher};
use serde::Deserialize;
use tokio::sync;

use super::{
    Cluster, WATCH_S,
    watch::{Heard, watch},
};

/// The files of all ConfigMaps together, by name, as a projected volume would show them.
pub type Members = Arc<BTreeMap<String, Vec<u8>>>;

/// What is known of the ConfigMaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// As they were last seen; or why they're no set. None until all were looked at once.
    pub members: Option<Result<Members, String>>,
    /// Whether the watch works.
    pub healthy: bool,
}

/// One ConfigMap's members; none while there's no such ConfigMap.
type Content = Option<BTreeMap<String, Vec<u8>>>;

enum Change {
    Is(Content),
    Failed(String),
}

/// Follows the ConfigMaps of these names until nobody listens any more.
pub async fn follow(cluster: Cluster, names: Vec<String>, seen: sync::watch::Sender<Seen>) {
    let api: Api<Watched> = Api::namespaced(cluster.client, &cluster.namespace);
    let streams = names.iter().enumerate().map(|(at, name)| Box::pin(one(api.clone(), name).map(move |change| (at, change))));
    let mut changes = pin!(select_all(streams));
    // Whether each was looked at, and what it had.
    let mut known: Vec<(Result<(), String>, Content)> = vec![(Err("not looked at yet".into()), None); names.len()];
    while let Some((at, change)) = changes.next().await {
        let Some(one) = known.get_mut(at) else { continue };
        match change {
            Change::Is(content) => *one = (Ok(()), content),
            Change::Failed(error) => {
                if one.0.is_ok() || one.0.as_ref().is_err_and(|earlier| *earlier != error) {
                    let config_map = names.get(at);
                    tracing::warn!(config_map, error, "a ConfigMap of plugins can't be watched: the mounted directory counts");
                }
                one.0 = Err(error);
            }
        }
        let healthy = known.iter().all(|(state, _)| state.is_ok());
        let members = healthy.then(|| merge(&names, &known));
        let changed = |seen: &mut Seen| {
            let new = Seen { members: members.or_else(|| seen.members.clone()), healthy };
            let news = *seen != new;
            *seen = new;
            news
        };
        seen.send_if_modified(changed);
        if seen.is_closed() {
            return;
        }
    }
}

/// What becomes of one ConfigMap.
fn one(api: Api<Watched>, name: &str) -> impl Stream<Item = Change> + use<> {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}")).timeout(WATCH_S);
    watch(api, config).map(|heard| match heard {
        Heard::Listed { objects, .. } => Change::Is(objects.into_iter().next().map(|map| map.members)),
        Heard::Applied(map) => Change::Is(Some(map.members)),
        Heard::Gone(_) => Change::Is(None),
        Heard::Failed(error) => Change::Failed(error),
    })
}

/// All of them as one directory. One that is missing, or two that hold the same file, make no set: what is left could let in more
/// people than what was meant.
fn merge(names: &[String], known: &[(Result<(), String>, Content)]) -> Result<Members, String> {
    let mut members = BTreeMap::new();
    let mut from = BTreeMap::new();
    for (name, (_, content)) in names.iter().zip(known) {
        let content = content.as_ref().ok_or_else(|| format!("there is no ConfigMap {name}, which plugins.config_maps names"))?;
        for (file, bytes) in content {
            if let Some(other) = from.insert(file, name) {
                return Err(format!("the ConfigMaps {other} and {name} both have {file}, expected it in one of them"));
            }
            members.insert(file.clone(), bytes.clone());
        }
    }
    Ok(Arc::new(members))
}

/// A ConfigMap as far as it's looked at.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Raw")]
struct Watched {
    metadata: ObjectMeta,
    members: BTreeMap<String, Vec<u8>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    metadata: ObjectMeta,
    #[serde(default)]
    data: BTreeMap<String, String>,
    /// In base64.
    #[serde(default)]
    binary_data: BTreeMap<String, String>,
}

// === impl Watched ===

impl From<Raw> for Watched {
    fn from(raw: Raw) -> Self {
        let text = raw.data.into_iter().map(|(name, text)| (name, text.into_bytes()));
        // The server takes nothing but base64 there.
        let binary = raw.binary_data.into_iter().map(|(name, text)| (name, STANDARD.decode(text).unwrap_or_default()));
        Self { metadata: raw.metadata, members: text.chain(binary).collect() }
    }
}

impl Resource for Watched {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> std::borrow::Cow<'_, str> {
        "ConfigMap".into()
    }

    fn group((): &()) -> std::borrow::Cow<'_, str> {
        "".into()
    }

    fn version((): &()) -> std::borrow::Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> std::borrow::Cow<'_, str> {
        "configmaps".into()
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

    #[test]
    fn config_maps_are_one_set_or_none() {
        let names = ["a".to_owned(), "b".to_owned()];
        let map = |files: &[&str]| (Ok(()), Some(files.iter().map(|file| ((*file).to_owned(), b"x".to_vec())).collect()));
        let files = |known: [(Result<(), String>, Content); 2]| merge(&names, &known).map(|members| members.len());
        assert_eq!(files([map(&["plugins.yaml"]), map(&["p.wasm"])]), Ok(2));
        assert_eq!(
            files([map(&["plugins.yaml"]), (Ok(()), None)]).unwrap_err(),
            "there is no ConfigMap b, which plugins.config_maps names"
        );
        let twice = files([map(&["plugins.yaml"]), map(&["plugins.yaml"])]).unwrap_err();
        assert!(twice.starts_with("the ConfigMaps a and b both have plugins.yaml"), "{twice}");
    }
}
