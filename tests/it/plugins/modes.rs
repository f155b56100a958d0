//! How a change goes live: a policy that turns everybody away, pushed to be verified first or compared in the shadow, never decides
//! one request.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use wicketgate_tests::{Client, Gateway, eventually};

use crate::site::{
    SESSION, Site, activated, defaults_with, generation, manifest, newcomer, only, person, recovered, refused, swapped,
    with_activation,
};

const PEOPLE: [&str; 4] = ["alice", "bob", "carol", "dave"];

const EVERYONE: &str = "allow: [everyone]";
/// The mistake of a lifetime.
const NOBODY: &str = "closed: Nobody may enter.";
/// The same mistake, of which strangers notice nothing: they are asked who they are.
const ADMINS: &str = "allow: [admins]";

async fn everybody_enters(gateway: &Gateway) {
    for name in PEOPLE {
        let reply = person(name).get(&gateway.at(SESSION)).await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.text());
    }
}

/// The part of the status about the set that was compared last.
async fn comparison(gateway: &Gateway) -> Value {
    gateway.status("/plugins").await["comparison"].clone()
}

async fn strangers_come(gateway: &Gateway) {
    for number in 0..20 {
        let stranger = Client::default().with("cookie", &format!("clearml_token_basic=stranger-{number}"));
        for path in [SESSION, "/service/none/"] {
            assert_eq!(stranger.get(&gateway.at(path)).await.status, 401);
        }
    }
}

async fn in_shadow(gateway: &Gateway) {
    eventually("a set in the shadow", async || {
        (gateway.status("/plugins").await["candidate"]["stage"] == "in-shadow").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_policy_that_turns_everybody_away_is_not_verified() {
    let mut site = Site::new(&only(activated("", EVERYONE)));
    let gateway = Gateway::start(&site.config()).await;
    everybody_enters(&gateway).await;
    site.mount(&activated("mode: verified", NOBODY));
    let why = refused(&gateway, None).await;
    assert!(why.starts_with("not activated: 4 of "), "{why}");
    assert!(why.contains("recorded decisions come out otherwise, at most 0 may (activation.most_differences)"), "{why}");
    assert!(why.ends_with("GET /echo of s1: forward (everyone) before, reject (closed) now"), "{why}");
    let shown = comparison(&gateway).await;
    assert_eq!(shown["differences"], 4, "{shown}");
    let first = &shown["shown"][0];
    assert_eq!((&first["before"], &first["after"]), (&"forward (everyone)".into(), &"reject (closed)".into()), "{shown}");
    everybody_enters(&gateway).await;
    assert_eq!(generation(&gateway).await, Some(1));
    assert_eq!(gateway.metric("wicketgate_plugin_differing_decisions").await, 4);

    // Who means it says so. Each was asked about once or, where that wasn't in the cache any more, twice.
    site.mount(&activated("mode: verified, most_differences: 8", NOBODY));
    recovered(&gateway, 1).await;
    assert_eq!(person("alice").get(&gateway.at(SESSION)).await.status, 403);
}

#[tokio::test]
async fn nothing_is_verified_by_nothing() {
    let mut site = Site::new(&only(activated("", EVERYONE)));
    let gateway = Gateway::start(&site.config()).await;
    site.mount(&activated("mode: verified", NOBODY));
    let nobody = "not activated: nobody is recorded yet who is let in, by whom it could be verified (activation.mode: verified)";
    assert_eq!(refused(&gateway, None).await, nobody);
    // Strangers come in any number and prove nothing: both sets ask them who they are.
    strangers_come(&gateway).await;
    site.mount(&activated("mode: verified", ADMINS));
    eventually("the second is refused, too", async || {
        let history = gateway.status("/plugins").await["history"].clone();
        let refusals = history.as_array().unwrap().iter().filter(|event| event["why"] == nobody).count();
        (refusals == 2).then_some(())
    })
    .await;
    everybody_enters(&gateway).await;
    site.mount(&activated("mode: verified", "allow: [everyone], message: Never seen."));
    recovered(&gateway, 1).await;
    everybody_enters(&gateway).await;
}

#[tokio::test]
async fn a_policy_that_reads_what_was_not_recorded_is_not_verified() {
    let mut site = Site::new(&only(activated("", EVERYONE)));
    let gateway = Gateway::start(&site.config()).await;
    everybody_enters(&gateway).await;
    let auth = "{name: auth, kind: authenticator, builtin: cookie-auth, grants: {key_sets: [people]}, \
                config: {key_sets: [people], cookies: [another]}}";
    site.mount(&with_activation("mode: verified", &defaults_with("authenticator", auth)));
    let why = refused(&gateway, None).await;
    assert!(why.contains("at least 90 % must (activation.least_replayed_percent)"), "{why}");
    assert!(why.ends_with("not recorded was the input 'cookie another' (plugins.records.inputs)"), "{why}");
    everybody_enters(&gateway).await;
}

/// Records of the first set lack what the second one's authenticator reads; the third one has the same authenticator.
#[tokio::test]
async fn what_cannot_be_told_of_plugins_that_stay_keeps_nothing_from_being_verified() {
    let mut site = Site::new(&only(activated("", EVERYONE)));
    let gateway = Gateway::start(&site.config()).await;
    everybody_enters(&gateway).await;
    let with_filter = |limits: &str| {
        manifest(&[
            &format!("{{name: filter, kind: discovery-filter, builtin: discovery-filter{limits}}}"),
            "{name: auth, kind: authenticator, builtin: cookie-auth, grants: {key_sets: [people]}, \
             config: {key_sets: [people], cookies: [another]}}",
            "{name: policy, kind: routing-policy, builtin: routing-policy, config: {allow: [everyone]}}",
        ])
    };
    site.mount(&with_filter(""));
    swapped(&gateway, 1).await;
    everybody_enters(&gateway).await;
    site.mount(&with_activation("mode: verified", &with_filter(", limits: {call_budget_ms: 7}")));
    swapped(&gateway, 2).await;
    let shown = comparison(&gateway).await;
    assert_eq!((&shown["differences"], &shown["not_recorded"]), (&json!(0), &json!({})), "{shown}");
    everybody_enters(&gateway).await;
}

#[tokio::test]
async fn a_shadow_decides_nothing_and_is_dropped_when_it_differs() {
    let mut site = Site::new(&only(activated("", EVERYONE)));
    let gateway = Gateway::start(&site.config()).await;
    everybody_enters(&gateway).await;
    site.mount(&activated("mode: shadow", NOBODY));
    in_shadow(&gateway).await;
    // What is decided from now on is compared; whoever came before is in the cache of a worker, so somebody else comes.
    let dropped = eventually("the shadow is dropped", async || {
        everybody_enters(&gateway).await;
        assert_eq!(newcomer().get(&gateway.at(SESSION)).await.status, 200);
        let status = gateway.status("/plugins").await;
        status["refused"]["why"].as_str().map(str::to_owned)
    })
    .await;
    assert!(dropped.starts_with("it isn't tried again until the directory changes: dropped from the shadow: "));
    assert!(dropped.contains("reject (closed) now"), "{dropped}");
    everybody_enters(&gateway).await;
    assert_eq!(generation(&gateway).await, Some(1));
    let history = gateway.status("/plugins").await["history"].clone();
    let what: Vec<&str> = history.as_array().unwrap().iter().map(|event| event["what"].as_str().unwrap()).collect();
    assert_eq!(what, ["activated", "in-shadow", "dropped"]);
}

#[tokio::test]
async fn a_shadow_that_agrees_is_promoted() {
    let mut site = Site::new(&only(activated("", EVERYONE)));
    let gateway = Gateway::start(&site.config()).await;
    site.mount(&activated("mode: shadow, shadow_decisions: 6", "allow: [everyone, owner]"));
    in_shadow(&gateway).await;
    eventually("the shadow is promoted", async || {
        assert_eq!(newcomer().get(&gateway.at(SESSION)).await.status, 200);
        (generation(&gateway).await == Some(2)).then_some(())
    })
    .await;
    let shown = comparison(&gateway).await;
    assert!(shown["replayed"].as_u64().unwrap() >= 6 && shown["differences"] == 0, "{shown}");
    assert_eq!(gateway.status("/plugins").await["activated_by"], "shadow");
}

#[tokio::test]
async fn strangers_promote_no_shadow() {
    let mut site = Site::new(&only(activated("", EVERYONE)));
    let gateway = Gateway::start(&site.config()).await;
    site.mount(&activated("mode: shadow, shadow_s: 1, shadow_decisions: 5", ADMINS));
    in_shadow(&gateway).await;
    strangers_come(&gateway).await;
    eventually("they are compared", async || (comparison(&gateway).await["replayed"].as_u64() >= Some(20)).then_some(())).await;
    // When its time is over it goes on: nobody was let in.
    eventually("its time is over", async || {
        let candidate = gateway.status("/plugins").await["candidate"].clone();
        assert_eq!(candidate["stage"], "in-shadow", "{candidate}");
        let began = Duration::from_millis(candidate["since_ms"].as_u64().unwrap());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        (now > began + Duration::from_millis(1500)).then_some(())
    })
    .await;
    assert_eq!(comparison(&gateway).await["admissions"], 0);
    everybody_enters(&gateway).await;
    assert_eq!(generation(&gateway).await, Some(1));
}

#[tokio::test]
async fn a_shadow_ends_with_its_directory() {
    let mut site = Site::new(&only(activated("", EVERYONE)));
    let gateway = Gateway::start(&site.config()).await;
    site.mount(&activated("mode: shadow", "allow: [everyone, owner]"));
    in_shadow(&gateway).await;
    site.mount("version: 1\nplugins: [");
    refused(&gateway, None).await;
    let status = gateway.status("/plugins").await;
    assert_eq!(status["candidate"], Value::Null, "{status}");
    assert_eq!(gateway.metric("wicketgate_plugin_shadow").await, 0);
    everybody_enters(&gateway).await;
    assert_eq!(generation(&gateway).await, Some(1));
}

#[tokio::test]
async fn another_change_takes_the_place_of_a_shadow() {
    let mut site = Site::new(&only(activated("", EVERYONE)));
    let gateway = Gateway::start(&site.config()).await;
    site.mount(&activated("mode: shadow", NOBODY));
    in_shadow(&gateway).await;
    site.mount(&activated("", EVERYONE));
    eventually("no shadow", async || gateway.status("/plugins").await["candidate"].is_null().then_some(())).await;
    everybody_enters(&gateway).await;
    assert_eq!(generation(&gateway).await, Some(1));
}
