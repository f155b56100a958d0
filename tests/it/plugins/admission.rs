//! Components that must not become plugins: refused in one sentence that names the plugin and what was expected, while the set
//! before goes on deciding.

use hostile_plugin::{Behaviour, of_version_0_9_0};
use serde_json::json;
use wicketgate_tests::{Gateway, eventually};

use super::HOSTILE;
use crate::site::{SESSION, Site, defaults, defaults_with, generation, only, person, refused, settled};

/// A set that can't be admitted.
struct Unfit {
    what: String,
    /// Each is a part of the reason.
    expected: Vec<String>,
    manifest: String,
    component: Vec<u8>,
}

/// Where the plugin's kind, file and behaviour differ from this, a test says so.
fn entry(kind: &str, behaviour: &str, more: &str) -> String {
    // An authenticator that may log and verify: every import that the contract has is granted.
    let grants = if kind == "authenticator" { "{log: true, key_sets: [people]}" } else { "{log: true}" };
    format!("{{name: hostile, kind: {kind}, file: hostile.wasm, grants: {grants}, config: {{behaviour: {behaviour}}}{more}}}")
}

fn unfit(what: &str, kind: &str, behaviour: &str, component: &[u8], expected: &[&str]) -> Unfit {
    let plugin = "plugin 'hostile': ";
    Unfit {
        what: format!("{what} ({kind})"),
        expected: std::iter::once(plugin).chain(expected.iter().copied()).map(str::to_owned).collect(),
        manifest: defaults_with(kind, &entry(kind, behaviour, "")),
        component: component.to_vec(),
    }
}

/// What is wrong with the bytes, whatever the guest in them would do.
fn bad_components() -> Vec<Unfit> {
    let mut all = Vec::new();
    for (at, (kind, component)) in HOSTILE.into_iter().enumerate() {
        let (_, other) = HOSTILE[(at + 1) % HOSTILE.len()];
        let interface = ["discovery", "authentication", "routing"][at];
        all.extend([
            unfit("truncated", kind, "ok", &component[..component.len() / 2], &["compilation: "]),
            unfit("cut within its preamble", kind, "ok", &component[..6], &["not a WebAssembly component: 6 bytes"]),
            unfit("of another kind", kind, "ok", other, &["exports ", &format!("expected {interface} of wicketgate:plugin@0.1.0")]),
            unfit(
                "of another version",
                kind,
                "ok",
                &of_version_0_9_0(component),
                &["speaks version 0.9.0 of the contract, this gateway speaks 0.1.0"],
            ),
        ]);
    }
    let (kind, component) = HOSTILE[1];
    let mut scrambled = component.to_vec();
    let middle = scrambled.len() / 2;
    scrambled[middle..middle + 64].fill(0xff);
    all.extend([
        unfit("no WebAssembly", kind, "ok", b"#!/bin/sh\nexit 0\n", &["not a WebAssembly component: no \\0asm at its start"]),
        unfit("machine code", kind, "ok", b"\x7fELF\x02\x01\x01\0\0\0\0\0", &["precompiled code is never taken"]),
        unfit("a core module", kind, "ok", b"\0asm\x01\0\0\0", &["a core module"]),
        unfit("an empty component", kind, "ok", b"\0asm\x0d\0\x01\0", &["exports nothing, expected authentication"]),
        unfit("scrambled", kind, "ok", &scrambled, &["compilation: "]),
    ]);
    all
}

/// What a guest does when it's configured.
fn bad_configures() -> Vec<Unfit> {
    let behaviours = [
        (Behaviour::SpinConfigure, &["deadline: "][..]),
        (Behaviour::TrapConfigure, &["trap: "]),
        (Behaviour::GrowConfigure, &["memory: "]),
        (Behaviour::RefuseConfigure, &["configure: behaviour: found ", "expected another one"]),
        (Behaviour::DeclaresTooMuch, &["declares declaration.inputs: found 1000 inputs, expected at most 64"]),
    ];
    let mut all = Vec::new();
    for (kind, component) in HOSTILE {
        for (behaviour, expected) in behaviours {
            all.push(unfit(behaviour.name(), kind, behaviour.name(), component, expected));
        }
    }
    let forbidden: [&[&str]; 3] = [
        &["declares declaration.inputs: found identity", "only routing policies see identities"],
        &["declares declaration.inputs.header: found cookie, expected cookies declared by their names"],
        &["declares declaration.inputs.header: found cookie, expected cookies declared by their names"],
    ];
    for ((kind, component), expected) in HOSTILE.into_iter().zip(forbidden) {
        all.push(unfit("declares what it must not", kind, "declares-forbidden", component, expected));
    }
    all
}

/// What the manifest doesn't allow or have.
fn bad_entries() -> Vec<Unfit> {
    let (kind, component) = HOSTILE[1];
    let with = |what: &str, expected: &[&str], change: &dyn Fn(String) -> String| {
        let mut unfit = unfit(what, kind, "ok", component, &[]);
        unfit.manifest = change(unfit.manifest);
        unfit.expected = expected.iter().map(|part| (*part).to_owned()).collect();
        unfit
    };
    let replace = |from: &'static str, to: &'static str| {
        move |text: String| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        }
    };
    vec![
        with(
            "a log that isn't granted",
            &["plugin 'hostile': imports wicketgate:plugin/log@0.1.0", "the manifest doesn't grant (grants.log)"],
            &replace("{log: true, key_sets: [people]}, config: {behaviour", "{key_sets: [people]}, config: {behaviour"),
        ),
        with(
            "tokens that aren't granted",
            &["plugin 'hostile': imports wicketgate:plugin/jwt@0.1.0", "the manifest doesn't grant (grants.key_sets)"],
            &replace("{log: true, key_sets: [people]}, config: {behaviour", "{log: true}, config: {behaviour"),
        ),
        with("an absent file", &["plugin 'hostile': other.wasm: no such file"], &replace("hostile.wasm", "other.wasm")),
        with("a file elsewhere", &["plugins[1].file: found '/etc/x.wasm'"], &replace("hostile.wasm", "/etc/x.wasm")),
        with("an unknown kind", &["plugins[1].kind: unknown variant `oracle`"], &replace("kind: authenticator", "kind: oracle")),
        with("an unknown key", &["plugins[1].configuration: unknown field"], &replace("config:", "configuration:")),
        with("a name that isn't one", &["plugins[1].name: found 'a b'"], &replace("name: hostile", "name: a b")),
        with("a name twice", &["plugins[1].name: found 'filter' twice"], &replace("name: hostile", "name: filter")),
        with(
            "a budget without bounds",
            &["plugins[1].limits.call_budget_ms: found 100000, expected 1 to 1000"],
            &replace("file: hostile.wasm", "file: hostile.wasm, limits: {call_budget_ms: 100000}"),
        ),
        with(
            "an authenticator that fails open",
            &["plugins[1].on_error: found owner-only, expected closed"],
            &replace("file: hostile.wasm", "file: hostile.wasm, on_error: owner-only"),
        ),
        with("another component than was reviewed", &["plugin 'hostile': sha256 is ", "expected abababab"], &|text: String| {
            text.replace("file: hostile.wasm", &format!("file: hostile.wasm, sha256: {}", "ab".repeat(32)))
        }),
    ]
}

/// Each in turn, on one gateway, whose own set must not notice.
async fn all_are_refused(unfit: Vec<Unfit>) {
    let good = defaults();
    let mut site = Site::new(&only(good.clone()));
    let gateway = Gateway::start(&site.config()).await;
    let alice = person("alice");
    for unfit in unfit {
        site.plugins.replace(&[("plugins.yaml", unfit.manifest.as_bytes()), ("hostile.wasm", &unfit.component)]);
        let why = refused(&gateway, None).await;
        for part in &unfit.expected {
            assert!(why.contains(part), "{}: {why}\nexpected {part}", unfit.what);
        }
        assert!(!why.contains('\n') && why.len() < 1024, "{}: not one sentence: {why}", unfit.what);
        // The log is read by a thread of its own.
        eventually(&format!("{}: a line in the log that says so", unfit.what), async || {
            let said = gateway.log();
            let line = said.lines().rfind(|line| line.contains("plugin set refused"))?;
            let is_whole = line.contains("generation 1 goes on deciding") && unfit.expected.iter().all(|part| line.contains(part));
            is_whole.then_some(())
        })
        .await;
        assert_eq!(generation(&gateway).await, Some(1), "{}", unfit.what);
        assert_eq!(alice.get(&gateway.at(SESSION)).await.status, 200, "{}", unfit.what);
        site.mount(&good);
        settled(&gateway).await;
    }
    let status = gateway.status("/plugins").await;
    assert_eq!(status["generation"], json!(1));
    let mut faults = status["plugins"].as_array().unwrap().iter().flat_map(|plugin| plugin["faults"].as_object().unwrap().values());
    assert!(faults.all(|count| count == 0), "{status}");
    assert!(!gateway.log().contains("panicked"));
}

#[tokio::test]
async fn a_component_that_is_none_of_the_contracts_is_refused() {
    all_are_refused(bad_components()).await;
}

#[tokio::test]
async fn a_plugin_that_misbehaves_when_it_is_configured_is_refused() {
    all_are_refused(bad_configures()).await;
}

#[tokio::test]
async fn an_entry_of_the_manifest_that_is_wrong_is_refused() {
    all_are_refused(bad_entries()).await;
}
