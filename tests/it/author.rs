//! The commands for people who write plugins and for those who run gateways: the real program, with the default plugins, hostile ones
//! and a running gateway.

mod checks;
mod gateway;
mod packing;

use std::{path::Path, process::Command};

use serde_json::Value;
use tempfile::TempDir;
use wicketgate_tests::gateway::binary;

/// What the program did.
pub(crate) struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the program with these arguments.
pub(crate) fn wicketgate<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Ran {
    let done = Command::new(binary()).args(arguments).env_remove("WICKETGATE_ADMIN__TOKEN").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: done.status.code().unwrap(), stdout: text(done.stdout), stderr: text(done.stderr) }
}

impl Ran {
    /// Its answer as JSON, which `--json` must have been given for.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{}\n{}", self.stdout, self.stderr))
    }

    /// Expects this exit code.
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    /// Expects each of these in what it said.
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stdout.contains(part), "{part}\nisn't in\n{}\n{}", self.stdout, self.stderr);
        }
        self
    }

    /// The same for standard error.
    pub fn complains(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "{part}\nisn't in\n{}", self.stderr);
        }
        self
    }
}

/// A file in a directory that ends with the test.
pub(crate) fn write(directory: &TempDir, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = directory.path().join(name);
    std::fs::write(&path, content).unwrap();
    text(&path)
}

pub(crate) fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

const CASES: &str = "
- name: the owner enters
  http: {method: GET, path: /lab}
  session: {owner: ada, access: company}
  identity: {principal: {id: ada, groups: [research]}}
  expect: {decision: forward, reason: owner}
- name: a stranger is asked who he is
  http: {}
  session: {owner: ada}
  identity: anonymous
  expect: {decision: unauthenticated}
";

#[test]
fn what_a_plugin_may_see_and_do_is_said() {
    let config = r#"{"key_sets": ["gateway", {"name": "sso", "audiences": ["a"]}]}"#;
    let arguments = ["plugin", "inspect", "builtin:cookie-auth", "--config", config];
    wicketgate(&arguments).exits(0).says(&[
        "authenticator: decides who a request or connection comes from",
        "cookie wicketgate_session (credential): never shown, and kept from the session",
        "header authorization (credential)",
        "have tokens verified by key set 'sso' (audience a, any issuer, 0 s of leeway), and gets the claims identity.user, sub,",
        r#"grants: {"key_sets":["gateway","sso"]"#,
    ]);
    let found = wicketgate(&[&arguments[..], &["--json"]].concat()).exits(0).json();
    assert_eq!(found["kind"], "authenticator");
    assert_eq!(found["verifications"][1]["key_set"], "sso");
    assert!(found["zstd_bytes"].as_u64() < found["bytes"].as_u64(), "{found}");
    let filter = wicketgate(&["plugin", "inspect", "builtin:discovery-filter", "--json"]).exits(0).json();
    assert_eq!(filter["verifications"], serde_json::json!([]));
    assert!(filter["reads"].as_array().unwrap().contains(&"session status".into()), "{filter}");
}

#[test]
fn cases_come_out_as_written_or_say_in_what_they_do_not() {
    let directory = tempfile::tempdir().unwrap();
    let cases = write(&directory, "cases.yaml", CASES);
    let test = |more: &[&str]| wicketgate(&[&["plugin", "test", "builtin:routing-policy", "--cases", &cases], more].concat());
    test(&[]).exits(0).says(&["ok      the owner enters  -> forward (owner)", "2 cases, 0 failed"]);
    let closed = ["--config", r#"{"closed": "Maintenance."}"#];
    test(&closed).exits(1).says(&[
        "FAILED  the owner enters  -> reject (closed)",
        "decision: expected forward, found reject (closed)",
        r#"reason: expected "owner", found "closed""#,
        "2 cases, 1 failed",
    ]);
    let report = test(&[&closed[..], &["--json"]].concat()).exits(1).json();
    assert_eq!((report["passed"].as_u64(), report["failed"].as_u64()), (Some(1), Some(1)), "{report}");
    assert_eq!(report["cases"][0]["mismatches"][0]["key"], "decision");
}

#[test]
fn what_was_named_and_cannot_be_used_is_said_with_2() {
    let directory = tempfile::tempdir().unwrap();
    let bad = write(&directory, "cases.yaml", "[{name: a, http: {metod: GET}, expect: {decision: forward}}]");
    let table: [(&[&str], &str); 6] = [
        (&["inspect", "nowhere.wasm"], "nowhere.wasm: No such file"),
        (&["inspect", "builtin:nothing"], "found 'nothing', expected discovery-filter, cookie-auth or routing-policy"),
        (&["inspect", "builtin:cookie-auth", "--config", "{"], "--config: neither JSON nor YAML"),
        (&["test", "builtin:routing-policy", "--cases", &bad], "cases.yaml, case 1 ('a'), http.metod: unknown field"),
        (&["test", "builtin:routing-policy"], "--cases"),
        (&["pack", ".", "--to", "secret", "x"], "--to: found 'secret', expected directory or configmap"),
    ];
    for (arguments, part) in table {
        wicketgate(&[&["plugin"], arguments].concat()).exits(2).complains(&[part]);
    }
    // What can be read and isn't fit for it.
    let refused = wicketgate(&["plugin", "inspect", "builtin:routing-policy", "--config", r#"{"alow": []}"#]).exits(1);
    refused.complains(&["configure: alow: found an unknown key, expected one of allow"]);
}

#[test]
fn a_plugin_is_measured() {
    let directory = tempfile::tempdir().unwrap();
    let cases = write(&directory, "cases.yaml", CASES);
    let bench = ["plugin", "bench", "builtin:routing-policy", "--cases", &cases, "--seconds", "1"];
    let measured = wicketgate(&[&bench[..], &["--json"]].concat()).exits(0).json();
    for key in ["calls", "calls_per_s", "call_p50_ns", "call_p99_ns", "fresh_instance_ns", "instance_memory_bytes", "compile_ms"] {
        assert!(measured[key].as_u64().is_some_and(|figure| figure > 0), "{key}: {measured}");
    }
    assert_eq!((measured["inputs"].as_u64(), measured["failed"].as_u64()), (Some(2), Some(0)), "{measured}");
    assert!(measured["call_p50_ns"].as_u64() <= measured["call_p99_ns"].as_u64(), "{measured}");
}
