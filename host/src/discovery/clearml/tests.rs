use serde_json::{Value, json};

use super::*;
use crate::{
    discovery::{
        Records,
        leases::{Claim, record::Record},
    },
    domain::{Candidate, DownstreamTls, EndpointId, EndpointName, Protocol, Timestamp, UpstreamPath},
};

fn found(runtime: Value) -> Found {
    let task = json!({
        "id": "t1", "name": "nb\u{1b}[31m", "user": {"id": "u1"}, "company": {"id": "c1"}, "project": {"id": "p1"},
        "tags": ["gpu"], "status": "in_progress", "execution": {"queue": {"id": "q1"}}, "runtime": runtime,
        "created": "2026-07-01T00:00:00Z",
    });
    let mut found = Found::default();
    runtime::candidates(&Task::parse(task).unwrap(), &["default".to_owned()], &gateway(), &mut found);
    found
}

fn gateway() -> Gateway {
    Gateway {
        tcp_address: "gate.example".into(),
        static_ports: [("db".to_owned(), 30_001)].into(),
        records: Arc::new(Records::new("gate", b"secret")),
    }
}

fn one(runtime: Value) -> Candidate {
    let mut found = found(runtime);
    assert_eq!((found.candidates.len(), found.rejected.len()), (1, 0), "{found:?}");
    Arc::unwrap_or_clone(found.candidates.remove(0))
}

#[test]
fn the_default_endpoint_has_bare_keys_and_says_what_it_is() {
    let lab = one(json!({"_SERVICE": "EXTERNAL", "_ADDRESS": "10.0.0.7", "_PORT": 8888, "_jupyter_token": "hush"}));
    assert!(lab.id.name.is_default());
    assert_eq!((lab.host.as_str(), lab.port, lab.protocol), ("10.0.0.7", 8888, Protocol::Http));
    let attributes: Vec<(&str, &str)> = lab.attributes.iter().map(|(name, values)| (name, values[0].as_ref())).collect();
    let expected = [
        ("company", "c1"),
        ("endpoint.address", "10.0.0.7"),
        ("endpoint.name", ""),
        ("endpoint.port", "8888"),
        ("endpoint.protocol", "http"),
        ("owner", "u1"),
        ("project", "p1"),
        ("queue", "default"),
        ("session.created", "2026-07-01T00:00:00Z"),
        ("session.id", "t1"),
        ("session.name", "nb\u{fffd}[31m"),
        ("source", "clearml"),
        ("status", "running"),
        ("tag", "gpu"),
    ];
    assert_eq!(attributes, expected);
}

#[test]
fn default_http_and_default_tcp_share_a_service_key_and_are_both_found() {
    let found = found(json!({
        "_SERVICE": "EXTERNAL_TCP", "_ADDRESS": "10.0.0.7", "_PORT": "8888",
        "external_address": "10.0.0.7", "external_tcp_port": "10022", "upstream_task_port": 10022,
    }));
    let both: Vec<(Protocol, u16)> = found.candidates.iter().map(|candidate| (candidate.protocol, candidate.port)).collect();
    assert_eq!(both, [(Protocol::Http, 8888), (Protocol::Tcp, 10022)]);
}

#[test]
fn named_and_numbered_endpoints_are_found_with_our_own_keys() {
    let found = found(json!({
        "_ADDRESS__api": "10.0.0.7", "_PORT__api": 80, "_wicketgate_upstream_path__api": "keep",
        "_wicketgate_host_label__api": "My-Api", "_wicketgate_access__api": "company",
        "_ADDRESS__1": "10.0.0.7", "_PORT__1": 81, "_wicketgate_access__1": "two words", "_wicketgate_host_label__1": "a.b",
    }));
    let [first, api] = found.candidates.as_slice() else { panic!("{found:?}") };
    assert_eq!(first.id.path(), "/service/t1.1/");
    assert_eq!(
        (first.upstream_path, first.attributes.first("access"), first.host_label.as_deref()),
        (UpstreamPath::Strip, None, None)
    );
    assert_eq!(api.id.path(), "/service/t1.api/");
    assert_eq!(
        (api.upstream_path, api.attributes.first("access"), api.host_label.as_deref()),
        (UpstreamPath::Keep, Some("company"), Some("my-api"))
    );
}

#[test]
fn an_address_that_a_gateway_wrote_is_not_the_tasks() {
    for runtime in [
        json!({"external_address": "GATE.example", "external_tcp_port": 31000, "upstream_task_port": 22}),
        json!({"external_address": "GATE.example", "external_tcp_port": 22}),
        json!({"external_address": "10.1.1.1", "external_tcp_port": 31000, "upstream_task_port": 22}),
    ] {
        let found = found(runtime);
        assert_eq!((found.candidates.len(), found.rejected.len()), (0, 1));
    }
}

#[test]
fn hostile_runtimes_make_no_candidate_and_no_panic() {
    let long = "a".repeat(64);
    for (runtime, expected) in [
        (json!({}), "no port in the runtime yet"),
        (json!({"_PORT": 0, "_ADDRESS": "10.0.0.1"}), "_PORT is 0, expected 1 to 65535"),
        (json!({"_PORT": 65536, "_ADDRESS": "10.0.0.1"}), "_PORT is 65536, expected"),
        (json!({"_PORT": -1, "_ADDRESS": "10.0.0.1"}), "_PORT is -1, expected"),
        (json!({"_PORT": 80.5, "_ADDRESS": "10.0.0.1"}), "_PORT is 80.5, expected"),
        (json!({"_PORT": "+80", "_ADDRESS": "10.0.0.1"}), "_PORT is \"+80\", expected"),
        (json!({"_PORT": "80 ", "_ADDRESS": "10.0.0.1"}), "_PORT is \"80 \", expected"),
        (json!({"_PORT": "８０", "_ADDRESS": "10.0.0.1"}), "_PORT is \"８０\", expected"),
        (json!({"_PORT": {"a": [1]}, "_ADDRESS": "10.0.0.1"}), "_PORT is {\"a\":[1]}, expected"),
        (json!({"_PORT": null, "_ADDRESS": "10.0.0.1"}), "_PORT is null, expected"),
        (json!({"_PORT": 80}), "no address"),
        (json!({"_PORT": 80, "_ADDRESS": 167772161}), "no address"),
        (json!({"_PORT": 80, "_ADDRESS": ""}), "no address"),
        (json!({"_PORT__": 80, "_ADDRESS__": "10.0.0.1"}), "the endpoint's name isn't"),
        (json!({"_PORT__a/b": 80, "_ADDRESS__a/b": "10.0.0.1"}), "the endpoint's name isn't"),
        (json!({"_PORT__..": 80, "_ADDRESS__..": "10.0.0.1"}), "the endpoint's name isn't"),
        (json!({"_PORT__\u{0}": 80, "_ADDRESS__\u{0}": "10.0.0.1"}), "the endpoint's name isn't"),
        (json!({format!("_PORT__{long}"): 80, format!("_ADDRESS__{long}"): "10.0.0.1"}), "the endpoint's name isn't"),
        (json!({"_PORTAL": 80, "external_tcp_ports": 80, "_PORT_a": 80}), "no port in the runtime yet"),
    ] {
        let found = found(runtime.clone());
        assert!(found.candidates.is_empty(), "{runtime} became {:?}", found.candidates);
        let [rejected] = found.rejected.as_slice() else { panic!("{runtime}: {found:?}") };
        assert!(rejected.reason.starts_with(expected), "{runtime}: {}", rejected.reason);
        assert!(!format!("{rejected:?}").contains("\\0"));
    }
}

#[test]
fn no_session_takes_all_the_room() {
    let mut runtime = serde_json::Map::new();
    for number in 0..1000 {
        runtime.insert(format!("_PORT__{number}"), json!(80));
        runtime.insert(format!("_ADDRESS__{number}"), json!("10.0.0.1"));
    }
    let found = found(Value::Object(runtime));
    assert_eq!((found.candidates.len(), found.rejected.len()), (64, 1));
}

#[test]
fn secrets_of_the_runtime_appear_nowhere() {
    let runtime = json!({"_PORT": 80, "_ADDRESS": "10.0.0.1", "_jupyter_token": "hush", "_ssh_password": "hush",
        "_user_secret": "hush", "_PORT__x": {"hush": 1}});
    let shown = format!("{:?} {:?}", found(runtime.clone()), publish::written(runtime.as_object().unwrap()));
    assert!(!shown.replace(r#"{\"hush\":1}"#, "").contains("hush"), "{shown}");
}

#[test]
fn pauses_grow_with_failures_up_to_the_longest_and_differ() {
    let (poll, longest) = (Duration::from_secs(3), Duration::from_secs(30));
    let bounds = |failures| (pause(poll, longest, failures, 0.0).as_millis(), pause(poll, longest, failures, 1.0).as_millis());
    assert_eq!(bounds(0), (2700, 3300));
    assert_eq!(bounds(1), (3000, 6000));
    assert_eq!(bounds(2), (6000, 12_000));
    assert_eq!(bounds(100), (15_000, 30_000));
}

fn id(name: &str) -> EndpointId {
    EndpointId { session: SessionId::parse("t1").unwrap(), name: EndpointName::parse(name).unwrap() }
}

#[test]
fn a_routed_endpoint_is_where_this_gateways_record_says() {
    let record = Record { port: 30_007, since: Timestamp(5), host: "10.0.0.7".into(), upstream_port: 10_022 };
    let text = gateway().records.write(&id(""), &record);
    let routed = json!({
        "external_address": "gate.example", "external_tcp_port": 30_007, "upstream_task_port": 10_022, "_wicketgate_lease": text,
    });
    let all = found(routed.clone());
    assert_eq!((all.candidates[0].host.as_str(), all.candidates[0].port), ("10.0.0.7", 10_022));
    assert_eq!(all.claims[&id("")], Claim { port: 30_007, since: Timestamp(5) });

    // The task was given another address since; the port stays its own.
    let mut moved = routed.clone();
    moved["external_address"] = json!("10.0.0.8");
    moved["external_tcp_port"] = json!("10023");
    moved["upstream_task_port"] = json!(10_023);
    let all = found(moved);
    assert_eq!((all.candidates[0].host.as_str(), all.candidates[0].port), ("10.0.0.8", 10_023));
    assert_eq!(all.claims.len(), 1);

    // Without a record that is ours nothing is known of where the task is.
    for record in ["", "v1 gate 30007 5 10.0.0.9 22 AAAA", "v1 other 30007 5 10.0.0.9 22 AAAA"] {
        let mut forged = routed.clone();
        forged["_wicketgate_lease"] = json!(record);
        let all = found(forged);
        assert!(all.candidates.is_empty() && all.claims.is_empty(), "{all:?}");
        assert!(all.rejected[0].reason.contains("routes it"), "{all:?}");
    }
}

#[test]
fn a_copied_record_is_no_claim() {
    let record = Record { port: 30_007, since: Timestamp(5), host: "10.0.0.7".into(), upstream_port: 10_022 };
    let copied = gateway().records.write(&id("other"), &record);
    let all = found(json!({"external_address": "10.0.0.9", "external_tcp_port": 22, "_wicketgate_lease": copied}));
    assert_eq!((all.candidates.len(), all.claims.len()), (1, 0));
}

#[test]
fn a_static_route_is_a_port_by_its_name_or_number() {
    let asked = |route: &str| {
        found(json!({
            "_SERVICE__db": "EXTERNAL_TCP", "external_address__db": "10.0.0.7", "external_tcp_port__db": 5432,
            "_ROUTER_ENDPOINT_MODE__db": "path", "_ROUTER_ENDPOINT_MODE_PARAM__db": route,
        }))
    };
    assert_eq!(asked("db").candidates[0].transport.listen_port, Some(30_001));
    assert_eq!(asked("30002").candidates[0].transport.listen_port, Some(30_002));
    assert_eq!(asked("").candidates[0].transport.listen_port, None);
    assert_eq!(asked("nothing").rejected[0].reason, "the static route nothing isn't one of tcp.static_ports");
}

#[test]
fn how_bytes_get_there_is_declared_in_words_that_must_be_known() {
    let asked = |key: &str, value: Value| {
        let mut runtime = json!({"external_address": "10.0.0.7", "external_tcp_port": 22});
        runtime[key] = value;
        found(runtime)
    };
    let transport = |all: Found| all.candidates[0].transport;
    assert_eq!(transport(asked("_wicketgate_listen_port", json!("30003"))).listen_port, Some(30_003));
    assert_eq!(transport(asked("_wicketgate_tls", json!("terminate"))).downstream_tls, DownstreamTls::Terminate);
    for (key, value) in [("_wicketgate_tls", "yes"), ("_wicketgate_proxy_protocol", "v3"), ("_wicketgate_upstream_tls", "verfy")] {
        let all = asked(key, json!(value));
        assert!(all.candidates.is_empty() && all.rejected[0].reason.starts_with(key), "{all:?}");
    }
}
