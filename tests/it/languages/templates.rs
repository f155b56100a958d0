//! `plugin new` and `plugin build`, from nothing to a plugin that a gateway takes.

use serde_json::json;

use super::*;
use crate::site::{DEFAULTS, SESSION, manifest, person};

/// A project in a directory of its own.
fn new(language: &str, kind: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let project = directory.path().join("ours");
    let output = wicketgate(&["new", "--kind", kind, "--lang", language, "ours", "--directory", project.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (directory, project)
}

/// Builds a crate with the versions that the checkout has been built with, and what of them was compiled for the default plugins.
fn build_crate(project: &Path) {
    fs::copy(Path::new(CHECKOUT).join("Cargo.lock"), project.join("Cargo.lock")).unwrap();
    let profile = binary().parent().unwrap().to_owned();
    let output = Command::new(binary())
        .args(["plugin", "build", project.to_str().unwrap(), "--json"])
        .env("CARGO_TARGET_DIR", profile.parent().unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["fits_config_map"], json!("as-it-is"));
}

// Each template is built and checked as it's written, but for two in Python, whose toolchain takes a minute for each: they are like
// the example and the template that are.

#[test]
fn the_other_templates_in_rust_keep_the_contract() {
    for kind in ["routing-policy", "discovery-filter"] {
        let (_directory, project) = new("rust", kind);
        build_crate(&project);
        check(&project, "ours");
    }
}

#[test]
fn the_other_templates_in_javascript_keep_the_contract() {
    for kind in ["authenticator", "routing-policy"] {
        let (_directory, project) = new("js", kind);
        build(&project, &project.join("ours.wasm"));
        check(&project, "ours");
    }
}

#[test]
fn a_template_in_python_keeps_the_contract() {
    let (_directory, project) = new("python", "authenticator");
    build(&project, &project.join("ours.wasm"));
    check(&project, "ours");
}

#[test]
fn the_example_in_rust_is_taken_out_of_the_checkout_as_its_page_says() {
    let directory = tempfile::tempdir().unwrap();
    let project = directory.path().join("office-hours");
    let shown = project.to_str().unwrap();
    let output = wicketgate(&["new", "--kind", "routing-policy", "--lang", "rust", "office-hours", "--directory", shown]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let example = Path::new(CHECKOUT).join("examples/office-hours");
    let files = ["src", "cases.yaml", "plugins.yaml"].map(|file| example.join(file));
    assert!(Command::new("cp").arg("-r").args(files).arg(&project).status().unwrap().success());
    build_crate(&project);
    check(&project, "office-hours");
}

#[tokio::test]
async fn a_new_authenticator_in_rust_is_built_without_a_checkout() {
    let (_directory, project) = new("rust", "authenticator");
    build_crate(&project);
    check(&project, "ours");

    let entries = [
        DEFAULTS[0],
        "{name: ours, kind: authenticator, file: ours.wasm, config: {machines: [{id: alice, addresses: [127.0.0.1]}]}}",
        DEFAULTS[1],
        "{name: policy, kind: routing-policy, builtin: routing-policy, config: {allow: [owner]}}",
    ];
    let component = read(&project.join("ours.wasm"));
    let site = Site::new(&[("plugins.yaml", manifest(&entries).into_bytes()), ("ours.wasm", component)]);
    let gateway = gateway(&site).await;
    let echo = wicketgate_tests::Client::default().get(&gateway.at(SESSION)).await.json();
    assert_eq!(got(&echo, "x-wicketgate-user").as_deref(), Some("alice"));
}

#[tokio::test]
async fn a_new_filter_in_javascript_is_built_without_a_checkout() {
    let (_directory, project) = new("js", "discovery-filter");
    let out = project.join("ours.wasm");
    build(&project, &out);
    // And again from what is kept in version control, of which the lock file is a part.
    fs::remove_dir_all(project.join("node_modules")).unwrap();
    let lock = read(&project.join("package-lock.json"));
    build(&project, &out);
    assert!(read(&project.join("package-lock.json")) == lock, "another lock file");
    check(&project, "ours");
    let entries = [
        DEFAULTS[0],
        "{name: ours, kind: discovery-filter, file: ours.wasm, config: {hidden_tags: [private]}}",
        DEFAULTS[1],
        DEFAULTS[2],
    ];
    let site = Site::new(&[("plugins.yaml", manifest(&entries).into_bytes()), ("ours.wasm", read(&out))]);
    let endpoints = format!("[{{address: 127.0.0.1, port: {}}}]", site.upstream.port());
    site.write_sessions(&format!(
        "sessions:\n  - {{id: shown, owner: alice, endpoints: {endpoints}}}\n  \
         - {{id: hidden, owner: alice, tags: [private], endpoints: {endpoints}}}\n"
    ));
    let gateway = gateway(&site).await;
    let asked = async |id: &str| person("alice").get(&gateway.at(&format!("/service/{id}/echo"))).await.status.as_u16();
    assert_eq!((asked("shown").await, asked("hidden").await), (200, 404));
}

#[test]
fn what_is_wrong_with_a_project_is_one_sentence() {
    let (_directory, project) = new("js", "routing-policy");
    let ends = |code: i32, arguments: &[&str]| {
        let output = wicketgate(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let shown = project.to_str().unwrap();
    let again = ends(1, &["new", "--kind", "authenticator", "--lang", "rust", "ours", "--directory", shown]);
    assert!(again.contains("found files in it, expected an empty directory or none"), "{again}");

    let path = std::env::join_paths(["/nonexistent"]).unwrap();
    let output = Command::new(binary()).args(["plugin", "build", shown]).env("PATH", path).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        said.trim_end(),
        "wicketgate: npm isn't installed: install Node.js 18 or newer with npm (on Debian: apt install nodejs npm)"
    );

    fs::write(project.join("src/plugin.js"), "import { log } from \"wicketgate-plugin/log\";\nlog.info(\"x\");\n").unwrap();
    let ungranted = ends(1, &["build", shown]);
    assert!(ungranted.contains("the source imports log, which plugins.yaml doesn't grant"), "{ungranted}");
    fs::write(project.join("src/plugin.js"), "import {").unwrap();
    let broken = ends(1, &["build", shown]);
    assert!(broken.contains("src/plugin.js:1:8") && broken.contains("esbuild failed"), "{broken}");

    fs::remove_file(project.join("package.json")).unwrap();
    let nothing = ends(2, &["build", shown]);
    assert!(nothing.contains("found none of Cargo.toml (Rust), package.json"), "{nothing}");
}
