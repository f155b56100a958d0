//! A set that is activated and turns out bad is taken back by itself, by what happens to people whom the set before lets in:
//! strangers neither force it nor keep a lock-out from lasting.

use hostile_plugin::Behaviour;
use serde_json::{Value, json};
use wicketgate_tests::{Client, Gateway, eventually};

use super::HOSTILE;
use crate::site::{
    DEFAULTS, SESSION, Site, activated, generation, manifest, newcomer, only, recovered, swapped, token, with_activation,
};

async fn taken_back(gateway: &Gateway, mut visit: impl AsyncFnMut()) -> String {
    eventually("the set is taken back", async || {
        visit().await;
        let status = gateway.status("/plugins").await;
        status["rejected"]["why"].as_str().map(str::to_owned)
    })
    .await
}

#[tokio::test]
async fn a_policy_that_turns_everybody_away_is_taken_back_where_denials_count() {
    let mut site = Site::new(&only(activated("", "allow: [everyone]")));
    let gateway = Gateway::start(&site.config()).await;
    for _ in 0..3 {
        assert_eq!(newcomer().get(&gateway.at(SESSION)).await.status, 200);
    }
    site.mount(&activated("rollback: errors+denials", "closed: Nobody may enter."));
    swapped(&gateway, 1).await;
    let why = taken_back(&gateway, async || {
        newcomer().get(&gateway.at(SESSION)).await;
    })
    .await;
    assert!(why.contains("people whom the set before lets in are turned away, at most 50 % may"), "{why}");
    assert!(why.ends_with("the last: reject (closed)"), "{why}");
    assert_eq!(newcomer().get(&gateway.at(SESSION)).await.status, 200);
    assert_eq!(generation(&gateway).await, Some(1));
    assert_eq!(gateway.metric("wicketgate_plugin_rollbacks_total").await, 1);
    let history = gateway.status("/plugins").await["history"].clone();
    let last = history.as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["what"], "rolled-back", "{history}");

    // The same files aren't tried again; others are.
    gateway.logs("isn't tried again until the directory changes").await;
    assert_eq!(generation(&gateway).await, Some(1));
    site.mount(&activated("", "allow: [everyone, owner]"));
    assert!(recovered(&gateway, 1).await > 2);
    assert_eq!(gateway.status("/plugins").await["rejected"], Value::Null);
}

#[tokio::test]
async fn a_lock_out_of_one_group_lasts() {
    let mut site = Site::new(&only(activated("", "allow: [everyone]")));
    let gateway = Gateway::start(&site.config()).await;
    let member = |number: u32| Client::default().bearer(&token(&json!({"sub": format!("m{number}"), "groups": ["contractors"]})));
    for number in 0..4 {
        assert_eq!(member(number).get(&gateway.at(SESSION)).await.status, 200);
    }
    for _ in 0..8 {
        assert_eq!(newcomer().get(&gateway.at(SESSION)).await.status, 200);
    }
    site.mount(&activated("rollback: errors+denials, watch_s: 4", "allow: [everyone], deny_groups: [contractors]"));
    swapped(&gateway, 1).await;
    // They come back and back, and bring strangers along; nobody else comes.
    let found_good = async || {
        let history = gateway.status("/plugins").await["history"].clone();
        history.as_array().unwrap().iter().any(|event| event["what"] == "found-good")
    };
    eventually("the watch is over", async || {
        for number in 0..4 {
            assert_eq!(member(number).get(&gateway.at(SESSION)).await.status, 404);
            assert_eq!(Client::default().get(&gateway.at(SESSION)).await.status, 401);
        }
        found_good().await.then_some(())
    })
    .await;
    assert_eq!(generation(&gateway).await, Some(2));
    assert_eq!(newcomer().get(&gateway.at(SESSION)).await.status, 200);
}

fn component(kind: &str) -> &'static [u8] {
    HOSTILE.into_iter().find(|(known, _)| *known == kind).unwrap().1
}

/// A manifest in which a plugin stands before the default policy that does what each request says, or always this.
fn with_hostile_policy(activation: &str, behaviour: Behaviour) -> String {
    let hostile = format!(
        "{{name: hostile, kind: routing-policy, file: hostile.wasm, grants: {{log: true}}, limits: {{call_budget_ms: 500}}, config: {{behaviour: {}}}}}",
        behaviour.name()
    );
    let policy = "{name: policy, kind: routing-policy, builtin: routing-policy, config: {allow: [everyone]}}";
    let text = manifest(&[DEFAULTS[0], DEFAULTS[1], hostile.as_str(), policy]);
    with_activation(activation, &text)
}

#[tokio::test]
async fn a_plugin_that_fails_for_people_is_taken_back() {
    let mut site = Site::new(&only(activated("", "allow: [everyone]")));
    let gateway = Gateway::start(&site.config()).await;
    for _ in 0..3 {
        assert_eq!(newcomer().get(&gateway.at(SESSION)).await.status, 200);
    }
    let bad = with_hostile_policy("", Behaviour::Trap);
    site.plugins.replace(&[("plugins.yaml", bad.as_bytes()), ("hostile.wasm", component("routing-policy"))]);
    swapped(&gateway, 1).await;
    let why = taken_back(&gateway, async || {
        newcomer().get(&gateway.at(SESSION)).await;
    })
    .await;
    assert!(why.starts_with("plugins failed for "), "{why}");
    assert!(why.contains("the last: plugin 'hostile' trap ("), "{why}");
    assert_eq!(newcomer().get(&gateway.at(SESSION)).await.status, 200);
}

/// It fails before it looks at a token: who was turned away is known by what the set before would have made of the same inputs.
#[tokio::test]
async fn an_authenticator_that_fails_for_people_is_taken_back() {
    let mut site = Site::new(&only(activated("", "allow: [everyone]")));
    let gateway = Gateway::start(&site.config()).await;
    for _ in 0..3 {
        assert_eq!(newcomer().get(&gateway.at(SESSION)).await.status, 200);
    }
    let hostile = format!(
        "{{name: hostile, kind: authenticator, file: hostile.wasm, grants: {{log: true, key_sets: [people]}}, \
         limits: {{call_budget_ms: 500}}, config: {{behaviour: {}}}}}",
        Behaviour::Trap.name()
    );
    let policy = "{name: policy, kind: routing-policy, builtin: routing-policy, config: {allow: [everyone]}}";
    let bad = manifest(&[DEFAULTS[0], hostile.as_str(), DEFAULTS[1], policy]);
    site.plugins.replace(&[("plugins.yaml", bad.as_bytes()), ("hostile.wasm", component("authenticator"))]);
    swapped(&gateway, 1).await;
    let why = taken_back(&gateway, async || {
        assert_ne!(Client::default().get(&gateway.at(SESSION)).await.status, 200);
        newcomer().get(&gateway.at(SESSION)).await;
    })
    .await;
    assert!(why.starts_with("plugins failed for "), "{why}");
    assert!(why.contains("the last: plugin 'hostile' trap ("), "{why}");
    assert_eq!(newcomer().get(&gateway.at(SESSION)).await.status, 200);
    assert_eq!(generation(&gateway).await, Some(1));
}

#[tokio::test]
async fn strangers_who_trap_a_plugin_or_are_denied_change_nothing() {
    let mut site = Site::new(&only(activated("", "allow: [everyone]")));
    let gateway = Gateway::start(&site.config()).await;
    for _ in 0..3 {
        assert_eq!(newcomer().get(&gateway.at(SESSION)).await.status, 200);
    }
    let set = with_hostile_policy("rollback: errors+denials", Behaviour::FromHeader);
    site.plugins.replace(&[("plugins.yaml", set.as_bytes()), ("hostile.wasm", component("routing-policy"))]);
    swapped(&gateway, 1).await;
    for round in 0..200 {
        let stranger = Client::default().with("x-hostile", "trap");
        let liar = Client::default().with("x-hostile", "trap").bearer(&format!("{}x", token(&json!({"sub": "alice"}))));
        for client in [stranger, liar] {
            assert_eq!(client.get(&gateway.at(SESSION)).await.status, 503, "{round}");
            assert_eq!(client.get(&gateway.at("/service/none/")).await.status, 401, "{round}");
        }
    }
    for _ in 0..3 {
        assert_eq!(newcomer().get(&gateway.at(SESSION)).await.status, 200);
    }
    // All of it was looked at by now: what came last was. Whoever is let in by the cache leaves no record of that.
    eventually("people are counted", async || {
        let watch = gateway.status("/plugins").await["watch"].clone();
        (watch["people"]["all"].as_u64() >= Some(3)).then_some(())
    })
    .await;
    let status = gateway.status("/plugins").await;
    let people = &status["watch"]["people"];
    assert_eq!(status["generation"], 2, "{status}");
    assert_eq!((&people["failing"], &people["denied"]), (&json!(0), &json!(0)), "{people}");
}
