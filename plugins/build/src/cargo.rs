//! Cargo, run from inside a build script or a command line, as if it had been run by hand in a clean shell.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Compiler, Error, Guest, LockFile, TARGET};

/// Small, but not at any price: a ConfigMap holds 1 MiB in all, and a call takes a quarter fewer instructions with `s` than with
/// `z`, and no more than with `2` or `3`. A panic aborts (that is, traps): there is nothing in a plugin to unwind to. These
/// settings win over the profile of the guest's own workspace.
const PROFILE: [&str; 7] = [
    "profile.release.opt-level='s'",
    "profile.release.lto=true",
    "profile.release.codegen-units=1",
    "profile.release.panic='abort'",
    "profile.release.strip=true",
    "profile.release.debug=false",
    "profile.release.overflow-checks=true",
];

/// 128 KiB of stack in place of 1 MiB: it's part of each instance's memory, and plugins don't recurse deeply.
const STACK: &str = "-Clink-arg=-zstack-size=131072";

/// The linker leaves five bytes for each number that it fills in, however small: a twelfth of a module is padding otherwise.
const COMPACT: &str = "-Clink-arg=--compress-relocations";

/// What cargo knows of a guest before it's built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    pub name: String,
    /// Where cargo puts what it makes of this workspace.
    pub target_directory: PathBuf,
}

/// Asks cargo about a guest crate.
///
/// # Errors
/// Where there's no cargo, or nothing that it can read.
pub fn package(manifest: &Path) -> Result<Package, Error> {
    let mut command = cargo();
    command.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]).arg(manifest);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().map_err(|source| start(&command, source))?;
    if !output.status.success() {
        return Err(Error::Cargo { manifest: manifest.to_owned() });
    }
    package_of(&output.stdout, manifest).ok_or_else(|| Error::NoPackage { manifest: manifest.to_owned() })
}

fn package_of(metadata: &[u8], manifest: &Path) -> Option<Package> {
    let manifest = std::fs::canonicalize(manifest).ok()?;
    let metadata: serde_json::Value = serde_json::from_slice(metadata).ok()?;
    let own = |package: &&serde_json::Value| package["manifest_path"].as_str().map(Path::new) == Some(&manifest);
    let name = metadata["packages"].as_array()?.iter().find(own)?["name"].as_str()?.to_owned();
    Some(Package { name, target_directory: metadata["target_directory"].as_str()?.into() })
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn start(command: &Command, source: std::io::Error) -> Error {
    Error::Start { program: command.get_program().to_string_lossy().into_owned(), source }
}

/// Builds the guest's core module and returns its path.
pub fn build_module(compiler: &Compiler, guest: &Guest<'_>) -> Result<PathBuf, Error> {
    let mut command = command(compiler, guest);
    let output = command.output().map_err(|source| start(&command, source))?;
    if !output.status.success() {
        return Err(Error::Cargo { manifest: guest.manifest.to_owned() });
    }
    module_of(&output.stdout, guest.manifest).ok_or_else(|| Error::NoModule { manifest: guest.manifest.to_owned() })
}

fn command(compiler: &Compiler, guest: &Guest<'_>) -> Command {
    let mut command = cargo();
    for (name, _) in std::env::vars_os().filter(|(name, _)| belongs_to_outer_cargo(name)) {
        command.env_remove(name);
    }
    command
        .env("RUSTC", &compiler.rustc)
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags())
        // A crate that is an `rlib`, too, for its tests, isn't optimised as a whole: cargo leaves `lto` out then, without a word.
        .args(["rustc", "--lib", "--crate-type", "cdylib"])
        .args(["--release", "--message-format=json-render-diagnostics", "--target", TARGET])
        .arg("--manifest-path")
        .arg(guest.manifest)
        .arg("--target-dir")
        .arg(guest.target_dir)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    for setting in PROFILE {
        command.args(["--config", setting]);
    }
    if !guest.features.is_empty() {
        command.arg("--features").arg(guest.features.join(","));
    }
    if guest.lock_file == LockFile::Keep {
        command.arg("--locked");
    }
    command
}

/// What a running cargo tells its build scripts would be taken as orders by the cargo inside: flags, wrappers (clippy,
/// coverage), profile, target. What the user told both (home, network, registries, job slots) stays.
fn belongs_to_outer_cargo(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let from_the_user = ["CARGO_HOME", "CARGO_MAKEFLAGS", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"].contains(&name)
        || ["CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR", "CARGO_SOURCE_", "CARGO_TERM_"].iter().any(|it| name.starts_with(it));
    let for_build_scripts = [
        "DEBUG",
        "HOST",
        "NUM_JOBS",
        "OPT_LEVEL",
        "OUT_DIR",
        "PROFILE",
        "RUSTC",
        "RUSTC_LINKER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTDOC",
        "RUSTDOCFLAGS",
        "RUSTFLAGS",
        "TARGET",
    ];
    !from_the_user && (name.starts_with("CARGO") || name.starts_with("DEP_") || for_build_scripts.contains(&name))
}

/// Panic messages hold file names. Those of the workspace are relative; with a fixed name for cargo's directory, the same sources
/// give the same bytes anywhere.
fn rust_flags() -> String {
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    let remap = cargo_home.map(|directory| format!("--remap-path-prefix={}=/cargo", directory.display()));
    [Some(STACK.to_owned()), Some(COMPACT.to_owned()), remap].into_iter().flatten().collect::<Vec<_>>().join("\u{1f}")
}

/// Cargo's messages say which files it made of which package: the guest's own name needn't be that of its file.
fn module_of(messages: &[u8], manifest: &Path) -> Option<PathBuf> {
    let manifest = std::fs::canonicalize(manifest).ok()?;
    messages
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter(|message| message["manifest_path"].as_str().map(Path::new) == Some(&manifest))
        .flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default())
        .filter_map(|file| file.as_str().map(PathBuf::from))
        .find(|file| file.extension() == Some(OsStr::new("wasm")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_to_the_outer_cargo_are_not_passed_on() {
        for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET", "CARGO", "TARGET"] {
            assert!(belongs_to_outer_cargo(OsStr::new(name)), "{name}");
        }
        for name in
            ["PATH", "HOME", "CARGO_HOME", "CARGO_MAKEFLAGS", "CARGO_NET_OFFLINE", "CARGO_REGISTRIES_X_INDEX", "RUSTUP_TOOLCHAIN"]
        {
            assert!(!belongs_to_outer_cargo(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn the_module_is_found_by_manifest_not_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let manifest = directory.path().join("Cargo.toml");
        std::fs::write(&manifest, "").unwrap();
        let path = std::fs::canonicalize(&manifest).unwrap();
        let messages = format!(
            "{{\"reason\":\"compiler-artifact\",\"manifest_path\":\"/other/Cargo.toml\",\"filenames\":[\"/x/other.wasm\"]}}\n\
             {{\"reason\":\"compiler-artifact\",\"manifest_path\":{path:?},\"filenames\":[\"/x/a.rlib\",\"/x/renamed.wasm\"]}}\n"
        );
        assert_eq!(module_of(messages.as_bytes(), &manifest), Some(PathBuf::from("/x/renamed.wasm")));
        assert_eq!(module_of(b"", &manifest), None);
    }

    #[test]
    fn the_package_is_the_one_of_the_manifest_not_of_its_workspace() {
        let directory = tempfile::tempdir().unwrap();
        let manifest = directory.path().join("Cargo.toml");
        std::fs::write(&manifest, "").unwrap();
        let path = std::fs::canonicalize(&manifest).unwrap();
        let metadata = format!(
            "{{\"packages\":[{{\"name\":\"other\",\"manifest_path\":\"/other/Cargo.toml\"}},\
             {{\"name\":\"own\",\"manifest_path\":{path:?}}}],\"target_directory\":\"/built\"}}"
        );
        let expected = Package { name: "own".into(), target_directory: "/built".into() };
        assert_eq!(package_of(metadata.as_bytes(), &manifest), Some(expected));
        assert_eq!(package_of(b"{}", &manifest), None);
    }
}
