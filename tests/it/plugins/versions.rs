//! Plugins of earlier versions of the contract: each must load in every later gateway, and decide as it did.

use serde_json::json;
use wicketgate_tests::{Client, Gateway, programs::registry::digest};

use super::{POLICY, got};
use crate::site::{SESSION, Site, manifest, only, person, refused};

/// What lies under `tests/fixtures/contract-0.1`, with the digests of its README: a file that was made anew is no test of the past.
const CONTRACT_0_1: [(&str, &[u8], &str); 3] = [
    (
        "discovery-filter",
        include_bytes!("../../fixtures/contract-0.1/discovery-filter.wasm"),
        "sha256:63d2fac5bafe828c4041f2fcde011415bb2f7b7defba1d4a61e035fc1f3ad5a4",
    ),
    (
        "cookie-auth",
        include_bytes!("../../fixtures/contract-0.1/cookie-auth.wasm"),
        "sha256:54bc8b68aeb88386b1d3595bd0488999d31dc1b9a7ebc23091f4dbcc7c6ff907",
    ),
    ("routing-policy", POLICY, "sha256:26df4b6581044e14101d4e9de55745996ea47b061650b318f4b26509a848d7fa"),
];

#[tokio::test]
async fn plugins_of_contract_0_1_load_and_decide() {
    for (name, component, expected) in CONTRACT_0_1 {
        assert_eq!(digest(component), expected, "{name}");
    }
    let text = manifest(&[
        "{name: filter, kind: discovery-filter, file: discovery-filter.wasm, config: {deny: {owners: [mallory]}}}",
        "{name: auth, kind: authenticator, file: cookie-auth.wasm, grants: {log: true, key_sets: [people]}, \
         config: {key_sets: [people]}}",
        "{name: policy, kind: routing-policy, file: routing-policy.wasm, \
         config: {allow: [owner], request_headers: {set: {X-Policy: kept}}}}",
    ]);
    let mut files = vec![("plugins.yaml", text.as_bytes())];
    let names = ["discovery-filter.wasm", "cookie-auth.wasm", "routing-policy.wasm"];
    files.extend(names.into_iter().zip(CONTRACT_0_1).map(|(file, (_, component, _))| (file, component)));
    let site = Site::new(&files);
    let port = site.upstream.port();
    let session =
        |id: &str, owner: &str| format!("  - {{id: {id}, owner: {owner}, endpoints: [{{address: 127.0.0.1, port: {port}}}]}}\n");
    site.write_sessions(&format!("sessions:\n{}{}", session("s1", "alice"), session("s2", "mallory")));
    let gateway = Gateway::start(&site.config()).await;
    let plugins = gateway.status("/plugins").await["plugins"].clone();
    let digests: Vec<_> =
        plugins.as_array().unwrap().iter().map(|plugin| format!("sha256:{}", plugin["sha256"].as_str().unwrap())).collect();
    assert_eq!(digests, CONTRACT_0_1.map(|(_, _, digest)| digest.to_owned()));

    let answer = person("alice").get(&gateway.at(SESSION)).await;
    assert_eq!((answer.status.as_u16(), got(&answer.json(), "x-policy")), (200, json!("kept")));
    assert_eq!(person("bob").get(&gateway.at(SESSION)).await.status, 404);
    assert_eq!(Client::default().bearer("a.b.c").get(&gateway.at(SESSION)).await.status, 401);
    assert_eq!(Client::default().get(&gateway.at(SESSION)).await.status, 401);
    assert_eq!(person("mallory").get(&gateway.at("/service/s2/echo")).await.status, 404, "the filter doesn't publish it");
}

/// By componentize-qjs, packed; with the digest of what is in it.
const IN_TYPESCRIPT: (&[u8], &str) = (
    include_bytes!("../../fixtures/contract-0.1/api-keys.wasm.zst"),
    "55a3f33484dc0a17727af28b16e8c2b9a8525ad085e8b3139898f21f799759cd",
);

#[tokio::test]
async fn a_plugin_in_typescript_of_contract_0_1_loads_and_decides() {
    let (component, sha256) = IN_TYPESCRIPT;
    // What SHA-256 makes of the key.
    let programs = "{trainer: {sha256: [fa7021164e008ff6a3e44173e3a4c6e469080ea6ca85fb0597114921f9f52b73]}}";
    let text = manifest(&[
        crate::site::DEFAULTS[0],
        &format!(
            "{{name: keys, kind: authenticator, file: api-keys.wasm.zst, sha256: {sha256}, limits: {{call_budget_ms: 200}}, \
             config: {{programs: {programs}}}}}"
        ),
        "{name: policy, kind: routing-policy, builtin: routing-policy, config: {allow: [], allow_users: [trainer]}}",
    ]);
    let site = Site::new(&[("plugins.yaml", text.as_bytes()), ("api-keys.wasm.zst", component)]);
    let gateway = Gateway::start(&site.config()).await;
    let with = |key: &str| Client::default().with("x-api-key", key);
    assert_eq!(with("wgk-0123456789abcdef").get(&gateway.at(SESSION)).await.status, 200);
    assert_eq!(with("wgk-another").get(&gateway.at(SESSION)).await.status, 401);
    assert_eq!(Client::default().get(&gateway.at(SESSION)).await.status, 401);
}

/// A component with other names in place of its own, of the same length: as one that was built for another contract.
fn renamed(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = POLICY.to_vec();
    let mut found = 0;
    for at in 0..=bytes.len() - from.len() {
        if bytes[at..].starts_with(from.as_bytes()) {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            found += 1;
        }
    }
    assert!(found > 0, "{from}");
    bytes
}

#[tokio::test]
async fn a_component_of_another_contract_is_refused_in_one_sentence() {
    let entry = |kind: &str| crate::site::defaults_with(kind, &format!("{{name: ours, kind: {kind}, file: ours.wasm}}"));
    let mut site = Site::new(&only(crate::site::defaults()));
    let gateway = Gateway::start(&site.config()).await;
    for (what, kind, component, expected) in [
        (
            "a later version",
            "routing-policy",
            renamed("@0.1.0", "@0.2.0"),
            "speaks version 0.2.0 of the contract, this gateway speaks 0.1.0",
        ),
        (
            "a much later one",
            "routing-policy",
            renamed("@0.1.0", "@9.0.0"),
            "speaks version 9.0.0 of the contract, this gateway speaks 0.1.0",
        ),
        (
            "another kind",
            "authenticator",
            POLICY.to_vec(),
            "exports wicketgate:plugin/routing@0.1.0, expected authentication of wicketgate:plugin@0.1.0",
        ),
        ("a function that's missing", "routing-policy", renamed("route", "rouse"), "linking: "),
        (
            "another package",
            "routing-policy",
            renamed("wicketgate:plugin", "wicketgate:plugon"),
            "exports wicketgate:plugon/routing@0.1.0, expected routing of wicketgate:plugin@0.1.0",
        ),
    ] {
        site.plugins.replace(&[("plugins.yaml", entry(kind).as_bytes()), ("ours.wasm", &component)]);
        let why = refused(&gateway, None).await;
        assert!(why.starts_with("plugin 'ours': ") && why.contains(expected), "{what}: {why}");
        assert!(!why.contains('\n') && why.len() < 1024, "{what}: {why}");
        site.mount(&crate::site::defaults());
        crate::site::settled(&gateway).await;
    }
    assert_eq!(person("alice").get(&gateway.at(SESSION)).await.status, 200);
}
