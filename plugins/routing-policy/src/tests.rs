use wicketgate_plugin::routing::{FactAnswer, HeaderEdit};
use wicketgate_plugin::testing::{self, Builder, Configured, get, principal, tcp};
use wicketgate_plugin::{Field, Principal};

use super::*;

fn plugin(config: &str) -> Configured<DefaultPolicy> {
    testing::routing_policy(config).unwrap()
}

#[track_caller]
fn decide(config: &str, request: Builder) -> Decision {
    plugin(config).route(&request.route()).unwrap()
}

/// The decision in one word: forward:<way>, reject:<code>[:message], unauthenticated.
#[track_caller]
fn outcome(config: &str, request: Builder) -> String {
    match decide(config, request) {
        Decision::Forward(it) => format!("forward:{}", it.reason.code),
        Decision::Reject(it) => {
            format!("reject:{}{}", it.reason.code, it.message.map(|message| format!(":{message}")).unwrap_or_default())
        }
        Decision::Unauthenticated(_) => "unauthenticated".to_owned(),
        other => panic!("{other:?}"),
    }
}

/// Somebody else's session of company c1.
const SESSION: &[(&str, &str)] = &[("owner", "owner"), ("company", "c1")];

fn session_with(access: &'static str) -> [(&'static str, &'static str); 3] {
    [("owner", "owner"), ("company", "c1"), ("access", access)]
}

fn by(id: &str, role: &str) -> Builder {
    get("/").session(SESSION).by(principal(id, role))
}

#[test]
fn by_default_owner_and_admins_enter() {
    assert_eq!(outcome("{}", by("owner", "user")), "forward:owner");
    for role in ["system", "root", "admin", "superuser"] {
        assert_eq!(outcome("{}", by("x", role)), "forward:admin");
    }
    for role in ["user", "guest", "annotator", "Admin", ""] {
        assert_eq!(outcome("{}", by("x", role)), "reject:not-admitted");
    }
    assert_eq!(outcome("{}", get("/").session(SESSION)), "unauthenticated");
}

#[test]
fn a_session_without_an_owner_belongs_to_nobody() {
    let nobody = Principal::default();
    assert_eq!(outcome("{}", get("/").by(nobody.clone())), "reject:not-admitted");
    assert_eq!(outcome("{}", get("/").session(&[("owner", "")]).by(principal("x", "user"))), "reject:not-admitted");
    assert_eq!(outcome(r#"{"allow": ["company", "group"]}"#, get("/").by(nobody)), "reject:not-admitted");
}

#[test]
fn a_shared_session_is_open_as_far_as_it_says() {
    let company = session_with("company");
    assert_eq!(outcome("{}", get("/").session(&company).by(principal("x", "user"))), "forward:company");
    let stranger = Principal { company: Some("c2".into()), ..principal("x", "user") };
    assert_eq!(outcome("{}", get("/").session(&company).by(stranger.clone())), "reject:not-admitted");
    assert_eq!(outcome("{}", get("/").session(&company)), "unauthenticated");
    let public = session_with("public");
    assert_eq!(outcome("{}", get("/").session(&public)), "forward:public");
    assert_eq!(outcome("{}", get("/").session(&public).by(stranger)), "forward:public");
    assert_eq!(outcome(r#"{"allow": ["owner"]}"#, get("/").session(&public)), "unauthenticated");
    assert_eq!(outcome("{}", get("/").session(&session_with("other")).by(principal("x", "user"))), "reject:not-admitted");
}

#[test]
fn each_way_admits_by_itself() {
    assert_eq!(outcome(r#"{"allow": ["company"]}"#, by("x", "user")), "forward:company");
    assert_eq!(outcome(r#"{"allow": ["everyone"]}"#, by("x", "user")), "forward:everyone");
    assert_eq!(outcome(r#"{"allow": ["everyone"]}"#, get("/").session(SESSION)), "unauthenticated");
    assert_eq!(outcome(r#"{"allow": []}"#, by("owner", "admin")), "reject:not-admitted");
    assert_eq!(outcome(r#"{"allow": [], "allow_users": ["x"]}"#, by("x", "user")), "forward:user");
    assert_eq!(outcome(r#"{"allow": [], "allow_roles": ["user"]}"#, by("x", "user")), "forward:role");
    assert_eq!(outcome(r#"{"admin_roles": ["boss"]}"#, by("x", "admin")), "reject:not-admitted");
}

#[test]
fn groups_are_listed_or_named_by_the_session() {
    let member = || Principal { groups: vec!["ml".into(), "ops".into()], ..principal("x", "user") };
    assert_eq!(outcome(r#"{"allow_groups": ["ops"]}"#, get("/").session(SESSION).by(member())), "forward:group");
    let labelled = get("/").session(&[("owner", "o"), ("label.team", "web"), ("label.team", "ml")]);
    let config = r#"{"allow": ["group"], "group_attribute": "label.team"}"#;
    assert_eq!(outcome(config, labelled.clone().by(member())), "forward:group");
    assert_eq!(outcome(config, labelled.by(principal("y", "user"))), "reject:not-admitted");
}

#[test]
fn deny_lists_win() {
    let member = Principal { groups: vec!["ops".into()], ..principal("owner", "admin") };
    for config in [r#"{"deny_users": ["owner"]}"#, r#"{"deny_groups": ["ops"]}"#, r#"{"deny_roles": ["admin"]}"#] {
        assert_eq!(outcome(config, get("/").session(SESSION).by(member.clone())), "reject:denied", "{config}");
        // Also where everybody may enter who isn't known.
        let public = get("/").session(&session_with("public")).by(member.clone());
        assert_eq!(outcome(config, public), "reject:denied", "{config}");
    }
    assert_eq!(outcome(r#"{"deny_users": ["owner"], "message": "Ask Eve."}"#, by("owner", "user")), "reject:denied:Ask Eve.");
}

#[test]
fn readers_are_asked_for_only_when_configured_and_only_when_it_matters() {
    assert!(plugin("{}").declaration.facts.is_empty());
    let config = r#"{"allow": ["owner", "readers"]}"#;
    assert_eq!(plugin(config).declaration.facts, [Fact::MayReadSession]);
    assert_eq!(outcome(config, by("x", "user").may_read_session(FactAnswer::Yes)), "forward:reader");
    assert_eq!(outcome(config, by("x", "user").may_read_session(FactAnswer::No)), "reject:not-admitted");
    let unavailable = FactAnswer::Unavailable("timeout".into());
    assert_eq!(outcome(config, by("owner", "user").may_read_session(unavailable.clone())), "forward:owner");
    let error = plugin(config).route(&by("x", "user").may_read_session(unavailable).route());
    assert_eq!(error, Err(Error::Unavailable("timeout".into())));
}

#[test]
fn closed_keeps_all_but_admins_out_and_tells_only_those_who_could_enter() {
    let config = r#"{"closed": "Back at three."}"#;
    assert_eq!(outcome(config, by("owner", "user")), "reject:closed:Back at three.");
    assert_eq!(outcome(config, by("x", "admin")), "forward:admin");
    assert_eq!(outcome(config, by("x", "user")), "reject:not-admitted");
    assert_eq!(outcome(config, get("/").session(SESSION)), "unauthenticated");
    assert_eq!(outcome(config, get("/").session(&session_with("public"))), "reject:closed:Back at three.");
    assert_eq!(outcome(config, tcp("192.0.2.1")), "reject:closed");
}

#[test]
fn tcp_is_open_or_by_address_or_by_certificate() {
    assert_eq!(outcome("{}", tcp("192.0.2.1")), "forward:tcp-open");
    let known = r#"{"tcp_access": "known-address", "known_addresses": ["192.0.2.0/24", "2001:db8::1"]}"#;
    assert_eq!(outcome(known, tcp("192.0.2.200")), "forward:tcp-known-address");
    assert_eq!(outcome(known, tcp("2001:db8::1")), "forward:tcp-known-address");
    assert_eq!(outcome(known, tcp("192.0.3.1")), "reject:tcp-access");
    let certificate = r#"{"tcp_access": "client-certificate"}"#;
    assert_eq!(outcome(certificate, tcp("192.0.2.1").client_certificate(b"der")), "forward:tcp-client-certificate");
    assert_eq!(outcome(certificate, tcp("192.0.2.1")), "reject:tcp-access");
}

#[test]
fn tcp_by_identity_lets_in_who_may_enter_and_nobody_unknown() {
    let config = r#"{"tcp_access": "identity"}"#;
    let known = |id: &str| tcp("192.0.2.1").session(SESSION).by(principal(id, "user"));
    assert_eq!(outcome(config, known("owner")), "forward:owner");
    assert_eq!(outcome(config, known("x")), "reject:tcp-access");
    assert_eq!(outcome(config, tcp("192.0.2.1").session(&session_with("public"))), "reject:tcp-access");
}

#[test]
fn header_edits_and_limits_come_with_an_admission() {
    let config = r#"{"request_headers": {"set": {"X-Team": "ml"}, "remove": ["X-Debug"]},
        "response_headers": {"append": {"Cache-Control": "no-store"}},
        "request_body_bytes": 1000, "response_timeout_ms": 5000, "recheck_after_s": 30}"#;
    let Decision::Forward(it) = decide(config, by("owner", "user")) else { panic!() };
    let set = HeaderEdit::Set(Field::new("X-Team", "ml"));
    assert_eq!(it.request_headers, [HeaderEdit::Remove("X-Debug".into()), set]);
    assert_eq!(it.response_headers, [HeaderEdit::Append(Field::new("Cache-Control", "no-store"))]);
    assert_eq!(it.limits, Some(Limits { request_body_bytes: Some(1000), response_timeout_ms: Some(5000) }));
    assert_eq!(it.lifetime, Lifetime { valid_until: None, recheck_after_s: Some(30) });
    let Decision::Forward(it) = decide("{}", by("owner", "user")) else { panic!() };
    assert_eq!(it, Forwarding::new("owner"));
}

#[test]
fn only_what_the_configuration_needs_is_declared() {
    let attribute = |name: &str| Input::SessionAttribute(name.to_owned());
    let inputs = |config: &str| plugin(config).declaration.inputs;
    assert_eq!(inputs("{}"), [Input::Identity, attribute("owner"), attribute("access"), attribute("company")]);
    assert_eq!(inputs(r#"{"allow": ["owner", "admins"]}"#), [Input::Identity, attribute("owner")]);
    assert_eq!(inputs(r#"{"allow": ["company", "group"]}"#), [Input::Identity, attribute("company"), attribute("label.group")]);
    let tcp = r#"{"allow": [], "tcp_access": "client-certificate"}"#;
    assert_eq!(inputs(tcp), [Input::Identity, Input::ClientCertificate]);
    let known = r#"{"allow": [], "tcp_access": "known-address", "known_addresses": ["::1"]}"#;
    assert_eq!(inputs(known), [Input::Identity, Input::ClientAddress]);
}

#[test]
fn a_wrong_configuration_names_the_key() {
    for (config, key) in [
        (r#"{"alow": []}"#, "alow"),
        (r#"{"allow": "owner"}"#, "allow"),
        (r#"{"allow": ["owner", "nobody"]}"#, "allow.1"),
        (r#"{"deny_users": [7]}"#, "deny_users.0"),
        (r#"{"tcp_access": "closed"}"#, "tcp_access"),
        (r#"{"tcp_access": "known-address"}"#, "known_addresses"),
        (r#"{"known_addresses": ["10.0.0.1/8"]}"#, "known_addresses"),
        (r#"{"request_headers": {"set": {"X Y": "z"}}}"#, "request_headers.set"),
        (r#"{"request_headers": {"set": {"X": "a\r\nb: c"}}}"#, "request_headers.set"),
        (r#"{"response_headers": {"remove": [""]}}"#, "response_headers.remove"),
        (r#"{"response_headers": {"delete": []}}"#, "response_headers.delete"),
        (r#"{"response_timeout_ms": 4294967296}"#, "response_timeout_ms"),
        (r#"{"closed": true}"#, "closed"),
    ] {
        match testing::routing_policy::<DefaultPolicy>(config) {
            Err(Error::InvalidConfig(it)) => assert_eq!(it.key, key, "{config}"),
            other => panic!("{config}: {other:?}"),
        }
    }
}
