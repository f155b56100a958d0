//! Plugins in other languages than the gateway's, and in Rust from outside the checkout: built by the real tools through
//! `wicketgate plugin build`, deciding in the real gateway.

mod examples;
mod misdeeds;
mod sdk;
mod templates;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use wicketgate_tests::{Gateway, eventually_within, gateway::binary};

use crate::site::{Site, readiness};

const CHECKOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Runs `wicketgate plugin …`.
fn wicketgate(arguments: &[&str]) -> Output {
    Command::new(binary()).arg("plugin").args(arguments).output().unwrap()
}

/// Builds a project by its own means. Answers what the build says of it.
fn build(project: &Path, out: &Path) -> Value {
    let output = wicketgate(&["build", project.to_str().unwrap(), "--out", out.to_str().unwrap(), "--json"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {}\n{said}", project.display(), output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Has a project's directory checked with its own manifest, as its page says: the set loads, each case comes out as written, and the
/// plugin keeps the contract.
fn check(project: &Path, name: &str) {
    let output = wicketgate(&["check", project.to_str().unwrap(), "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{name}: {error}\n{}", String::from_utf8_lossy(&output.stderr)));
    assert!(output.status.success() && report["ok"] == true, "{name}: {report:#}");
    let checks = report["checks"].as_array().unwrap();
    for expected in ["cases", "hostile inputs", "determinism", "memory"] {
        let ran = checks.iter().any(|check| check["plugin"] == name && check["check"] == expected && check["result"] == "ok");
        assert!(ran, "{name}: {expected} isn't in {report:#}");
    }
}

/// An example in a directory of its own, where it's built as if nothing were there yet.
fn example(name: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let from = Path::new(CHECKOUT).join("examples").join(name);
    // Its SDK is a link into the checkout.
    let copied = Command::new("cp").args(["--recursive", "--dereference"]).arg(from).arg(directory.path()).status().unwrap();
    assert!(copied.success());
    let project = directory.path().join(name);
    for built in ["node_modules", "package-lock.json", ".venv"] {
        let path = project.join(built);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        assert!(removed.is_ok() || !path.exists(), "{}: {removed:?}", path.display());
    }
    (directory, project)
}

/// An interpreter is compiled for a dozen seconds, and for longer on a machine that has more to do.
const COMPILATION: Duration = Duration::from_secs(300);

/// A gateway with the limits that one has by default, but for the time that compilation may take.
async fn gateway(site: &Site) -> Gateway {
    let directory = site.plugins.path().display();
    let plugins = format!("plugins: {{directory: '{directory}', poll_s: 1, compile_timeout_s: {}}}\n", COMPILATION.as_secs());
    let gateway = Gateway::start_unready(&(site.config_without_directory() + &plugins)).await;
    eventually_within(COMPILATION, "readiness", async || (readiness(&gateway).await == 200).then_some(())).await;
    gateway
}

/// What the upstream got in a header.
fn got(echo: &Value, header: &str) -> Option<String> {
    let mut headers = echo["headers"].as_array().unwrap().iter();
    headers.find(|pair| pair[0] == header).map(|pair| pair[1].as_str().unwrap().to_owned())
}

/// How often a plugin failed, by kind of fault.
async fn faults(gateway: &Gateway, name: &str) -> Value {
    let status = gateway.status("/plugins").await;
    let plugins = status["plugins"].as_array().unwrap();
    plugins.iter().find(|plugin| plugin["name"] == name).unwrap()["faults"].clone()
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
