//! A plugin directory as a ConfigMap is mounted: what changes in it takes effect whole or not at all.

use serde_json::{Value, json};
use wicketgate_tests::{Client, Gateway};

use super::got;
use crate::site::{
    DEFAULTS, SESSION, Site, defaults_with, generation, manifest, mounted, only, person, readiness, refused, settled, swapped,
};

/// A policy that lets in who is named and marks what it lets through.
fn policy(allow: &str, mark: &str) -> String {
    format!(
        "{{name: policy, kind: routing-policy, builtin: routing-policy, \
         config: {{allow: [{allow}], request_headers: {{set: {{X-Policy: {mark}}}}}}}}}"
    )
}

fn set(allow: &str, mark: &str) -> String {
    defaults_with("routing-policy", &policy(allow, mark))
}

/// Something that is wrong with a directory.
struct Broken {
    what: &'static str,
    /// Of the reason.
    expected: &'static str,
    files: Vec<(&'static str, Vec<u8>)>,
}

/// Everything here has a part that is better than nothing, which must not be used.
fn all_broken() -> Vec<Broken> {
    let manifest_of = |text: &str| vec![("plugins.yaml", text.as_bytes().to_vec())];
    let broken = |what, expected, files| Broken { what, expected, files };
    let from_file = |more: &str| {
        let entry = format!("{{name: strict, kind: routing-policy, file: strict.wasm{more}}}");
        defaults_with("routing-policy", &entry)
    };
    let with_file = |text: &str, bytes: &[u8]| {
        let mut files = manifest_of(text);
        files.push(("strict.wasm", bytes.to_vec()));
        files
    };
    let good = set("everyone", "torn");
    vec![
        broken("emptied", "is empty; a configured directory never falls back to the defaults", vec![]),
        broken("without its manifest", "has no plugins.yaml", vec![("strict.wasm", b"\0asm".to_vec())]),
        broken("with half a manifest", "plugins.yaml: not YAML", manifest_of(&format!("{good}  - {{name: ["))),
        broken("with an empty manifest", "plugins.yaml", manifest_of("")),
        broken("with a manifest that isn't text", "plugins.yaml isn't UTF-8 text", vec![("plugins.yaml", vec![0xff, 0xfe, 0])]),
        broken(
            "without an authenticator",
            "found no plugin of kind authenticator, expected at least one of each kind",
            manifest_of(&manifest(&[DEFAULTS[0], DEFAULTS[2]])),
        ),
        broken("of another version", "version: found 2, expected 1", manifest_of(&good.replace("version: 1", "version: 2"))),
        broken("without a named file", "plugin 'strict': strict.wasm: no such file", manifest_of(&from_file(""))),
        broken("with a file cut short", "plugin 'strict': not a WebAssembly component", with_file(&from_file(""), b"\0asm")),
        broken(
            "with a file that was exchanged",
            "plugin 'strict': sha256 is ",
            with_file(&from_file(&format!(", sha256: {}", "f".repeat(64))), b"\0asm"),
        ),
        broken(
            "with a configuration that its plugin refuses",
            "plugin 'policy': configure: allow",
            manifest_of(&set("everybody", "wrong")),
        ),
    ]
}

#[tokio::test]
async fn a_change_of_policy_takes_effect_without_a_restart() {
    let mut site = Site::new(&only(set("owner", "one")));
    let gateway = Gateway::start(&site.config()).await;
    let (alice, bob) = (person("alice"), person("bob"));
    assert_eq!(got(&alice.get(&gateway.at(SESSION)).await.json(), "x-policy"), json!("one"));
    assert_eq!(bob.get(&gateway.at(SESSION)).await.status, 404);

    let pid = gateway.pid();
    let first = generation(&gateway).await.unwrap();
    site.mount(&set("everyone", "two"));
    let second = swapped(&gateway, first).await;
    assert_eq!(got(&bob.get(&gateway.at(SESSION)).await.json(), "x-policy"), json!("two"));

    site.mount(&defaults_with(
        "routing-policy",
        "{name: policy, kind: routing-policy, builtin: routing-policy, config: {closed: Back at noon.}}",
    ));
    swapped(&gateway, second).await;
    let turned_away = alice.get(&gateway.at(SESSION)).await;
    assert_eq!(turned_away.status, 403);
    assert!(turned_away.text().contains("Back at noon."), "{}", turned_away.text());
    assert_eq!(gateway.pid(), pid);
}

#[tokio::test]
async fn equal_content_is_no_change() {
    let good = set("everyone", "one");
    let mut site = Site::new(&only(good.clone()));
    let gateway = Gateway::start(&site.config()).await;
    assert_eq!(person("bob").get(&gateway.at(SESSION)).await.status, 200);
    let shown = async |gateway: &Gateway| {
        let mut shown = gateway.status("/plugins").await;
        shown.as_object_mut().unwrap().remove("history");
        shown
    };
    let before = shown(&gateway).await;
    // Only that the directory was looked at in between can be waited for: so it's wrong in between.
    for _ in 0..3 {
        site.mount("version: 0\nplugins: []\n");
        refused(&gateway, None).await;
        site.mount(&good);
        settled(&gateway).await;
    }
    let after = shown(&gateway).await;
    assert_eq!(before, after, "an equal set was loaded again");
    site.mount(&set("everyone", "two"));
    assert_eq!(swapped(&gateway, 1).await, 2);
}

#[tokio::test]
async fn whatever_is_wrong_with_the_directory_the_old_set_goes_on_and_nothing_laxer() {
    let strict = set("owner", "strict");
    let mut site = Site::new(&only(strict.clone()));
    let (stranger, alice) = (Client::default(), person("alice"));
    {
        // Otherwise this test couldn't fail: by the defaults a stranger may enter.
        let lax = Gateway::start(&site.config_without_directory()).await;
        assert_eq!(stranger.get(&lax.at(SESSION)).await.status, 200);
    }
    let gateway = Gateway::start(&site.config()).await;
    let first = generation(&gateway).await;
    let mut earlier: Option<String> = None;
    for broken in all_broken() {
        site.plugins.replace(&broken.files);
        let why = refused(&gateway, earlier.as_deref()).await;
        assert!(why.contains(broken.expected), "a directory {}: {why}", broken.what);
        assert!(!why.contains('\n'), "not one sentence: {why}");
        gateway.logs(broken.expected).await;
        assert_eq!(generation(&gateway).await, first, "a directory {}", broken.what);
        let echo = alice.get(&gateway.at(SESSION)).await;
        assert_eq!(got(&echo.json(), "x-policy"), json!("strict"), "a directory {}", broken.what);
        assert_eq!(stranger.get(&gateway.at(SESSION)).await.status, 401, "a directory {}", broken.what);
        assert_eq!(readiness(&gateway).await, 200, "a gateway with a set that decides is ready");
        earlier = Some(why);
    }
    assert_eq!(gateway.log().matches("plugin set refused").count(), all_broken().len(), "said once each");
    site.mount(&strict);
    settled(&gateway).await;
    assert_eq!(generation(&gateway).await, first);
    assert!(!gateway.log().contains("panicked"));
}

#[tokio::test]
async fn a_directory_that_is_torn_or_gone_keeps_the_old_set_until_it_is_back() {
    let mut site = Site::new(&only(set("owner", "one")));
    let gateway = Gateway::start(&site.config()).await;
    let alice = person("alice");
    let (real, directory) = (mounted(site.plugins.path()), site.plugins.path().to_owned());
    for (moved, away) in [(real.clone(), real.with_extension("away")), (directory.clone(), directory.with_extension("away"))] {
        std::fs::rename(&moved, &away).unwrap();
        let why = refused(&gateway, None).await;
        assert!(why.contains(directory.to_str().unwrap()), "{why}");
        assert_eq!(got(&alice.get(&gateway.at(SESSION)).await.json(), "x-policy"), json!("one"));
        std::fs::rename(&away, &moved).unwrap();
        settled(&gateway).await;
        assert_eq!(generation(&gateway).await, Some(1));
    }
    // It's another directory now, as far as the kernel is concerned: a change must still be noticed.
    site.mount(&set("owner", "two"));
    swapped(&gateway, 1).await;
    assert_eq!(got(&alice.get(&gateway.at(SESSION)).await.json(), "x-policy"), json!("two"));
}

#[tokio::test]
async fn a_gateway_that_starts_with_a_broken_directory_lets_nobody_in_until_it_is_repaired() {
    for broken in all_broken() {
        let mut site = Site::new(&broken.files);
        let gateway = Gateway::start_unready(&site.config()).await;
        let why = refused(&gateway, None).await;
        assert!(why.contains(broken.expected), "a directory {}: {why}", broken.what);
        let status = gateway.status("/plugins").await;
        assert_eq!((&status["generation"], &status["plugins"]), (&Value::Null, &json!([])), "a directory {}", broken.what);
        assert_eq!(readiness(&gateway).await, 503, "a directory {}", broken.what);
        let ready = Client::default().get(&format!("{}/readyz", gateway.admin)).await.text();
        assert!(ready.contains(broken.expected), "readiness doesn't say what is missing: {ready}");
        for visitor in [Client::default(), person("alice")] {
            assert_eq!(visitor.get(&gateway.at(SESSION)).await.status, 503, "a directory {}", broken.what);
        }
        assert!(site.upstream.seen().is_empty(), "a directory {}: a request went through", broken.what);

        site.mount(&set("owner", "repaired"));
        settled(&gateway).await;
        wicketgate_tests::eventually("readiness", async || (readiness(&gateway).await == 200).then_some(())).await;
        assert_eq!(got(&person("alice").get(&gateway.at(SESSION)).await.json(), "x-policy"), json!("repaired"));
        assert_eq!(Client::default().get(&gateway.at(SESSION)).await.status, 401);
    }
}
