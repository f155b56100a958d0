use super::*;
use crate::{
    discovery::leases::{Holder, Lease},
    domain::{Attributes, EndpointId, EndpointName, Timestamp, UpstreamPath},
};

fn addresses() -> Addresses {
    Addresses {
        gateway: "https://gate.example".into(),
        name: "gate".into(),
        tcp_address: "tcp.example".into(),
        records: Arc::new(Records::new("gate", b"secret")),
    }
}

fn endpoint(name: &str, protocol: Protocol) -> Arc<Endpoint> {
    let id = EndpointId { session: SessionId::parse("nb").unwrap(), name: EndpointName::parse(name).unwrap() };
    Arc::new(Endpoint {
        id,
        source: SourceKind::Kubernetes,
        protocol,
        upstream: "10.0.0.1:22".parse().unwrap(),
        upstream_name: "10.0.0.1".into(),
        upstream_path: UpstreamPath::Strip,
        transport: Default::default(),
        listener_port: None,
        display_name: "nb".into(),
        host_label: None,
        attributes: Attributes::default(),
    })
}

fn pod(annotations: &[(&str, &str)]) -> Pod {
    let annotations = annotations.iter().map(|(name, value)| (format!("{ANNOTATIONS}{name}"), (*value).to_owned()));
    Pod { name: "nb-0".into(), annotations: annotations.collect(), ..Pod::default() }
}

/// The plan for the default HTTP endpoint and one of SSH, without the prefix of the names.
fn plan(pod: &Pod, routed: bool) -> BTreeMap<String, Option<String>> {
    let endpoints = [endpoint("", Protocol::Http), endpoint("ssh", Protocol::Tcp)];
    let holder = Holder { source: SourceKind::Kubernetes, owner: None, created: None };
    let lease = Lease { port: 30_001, since: Timestamp(5), upstream: "10.0.0.1:22".parse().unwrap(), holder };
    let leases = Arc::new(BTreeMap::from([(endpoints[1].id.clone(), lease)]));
    let wanted = Wanted { endpoints: if routed { endpoints.iter().collect() } else { Vec::new() }, refused: Vec::new() };
    let plan = addresses().plan(pod, &wanted, &Assembled { leases, ..Assembled::default() });
    plan.into_iter().map(|(name, value)| (name.strip_prefix(ANNOTATIONS).unwrap().to_owned(), value)).collect()
}

#[test]
fn a_pod_gets_what_it_has_not() {
    let first = plan(&pod(&[("port", "80")]), true);
    let text = |name: &str| first[name].as_deref().unwrap();
    assert_eq!(first.len(), 4);
    assert_eq!(text("endpoint"), "https://gate.example/service/nb/");
    assert_eq!(text("external-address.ssh"), "tcp.example:30001");
    assert_eq!(text("published-by"), "gate");
    assert!(text("leases").starts_with(r#"{"ssh":"v1 gate 30001 5 "#));
    let written: Vec<(&str, &str)> = first.iter().map(|(name, value)| (name.as_str(), value.as_deref().unwrap())).collect();
    assert!(plan(&pod(&written), true).is_empty(), "what stands there isn't written again");
}

#[test]
fn what_this_gateway_wrote_goes_with_its_route_and_what_others_wrote_stays() {
    let ours = [("endpoint", "https://gate.example/service/nb/"), ("published-by", "gate"), ("owner", "ada")];
    assert_eq!(plan(&pod(&ours), false), BTreeMap::from([("endpoint".into(), None), ("published-by".into(), None)]));
    assert!(plan(&pod(&[("endpoint", "x"), ("published-by", "other")]), true).is_empty(), "another gateway publishes");
    assert!(plan(&pod(&[("endpoint", "mine")]), false).is_empty(), "nobody's");
    let handed_over = plan(&pod(&[("endpoint", "x"), ("published-by", "other"), ("gateway", "gate")]), true);
    assert_eq!(handed_over["published-by"].as_deref(), Some("gate"), "the pod names this one");
}

#[test]
fn an_event_says_what_concerns_people() {
    let change = |pairs: &[(&str, Option<&str>)]| {
        let pairs = pairs.iter().map(|(name, value)| (format!("{ANNOTATIONS}{name}"), value.map(str::to_owned)));
        news(&pairs.collect()).map(|(severity, reason, note)| (severity == Severity::Warning, reason, note))
    };
    let published = change(&[("endpoint", Some("https://g/")), ("external-address.ssh", Some("t:1")), ("leases", Some("{}"))]);
    assert_eq!(published, Some((false, "Published", "reached at https://g/, ssh t:1".into())));
    assert_eq!(change(&[("status.ssh", Some("no-port-free"))]), Some((true, "NotServed", "not served: ssh no-port-free".into())));
    assert_eq!(change(&[("endpoint", None)]).unwrap().1, "Withdrawn");
    assert_eq!(change(&[("leases", Some("{}"))]), None);
}
