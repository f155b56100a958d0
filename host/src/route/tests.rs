use super::{
    path::{Place, is_ambiguous, place},
    *,
};
use crate::domain::{Attributes, EndpointId, SourceKind, UpstreamPath};

fn endpoint(session: &str, name: &str, label: Option<&str>) -> Endpoint {
    Endpoint {
        id: EndpointId { session: SessionId::parse(session).unwrap(), name: EndpointName::parse(name).unwrap() },
        source: SourceKind::File,
        protocol: Protocol::Http,
        upstream: "127.0.0.1:1".parse().unwrap(),
        upstream_path: UpstreamPath::Strip,
        upstream_name: "127.0.0.1".into(),
        transport: Default::default(),
        listener_port: None,
        display_name: session.into(),
        host_label: label.map(Into::into),
        attributes: Attributes::default(),
    }
}

fn labelled(table: &RouteTable, label: &str) -> Option<String> {
    table.by_label(label).map(|route| route.endpoint.id.to_string())
}

#[test]
fn the_prefix_matches_a_strict_grammar_without_escapes() {
    assert_eq!(place("/service/t1/lab"), Place::Session { segment: "t1", rest_at: 11 });
    assert_eq!(place("/service/t1.api/"), Place::Session { segment: "t1.api", rest_at: 15 });
    assert_eq!(place("/service/t1"), Place::SessionWithoutSlash { segment: "t1" });
    let long = format!("/service/{}/", "a".repeat(129));
    for path in
        ["/service", "/service/", "/service//t1/", "/service/t%31/", "/service/.t1/", "/service/t1./", "/service/t1.a.b/", &long]
    {
        assert_eq!(place(path), Place::NoSession, "{path}");
    }
    for path in ["/", "/login", "/services/t1/", "/%73ervice/t1/", "//service/t1/", "/Service/t1/"] {
        assert_eq!(place(path), Place::Own, "{path}");
    }
}

#[test]
fn dot_segments_are_seen_in_every_encoding() {
    for path in [
        "/a/../b",
        "/a/..",
        "/a/.",
        "/./a",
        "/a/%2e%2e/b",
        "/a/%2E./b",
        "/a/.%2e",
        "/a/%252e%252e/",
        "/a/%25252e%2e/b",
        "/a/..%2fb",
        "/a%2f..%2fb",
        "/a/%252e%252e%252fb",
        "/a/..;x=1/b",
        "/a/%c0%ae%c0%ae/b",
        "/a/..%5cb",
        "/a\\b",
        "/a/%5C",
        "/a%00b",
        "/a/%2500",
    ] {
        assert!(is_ambiguous(path), "{path}");
    }
}

#[test]
fn paths_that_mean_one_thing_pass() {
    for path in [
        "/",
        "/a/b.c",
        "/a/.well-known/x",
        "/a/...",
        "/a/..b",
        "/a/b..",
        "/a/%20b",
        "/a/%2e%2eb",
        "/a%2fb",
        "/a/%",
        "/a/%zz",
        "/a/100%25",
        "/a/é",
        "/a/;x=..",
        "/@scope/p",
        "/a/.%c3%a9",
        "/a/%c0",
    ] {
        assert!(!is_ambiguous(path), "{path}");
    }
}

#[test]
fn only_http_endpoints_get_routes() {
    let mut tcp = endpoint("t2", "", None);
    tcp.protocol = Protocol::Tcp;
    let table = RouteTable::from_iter(vec![endpoint("t1", "", None), endpoint("t1", "api", None), tcp]);
    assert!(table.by_segment("t2").is_none());
    assert!(table.by_label("t2").is_none());
    assert_eq!(table.by_segment("t1.api").unwrap().prefix.as_ref(), "/service/t1.api");
    assert_eq!(table.endpoints().len(), 3);
    let session = SessionId::parse("t1").unwrap();
    assert!(table.sibling(&session, &EndpointName::parse("api").unwrap()).is_some());
    assert!(table.sibling(&session, &EndpointName::parse("other").unwrap()).is_none());
}

#[test]
fn a_label_leads_to_the_one_endpoint_that_claims_it() {
    let table = RouteTable::from_iter(vec![endpoint("T1", "", Some("notebook")), endpoint("t2", "api", None)]);
    assert_eq!(labelled(&table, "t1").as_deref(), Some("T1"));
    assert_eq!(labelled(&table, "notebook").as_deref(), Some("T1"));
    assert_eq!(labelled(&table, "t2--api").as_deref(), Some("t2.api"));
    assert_eq!(table.by_segment("T1").unwrap().label.as_deref(), Some("notebook"));
}

#[test]
fn nobody_declares_a_label_away_from_another_session() {
    let table = RouteTable::from_iter(vec![
        endpoint("victim", "", None),
        endpoint("thief", "", Some("victim")),
        endpoint("a", "", Some("shared")),
        endpoint("b", "", Some("shared")),
        endpoint("Same", "", None),
        endpoint("same", "", None),
        endpoint("c", "", Some("two.labels")),
    ]);
    assert_eq!(labelled(&table, "victim").as_deref(), Some("victim"));
    assert_eq!(table.by_segment("thief").unwrap().label.as_deref(), Some("thief"));
    assert_eq!(labelled(&table, "shared"), None);
    assert_eq!(labelled(&table, "same"), None);
    assert_eq!(table.by_segment("c").unwrap().label.as_deref(), Some("c"));
    assert!(table.by_segment("Same").is_some() && table.by_segment("same").is_some());
}
