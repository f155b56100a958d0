//! Plugins that import WASI: they decide as others do, get nothing, and hold up nobody.

use std::{path::Path, process::Command};

use futures_util::FutureExt;
use serde_json::{Value, json};
use wicketgate_tests::{Client, Gateway, eventually, python};

use crate::site::{DEFAULTS, SESSION, Site, activated, manifest, person, swapped, with_activation};

/// `tests/fixtures/wasi`.
const COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/wasi.wasm"));

/// As many as it takes to tell a mistake from somebody who was locked out.
const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

const COMPONENTIZE_PY: (&str, &str) = ("componentize-py", "0.25.1");

fn site(component: &[u8], budget_ms: u64) -> Site {
    Site::new(&[("plugins.yaml", with_wasi(budget_ms, "a: b").as_bytes()), ("policy.wasm", component)])
}

fn with_wasi(budget_ms: u64, config: &str) -> String {
    let mut entries = DEFAULTS.map(str::to_owned);
    let limits = format!("{{call_budget_ms: {budget_ms}}}");
    entries[2] = format!(
        "{{name: policy, kind: routing-policy, file: policy.wasm, grants: {{log: true}}, limits: {limits}, config: {{{config}}}}}"
    );
    manifest(&entries)
}

async fn policy(gateway: &Gateway) -> Value {
    gateway.status("/plugins").await["plugins"][2].clone()
}

fn visitor(wish: &str) -> Client {
    person("alice").with("x-do", wish)
}

/// What the policy answers to a wish.
async fn said(gateway: &Gateway, wish: &str) -> String {
    let answer = visitor(wish).get(&gateway.at(SESSION)).await;
    assert_eq!(answer.status, 200, "{wish}: {}", answer.text());
    answer.headers["x-said"].to_str().unwrap().to_owned()
}

async fn is_refused(gateway: &Gateway, wish: &str, fault: &str) {
    let before = policy(gateway).await["faults"][fault].as_u64().unwrap();
    let answer = visitor(wish).get(&gateway.at(SESSION)).await;
    assert_eq!(answer.status, 503, "{wish}: {}", answer.text());
    assert_eq!(policy(gateway).await["faults"][fault], json!(before + 1), "{wish}: {}", policy(gateway).await);
}

/// Lines of the log with this text: how many, and how long the longest is.
fn lines(gateway: &Gateway, text: &str) -> (usize, usize) {
    let log = gateway.log();
    let lines: Vec<usize> = log.lines().filter(|line| line.contains(text)).map(str::len).collect();
    (lines.len(), lines.into_iter().max().unwrap_or_default())
}

#[tokio::test]
async fn a_plugin_with_wasi_decides_and_its_faults_are_its_own() {
    let site = site(COMPONENT, 500);
    let gateway = Gateway::start(&site.config()).await;
    let imports = policy(&gateway).await["wasi"].clone();
    assert!(imports.as_array().unwrap().contains(&json!("wasi:clocks/monotonic-clock@0.2.0")), "{imports}");
    gateway.logs("configured by {\\\"a\\\":\\\"b\\\"}").await;
    for (wish, fault) in
        [("sleep", "deadline"), ("spin", "deadline"), ("exit", "trap"), ("socket", "trap"), ("grow", "memory"), ("leak", "trap")]
    {
        is_refused(&gateway, wish, fault).await;
        assert_eq!(said(&gateway, &format!("nap after {wish}")).await, "1500000 1500000");
    }
    let look = |answer: String| answer.split_once(" random=").unwrap().1.to_owned();
    assert_eq!(look(said(&gateway, "look once").await), look(said(&gateway, "look twice").await));
    assert_eq!(said(&gateway, "print").await, "done");
    gateway.logs("further lines of this call are left out").await;
    let (count, longest) = lines(&gateway, "yyyyyyyy");
    assert!(count <= 16 && longest < 2_000, "{count} lines, of {longest} bytes");
    assert_eq!(lines(&gateway, "panicked").0, 0);
}

#[tokio::test]
async fn a_busy_plugin_with_wasi_does_not_block_the_only_worker() {
    let site = site(COMPONENT, 1_000);
    let gateway = Gateway::start(&(site.config() + "http: {listen: '127.0.0.1:{port}', workers: 1}\n")).await;
    let (spinner, url) = (visitor("spin"), gateway.at(SESSION));
    let mut spin = std::pin::pin!(spinner.get(&url));
    for number in 0..10 {
        assert_eq!(said(&gateway, &format!("count {number}")).await.len(), 1);
        assert!(spin.as_mut().now_or_never().is_none(), "the busy request was answered first");
    }
    assert_eq!(spin.await.status, 503);
}

/// Python with its C library and all: built without leaving WASI out.
fn python_policy() -> Vec<u8> {
    let python = python::with_packages(&[COMPONENTIZE_PY]);
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let directory = tempfile::tempdir().unwrap();
    // Python leaves compiled files beside the sources.
    std::fs::copy(checkout.join("tests/fixtures/wasi_policy.py"), directory.path().join("wasi_policy.py")).unwrap();
    let component = directory.path().join("policy.wasm");
    let output = Command::new(python.with_file_name("componentize-py"))
        .current_dir(directory.path())
        .arg("-d")
        .arg(checkout.join("wit").canonicalize().unwrap())
        .args(["-w", "routing-policy", "componentize", "wasi_policy", "-o", "policy.wasm"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(component).unwrap()
}

/// On the threads that judge sets it's asked about what was recorded: before it decides, in comparison, and as the set to return to.
#[tokio::test]
async fn a_set_with_wasi_is_judged_and_judges_as_others() {
    let mut site = site(COMPONENT, 500);
    let gateway = Gateway::start(&site.config()).await;
    // This policy doesn't look at who it is: of the same wish it would be asked once for all.
    let nap = async |name: &str| person(name).with("x-do", &format!("nap of {name}")).get(&gateway.at(SESSION)).await;
    for name in PEOPLE {
        assert_eq!(nap(name).await.headers["x-said"], "1500000 1500000");
    }
    let verified = with_activation("mode: verified", &with_wasi(500, "a: c"));
    site.mount_files(&[("plugins.yaml", verified.as_bytes()), ("policy.wasm", COMPONENT)]);
    swapped(&gateway, 1).await;
    gateway.logs("configured by {\\\"a\\\":\\\"c\\\"}").await;
    let comparison = gateway.status("/plugins").await["comparison"].clone();
    assert!(comparison["replayed"].as_u64() >= Some(3), "{comparison}");
    assert_eq!(comparison["differences"], 0, "{comparison}");
    site.mount(&activated("rollback: errors+denials", "closed: Nobody may enter."));
    eventually("the set is taken back", async || {
        for name in PEOPLE {
            nap(name).await;
        }
        (!gateway.status("/plugins").await["rejected"].is_null()).then_some(())
    })
    .await;
    assert_eq!(said(&gateway, "nap").await, "1500000 1500000");
}

#[tokio::test]
async fn python_that_prints_looks_around_and_sleeps_is_a_plugin_like_others() {
    let site = site(&python_policy(), 1_000);
    let gateway = Gateway::start(&site.config()).await;
    gateway.logs("configured by {\\\"a\\\":\\\"b\\\"}").await;
    assert_eq!(said(&gateway, "complain").await, "done");
    gateway.logs("WARN plugin: without an end").await;
    assert_eq!(said(&gateway, "print").await, "done");
    gateway.logs("further lines of this call are left out").await;
    let (count, longest) = lines(&gateway, "yyyyyyyy");
    assert!((1..=16).contains(&count) && longest < 2_000, "{count} lines, of {longest} bytes");
    let looked = said(&gateway, "look once").await;
    assert!(looked.starts_with("True 0."), "{looked}");
    assert_eq!(said(&gateway, "look twice").await, looked);
    assert_eq!(said(&gateway, "nap").await, "0.002");
    for (wish, fault) in [("sleep", "deadline"), ("exit", "trap"), ("socket", "trap")] {
        is_refused(&gateway, wish, fault).await;
        assert_eq!(said(&gateway, &format!("look after {wish}")).await, looked);
    }
}
