//! How a change of plugins goes live: a directory is read as one set, the set is compiled and configured off the request path,
//! and handed upwards whole. Anything wrong keeps the set that runs.
//!
//! This room makes `PluginSet`s and doesn't know who uses them: `lib` gives it a function that activates one.

mod activation;
mod artifact;
mod artifacts;
pub mod cases;
mod components;
pub mod conformance;
mod directory;
mod lifecycle;
mod load;
mod manifest;
mod pace;
pub mod pack;
mod probation;
mod pull;
mod pull_secret;
mod reference;
pub mod replay;
mod saved;
mod shadow;
mod signature;
mod status;
mod trial;
mod watch;

pub use self::{
    activation::Activation,
    artifacts::Artifacts,
    components::unpack,
    directory::{DirectoryError, Files, MANIFEST, hex, is_member},
    lifecycle::{Activate, Lifecycle},
    load::{Loaded, Loader, RefusedSet},
    manifest::{Component, Manifest, ManifestError, schema as manifest_schema},
    pull::pull_standard_input,
    saved::Saved,
    signature::{KeyError, Keys},
    status::{AdmissionStatus, Metrics, Stage},
    trial::{TrialError, Tried},
    watch::{Admission, Source},
};

include!(concat!(env!("OUT_DIR"), "/embedded_plugins.rs"));

/// The names of the default plugins, for messages: `a, b or c`.
pub fn builtin_names() -> String {
    let names: Vec<&str> = EMBEDDED.iter().map(|(name, _)| *name).collect();
    names.split_last().map_or_else(String::new, |(last, first)| format!("{} or {last}", first.join(", ")))
}

/// A default plugin's component, by name.
pub fn builtin(name: &str) -> Option<&'static [u8]> {
    EMBEDDED.iter().find(|(known, _)| *known == name).map(|(_, component)| *component)
}
