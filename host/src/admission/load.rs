//! From a manifest and its components to a plugin set: compiled, linked and configured, whole or not at all.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    activation::Activation,
    artifacts::Artifacts,
    cases::{self, Case, CaseError},
    components::Components,
    directory::{Files, hex},
    manifest::{Component, Entry, Manifest, ManifestError},
    reference::Reference,
    signature::{Keys, Unsigned},
    trial::{TrialError, Tried},
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

/// A set of a directory, compiled and configured.
pub struct Loaded {
    pub set: Arc<PluginSet>,
    pub activation: Activation,
    /// Its plugins, each with its own cases.
    pub tried: Vec<Tried>,
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
    #[error("plugins.yaml, plugin '{plugin}', cases: {file}: no such file beside the manifest")]
    NoCases { plugin: String, file: String },
    #[error("plugin '{plugin}': {error}")]
    Cases { plugin: String, error: Box<CaseError> },
    #[error(transparent)]
    Trial(#[from] TrialError),
    /// It comes out otherwise, and would whenever it's asked.
    #[error("not activated: {0}")]
    Differs(String),
    /// Too little is recorded to tell.
    #[error("not activated: {0}")]
    Unproven(String),
    #[error("not activated: {0}")]
    Activation(String),
}

// === impl RefusedSet ===

impl RefusedSet {
    /// Whether only other files could be taken: the reason doesn't lie outside.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Differs(_))
    }
}

// === impl Loader ===

impl Loader {
    /// Loads the set of a directory.
    pub async fn load_files(&self, files: &Files) -> Result<Loaded, RefusedSet> {
        self.signatures.check_manifest(files)?;
        let manifest = Manifest::parse(&files.manifest)?;
        let cases = manifest.entries.iter().map(|entry| read_cases(entry, files)).collect::<Result<Vec<_>, _>>()?;
        let set = self.load(&manifest, &files.members, files.digest.clone()).await?;
        let named = |name: &str| set.plugins().find(|plugin| plugin.spec.name == name).cloned();
        let tried =
            manifest.entries.iter().zip(cases).filter_map(|(entry, cases)| Some(Tried { plugin: named(&entry.name)?, cases }));
        Ok(Loaded { tried: tried.collect(), activation: manifest.activation, set })
    }

    /// This set was found good: what it has from registries is kept before all else.
    pub async fn settle(&self, files: &Files) {
        let entries = Manifest::parse(&files.manifest).map(|manifest| manifest.entries).unwrap_or_default();
        let pulled = entries.iter().filter_map(|entry| match &entry.component {
            Component::Oci(reference) => Some(reference),
            _ => None,
        });
        self.artifacts.settle(pulled).await;
    }

    /// Loads the set of the default plugins.
    pub async fn load_builtin(&self, cookies: &[String]) -> Result<Arc<PluginSet>, RefusedSet> {
        let key_sets: Vec<String> = self.key_sets.names().map(str::to_owned).collect();
        self.load(&Manifest::builtin(&key_sets, cookies), &BTreeMap::new(), "builtin".into()).await
    }

    pub(crate) async fn load(
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
            Some(compiled) => compiled.respecified(&self.engine, spec, &self.key_sets).await,
            None => Plugin::load(&self.engine, &self.compiler, component, spec, &self.key_sets).await,
        };
        loaded.map(Arc::new).map_err(|error| RefusedSet::Plugin { plugin: entry.name.clone(), error })
    }
}

fn read_cases(entry: &Entry, files: &Files) -> Result<Vec<Case>, RefusedSet> {
    let mut all = Vec::new();
    for file in &entry.cases {
        let missing = || RefusedSet::NoCases { plugin: entry.name.clone(), file: file.clone() };
        let content = files.members.get(file).ok_or_else(missing)?;
        let refused = |error| RefusedSet::Cases { plugin: entry.name.clone(), error: Box::new(error) };
        all.extend(cases::parse(file, &String::from_utf8_lossy(content), entry.kind).map_err(refused)?);
    }
    Ok(all)
}
