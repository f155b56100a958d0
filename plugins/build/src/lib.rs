//! From a guest crate to a plugin component: cargo for `wasm32-unknown-unknown`, then `wit-component`.
//!
//! Used by build scripts (the gateway embeds its default plugins) and by the author's command line. It knows nothing about
//! what a plugin does: which world a component has is written into it by the guest's bindings.

mod build_script;
mod cargo;
mod compiler;

use std::path::{Path, PathBuf};

pub use build_script::BuildScript;
pub use cargo::{Package, package};
pub use compiler::Compiler;

/// The target that plugins are built for. It has no WASI: a plugin can import nothing but its world.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// One guest crate and where to build it.
#[derive(Debug)]
pub struct Guest<'a> {
    /// Its `Cargo.toml`. The lock file is that of its workspace.
    pub manifest: &'a Path,
    /// Cargo's target directory for it. Not the one of a cargo that is running now, which holds its lock.
    pub target_dir: &'a Path,
    /// Cargo features, beside the default ones.
    pub features: &'a [&'a str],
    pub lock_file: LockFile,
}

/// What cargo may do with the lock file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockFile {
    /// It must be there and right: the plugin is built of what was reviewed.
    Keep,
    /// Cargo may write it.
    Update,
}

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "the Rust target wasm32-unknown-unknown is not installed: run `rustup target add wasm32-unknown-unknown`, or `make toolchain`"
    )]
    NoWasmTarget,
    #[error("cannot run {program}: {source}")]
    Start { program: String, source: std::io::Error },
    /// Cargo itself has said why, on standard error.
    #[error("cargo did not build {manifest}")]
    Cargo { manifest: PathBuf },
    #[error("{manifest} isn't of one package with a library: a plugin is a crate with `crate-type = [\"cdylib\", \"rlib\"]`")]
    NoPackage { manifest: PathBuf },
    #[error("{manifest} gave no .wasm file")]
    NoModule { manifest: PathBuf },
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{0} isn't a plugin: {1}")]
    NotAPlugin(String, String),
}

/// Builds a guest and returns the bytes of its component.
///
/// # Errors
/// Where cargo, the compiler or the guest itself isn't as needed; see [`Error`].
pub fn build(compiler: &Compiler, guest: &Guest<'_>) -> Result<Vec<u8>, Error> {
    let module = cargo::build_module(compiler, guest)?;
    let bytes = std::fs::read(&module).map_err(|source| Error::Read { path: module.clone(), source })?;
    componentize(&bytes).map_err(|reason| Error::NotAPlugin(guest.manifest.display().to_string(), reason))
}

/// Wraps a core module, as the compiler writes it, into a component of the world that the guest's bindings name.
///
/// # Errors
/// A sentence, when the module has no such bindings or doesn't fit them.
pub fn componentize(module: &[u8]) -> Result<Vec<u8>, String> {
    wit_component::ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| encoder.encode())
        .map_err(|error| format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_target_is_one_sentence_with_the_way_out() {
        assert_eq!(
            Error::NoWasmTarget.to_string(),
            "the Rust target wasm32-unknown-unknown is not installed: \
             run `rustup target add wasm32-unknown-unknown`, or `make toolchain`"
        );
    }

    #[test]
    fn a_module_without_bindings_is_refused_or_empty() {
        let empty = [0, b'a', b's', b'm', 1, 0, 0, 0];
        // An empty module has no world, so whatever comes out of it exports nothing; garbage is an error.
        assert!(componentize(&empty).is_ok());
        assert!(componentize(b"garbage").is_err());
    }
}
