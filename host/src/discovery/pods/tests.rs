use super::*;
use crate::{
    discovery::leases::record::Record,
    domain::{EndpointId, EndpointName, Protocol, Timestamp},
    kubernetes::pods::Life,
};

fn gateway() -> Gateway {
    Gateway { name: "gate".into(), records: Arc::new(Records::new("gate", b"secret")) }
}

/// A running pod at 10.0.0.`last`.
fn pod(name: &str, last: u8, annotations: &[(&str, &str)]) -> Pod {
    Pod {
        name: name.into(),
        uid: format!("uid-{name}"),
        created: "2026-01-01T00:00:00Z".into(),
        life: Life::Running,
        addresses: vec![[10, 0, 0, last].into()],
        annotations: annotations.iter().map(|(name, value)| (format!("wicketgate.io/{name}"), (*value).to_owned())).collect(),
        ..Pod::default()
    }
}

fn one(pod: &Pod) -> Declared {
    declared(pod, &gateway()).unwrap()
}

fn reasons(declared: &Declared) -> Vec<&str> {
    declared.rejected.iter().map(|rejection| rejection.reason.as_str()).collect()
}

#[test]
fn annotations_become_a_session_with_its_endpoints() {
    let list = "[{port: 8888, upstream_path: keep}, {name: ssh, protocol: tcp, port: 22}]";
    let pod = pod(
        "nb-0",
        7,
        &[("endpoints", list), ("owner", "ada"), ("groups", "ml, ops"), ("name", "Ada's"), ("label.site", "berlin")],
    );
    let declared = one(&pod);
    assert_eq!(reasons(&declared), [""; 0]);
    let [http, ssh] = declared.candidates.as_slice() else { panic!("{declared:?}") };
    assert_eq!((http.id.segment().as_str(), http.host.as_str(), http.port), ("nb-0", "10.0.0.7", 8888));
    assert_eq!((ssh.id.segment().as_str(), ssh.protocol, ssh.port), ("nb-0.ssh", Protocol::Tcp, 22));
    let attribute = |name: &str| http.attributes.values(name).iter().map(AsRef::as_ref).collect::<Vec<&str>>();
    for (name, expected) in [
        ("source", &["kubernetes"][..]),
        ("owner", &["ada"]),
        ("session.name", &["Ada's"]),
        ("session.created", &["2026-01-01T00:00:00Z"]),
        ("label.group", &["ml", "ops"]),
        ("label.site", &["berlin"]),
    ] {
        assert_eq!(attribute(name), expected, "{name}");
    }
    let short = super::tests::pod("nb-1", 8, &[("port", "8000"), ("session", "lab")]);
    assert_eq!(one(&short).candidates[0].id.segment(), "lab");
}

#[test]
fn the_examples_pod_is_a_session() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/kubernetes/notebook.yaml");
    let example: serde_json::Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let annotations = example["metadata"]["annotations"].as_object().unwrap();
    let annotations = annotations.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
    let name = example["metadata"]["name"].as_str().unwrap();
    let declared = one(&Pod { annotations, ..pod(name, 1, &[]) });
    assert_eq!(reasons(&declared), [""; 0]);
    let ids: Vec<_> = declared.candidates.iter().map(|candidate| candidate.id.segment()).collect();
    assert_eq!(ids, ["ada-notebook", "ada-notebook.ssh"]);
    let argument = example["spec"]["containers"][0]["args"][1].as_str().unwrap();
    assert!(argument.ends_with(&declared.candidates[0].id.path()), "{argument} is where the gateway leads");
}

#[test]
fn what_cannot_be_a_session_says_why() {
    let cases: [(&[(&str, &str)], &str); 9] = [
        (&[("port", "none")], "pod p: wicketgate.io/endpoints or wicketgate.io/port: "),
        (&[("port", "0")], "pod p: port: found `0`, expected 1 to 65535"),
        (&[("port", "80"), ("endpoints", "[{port: 80}]")], "pod p: found both"),
        (&[("endpoints", "[]")], "pod p: wicketgate.io/endpoints: found 0 endpoints"),
        (&[("endpoints", "[{port: 80, address: 10.0.0.9}]")], "pod p: address: found one, expected none"),
        (&[("endpoints", "[{port: 80, prot: tcp}]")], "pod p: wicketgate.io/endpoints or wicketgate.io/port: "),
        (&[("endpoints", "[{port: 80}, {port: 81}]")], "pod p has another endpoint of this name"),
        (&[("port", "80"), ("session", "a/b")], "pod p: found `a/b`"),
        (&[("port", "80"), ("onwer", "ada")], "pod p has the unknown annotation wicketgate.io/onwer"),
    ];
    for (annotations, expected) in cases {
        let declared = one(&pod("p", 1, annotations));
        assert!(reasons(&declared).iter().any(|reason| reason.starts_with(expected)), "{annotations:?}: {declared:?}");
    }
    let long = format!("[{{port: 80, name: {}}}]", "n".repeat(47));
    assert!(reasons(&one(&pod("p", 1, &[("endpoints", &long)])))[0].contains("expected at most 46"));
    let starting = Pod { life: Life::Starting, ..pod("p", 1, &[("port", "80")]) };
    assert_eq!(reasons(&one(&starting)), ["pod p isn't running yet"]);
}

#[test]
fn a_pod_without_annotations_or_for_another_gateway_or_that_ended_is_no_session() {
    for pod in [
        pod("p", 1, &[]),
        pod("p", 1, &[("owner", "ada")]),
        pod("p", 1, &[("port", "80"), ("gateway", "other")]),
        Pod { life: Life::Ended, ..pod("p", 1, &[("port", "80")]) },
    ] {
        assert!(declared(&pod, &gateway()).is_none(), "{pod:?}");
    }
    assert!(declared(&pod("p", 1, &[("port", "80"), ("gateway", "gate")]), &gateway()).is_some());
}

#[test]
fn only_this_gateways_own_record_is_a_claim_to_a_port() {
    let id = EndpointId { session: SessionId::parse("p").unwrap(), name: EndpointName::parse("ssh").unwrap() };
    let record = Record { port: 30_007, since: Timestamp(5), host: "-".into(), upstream_port: 22 };
    let claims = |records: &Records| {
        let json = serde_json::json!({ "ssh": records.write(&id, &record) }).to_string();
        one(&pod("p", 1, &[("endpoints", "[{name: ssh, protocol: tcp, port: 22}]"), ("leases", &json)])).claims
    };
    assert_eq!(claims(&gateway().records)[0].1.port, 30_007);
    assert!(claims(&Records::new("gate", b"forged")).is_empty() && claims(&Records::new("other", b"secret")).is_empty());
    assert!(one(&pod("p", 1, &[("port", "80"), ("leases", "{")])).claims.is_empty());
}

fn listing(pods: Vec<Pod>) -> PodEvent {
    PodEvent::Listed { pods, began: Instant::now() }
}

/// A source that was told of these pods.
struct Told {
    events: mpsc::Sender<PodEvent>,
    reports: mpsc::Receiver<Report>,
    observed: watch::Receiver<Observed>,
}

impl Told {
    fn start() -> Self {
        let (events, receiver) = mpsc::channel(64);
        let (sender, reports) = mpsc::channel(1);
        let (source, observed) = Source::new(config::Pods::default(), gateway(), receiver, sender);
        tokio::spawn(source.run());
        Self { events, reports, observed }
    }

    async fn after(&mut self, event: PodEvent) -> Report {
        self.events.send(event).await.unwrap();
        self.reports.recv().await.unwrap()
    }

    async fn sessions(&mut self, event: PodEvent) -> Vec<(String, String)> {
        let found = self.after(event).await.outcome.unwrap();
        found.candidates.iter().map(|candidate| (candidate.id.segment(), candidate.host.clone())).collect()
    }
}

#[tokio::test]
async fn changes_of_pods_change_what_is_found_and_a_failure_says_so() {
    let mut told = Told::start();
    let named = |name: &str, last: u8| (name.to_owned(), format!("10.0.0.{last}"));
    let listed = vec![pod("a", 1, &[("port", "80")]), pod("b", 2, &[("port", "80")]), pod("other", 3, &[])];
    assert_eq!(told.sessions(listing(listed)).await, [named("a", 1), named("b", 2)]);
    assert_eq!(told.sessions(PodEvent::Applied(pod("b", 9, &[("port", "80")]))).await, [named("a", 1), named("b", 9)]);
    assert_eq!(told.after(PodEvent::Failed("403".into())).await.outcome, Err("403".into()));
    assert_eq!(told.sessions(PodEvent::Gone("a".into())).await, [named("b", 9)]);
    let seen = told.observed.borrow().clone();
    assert_eq!((seen.look, seen.pods.len()), (3, 1));
    assert_eq!(told.sessions(listing(vec![pod("c", 4, &[("port", "80")])])).await, [named("c", 4)], "a listing is all there is");
}

#[tokio::test]
async fn of_two_pods_that_want_to_be_one_session_the_older_one_is() {
    let mut told = Told::start();
    let of =
        |name: &str, last, created: &str| Pod { created: created.into(), ..pod(name, last, &[("port", "80"), ("session", "app")]) };
    let (old, new) = (of("app-z", 1, "2026-01-01T00:00:00Z"), of("app-a", 2, "2026-01-02T00:00:00Z"));
    let report = told.after(listing(vec![new.clone(), old.clone()])).await.outcome.unwrap();
    assert_eq!((report.candidates.len(), report.candidates[0].host.as_str()), (1, "10.0.0.1"));
    assert!(report.rejected[0].reason.starts_with("pod app-a wants"), "{:?}", report.rejected);
    let ended = Pod { life: Life::Ended, ..old };
    assert_eq!(
        told.sessions(PodEvent::Applied(ended)).await,
        [("app".to_owned(), "10.0.0.2".to_owned())],
        "its successor takes over"
    );
}

#[tokio::test]
async fn a_pod_goes_before_others_that_only_say_its_name() {
    let mut told = Told::start();
    let squatter = Pod { created: "2020-01-01T00:00:00Z".into(), ..pod("squatter", 1, &[("port", "80"), ("session", "nb")]) };
    assert_eq!(told.sessions(listing(vec![squatter])).await, [("nb".to_owned(), "10.0.0.1".to_owned())]);
    let restarted = pod("nb", 2, &[("port", "80")]);
    assert_eq!(told.sessions(PodEvent::Applied(restarted)).await, [("nb".to_owned(), "10.0.0.2".to_owned())]);
}

#[tokio::test]
async fn a_pod_that_is_no_session_any_more_is_shown_to_who_wrote_in_it() {
    let mut told = Told::start();
    let ours = [("port", "80"), ("published-by", "gate")];
    told.after(listing(vec![pod("a", 1, &ours)])).await.outcome.unwrap();
    assert!(told.observed.borrow().left.is_empty());
    told.after(PodEvent::Applied(pod("a", 1, &ours[1..]))).await.outcome.unwrap();
    assert_eq!(told.observed.borrow().left[0].name, "a");
}

#[test]
fn of_a_pod_that_another_gateway_publishes_only_http_is_served() {
    let list = "[{port: 80}, {name: ssh, protocol: tcp, port: 22}]";
    let published = |by, gateway: &[(&str, &str)]| {
        let annotations = [&[("endpoints", list), ("published-by", by)], gateway].concat();
        one(&pod("p", 1, &annotations)).candidates.len()
    };
    assert_eq!([published("gate", &[]), published("other", &[]), published("other", &[("gateway", "gate")])], [2, 1, 2]);
}
