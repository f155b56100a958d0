//! Rust: cargo for `wasm32-unknown-unknown`, then the component around the module.

use wicketgate_plugin_build::{Compiler, Error, Guest, LockFile, build, package};

use super::{project::Project, steps::Steps};

pub(super) fn component(project: &Project, steps: &Steps) -> Result<Vec<u8>, String> {
    steps.step("cargo");
    steps.aside(|| make(project)).map_err(|error| match error {
        Error::Start { program, source } if source.kind() == std::io::ErrorKind::NotFound => {
            format!("{program} isn't installed: install Rust 1.95 or newer, by https://rustup.rs or your distribution")
        }
        Error::NoWasmTarget => "the Rust target wasm32-unknown-unknown isn't installed: run \
            `rustup target add wasm32-unknown-unknown`, or once `make toolchain` in a checkout of the gateway where rustup can't fetch it"
            .to_owned(),
        error => error.to_string(),
    })
}

fn make(project: &Project) -> Result<Vec<u8>, Error> {
    let manifest = project.directory.join("Cargo.toml");
    let target_dir = package(&manifest)?.target_directory.join("wasm");
    let compiler = Compiler::find_installed()?;
    build(&compiler, &Guest { manifest: &manifest, target_dir: &target_dir, features: &[], lock_file: LockFile::Update })
}
