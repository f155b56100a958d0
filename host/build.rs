//! Builds the default plugins and writes `embedded_plugins.rs`: their names and the bytes of their components.
//!
//! They are ordinary plugins, built from `plugins/` as anybody else's would be; only the way to the gateway is different.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use wicketgate_plugin_build::{Compiler, Guest, LockFile, build};

/// The name in the manifest, which is also the directory under `plugins/`.
const DEFAULTS: [&str; 3] = ["discovery-filter", "cookie-auth", "routing-policy"];

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match embed() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            println!("cargo::error={failure}");
            ExitCode::FAILURE
        }
    }
}

fn embed() -> Result<(), Failure> {
    let checkout = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("..");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    for input in ["plugins", "wit", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", checkout.join(input).display());
    }
    println!("cargo::rerun-if-env-changed=WICKETGATE_WASM_TOOLCHAIN");

    let private = std::env::var_os("WICKETGATE_WASM_TOOLCHAIN").map(PathBuf::from);
    let compiler = Compiler::find(Some(&private.unwrap_or_else(|| checkout.join("target/wasm-toolchain"))))?;
    let mut table = String::from("/// The default plugins: name and component.\npub static EMBEDDED: &[(&str, &[u8])] = &[\n");
    for name in DEFAULTS {
        let guest = Guest {
            manifest: &checkout.join("plugins").join(name).join("Cargo.toml"),
            target_dir: &guest_target_dir(&out),
            features: &[],
            lock_file: LockFile::Keep,
        };
        let component = out.join(format!("{name}.wasm"));
        std::fs::write(&component, build(&compiler, &guest)?)?;
        writeln!(table, "    ({name:?}, include_bytes!({:?})),", component.display().to_string())?;
    }
    table.push_str("];\n");
    std::fs::write(out.join("embedded_plugins.rs"), table)?;
    Ok(())
}

/// `target/wasm`: beside the directories of the profiles, so that debug, release and the tests build each guest once.
/// Cargo gives no other way to know it than from `target/<profile>/build/<package>/out`.
fn guest_target_dir(out: &Path) -> PathBuf {
    out.ancestors()
        .find(|directory| directory.file_name().is_some_and(|name| name == "build"))
        .and_then(|build| build.parent()?.parent())
        .map_or_else(|| out.join("wasm"), |target| target.join("wasm"))
}
