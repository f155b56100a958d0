//! How a change of plugins goes live: a directory is read as one set, the set is compiled and configured off the request path,
//! and handed upwards whole. Anything wrong keeps the set that runs.
//!
//! This room makes `PluginSet`s and doesn't know who uses them: `lib` gives it a function that activates one.

mod artifact;
mod artifacts;
mod components;
mod directory;
mod load;
mod manifest;
mod pull;
mod pull_secret;
mod reference;
mod signature;
mod status;
mod watch;

pub use self::{
    artifacts::Artifacts,
    directory::DirectoryError,
    load::{Loader, RefusedSet},
    manifest::{Manifest, ManifestError, schema as manifest_schema},
    pull::pull_standard_input,
    signature::{KeyError, Keys},
    status::{AdmissionStatus, Metrics},
    watch::{Activate, Admission, Source},
};

include!(concat!(env!("OUT_DIR"), "/embedded_plugins.rs"));

/// A default plugin's component, by name.
pub fn builtin(name: &str) -> Option<&'static [u8]> {
    EMBEDDED.iter().find(|(known, _)| *known == name).map(|(_, component)| *component)
}
