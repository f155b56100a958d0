use wicketgate_plugin::testing::{self, Configured, candidate};

use super::*;

fn plugin(config: &str) -> Configured<DefaultFilter> {
    testing::discovery_filter(config).unwrap()
}

#[track_caller]
fn kept(config: &str, attributes: &[(&str, &str)]) -> Keeping {
    match plugin(config).filter(&candidate(attributes)) {
        Ok(Verdict::Keep(keeping)) => keeping,
        other => panic!("{attributes:?}: {other:?}"),
    }
}

#[track_caller]
fn dropped(config: &str, attributes: &[(&str, &str)]) -> Reason {
    match plugin(config).filter(&candidate(attributes)) {
        Ok(Verdict::Drop(reason)) => reason,
        other => panic!("{attributes:?}: {other:?}"),
    }
}

#[test]
fn a_running_well_formed_endpoint_is_kept_unchanged() {
    for endpoint in [
        &[][..],
        &[("endpoint.name", "api_v2-x")],
        &[("endpoint.protocol", "tcp"), ("endpoint.port", "22")],
        &[("session.id", "0123456789abcdef0123456789abcdef")],
        &[("endpoint.port", "65535")],
    ] {
        assert_eq!(kept("{}", endpoint), Keeping { access: Some(String::new()), ..Keeping::new("kept") });
    }
}

#[test]
fn what_a_label_or_access_cannot_be_is_left_out() {
    let long = "a".repeat(1025);
    for odd in [long.as_str(), "a\r\nb", "\u{85}"] {
        let keeping = kept(r#"{"labels": {"group": "tag"}}"#, &[("tag", odd), ("access", odd), ("source", "file")]);
        assert_eq!((keeping.access.as_deref(), keeping.labels.all("group").len()), (Some(""), 0), "{odd:?}");
    }
}

#[test]
fn what_is_not_running_or_not_well_formed_is_dropped() {
    let long = "a".repeat(129);
    for (name, value, code) in [
        ("status", "stopped", "not-running"),
        ("status", "", "not-running"),
        ("session.id", "", "bad-session-id"),
        ("session.id", "a/b", "bad-session-id"),
        ("session.id", "..", "bad-session-id"),
        ("session.id", "ä", "bad-session-id"),
        ("session.id", &long, "bad-session-id"),
        ("endpoint.name", "a.b", "bad-endpoint-name"),
        ("endpoint.name", "a b", "bad-endpoint-name"),
        ("endpoint.name", &long[..64], "bad-endpoint-name"),
        ("endpoint.protocol", "udp", "bad-protocol"),
        ("endpoint.protocol", "HTTP", "bad-protocol"),
        ("endpoint.address", "", "no-address"),
        ("endpoint.port", "0", "bad-port"),
        ("endpoint.port", "65536", "bad-port"),
        ("endpoint.port", "+80", "bad-port"),
        ("endpoint.port", "080", "bad-port"),
        ("endpoint.port", " 80", "bad-port"),
        ("endpoint.port", "", "bad-port"),
        ("endpoint.port", "8080.0", "bad-port"),
    ] {
        assert_eq!(dropped("{}", &[(name, value)]).code, code, "{name} {value:?}");
    }
}

#[test]
fn an_attribute_that_must_be_one_is_refused_twice() {
    assert_eq!(dropped("{}", &[("endpoint.port", "80"), ("endpoint.port", "22")]).code, "bad-port");
    assert_eq!(dropped("{}", &[("status", "running"), ("status", "stopped")]).code, "not-running");
}

#[test]
fn every_allow_list_must_match() {
    let config = r#"{"allow": {"owners": ["ada", "bob"], "queues": ["gpu-*"]}}"#;
    kept(config, &[("owner", "ada"), ("queue", "gpu-large")]);
    let reason = dropped(config, &[("owner", "ada"), ("queue", "cpu")]);
    assert_eq!(reason, Reason::with_detail("not-allowed", "allow.queues"));
    dropped(config, &[("owner", "eve"), ("queue", "gpu-large")]);
    // An attribute that isn't there isn't in a list.
    dropped(config, &[("owner", "ada")]);
    // And a list of nothing allows nothing.
    dropped(r#"{"allow": {"owners": []}}"#, &[("owner", "ada")]);
}

#[test]
fn any_deny_list_drops_and_wins_over_allow() {
    let config = r#"{"allow": {"projects": ["*"]}, "deny": {"tags": ["private", "wip-*"], "protocols": ["tcp"]}}"#;
    kept(config, &[("project", "p"), ("tag", "demo"), ("tag", "gpu")]);
    assert_eq!(dropped(config, &[("project", "p"), ("tag", "demo"), ("tag", "wip-1")]).detail.as_deref(), Some("deny.tags"));
    assert_eq!(dropped(config, &[("project", "p"), ("endpoint.protocol", "tcp")]).code, "denied");
}

#[test]
fn an_owner_may_share_with_his_company_but_not_with_the_world() {
    let access = |config: &str, claim| kept(config, &[("source", "clearml"), ("access", claim)]).access.unwrap();
    assert_eq!(access("{}", "company"), "company");
    assert_eq!(access("{}", "public"), "");
    assert_eq!(access(r#"{"access": {"believe": ["company", "public"]}}"#, "public"), "public");
    assert_eq!(access(r#"{"access": {"believe": []}}"#, "company"), "");
}

#[test]
fn a_source_that_the_operator_writes_is_believed() {
    assert_eq!(kept("{}", &[("source", "file"), ("access", "public")]).access.as_deref(), Some("public"));
    let untrusting = r#"{"access": {"trusted_sources": []}}"#;
    assert_eq!(kept(untrusting, &[("source", "file"), ("access", "public")]).access.as_deref(), Some(""));
}

#[test]
fn the_operator_gives_access_by_rules_before_claims() {
    let config = r#"{"access": {"default": "company", "rules": [
        {"give": "public", "projects": ["demo*"], "protocols": ["http"]},
        {"give": "", "tags": ["secret"]}
    ]}}"#;
    assert_eq!(kept(config, &[("project", "demo-1")]).access.as_deref(), Some("public"));
    assert_eq!(kept(config, &[("project", "demo-1"), ("endpoint.protocol", "tcp")]).access.as_deref(), Some("company"));
    assert_eq!(kept(config, &[("tag", "secret"), ("access", "company")]).access.as_deref(), Some(""));
    assert_eq!(kept(config, &[]).access.as_deref(), Some("company"));
}

#[test]
fn labels_are_attributes_or_fixed() {
    let config = r#"{"labels": {"team": "project", "kind": "tag", "none": "queue"}, "fixed_labels": {"site": "berlin"}}"#;
    let labels = kept(config, &[("project", "p"), ("tag", "a"), ("tag", "b")]).labels;
    assert_eq!(labels.all("team"), ["p"]);
    assert_eq!(labels.all("kind"), ["a", "b"]);
    assert_eq!(labels.all("site"), ["berlin"]);
    assert_eq!(labels.iter().count(), 3);
}

#[test]
fn the_upstream_path_can_be_set_for_all() {
    assert_eq!(kept(r#"{"upstream_path": "keep"}"#, &[]).upstream_path, Some(UpstreamPath::Keep));
    assert_eq!(kept(r#"{"upstream_path": "strip"}"#, &[]).upstream_path, Some(UpstreamPath::Strip));
}

#[test]
fn only_what_the_configuration_needs_is_declared() {
    use wicketgate_plugin::Input;
    let names = |config: &str| -> Vec<String> {
        let inputs = plugin(config).declaration.inputs.into_iter();
        inputs.map(|input| if let Input::SessionAttribute(name) = input { name } else { panic!("{input:?}") }).collect()
    };
    assert_eq!(names("{}").len(), shape::ATTRIBUTES.len() + 2);
    let all = names(r#"{"allow": {"owners": ["a"]}, "deny": {"owners": ["b"]}, "labels": {"x": "queue"}}"#);
    assert_eq!(all[shape::ATTRIBUTES.len()..], ["owner", "queue", "access", "source"]);
}

#[test]
fn a_wrong_configuration_names_the_key() {
    let labels: Vec<String> = (0..33).map(|number| format!("\"l{number}\": \"tag\"")).collect();
    let labels = format!("{{\"labels\": {{{}}}}}", labels.join(","));
    for (config, key) in [
        (r#"{"alow": {}}"#, "alow"),
        (r#"{"allow": {"owner": []}}"#, "allow.owner"),
        (r#"{"deny": {"tags": "x"}}"#, "deny.tags"),
        (r#"{"deny": {"tags": ["x", 1]}}"#, "deny.tags.1"),
        (r#"{"access": {"rules": [{"give": "public"}]}}"#, "access.rules.0.give"),
        (r#"{"access": {"rules": [{"give": "public", "tag": ["x"]}]}}"#, "access.rules.0.tag"),
        (r#"{"upstream_path": "both"}"#, "upstream_path"),
        (r#"{"labels": {"a": 1}}"#, "labels.a"),
        (&labels, "labels"),
    ] {
        match testing::discovery_filter::<DefaultFilter>(config) {
            Err(Error::InvalidConfig(it)) => assert_eq!(it.key, key, "{config}"),
            other => panic!("{config}: {other:?}"),
        }
    }
}
