//! From a manifest and its components to a plugin set: compiled, linked and configured, whole or not at all.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    artifacts::Artifacts,
    components::Components,
    directory::{Files, hex},
    manifest::{Component, Entry, Manifest, ManifestError},
    reference::Reference,
    signature::{Keys, Unsigned},
};
use crate::{
    config,
    plugin::{Compiler, DecisionContext, Engine, Generation, LoadError, Plugin, PluginSet, key_set::KeySets},
};

/// Loads sets, one at a time. Plugins that a new set shares with the last one are taken over as they are.
pub struct Loader {
    pub engine: Arc<Engine>,
    pub compiler: Compiler,
    pub key_sets: Arc<KeySets>,
    pub context: Arc<DecisionContext>,
    pub artifacts: Artifacts,
    pub signatures: Keys,
    pub limits: config::Plugins,
    pub next_generation: AtomicU64,
    pub last: Mutex<Vec<Weak<Plugin>>>,
}

/// Why a set wasn't taken, in one sentence.
#[derive(Debug, thiserror::Error)]
pub enum RefusedSet {
    #[error(transparent)]
    Directory(#[from] super::DirectoryError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("plugins.yaml, plugin '{plugin}': {file}: no such file beside the manifest; there are {found:?}")]
    Missing { plugin: String, file: String, found: Vec<String> },
    #[error("plugin '{plugin}': {file}: {why}")]
    Packed { plugin: String, file: String, why: String },
    #[error("plugin '{plugin}': {reference}: {why}")]
    Artifact { plugin: String, reference: Reference, why: String },
    #[error(transparent)]
    Unsigned(#[from] Unsigned),
    #[error("plugin '{plugin}': sha256 is {found}, expected {expected}")]
    Digest { plugin: String, found: String, expected: String },
    #[error("plugin '{plugin}': {error}")]
    Plugin { plugin: String, error: LoadError },
    #[error("not activated: {0}")]
    Activation(String),
}

// === impl Loader ===

impl Loader {
    /// Loads the set of a directory.
    pub async fn load_files(&self, files: &Files) -> Result<Arc<PluginSet>, RefusedSet> {
        self.signatures.check_manifest(files)?;
        let manifest = Manifest::parse(&files.manifest)?;
        self.load(&manifest, &files.members, files.digest.clone()).await
    }

    /// Loads the set of the default plugins.
    pub async fn load_builtin(&self, cookies: &[String]) -> Result<Arc<PluginSet>, RefusedSet> {
        let key_sets: Vec<String> = self.key_sets.names().map(str::to_owned).collect();
        self.load(&Manifest::builtin(&key_sets, cookies), &BTreeMap::new(), "builtin".into()).await
    }

    async fn load(
        &self,
        manifest: &Manifest,
        members: &BTreeMap<String, Vec<u8>>,
        digest: String,
    ) -> Result<Arc<PluginSet>, RefusedSet> {
        let components = Components { members, artifacts: &self.artifacts, most: self.limits.component_mib << 20 };
        let mut plugins = Vec::new();
        for entry in &manifest.entries {
            let component = components.find(entry).await?;
            self.signatures.check_component(entry, &component, members)?;
            plugins.push(self.plugin(entry, &component).await?);
        }
        self.artifacts.used(manifest.entries.iter().filter_map(|entry| match &entry.component {
            Component::Oci(reference) => Some(reference),
            _ => None,
        }));
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = plugins.iter().map(Arc::downgrade).collect();
        let generation = Generation(self.next_generation.fetch_add(1, Ordering::Relaxed));
        Ok(Arc::new(PluginSet::new(generation, digest, plugins, Arc::clone(&self.context))))
    }

    async fn plugin(&self, entry: &Entry, component: &[u8]) -> Result<Arc<Plugin>, RefusedSet> {
        let sha256 = hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, component).as_ref());
        if let Some(expected) = entry.sha256.as_ref().filter(|expected| **expected != sha256) {
            let (plugin, expected) = (entry.name.clone(), expected.clone());
            return Err(RefusedSet::Digest { plugin, found: sha256, expected });
        }
        let spec = entry.spec(&self.limits);
        let alike: Vec<Arc<Plugin>> = {
            let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            last.iter().filter_map(Weak::upgrade).filter(|plugin| plugin.sha256 == sha256).collect()
        };
        if let Some(same) = alike.iter().find(|plugin| plugin.spec == spec) {
            return Ok(Arc::clone(same));
        }
        let loaded = match alike.first() {
            // Usually only a configuration changed: that needs no compiler.
            Some(compiled) => compiled.with_spec(&self.engine, spec, &self.key_sets),
            None => Plugin::load(&self.engine, &self.compiler, component, spec, &self.key_sets).await,
        };
        loaded.map(Arc::new).map_err(|error| RefusedSet::Plugin { plugin: entry.name.clone(), error })
    }
}
