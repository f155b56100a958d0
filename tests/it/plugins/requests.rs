//! Plugins that pass admission and misbehave when they are asked: nothing gets through, and the next one who asks is served.

use hostile_plugin::Behaviour;
use serde_json::{Value, json};
use wicketgate_tests::{Client, Gateway, eventually};

use super::HOSTILE;
use crate::site::{DEFAULTS, SESSION, Site, defaults, defaults_with, manifest, person, swapped};

/// What a misdeed is to the host: the kind of fault that it's counted as, or none where the answer is a decision all the same.
fn fault_of(kind: &str, behaviour: Behaviour) -> Option<&'static str> {
    let is_authenticator = kind == "authenticator";
    match behaviour {
        Behaviour::Spin => Some("deadline"),
        Behaviour::Trap | Behaviour::Recurse => Some("trap"),
        Behaviour::Grow => Some("memory"),
        Behaviour::Huge | Behaviour::HugeList | Behaviour::Invalid => Some("output"),
        Behaviour::InvalidHeader | Behaviour::InvalidLocation | Behaviour::InvalidLifetime => Some("output"),
        Behaviour::InvalidIdentity if is_authenticator => Some("output"),
        Behaviour::Error => Some("error"),
        Behaviour::Unavailable => Some("unavailable"),
        // Misdeeds that end at admission, or that a request may survive: the log is cut off, and a verification that wasn't
        // declared is answered with an error that the plugin makes an abstention of.
        Behaviour::InvalidIdentity
        | Behaviour::Ok
        | Behaviour::Stateful
        | Behaviour::LogFlood
        | Behaviour::UndeclaredVerification
        | Behaviour::FromHeader
        | Behaviour::SpinConfigure
        | Behaviour::TrapConfigure
        | Behaviour::GrowConfigure
        | Behaviour::RefuseConfigure
        | Behaviour::DeclaresTooMuch
        | Behaviour::DeclaresForbidden => None,
    }
}

/// The hostile plugin of a kind as an entry of the manifest. Its budget is far above what any misdeed but an endless loop
/// needs on a slow machine: each must end as what it is, not as a deadline.
fn hostile(kind: &str, behaviour: Behaviour) -> String {
    let grants = if kind == "authenticator" { "{log: true, key_sets: [people]}" } else { "{log: true}" };
    format!(
        "{{name: hostile, kind: {kind}, file: hostile.wasm, grants: {grants}, limits: {{call_budget_ms: 500}}, \
         config: {{behaviour: {}}}}}",
        behaviour.name()
    )
}

fn component(kind: &str) -> &'static [u8] {
    HOSTILE.into_iter().find(|(known, _)| *known == kind).unwrap().1
}

/// How often the hostile plugin failed, by kind of fault.
async fn faults(gateway: &Gateway) -> Value {
    let status = gateway.status("/plugins").await;
    let plugins = status["plugins"].as_array().unwrap();
    plugins.iter().find(|plugin| plugin["name"] == "hostile").unwrap()["faults"].clone()
}

/// A site whose plugin of this kind does what the header `x-hostile` of each request says, and a policy that lets in whoever
/// is known where the plugin isn't one itself.
fn site(kind: &str) -> Site {
    let mut entries = DEFAULTS.map(str::to_owned);
    entries[2] = "{name: policy, kind: routing-policy, builtin: routing-policy, config: {allow: [everyone]}}".to_owned();
    let at = HOSTILE.iter().position(|(known, _)| *known == kind).unwrap();
    entries[at] = hostile(kind, Behaviour::FromHeader);
    Site::new(&[("plugins.yaml", manifest(&entries).as_bytes()), ("hostile.wasm", component(kind))])
}

async fn each_fault_is_a_503_for_its_request_alone(kind: &str) {
    let site = site(kind);
    let gateway = Gateway::start(&site.config()).await;
    let visitor = |behaviour: Behaviour| person("alice").with("x-hostile", behaviour.name());
    for behaviour in Behaviour::ALL {
        let Some(fault) = fault_of(kind, behaviour) else { continue };
        let (before, seen) = (faults(&gateway).await, site.upstream.seen().len());
        // Twice each: a failure isn't remembered, and the spare instance fails as the first did.
        for _ in 0..2 {
            let refused = visitor(behaviour).get(&gateway.at(SESSION)).await;
            assert_eq!(refused.status, 503, "{kind}, {behaviour:?}: {}", refused.text());
            assert!(!refused.text().contains("hostile"), "{kind}, {behaviour:?}: told to the client: {}", refused.text());
        }
        assert_eq!(site.upstream.seen().len(), seen, "{kind}, {behaviour:?}: a request went through");
        let mut expected = before.as_object().unwrap().clone();
        expected[fault] = json!(before[fault].as_u64().unwrap() + 2);
        assert_eq!(faults(&gateway).await, Value::Object(expected), "{kind}, {behaviour:?}");
        let next = visitor(Behaviour::Ok).get(&gateway.at(SESSION)).await;
        assert_eq!(next.status, 200, "{kind}, after {behaviour:?}: {}", next.text());
    }
    gateway.logs("plugin-fault: plugin hostile@").await;
    assert!(!gateway.log().contains("panicked"));
}

#[tokio::test]
async fn an_authenticator_that_fails_lets_nothing_through_and_the_next_request_is_served() {
    each_fault_is_a_503_for_its_request_alone("authenticator").await;
}

#[tokio::test]
async fn a_routing_policy_that_fails_lets_nothing_through_and_the_next_request_is_served() {
    each_fault_is_a_503_for_its_request_alone("routing-policy").await;
}

#[tokio::test]
async fn failing_and_good_requests_at_once_do_not_touch_each_other() {
    let site = site("authenticator");
    let gateway = Gateway::start(&site.config()).await;
    let behaviours = [Behaviour::Ok, Behaviour::Trap, Behaviour::Ok, Behaviour::Grow, Behaviour::Error];
    let url = gateway.at(SESSION);
    let ask = async |number: usize| {
        let behaviour = behaviours[number % behaviours.len()];
        // Others than before: nothing of it is in the cache.
        let client = person(&format!("person{number}")).with("x-hostile", behaviour.name());
        (behaviour, client.get(&url).await.status.as_u16())
    };
    let answers = futures_util::future::join_all((0..200).map(ask)).await;
    for (behaviour, status) in answers {
        assert_eq!(status, if behaviour == Behaviour::Ok { 200 } else { 503 }, "{behaviour:?}");
    }
    assert_eq!(site.upstream.seen().len(), 80);
}

#[tokio::test]
async fn a_flood_in_the_log_is_cut_off_and_does_not_fail_the_request() {
    for kind in ["authenticator", "routing-policy"] {
        let site = site(kind);
        let gateway = Gateway::start(&site.config()).await;
        let visitor = person("alice").with("x-hostile", Behaviour::LogFlood.name());
        let status = visitor.get(&gateway.at(SESSION)).await.status.as_u16();
        // Ten thousand calls may use up the budget; they must not get into the log either way.
        assert!([200, 503].contains(&status), "{status}");
        gateway.logs("further lines of this call are left out").await;
        let log = gateway.log();
        let lines = log.lines().filter(|line| line.contains("xxxxxxxxxx"));
        assert!(lines.clone().count() <= 32 && lines.clone().all(|line| line.len() < 2_000), "{}", lines.count());
    }
}

#[tokio::test]
async fn state_that_a_plugin_keeps_ends_with_its_set() {
    let mut site = site("routing-policy");
    let gateway = Gateway::start(&site.config()).await;
    let trap = person("alice").with("x-hostile", Behaviour::Trap.name());
    assert_eq!(trap.get(&gateway.at(SESSION)).await.status, 503);
    // The way out of a bad plugin is another set, on the same gateway.
    site.mount(&defaults());
    swapped(&gateway, 1).await;
    assert_eq!(trap.get(&gateway.at(SESSION)).await.status, 200);
}

#[tokio::test]
async fn a_policy_that_fails_lets_in_the_owner_alone_where_the_manifest_says_so() {
    let entry =
        hostile("routing-policy", Behaviour::FromHeader).replace("{name: hostile,", "{name: hostile, on_error: owner-only,");
    let manifest = defaults_with("routing-policy", &entry);
    let site = Site::new(&[("plugins.yaml", manifest.as_bytes()), ("hostile.wasm", component("routing-policy"))]);
    let gateway = Gateway::start(&site.config()).await;
    for behaviour in [Behaviour::Trap, Behaviour::Spin, Behaviour::Error, Behaviour::Invalid] {
        let asked = async |client: Client| client.with("x-hostile", behaviour.name()).get(&gateway.at(SESSION)).await.status;
        assert_eq!(asked(person("alice")).await, 200, "{behaviour:?}: the owner");
        // Why she got in that way is recorded.
        let records = Client::default().get(&format!("{}/decisions?kind=routing-policy", gateway.admin)).await.text();
        let fault = fault_of("routing-policy", behaviour).unwrap();
        assert!(records.lines().last().unwrap().contains(&format!("the policy failed ({fault})")), "{behaviour:?}: {records}");
        let seen = site.upstream.seen().len();
        assert_eq!(asked(person("bob")).await, 503, "{behaviour:?}: somebody else");
        assert_eq!(asked(Client::default()).await, 503, "{behaviour:?}: a stranger");
        assert_eq!(site.upstream.seen().len(), seen);
    }
}

#[tokio::test]
async fn a_discovery_filter_that_fails_publishes_nothing() {
    let good = defaults();
    for behaviour in Behaviour::ALL {
        if fault_of("discovery-filter", behaviour).is_none()
            || matches!(behaviour, Behaviour::InvalidLifetime | Behaviour::InvalidLocation)
        {
            continue;
        }
        let bad = defaults_with("discovery-filter", &hostile("discovery-filter", behaviour));
        let mut site = Site::new(&[("plugins.yaml", bad.as_bytes()), ("hostile.wasm", component("discovery-filter"))]);
        let gateway = Gateway::start(&site.config()).await;
        assert_eq!(person("alice").get(&gateway.at(SESSION)).await.status, 404, "{behaviour:?}");
        let fault = fault_of("discovery-filter", behaviour).unwrap();
        assert!(faults(&gateway).await[fault].as_u64() >= Some(1), "{behaviour:?}: {}", faults(&gateway).await);
        assert!(site.upstream.seen().is_empty());
        site.mount(&good);
        swapped(&gateway, 1).await;
        eventually("the session, by a filter that works", async || {
            (person("alice").get(&gateway.at(SESSION)).await.status == 200).then_some(())
        })
        .await;
    }
}
