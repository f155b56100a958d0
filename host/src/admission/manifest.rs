//! `plugins.yaml`: which plugins decide, in which order, with which configuration, grants and limits.

mod written;

use serde_json::Value;

pub use self::written::schema;
use self::written::{Written, WrittenEntry, WrittenFact, WrittenKind, WrittenOnError, nothing};
use super::{
    activation::Activation,
    reference::{Reference, ReferenceError},
};
use crate::{
    config,
    plugin::{Grants, Kind, MOST_PLUGINS, OnFault, PluginSpec},
};

/// A parsed manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    pub activation: Activation,
    pub entries: Vec<Entry>,
}

/// One plugin of a chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub name: String,
    pub kind: Kind,
    pub component: Component,
    /// Must match the component's as it's run, that is unpacked; in hexadecimal.
    pub sha256: Option<String>,
    /// Files with its own cases, which must come out as written.
    pub cases: Vec<String>,
    pub config: Value,
    pub grants: Grants,
    pub call_budget_ms: Option<u64>,
    pub memory_mib: Option<usize>,
    pub on_fault: OnFault,
}

/// Where a component comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Component {
    /// A file beside the manifest: `.wasm`, or `.wasm.zst`.
    File(String),
    /// An artifact of a registry.
    Oci(Reference),
    /// One of the gateway's own.
    Builtin(String),
}

/// The manifest isn't as expected: which key, what was found, what was expected.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{}{key}: {message}", if key.is_empty() { "plugins.yaml" } else { "plugins.yaml, " })]
pub struct ManifestError {
    pub key: String,
    pub message: String,
}

fn wrong(key: impl Into<String>, message: impl Into<String>) -> ManifestError {
    ManifestError { key: key.into(), message: message.into() }
}

// === impl Manifest ===

impl Manifest {
    /// Parses a manifest's text.
    ///
    /// # Errors
    /// The first key that isn't as expected, in one sentence.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        // The lines after the first quote the manifest, which may hold what a log shouldn't.
        let in_words = |error: String| wrong("", format!("not YAML: {}", error.lines().next().unwrap_or_default()));
        let value: Value = serde_saphyr::from_str(text).map_err(|error| in_words(error.to_string()))?;
        let written: Written = serde_path_to_error::deserialize(&value).map_err(|error| {
            let key = error.path().to_string();
            wrong(if key == "." { String::new() } else { key }, error.into_inner().to_string())
        })?;
        if written.version != 1 {
            return Err(wrong("version", format!("found {}, expected 1", written.version)));
        }
        let entries = written.plugins.into_iter().enumerate().map(|(at, entry)| entry.parse(at)).collect::<Result<Vec<_>, _>>()?;
        written.activation.check().map_err(|(key, message)| wrong(key, message))?;
        let manifest = Self { activation: written.activation, entries };
        manifest.check_chains()?;
        Ok(manifest)
    }

    /// What applies when no directory is configured: the default plugins, which may use these key sets.
    pub fn builtin(key_sets: &[String], cookies: &[String]) -> Self {
        let entry = |kind, name: &str, config, key_sets: &[String]| Entry {
            name: name.to_owned(),
            kind,
            component: Component::Builtin(name.to_owned()),
            sha256: None,
            cases: Vec::new(),
            config,
            grants: Grants { log: true, key_sets: key_sets.to_vec(), may_read_session: false },
            call_budget_ms: None,
            memory_mib: None,
            on_fault: OnFault::Closed,
        };
        let mut auth = serde_json::json!({"key_sets": key_sets});
        if !cookies.is_empty() {
            auth["cookies"] = cookies.into();
        }
        Self {
            activation: Activation::default(),
            entries: vec![
                entry(Kind::DiscoveryFilter, "discovery-filter", nothing(), &[]),
                entry(Kind::Authenticator, "cookie-auth", auth, key_sets),
                entry(Kind::RoutingPolicy, "routing-policy", nothing(), &[]),
            ],
        }
    }

    /// A chain that is missing would let everything in or nobody: it's said rather than guessed.
    fn check_chains(&self) -> Result<(), ManifestError> {
        for (kind, name) in [
            (Kind::DiscoveryFilter, "discovery-filter"),
            (Kind::Authenticator, "authenticator"),
            (Kind::RoutingPolicy, "routing-policy"),
        ] {
            if !self.entries.iter().any(|entry| entry.kind == kind) {
                return Err(wrong("plugins", format!("found no plugin of kind {name}, expected at least one of each kind")));
            }
        }
        if self.entries.len() > MOST_PLUGINS {
            return Err(wrong("plugins", format!("found {} plugins, expected at most {MOST_PLUGINS}", self.entries.len())));
        }
        for (at, entry) in self.entries.iter().enumerate() {
            if self.entries[..at].iter().any(|earlier| earlier.name == entry.name) {
                return Err(wrong(
                    format!("plugins[{at}].name"),
                    format!("found '{}' twice, expected different names", entry.name),
                ));
            }
        }
        Ok(())
    }
}

// === impl Entry ===

impl Entry {
    /// What the plugin room needs to know, with the gateway's limits where the entry has none.
    pub fn spec(&self, limits: &config::Plugins) -> PluginSpec {
        PluginSpec {
            name: self.name.clone(),
            kind: self.kind,
            config: self.config.to_string(),
            grants: self.grants.clone(),
            call_budget_ms: self.call_budget_ms.unwrap_or(limits.call_budget_ms),
            memory_bytes: self.memory_mib.unwrap_or(limits.memory_mib).min(limits.memory_mib) << 20,
            on_fault: self.on_fault,
        }
    }
}

/// The one of three ways in which a component may be named, or the key that is wrong with why.
fn component(file: Option<String>, oci: Option<String>, builtin: Option<String>) -> Result<Component, (&'static str, String)> {
    match (file, oci, builtin) {
        (Some(file), None, None) => {
            let is_component = file.ends_with(".wasm") || file.ends_with(".wasm.zst");
            if is_component && !file.contains(['/', '\\', '\0']) && !file.starts_with('.') {
                return Ok(Component::File(file));
            }
            let found = file.escape_debug();
            Err(("file", format!("found '{found}', expected a .wasm or .wasm.zst file beside the manifest")))
        }
        (None, Some(text), None) => text.parse().map(Component::Oci).map_err(|why: ReferenceError| ("oci", why.to_string())),
        (None, None, Some(name)) if super::builtin(&name).is_some() => Ok(Component::Builtin(name)),
        (None, None, Some(name)) => {
            let known: Vec<_> = super::EMBEDDED.iter().map(|(name, _)| *name).collect();
            Err(("builtin", format!("found '{}', expected one of {known:?}", name.escape_debug())))
        }
        _ => Err(("file", "expected exactly one of file, oci and builtin".into())),
    }
}

// === impl WrittenEntry ===

impl WrittenEntry {
    fn parse(self, at: usize) -> Result<Entry, ManifestError> {
        let key = |name: &str| format!("plugins[{at}].{name}");
        let is_name = |text: &str| {
            (1..=63).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if !is_name(&self.name) {
            return Err(wrong(key("name"), format!("found '{}', expected 1 to 63 of A-Z a-z 0-9 - _", self.name.escape_debug())));
        }
        let component = component(self.file, self.oci, self.builtin).map_err(|(name, message)| wrong(key(name), message))?;
        let sha256 = self.sha256.map(|text| text.to_ascii_lowercase());
        if sha256.as_ref().is_some_and(|text| text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            return Err(wrong(key("sha256"), "expected 64 hexadecimal digits"));
        }
        if let Some(found) =
            self.cases.iter().find(|name| !name.ends_with(".yaml") || name.starts_with('.') || name.contains(['/', '\\', '\0']))
        {
            return Err(wrong(
                key("cases"),
                format!("found '{}', expected .yaml files beside the manifest, without a dot at the start", found.escape_debug()),
            ));
        }
        if let Some(found) = self.limits.call_budget_ms.filter(|ms| !(1..=1000).contains(ms)) {
            return Err(wrong(key("limits.call_budget_ms"), format!("found {found}, expected 1 to 1000")));
        }
        if self.limits.memory_mib == Some(0) {
            return Err(wrong(key("limits.memory_mib"), "found 0, expected at least 1"));
        }
        let kind = match self.kind {
            WrittenKind::DiscoveryFilter => Kind::DiscoveryFilter,
            WrittenKind::Authenticator => Kind::Authenticator,
            WrittenKind::RoutingPolicy => Kind::RoutingPolicy,
        };
        if self.on_error == WrittenOnError::OwnerOnly && kind != Kind::RoutingPolicy {
            return Err(wrong(key("on_error"), "found owner-only, expected closed: only a routing-policy may let its owner in"));
        }
        Ok(Entry {
            name: self.name,
            kind,
            component,
            sha256,
            cases: self.cases,
            config: self.config,
            grants: Grants {
                log: self.grants.log,
                key_sets: self.grants.key_sets,
                may_read_session: self.grants.facts.contains(&WrittenFact::MayReadSession),
            },
            call_budget_ms: self.limits.call_budget_ms,
            memory_mib: self.limits.memory_mib,
            on_fault: match self.on_error {
                WrittenOnError::Closed => OnFault::Closed,
                WrittenOnError::OwnerOnly => OnFault::OwnerOnly,
            },
        })
    }
}

#[cfg(test)]
mod tests;
