//! The manifest's JSON Schema, held by another's implementation against every manifest that the project shows, and against mistakes.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use wicketgate_tests::{PATIENCE, python};

use crate::site::{DEFAULTS, defaults, manifest};

/// Reads `[{name, manifest}]` and answers what's wrong with each, by name.
const CHECK: &str = "
import json, sys, yaml
from jsonschema import Draft7Validator
schema = json.load(open(sys.argv[1]))
Draft7Validator.check_schema(schema)
told = json.load(sys.stdin)
errors = lambda text: [error.message[:200] for error in Draft7Validator(schema).iter_errors(yaml.safe_load(text))]
print(json.dumps({one['name']: errors(one['manifest']) for one in told}))
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

async fn errors(manifests: &[(String, String)]) -> Value {
    let install = || python::with_packages(&[("jsonschema", "4.26.0"), ("PyYAML", "6.0.3")]);
    let python = tokio::task::spawn_blocking(install).await.unwrap();
    let mut check = tokio::process::Command::new(python);
    check.args(["-c", CHECK]).arg(root().join("plugins/plugins.schema.json")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut check = check.kill_on_drop(true).spawn().unwrap();
    let told: Vec<Value> = manifests.iter().map(|(name, text)| json!({"name": name, "manifest": text})).collect();
    let mut stdin = check.stdin.take().unwrap();
    stdin.write_all(json!(told).to_string().as_bytes()).await.unwrap();
    drop(stdin);
    let done = tokio::time::timeout(PATIENCE, check.wait_with_output()).await.unwrap().unwrap();
    assert!(done.status.success());
    serde_json::from_slice(&done.stdout).unwrap()
}

fn manifests_below(directory: &Path, into: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            manifests_below(&path, into);
        } else if path.ends_with("plugins.yaml") {
            into.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Manifests in the documents: blocks of YAML that are one, and those within the chart's values.
fn documented() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for document in ["README.md", "host/README.md", "plugins/README.md", "charts/wicketgate/README.md"] {
        let text = std::fs::read_to_string(root().join(document)).unwrap();
        let blocks = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("\n```").next());
        for (at, block) in blocks.enumerate() {
            let inner = block.split_once("plugins.yaml: |\n").map(|(_, rest)| {
                let indent = rest.len() - rest.trim_start().len();
                let lines = rest.lines().take_while(|line| line.len() - line.trim_start().len() >= indent);
                lines.map(|line| line[indent..].to_owned() + "\n").collect::<String>()
            });
            let is_manifest = block.lines().find(|line| !line.starts_with('#')).is_some_and(|line| line.starts_with("version:"));
            if let Some(manifest) = inner.or_else(|| is_manifest.then(|| block.to_owned())) {
                found.push((format!("{document}, block {at}"), manifest));
            }
        }
    }
    found
}

#[tokio::test]
async fn every_manifest_that_is_shown_fits() {
    let mut all = documented();
    assert!(all.len() >= 3, "{all:?}");
    manifests_below(&root().join("examples"), &mut all);
    manifests_below(&root().join("host/src"), &mut all);
    assert!(all.len() >= 5, "{all:?}");
    for (name, errors) in errors(&all).await.as_object().unwrap() {
        assert_eq!(*errors, json!([]), "{name}");
    }
}

#[tokio::test]
async fn mistakes_do_not() {
    let with = |entry: &str| manifest(&[DEFAULTS[0], DEFAULTS[1], entry]);
    let digest = "0a".repeat(32);
    let policy = "kind: routing-policy";
    let good = [
        defaults(),
        with(&format!("{{name: a, {policy}, file: a.wasm.zst, sha256: {digest}, limits: {{call_budget_ms: 20}}}}")),
        with(&format!(
            "{{name: a, {policy}, oci: 'registry.example/team/a:1@sha256:{digest}', grants: {{facts: [may-read-session]}}}}"
        )),
        with(&format!("{{name: a, {policy}, builtin: routing-policy, on_error: owner-only, config: [1, {{a: b}}]}}")),
    ];
    let bad = [
        defaults().replace("version: 1", "version: 2"),
        manifest(&DEFAULTS[..2]),
        with(&format!("{{name: a b, {policy}, file: a.wasm}}")),
        with("{name: a, kind: oracle, file: a.wasm}"),
        with(&format!("{{name: a, {policy}}}")),
        with(&format!("{{name: a, {policy}, file: a.wasm, builtin: routing-policy}}")),
        with(&format!("{{name: a, {policy}, file: ../a.wasm}}")),
        with(&format!("{{name: a, {policy}, file: .a.wasm}}")),
        with(&format!("{{name: a, {policy}, file: a.zip}}")),
        with(&format!("{{name: a, {policy}, builtin: nothing}}")),
        with(&format!("{{name: a, {policy}, oci: 'registry.example/team/a:1'}}")),
        with(&format!("{{name: a, {policy}, file: a.wasm, sha256: abc}}")),
        with(&format!("{{name: a, {policy}, file: a.wasm, configuration: {{}}}}")),
        with(&format!("{{name: a, {policy}, file: a.wasm, grants: {{clock: true}}}}")),
        with(&format!("{{name: a, {policy}, file: a.wasm, limits: {{call_budget_ms: 2000}}}}")),
        with(&format!("{{name: a, {policy}, file: a.wasm, on_error: open}}")),
        with(&format!("{{name: a, {policy}, file: 3}}")),
    ];
    let named = |all: &[String]| all.iter().map(|text| (text.clone(), text.clone())).collect::<Vec<_>>();
    for (text, errors) in errors(&named(&good)).await.as_object().unwrap() {
        assert_eq!(*errors, json!([]), "{text}");
    }
    let found = errors(&named(&bad)).await;
    assert_eq!(found.as_object().unwrap().len(), bad.len());
    for (text, errors) in found.as_object().unwrap() {
        assert_ne!(*errors, json!([]), "accepted: {text}");
    }
}
