//! Builds the hostile plugins, one of each kind, and leaves their components where the tests embed them from.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use wicketgate_plugin_build::{Compiler, Guest, LockFile, build};

/// The kinds of plugin, which are the fixture's features.
const KINDS: [&str; 3] = ["discovery-filter", "authenticator", "routing-policy"];

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match components() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            println!("cargo::error={failure}");
            ExitCode::FAILURE
        }
    }
}

fn components() -> Result<(), Failure> {
    let checkout = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("..");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    for input in ["tests/fixtures/hostile", "wit", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", checkout.join(input).display());
    }
    println!("cargo::rerun-if-env-changed=WICKETGATE_WASM_TOOLCHAIN");
    let private = std::env::var_os("WICKETGATE_WASM_TOOLCHAIN").map(PathBuf::from);
    let compiler = Compiler::find(Some(&private.unwrap_or_else(|| checkout.join("target/wasm-toolchain"))))?;
    for kind in KINDS {
        let guest = Guest {
            manifest: &checkout.join("tests/fixtures/hostile/Cargo.toml"),
            target_dir: &guest_target_dir(&out),
            features: &[kind],
            lock_file: LockFile::Keep,
        };
        std::fs::write(out.join(format!("hostile-{kind}.wasm")), build(&compiler, &guest)?)?;
    }
    Ok(())
}

/// `target/wasm`, where the gateway's own plugins are built, too.
fn guest_target_dir(out: &Path) -> PathBuf {
    out.ancestors()
        .find(|directory| directory.file_name().is_some_and(|name| name == "build"))
        .and_then(|build| build.parent()?.parent())
        .map_or_else(|| out.join("wasm"), |target| target.join("wasm"))
}
