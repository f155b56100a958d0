use serde_json::json;

use super::*;
use crate::domain::{Attributes, Endpoint, EndpointId, EndpointName, Protocol, Timestamp, UpstreamPath};

fn addresses() -> Addresses {
    Addresses {
        gateway: "https://gate.example:8443".into(),
        name: "gw-1".into(),
        api: "https://api.example/x".into(),
        tcp_address: "gate.example".into(),
        records: Arc::new(Records::new("gw-1", b"secret")),
    }
}

fn endpoint(name: &str) -> Endpoint {
    Endpoint {
        id: EndpointId { session: session(), name: EndpointName::parse(name).unwrap() },
        source: SourceKind::Clearml,
        protocol: Protocol::Http,
        upstream: "10.0.0.1:80".parse().unwrap(),
        upstream_path: UpstreamPath::Strip,
        upstream_name: "127.0.0.1".into(),
        transport: Default::default(),
        listener_port: None,
        display_name: "t".into(),
        host_label: None,
        attributes: Attributes::default(),
    }
}

fn session() -> SessionId {
    SessionId::parse("t1").unwrap()
}

fn plan(endpoints: &[&Endpoint], there: serde_json::Value) -> RuntimeEdit {
    addresses().plan(Edition::Open, &session(), &wanted(endpoints), &written(there.as_object().unwrap()))
}

fn wanted<'a>(endpoints: &[&'a Endpoint]) -> Wanted<'a> {
    let since = endpoints.iter().filter(|endpoint| endpoint.protocol == Protocol::Tcp).map(|endpoint| (&endpoint.id, Timestamp(5)));
    Wanted { endpoints: endpoints.to_vec(), since: since.collect(), refused: Vec::new() }
}

fn tcp(name: &str) -> Endpoint {
    Endpoint {
        protocol: Protocol::Tcp,
        upstream: "10.0.0.7:10022".parse().unwrap(),
        upstream_name: "10.0.0.7".into(),
        listener_port: Some(30_001),
        ..endpoint(name)
    }
}

#[test]
fn each_edition_has_its_own_way_for_browsers() {
    let edit = plan(&[&endpoint(""), &endpoint("api")], json!({}));
    let expected = [
        ("browser_endpoint", "https://gate.example:8443/login?return=%2Fservice%2Ft1%2F"),
        ("browser_endpoint__api", "https://gate.example:8443/login?return=%2Fservice%2Ft1.api%2F"),
        ("endpoint", "https://gate.example:8443/service/t1/"),
        ("endpoint__api", "https://gate.example:8443/service/t1.api/"),
    ];
    assert_eq!(edit.set.iter().map(|(key, value)| (key.as_str(), value.as_str().unwrap())).collect::<Vec<_>>(), expected);
    let enterprise = addresses().plan(Edition::Enterprise, &session(), &wanted(&[&endpoint("")]), &BTreeMap::new());
    assert_eq!(
        enterprise.set["browser_endpoint"],
        "https://api.example/x/auth.redirect_to_router?router=gw-1&task=t1&path=service%2Ft1"
    );
}

#[test]
fn nothing_is_written_where_nothing_differs_and_only_what_is_missing_otherwise() {
    let all = json!(plan(&[&endpoint("")], json!({})).set);
    assert_eq!(plan(&[&endpoint("")], all.clone()), RuntimeEdit::default());
    let mut wiped = all;
    wiped.as_object_mut().unwrap().remove("endpoint");
    assert_eq!(plan(&[&endpoint("")], wiped).set.keys().collect::<Vec<_>>(), ["endpoint"]);
}

#[test]
fn only_what_this_gateway_wrote_is_taken_back() {
    let ours = plan(&[&endpoint(""), &endpoint("api")], json!({})).set;
    let back = plan(&[], json!(ours));
    assert_eq!(back.remove.iter().collect::<Vec<_>>(), ours.keys().collect::<Vec<_>>());
    let others = json!({
        "endpoint": "https://other.example/service/t1/",
        "endpoint__a": "https://gate.example:8443/service/t10/",
        "endpoint__b": "https://gate.example:8443.evil/service/t1/",
        "browser_endpoint": "https://api.example/x/auth.redirect_to_router?router=other&task=t1&path=service%2Ft1",
        "endpoint__c": 7,
        "endpoint__": "https://gate.example:8443/service/t1/",
        "endpoints": "https://gate.example:8443/service/t1/",
        "_endpoint": "https://gate.example:8443/service/t1/",
    });
    assert_eq!(plan(&[], others), RuntimeEdit::default());
    let enterprise = addresses().plan(Edition::Enterprise, &session(), &wanted(&[&endpoint("")]), &BTreeMap::new()).set;
    assert_eq!(plan(&[], json!(enterprise)).remove.len(), 2);
}

#[test]
fn an_observation_from_before_the_last_write_asks_for_no_other() {
    let mut history = History::default();
    let before = Observed { look: 1, began: Some(Instant::now()), tasks: BTreeMap::new() };
    assert!(history.write_now(&before, false, &session()));
    history.wrote(Ok(()), &session(), &Metrics::default());
    assert!(!history.write_now(&before, false, &session()));
    let after = Observed { look: 2, began: Some(Instant::now()), tasks: BTreeMap::new() };
    assert!(history.write_now(&after, false, &session()));
}

#[test]
fn another_writer_of_the_same_keys_gets_the_word_after_a_while() {
    let mut history = History::default();
    let mut wrote = 0;
    for look in 1..20 {
        let seen = Observed { look, began: Some(Instant::now()), tasks: BTreeMap::new() };
        if history.write_now(&seen, true, &session()) {
            wrote += 1;
            history.wrote(Ok(()), &session(), &Metrics::default());
        }
    }
    assert_eq!(wrote, CONTEST);
}

#[test]
fn a_lease_is_published_as_clients_read_it_and_given_back() {
    let asked = json!({"external_address__ssh": "10.0.0.7", "external_tcp_port__ssh": "10022"});
    let edit = plan(&[&tcp("ssh")], asked.clone());
    let value = |key: &str| edit.set[key].clone();
    assert_eq!(value("external_address__ssh"), "gate.example");
    assert_eq!(value("external_tcp_port__ssh"), 30_001);
    assert_eq!(value("upstream_task_port__ssh"), 10_022);
    assert!(value("_wicketgate_lease__ssh").as_str().unwrap().starts_with("v1 gw-1 30001 5 10.0.0.7 10022 "));

    let there = json!(edit.set);
    assert_eq!(plan(&[&tcp("ssh")], there.clone()), RuntimeEdit::default(), "nothing is written where nothing differs");
    // Once it's no longer routed, the task's own address is where it was.
    let back = plan(&[], there);
    assert_eq!(back.set["external_address__ssh"], "10.0.0.7");
    assert_eq!(back.set["external_tcp_port__ssh"], 10_022);
    assert_eq!(back.remove.iter().collect::<Vec<_>>(), ["_wicketgate_lease__ssh", "upstream_task_port__ssh"]);
    // What another gateway recorded, or nobody, is left alone.
    for record in ["v1 other 30001 5 10.0.0.7 10022 AAAA", "v1 gw-1 30001 5 10.0.0.7 10022 AAAA"] {
        let others =
            json!({"external_address__ssh": "gate.example", "external_tcp_port__ssh": 1, "_wicketgate_lease__ssh": record});
        assert_eq!(plan(&[], others), RuntimeEdit::default());
    }
}

#[test]
fn why_there_is_no_port_is_published_until_there_is_one() {
    let id = tcp("ssh").id;
    let refused = Wanted { refused: vec![(&id, "no-port-free")], ..Wanted::default() };
    let edit = addresses().plan(Edition::Open, &session(), &refused, &BTreeMap::new());
    assert_eq!(edit.set["_wicketgate_status__ssh"], "gw-1: no-port-free");
    let there = json!(edit.set);
    assert_eq!(plan(&[], there).remove.iter().collect::<Vec<_>>(), ["_wicketgate_status__ssh"]);
    assert_eq!(plan(&[], json!({"_wicketgate_status__ssh": "other: no-port-free"})), RuntimeEdit::default());
}
