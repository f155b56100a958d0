//! The worked examples decide as their pages say.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use wicketgate_tests::Client;

use super::*;
use crate::site::{DEFAULTS, SESSION, defaults_with, manifest, token};

/// Somebody of a group.
fn member(group: &str) -> Client {
    Client::default().bearer(&token(&json!({"sub": "eve", "groups": [group]})))
}

/// A day of the week that is neither today nor next to it, and all days.
fn days() -> (&'static str, String) {
    let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 86_400;
    // 1970-01-01 was a Thursday.
    let today = usize::try_from((since + 3) % 7).unwrap();
    (names[(today + 3) % 7], names.join(", "))
}

#[tokio::test]
async fn rust_lets_groups_in_at_their_hours() {
    let made = tempfile::tempdir().unwrap();
    let out = made.path().join("office-hours.wasm");
    let said = build(&Path::new(CHECKOUT).join("examples/office-hours"), &out);
    assert_eq!((&said["language"], &said["fits_config_map"]), (&json!("rust"), &json!("as-it-is")));

    let (other_day, every_day) = days();
    let config = format!(
        "{{rules: [{{groups: [always], days: [{every_day}], from: '00:00', to: '24:00'}}, \
         {{groups: [seldom], days: [{other_day}], from: '08:00', to: '18:00'}}]}}"
    );
    let entries = [
        DEFAULTS[0].to_owned(),
        DEFAULTS[1].to_owned(),
        format!("{{name: office-hours, kind: routing-policy, file: office-hours.wasm, config: {config}}}"),
        "{name: policy, kind: routing-policy, builtin: routing-policy, config: {allow: [owner]}}".to_owned(),
    ];
    let site = Site::new(&[("plugins.yaml", manifest(&entries).into_bytes()), ("office-hours.wasm", read(&out))]);
    let gateway = gateway(&site).await;
    assert_eq!(member("always").get(&gateway.at(SESSION)).await.status, 200);
    let closed = member("seldom").get(&gateway.at(SESSION)).await;
    assert_eq!(closed.status, 403);
    assert!(closed.text().contains("open to you at other hours"), "{}", closed.text());
    // Nobody's rule: the policy behind it decides.
    assert_eq!(member("never").get(&gateway.at(SESSION)).await.status, 404);
    let alice = Client::default().bearer(&token(&json!({"sub": "alice"})));
    assert_eq!(alice.get(&gateway.at(SESSION)).await.status, 200);
}

#[tokio::test]
async fn typescript_knows_programs_by_their_keys() {
    let (_directory, project) = example("api-keys");
    let out = project.join("api-keys.wasm");
    let said = build(&project, &out);
    assert_eq!((&said["language"], &said["fits_config_map"]), (&json!("javascript"), &json!("compressed")));
    check(&project, "api-keys");

    // As `sha256sum` has it of the key in the example's own cases.
    let digest = "fa7021164e008ff6a3e44173e3a4c6e469080ea6ca85fb0597114921f9f52b73";
    let entries = [
        DEFAULTS[0].to_owned(),
        format!(
            "{{name: api-keys, kind: authenticator, file: api-keys.wasm, \
             config: {{programs: {{trainer: {{sha256: [{digest}], groups: [pipelines]}}}}}}}}"
        ),
        DEFAULTS[1].to_owned(),
        "{name: policy, kind: routing-policy, builtin: routing-policy, config: {allow_groups: [pipelines], allow: []}}".to_owned(),
    ];
    let site = Site::new(&[("plugins.yaml", manifest(&entries).into_bytes()), ("api-keys.wasm", read(&out))]);
    let gateway = gateway(&site).await;
    let with = async |key: &str| Client::default().with("x-api-key", key).get(&gateway.at(SESSION)).await;
    let entered = with("wgk-0123456789abcdef").await;
    assert_eq!(entered.status, 200);
    assert_eq!(got(&entered.json(), "x-wicketgate-user").as_deref(), Some("trainer"));
    assert_eq!(got(&entered.json(), "x-api-key"), None, "a workload got the key");
    let unknown = with("guess").await;
    assert_eq!((unknown.status.as_u16(), unknown.header("www-authenticate")), (401, Some("ApiKey realm=\"wicketgate\"")));
    let twice = Client::default().with("x-api-key", "wgk-0123456789abcdef").with("x-api-key", "guess");
    assert_eq!(twice.get(&gateway.at(SESSION)).await.status, 403);
    assert!(faults(&gateway, "api-keys").await.as_object().unwrap().values().all(|count| *count == 0));
}

#[tokio::test]
async fn python_publishes_what_is_named_by_the_rule() {
    let (_directory, project) = example("naming-rules");
    let out = project.join("naming-rules.wasm");
    let said = build(&project, &out);
    assert_eq!((&said["language"], &said["fits_config_map"]), (&json!("python"), &json!("no")));
    check(&project, "naming-rules");

    let entry = "{name: naming-rules, kind: discovery-filter, file: naming-rules.wasm, limits: {call_budget_ms: 500}, config: \
        {pattern: '(?P<team>[a-z]+)-(?P<purpose>lab|demo)', purposes: {demo: {access: public}}}}";
    let manifest = defaults_with("discovery-filter", entry);
    let site = Site::new(&[("plugins.yaml", manifest.into_bytes()), ("naming-rules.wasm", read(&out))]);
    let endpoints = format!("[{{address: 127.0.0.1, port: {}}}]", site.upstream.port());
    let session = |id: &str, name: &str| format!("  - {{id: {id}, name: {name:?}, owner: alice, endpoints: {endpoints}}}\n");
    site.write_sessions(&format!(
        "sessions:\n{}{}{}",
        session("lab", "vision-lab"),
        session("demo", "vision-demo"),
        session("bad", "My notebook")
    ));
    let gateway = gateway(&site).await;
    let alice = Client::default().bearer(&token(&json!({"sub": "alice"})));
    let asked = async |client: &Client, id: &str| client.get(&gateway.at(&format!("/service/{id}/echo"))).await.status.as_u16();
    let stranger = Client::default();
    assert_eq!((asked(&alice, "lab").await, asked(&stranger, "lab").await), (200, 401));
    assert_eq!((asked(&alice, "demo").await, asked(&stranger, "demo").await), (200, 200));
    assert_eq!((asked(&alice, "bad").await, asked(&stranger, "bad").await), (404, 401));
}
