//! Builds one guest: `cargo run -p wicketgate-plugin-build --example build -- plugins/cookie-auth/Cargo.toml out.wasm [feature…]`.

use std::path::Path;

use wicketgate_plugin_build::{Compiler, Guest, LockFile, build};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [manifest, out, features @ ..] = arguments.as_slice() else {
        return Err("arguments: Cargo.toml, the file to write, features".into());
    };
    let features: Vec<&str> = features.iter().map(String::as_str).collect();
    let target_dir = Path::new("target/wasm");
    let guest = Guest { manifest: Path::new(manifest), target_dir, features: &features, lock_file: LockFile::Update };
    let component = build(&Compiler::find(Some(Path::new("target/wasm-toolchain")))?, &guest)?;
    std::fs::write(out, component)?;
    Ok(())
}
