//! `plugins`: where the decisions' components come from and what they may use.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{Registry, Signatures};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plugins {
    /// A directory with `plugins.yaml` and `.wasm` files, as a ConfigMap is mounted. Without it the built-in defaults
    /// apply; once it is named they never do.
    pub directory: Option<PathBuf>,
    /// ConfigMaps, by name, of which the directory is made: watched through Kubernetes' API, which shows a change sooner.
    pub config_maps: Vec<String>,
    /// How often the directory is looked at even when no change was notified.
    pub poll_s: u64,
    /// The time that a call may take unless the manifest says otherwise: over it the plugin's instance is thrown away.
    pub call_budget_ms: u64,
    /// A plugin's linear memory. The manifest may ask for less.
    pub memory_mib: usize,
    /// A component's size before compilation.
    pub component_mib: usize,
    /// For compiling a component in a process of its own, in processor time and by the clock.
    pub compile_timeout_s: u64,
    pub compile_memory_mib: u64,
    /// Registries that need more than their name: a manifest may name any.
    pub registries: BTreeMap<String, Registry>,
    /// Files as Docker's `config.json`, which is what a mounted secret of type `kubernetes.io/dockerconfigjson` holds. Read at each
    /// pull, so that a new password counts at once.
    pub pull_secrets: Vec<PathBuf>,
    /// For all of a pull.
    pub pull_timeout_s: u64,
    pub signatures: Signatures,
    pub cache: DecisionCache,
    pub records: Records,
    /// One of so many calls is run again on a fresh instance: a plugin that answers otherwise keeps state, and gets a fresh
    /// instance for each call from then on. Zero: none.
    pub recheck_one_in: u64,
    /// A private directory: the last set that was found good, what was rejected, compiled components. None: nothing outlives
    /// the process.
    pub state_directory: Option<PathBuf>,
}

/// Records of decisions, kept in memory: for explaining, and for running them again with other plugins.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Records {
    /// So many of each kind of plugin; of these at most half are denials, so that strangers can't push out people. Zero: none.
    pub keep: usize,
    /// Of all records that are kept, about, a third for each kind: the oldest go first.
    pub bytes: usize,
    /// What is recorded of a request beside what its plugins declare, so that another plugin may declare it.
    pub inputs: Vec<String>,
    /// People with one of these roles get their decisions' ids in a response header.
    pub show_to_roles: Vec<String>,
}

/// The cache of decisions, for each worker.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecisionCache {
    /// Bytes of remembered inputs and decisions. Zero: nothing is cached.
    pub bytes: u64,
    /// The same for denials and challenges, apart so that strangers can't push out people.
    pub denial_bytes: u64,
    /// No decision is used for longer, whatever it says itself.
    pub longest_s: u64,
    pub longest_denial_s: u64,
}

impl Default for Plugins {
    fn default() -> Self {
        Self {
            directory: None,
            config_maps: Vec::new(),
            poll_s: 10,
            call_budget_ms: 5,
            memory_mib: 16,
            component_mib: 32,
            compile_timeout_s: 60,
            compile_memory_mib: 2048,
            registries: BTreeMap::new(),
            pull_secrets: Vec::new(),
            pull_timeout_s: 60,
            signatures: Signatures::default(),
            cache: DecisionCache::default(),
            records: Records::default(),
            recheck_one_in: 1000,
            state_directory: None,
        }
    }
}

impl Default for Records {
    fn default() -> Self {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            keep: 1000,
            bytes: 32 << 20,
            inputs: words(&["method", "authority", "path", "upgrade", "tls-name", "client-address", "listener-port"]),
            show_to_roles: words(&["system", "root", "admin", "superuser"]),
        }
    }
}

impl Default for DecisionCache {
    fn default() -> Self {
        Self { bytes: 16 << 20, denial_bytes: 2 << 20, longest_s: 60, longest_denial_s: 5 }
    }
}
