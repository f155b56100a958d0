//! Decisions that are recorded, and run again.

use super::*;
use crate::{
    admission::Manifest,
    domain::record::{Inputs as Recorded, Known, MayRead, Outcome, Record},
    plugin::inputs::Gathered,
};

fn last(set: &PluginSet, kind: Kind) -> Arc<Record> {
    set.recorder().last(kind, 1).pop().unwrap()
}

/// The default plugins with another configuration of the authenticator and of the policy.
async fn other_set(bench: &Bench, auth: serde_json::Value, policy: serde_json::Value) -> Arc<PluginSet> {
    let mut manifest = Manifest::builtin(&["gateway".into()], &[]);
    for (entry, config) in manifest.entries[1..].iter_mut().zip([auth, policy]) {
        config.as_object().unwrap().iter().for_each(|(key, value)| entry.config[key] = value.clone());
    }
    manifest.entries[2].grants.may_read_session = true;
    bench.loader.load(&manifest, &Default::default(), "other".into()).await.unwrap()
}

fn replay(bench: &Bench, set: &PluginSet, record: &Record) -> Result<Outcome, NotRecorded> {
    let worker = Worker::for_replay(Arc::clone(&bench.loader.engine));
    // As it's read from a file.
    let line = serde_json::to_string(record).unwrap();
    set.replay(&worker, &serde_json::from_str::<Record>(&line).unwrap().inputs)
}

fn word(replayed: Result<Outcome, NotRecorded>) -> String {
    match replayed {
        Ok(outcome) => outcome.summary(),
        Err(NotRecorded(what)) => format!("not recorded: {what}"),
    }
}

async fn bench_with_records() -> (Bench, String) {
    let bench = bench(secret_set()).await;
    let token = token("u1", Duration::from_secs(60));
    let headers = with("cookie", &format!("theme=dark; wicketgate_session={token}"));
    bench.enter(&headers, &endpoint("u1")).await.unwrap();
    (bench, token)
}

#[tokio::test]
async fn a_record_holds_what_was_decided_from_and_no_credential() {
    let (bench, token) = bench_with_records().await;
    for kind in [Kind::Authenticator, Kind::RoutingPolicy] {
        let record = last(&bench.set, kind);
        let line = serde_json::to_string(&*record).unwrap();
        let signature = token.rsplit('.').next().unwrap();
        assert!(!line.contains(&token) && !line.contains(signature) && !line.contains("dark"), "{line}");
        let http = record.inputs.http.as_ref().unwrap();
        assert_eq!((http.method.as_deref(), http.path.as_deref()), (Some("GET"), Some("/")));
        assert_eq!(record.inputs.tokens.len(), 1, "{line}");
        assert!(line.contains(r#""user":"u1""#), "{line}");
        assert_eq!(bench.set.recorder().find(record.id), Some(record));
    }
}

#[tokio::test]
async fn only_what_is_not_in_the_cache_is_recorded_and_what_is_has_its_record() {
    let (bench, token) = bench_with_records().await;
    let headers = with("cookie", &format!("wicketgate_session={token}"));
    let (authenticated, routed) = bench.enter(&headers, &endpoint("u1")).await.unwrap();
    let recorded = |kind| bench.set.recorder().last(kind, 10);
    assert_eq!(recorded(Kind::Authenticator).len(), 1);
    assert_eq!(authenticated.record, Some(last(&bench.set, Kind::Authenticator).id));
    assert_eq!(routed.unwrap().record, Some(last(&bench.set, Kind::RoutingPolicy).id));
}

#[tokio::test]
async fn sets_decide_alike_up_to_the_plugin_that_differs() {
    let bench = bench(secret_set()).await;
    let set = other_set(&bench, json!({}), json!({})).await;
    let alike = |other: &PluginSet| Kind::ALL.map(|kind| other.decides_like(&set, kind));
    let policy_alone = other_set(&bench, json!({}), json!({"allow": ["owner"]})).await;
    assert_eq!(alike(&policy_alone), [true, true, false]);
    let authenticator_alone = other_set(&bench, json!({"leeway_s": 7}), json!({})).await;
    assert_eq!(alike(&authenticator_alone), [true, false, false], "a policy hears of other people");
    assert_eq!(alike(&*other_set(&bench, json!({}), json!({})).await), [true; 3]);
    assert_eq!(alike(&bench.set), [true, true, false], "another grant");
    let filter = set.plugins().next().unwrap();
    assert_eq!(alike(&set.alone(filter)), [true, false, false], "fewer plugins");
}

#[tokio::test]
async fn the_same_plugins_decide_the_same_again() {
    let (bench, _) = bench_with_records().await;
    bench.enter(&HeaderMap::new(), &endpoint("u1")).await.unwrap();
    bench.enter(&with("authorization", "Bearer a.b.c"), &endpoint("u2")).await.unwrap();
    for kind in [Kind::Authenticator, Kind::RoutingPolicy] {
        let records = bench.set.recorder().last(kind, 10);
        assert_eq!(records.len(), 3);
        for record in records {
            let Ok(outcome) = replay(&bench, &bench.set, &record) else { panic!("{record:?}") };
            assert!(outcome.has_effect_of(&record.outcome), "{outcome:?} {:?}", record.outcome);
        }
    }
}

#[tokio::test]
async fn other_plugins_are_seen_to_decide_otherwise() {
    let (bench, _) = bench_with_records().await;
    let (auth, policy) = (last(&bench.set, Kind::Authenticator), last(&bench.set, Kind::RoutingPolicy));
    let deny = other_set(&bench, json!({"deny": {"users": ["u1"]}}), json!({})).await;
    assert_eq!(word(replay(&bench, &deny, &auth)), "deny (user-denied)");
    assert_eq!(
        word(replay(&bench, &deny, &policy)),
        "deny (user-denied)",
        "a policy's record goes through the authenticators first"
    );
    let closed = other_set(&bench, json!({}), json!({"closed": "later"})).await;
    assert_eq!(word(replay(&bench, &closed, &policy)), "reject (closed)");
    // Claims that nobody asked for at the time.
    let groups =
        other_set(&bench, json!({"claims": {"groups": ["identity.role"]}}), json!({"allow": [], "allow_groups": ["user"]})).await;
    assert_eq!(word(replay(&bench, &groups, &policy)), "forward (group)");
    let audience = other_set(&bench, json!({"audiences": ["elsewhere"]}), json!({})).await;
    assert_eq!(word(replay(&bench, &audience, &auth)), "abstain (token-audience)");
}

#[tokio::test]
async fn what_was_not_recorded_is_said_and_decides_nothing() {
    let (bench, _) = bench_with_records().await;
    let (auth, policy) = (last(&bench.set, Kind::Authenticator), last(&bench.set, Kind::RoutingPolicy));
    let cookie = other_set(&bench, json!({"cookies": ["other"]}), json!({})).await;
    assert_eq!(word(replay(&bench, &cookie, &auth)), "not recorded: the input 'cookie other'");
    let readers = other_set(&bench, json!({}), json!({"allow": ["readers"]})).await;
    assert_eq!(word(replay(&bench, &readers, &policy)), "not recorded: the fact may-read-session");
    let mut without_answers = Record::clone(&auth);
    without_answers.inputs.tokens.clear();
    assert_eq!(word(replay(&bench, &bench.set, &without_answers)), "not recorded: what key set 'gateway' says of a token");
}

#[tokio::test]
async fn written_inputs_are_whole() {
    let bench = bench(secret_set()).await;
    let inputs = |value: serde_json::Value| serde_json::from_value::<Recorded>(value).unwrap();
    let run = |set: &PluginSet, inputs: &Recorded| word(set.replay(&Worker::for_replay(Arc::clone(&bench.loader.engine)), inputs));
    let unsigned = inputs(json!({"kind": "authenticator", "now_ms": 1000, "http": {"headers": {"Authorization": "Bearer x"}}}));
    assert_eq!(unsigned.known, Known::Everything);
    assert_eq!(run(&bench.set, &unsigned), "abstain (token-signature)");
    let expired = inputs(json!({
        "kind": "authenticator", "now_ms": 2_000_000, "http": {"cookies": {"wicketgate_session": "t"}},
        "tokens": [{"token": "t", "key_set": "gateway", "claims": {"sub": "ada", "exp": 1000}}],
    }));
    assert_eq!(run(&bench.set, &expired), "abstain (token-expired)");
    let mut reader = inputs(json!({
        "kind": "routing-policy", "now_ms": 1, "http": {}, "session": {"owner": "u2"},
        "identity": {"principal": {"id": "ada"}}, "may_read_session": "yes",
    }));
    let readers = other_set(&bench, json!({}), json!({"allow": ["readers"]})).await;
    assert_eq!(run(&readers, &reader), "forward (reader)");
    reader.may_read_session = Some(MayRead::No);
    assert_eq!(run(&readers, &reader), "reject (not-admitted)");
    let filter = inputs(json!({"kind": "discovery-filter", "now_ms": 1, "session": {"status": "stopped"}}));
    assert_eq!(run(&bench.set, &filter), "drop (not-running)");
}

#[tokio::test]
async fn a_fault_is_recorded_with_its_inputs() {
    let mut sets = KeySets::default();
    sets.insert(KeySet::introspect("gateway", Duration::from_secs(1)));
    let bench = bench(sets).await;
    let fault = bench.enter(&with("cookie", "wicketgate_session=a.b.down"), &endpoint("u1")).await.err().unwrap();
    let record = bench.set.recorder().find(fault.record.unwrap()).unwrap();
    assert!(matches!(&record.outcome, Outcome::Failed(failed) if failed.fault == "unavailable"), "{:?}", record.outcome);
    assert_eq!(word(replay(&bench, &bench.set, &record)), "fails (unavailable)");
}

#[tokio::test]
async fn values_of_headers_are_compared_and_not_shown() {
    let bench = bench(secret_set()).await;
    let key = |value: &str| json!({"request_headers": {"set": {"x-api-key": value}}});
    let (set, other) = (other_set(&bench, json!({}), key("an API key")).await, other_set(&bench, json!({}), key("another")).await);
    let headers = with("cookie", &format!("wicketgate_session={}", token("u1", Duration::from_secs(60))));
    bench.enter_by(&set, &headers, &endpoint("u1")).await.unwrap();
    let record = last(&set, Kind::RoutingPolicy);
    let line = serde_json::to_string(&*record).unwrap();
    assert!(record.outcome.admits() && line.contains("x-api-key") && !line.contains("an API key"), "{line}");
    assert!(replay(&bench, &set, &record).unwrap().has_effect_of(&record.outcome));
    assert!(!replay(&bench, &other, &record).unwrap().has_effect_of(&record.outcome));
    // What somebody writes is answered in full.
    let case = json!({
        "kind": "routing-policy", "now_ms": 1, "http": {}, "session": {"owner": "ada"}, "identity": {"principal": {"id": "ada"}},
    });
    let worker = Worker::for_replay(Arc::clone(&bench.loader.engine));
    let written = set.replay(&worker, &serde_json::from_value(case).unwrap()).unwrap();
    assert!(serde_json::to_string(&written).unwrap().contains("an API key"), "{written:?}");
}

#[tokio::test]
async fn what_a_plugin_says_of_a_credential_is_not_passed_on() {
    let (bench, token) = bench_with_records().await;
    let plugin = bench.set.authenticators[0].clone();
    let gathered = Gathered { cookies: vec![("wicketgate_session", token.as_bytes())], ..Gathered::default() };
    let fault = bench.set.scrubbed(Fault::new(&plugin.name, FaultKind::Error, format!("bad token {token}")), &gathered);
    assert!(fault.message.starts_with("bad token redacted."), "{fault}");
}

#[tokio::test]
async fn a_policys_record_has_the_tokens_whatever_became_of_the_authenticators() {
    let (bench, token) = bench_with_records().await;
    let record = last(&bench.set, Kind::Authenticator).id;
    for number in 0..bench.loader.limits.records.keep {
        let token = self::token(&format!("p{number}"), Duration::from_secs(60));
        bench.enter(&with("cookie", &format!("wicketgate_session={token}")), &endpoint("u1")).await.unwrap();
    }
    assert!(bench.set.recorder().find(record).is_none(), "others pushed it out");
    let headers = with("cookie", &format!("wicketgate_session={token}"));
    let (authenticated, _) = bench.enter(&headers, &endpoint("u2")).await.unwrap();
    assert!(authenticated.cached);
    assert_eq!(last(&bench.set, Kind::RoutingPolicy).inputs.tokens.len(), 1);
}
