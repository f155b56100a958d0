//! Several plugins of a kind: asked in the order of the manifest, each with its own configuration, and none of them a way around
//! another one that fails.

use hostile_plugin::Behaviour;
use serde_json::json;
use wicketgate_tests::{Client, Gateway};

use super::{HOSTILE, got};
use crate::site::{DEFAULTS, SESSION, Site, manifest, only, person, swapped};

/// A routing policy that marks what it lets through.
fn policy(name: &str, allow: &str) -> String {
    format!(
        "{{name: {name}, kind: routing-policy, builtin: routing-policy, \
         config: {{allow: [{allow}], request_headers: {{set: {{X-Policy: {name}}}}}}}}}"
    )
}

/// The hostile plugin of a kind, which does well if its behaviour is `ok`.
fn hostile(kind: &str, behaviour: &str) -> String {
    let grants = if kind == "authenticator" { "{log: true, key_sets: [people]}" } else { "{log: true}" };
    format!("{{name: hostile, kind: {kind}, file: {kind}.wasm, grants: {grants}, config: {{behaviour: {behaviour}}}}}")
}

/// An authenticator to whom everybody is somebody named `ok`.
fn credulous() -> String {
    hostile("authenticator", "ok").replace("name: hostile", "name: credulous")
}

/// A manifest with the hostile components beside it.
fn files(manifest: &str) -> Vec<(&'static str, &[u8])> {
    let names = ["discovery-filter.wasm", "authenticator.wasm", "routing-policy.wasm"];
    let components = names.into_iter().zip(HOSTILE).map(|(name, (_, component))| (name, component));
    std::iter::once(("plugins.yaml", manifest.as_bytes())).chain(components).collect()
}

async fn status(gateway: &Gateway, client: &Client) -> u16 {
    client.get(&gateway.at(SESSION)).await.status.as_u16()
}

#[tokio::test]
async fn the_first_routing_policy_of_the_manifest_decides() {
    let (open, strict) = (policy("open", "everyone"), policy("strict", "owner"));
    let of = |first: &str, second: &str| manifest(&[DEFAULTS[0], DEFAULTS[1], first, second]);
    let mut site = Site::new(&only(of(&open, &strict)));
    let gateway = Gateway::start(&site.config()).await;
    let (alice, bob) = (person("alice"), person("bob"));
    for client in [&alice, &bob] {
        assert_eq!(got(&client.get(&gateway.at(SESSION)).await.json(), "x-policy"), json!("open"));
    }
    site.mount(&of(&strict, &open));
    swapped(&gateway, 1).await;
    assert_eq!(got(&alice.get(&gateway.at(SESSION)).await.json(), "x-policy"), json!("strict"));
    assert_eq!(status(&gateway, &bob).await, 404);

    // The names' order, and that of the kinds among each other, mean nothing.
    site.mount(&manifest(&[strict.as_str(), &open, DEFAULTS[1], DEFAULTS[0]]));
    swapped(&gateway, 2).await;
    assert_eq!(status(&gateway, &bob).await, 404);
    let plugins = gateway.status("/plugins").await["plugins"].clone();
    let of_kind: Vec<_> = plugins.as_array().unwrap().iter().filter(|plugin| plugin["kind"] == json!("routing-policy")).collect();
    assert_eq!(of_kind.iter().map(|plugin| plugin["name"].as_str().unwrap()).collect::<Vec<_>>(), ["strict", "open"]);
}

#[tokio::test]
async fn the_first_authenticator_that_does_not_abstain_says_who_it_is() {
    let owner = policy("owner", "owner");
    let of = |first: &str, second: &str| manifest(&[DEFAULTS[0], first, second, &owner]);
    let (by_token, credulous) = (DEFAULTS[1], credulous());
    let mut site = Site::new(&files(&of(by_token, &credulous)));
    let gateway = Gateway::start(&site.config()).await;
    // Her token counts. Whoever has none is somebody, by the second plugin, and that isn't the owner.
    assert_eq!(status(&gateway, &person("alice")).await, 200);
    assert_eq!(status(&gateway, &Client::default()).await, 404);

    site.plugins.replace(&files(&of(&credulous, by_token)));
    swapped(&gateway, 1).await;
    assert_eq!(status(&gateway, &person("alice")).await, 404, "the first plugin says that she's somebody else");
}

#[tokio::test]
async fn an_authenticator_that_fails_is_never_passed_over() {
    let open = policy("open", "everyone");
    let bob = person("bob");
    for behaviour in [Behaviour::Error, Behaviour::Unavailable, Behaviour::Trap, Behaviour::Spin, Behaviour::Invalid] {
        let failing = hostile("authenticator", behaviour.name());
        // Behind it stand one by whom a token is good, and one that lets in anybody.
        let first = manifest(&[DEFAULTS[0], &failing, DEFAULTS[1], &credulous(), &open]);
        let mut site = Site::new(&files(&first));
        let gateway = Gateway::start(&site.config()).await;
        for visitor in [&bob, &Client::default()] {
            assert_eq!(status(&gateway, visitor).await, 503, "{behaviour:?}, first");
        }
        assert!(site.upstream.seen().is_empty(), "{behaviour:?}: a request went through");

        let second = manifest(&[DEFAULTS[0], DEFAULTS[1], &failing, &credulous(), &open]);
        site.plugins.replace(&files(&second));
        swapped(&gateway, 1).await;
        assert_eq!(status(&gateway, &bob).await, 200, "{behaviour:?}: whoever was known before isn't its business");
        assert_eq!(status(&gateway, &Client::default()).await, 503, "{behaviour:?}, second");
        assert_eq!(site.upstream.seen().len(), 1, "{behaviour:?}: a request went through");
    }
}

#[tokio::test]
async fn a_routing_policy_that_fails_is_never_passed_over() {
    for behaviour in [Behaviour::Error, Behaviour::Trap, Behaviour::Spin] {
        let failing = hostile("routing-policy", behaviour.name());
        let text = manifest(&[DEFAULTS[0], DEFAULTS[1], &failing, &policy("open", "everyone")]);
        let site = Site::new(&files(&text));
        let gateway = Gateway::start(&site.config()).await;
        assert_eq!(status(&gateway, &person("alice")).await, 503, "{behaviour:?}");
        assert!(site.upstream.seen().is_empty(), "{behaviour:?}: a request went through");
    }
}

#[tokio::test]
async fn every_filter_must_keep_and_the_last_override_counts() {
    let filter =
        |name: &str, config: &str| format!("{{name: {name}, kind: discovery-filter, builtin: discovery-filter, config: {config}}}");
    // Each turns away another session; each gives another label.
    let a = filter("a", "{deny: {owners: [mallory]}, fixed_labels: {group: one}}");
    let b = filter("b", "{deny: {owners: [eve]}, fixed_labels: {group: two}}");
    let group = |name: &str| {
        format!("{{name: policy, kind: routing-policy, builtin: routing-policy, config: {{allow: [group], deny_users: [{name}]}}}}")
    };
    let of = |first: &str, second: &str| manifest(&[first, second, DEFAULTS[1], &group("nobody")]);
    let mut site = Site::new(&only(of(&a, &b)));
    let sessions: String = ["alice", "mallory", "eve"]
        .map(|owner| {
            format!("  - {{id: of-{owner}, owner: {owner}, endpoints: [{{address: 127.0.0.1, port: {}}}]}}\n", site.upstream.port())
        })
        .concat();
    site.write_sessions(&format!("sessions:\n{sessions}"));
    let gateway = Gateway::start(&site.config()).await;
    let member = |group: &str| Client::default().bearer(&crate::site::token(&json!({"sub": "carol", "groups": [group]})));
    let asked = async |session: &str, group: &str| member(group).get(&gateway.at(&format!("/service/{session}/echo"))).await.status;
    for (expected, generation) in [("two", 1), ("one", 2)] {
        for group in ["one", "two"] {
            let status = if group == expected { 200 } else { 404 };
            assert_eq!(asked("of-alice", group).await, status, "{group}, in generation {generation}");
            for denied in ["of-mallory", "of-eve"] {
                assert_eq!(asked(denied, group).await, 404, "{denied}, in generation {generation}");
            }
        }
        if generation == 1 {
            site.mount(&of(&b, &a));
            swapped(&gateway, 1).await;
        }
    }
}

#[tokio::test]
async fn a_filter_that_fails_publishes_nothing_whatever_the_others_say() {
    let failing = hostile("discovery-filter", Behaviour::Error.name());
    for order in [[failing.as_str(), DEFAULTS[0]], [DEFAULTS[0], failing.as_str()]] {
        let text = manifest(&[order[0], order[1], DEFAULTS[1], &policy("open", "everyone")]);
        let site = Site::new(&files(&text));
        let gateway = Gateway::start_unready(&site.config()).await;
        gateway.logs("plugin set activated").await;
        gateway.logs("hostile").await;
        assert_ne!(status(&gateway, &person("alice")).await, 200);
        assert!(site.upstream.seen().is_empty());
    }
}
