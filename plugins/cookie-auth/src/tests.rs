use wicketgate_plugin::jwt::VerifyError;
use wicketgate_plugin::testing::{self, Builder, Configured, FakeJwt};

use super::*;

/// Claims as the ClearML server writes them.
const ADA: &str =
    r#"{"identity": {"user": "ada", "company": "c1", "role": "user", "user_name": "Ada"}, "exp": 1800000000, "team": ["ml"]}"#;
/// Claims in the usual form.
const BOB: &str = r#"{"sub": "bob", "name": "Bob", "role": "guest", "groups": ["a", "b"], "exp": 1900000000}"#;

fn plugin(config: &str) -> Configured<CookieAuth> {
    testing::authenticator(config).unwrap()
}

fn decide(config: &str, request: Builder, jwt: &FakeJwt) -> Result<Decision, Error> {
    plugin(config).authenticate(&request.authenticate(), jwt)
}

fn jwt() -> FakeJwt {
    FakeJwt::new().accepts("clearml", "ada", ADA).accepts("gateway", "bob", BOB)
}

#[track_caller]
fn allowance(decision: Result<Decision, Error>) -> Allowance {
    match decision {
        Ok(Decision::Allow(allowance)) => allowance,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn abstention(decision: Result<Decision, Error>) -> (String, Challenge) {
    match decision {
        Ok(Decision::Abstain(Abstention { reason, challenge: Some(challenge) })) => (reason.code, challenge),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_clearml_token_in_any_default_cookie_is_its_user() {
    for cookie in ["wicketgate_session", "clearml_token_basic", "clearml-token-k8s", "allegro_token_42"] {
        let allowance = allowance(decide("{}", testing::get("/").cookie(cookie, "ada"), &jwt()));
        let principal = allowance.principal;
        assert_eq!((principal.id.as_str(), principal.name.as_deref()), ("ada", Some("Ada")));
        assert_eq!((principal.company.as_deref(), principal.role.as_deref()), (Some("c1"), Some("user")));
        assert_eq!(allowance.lifetime, Lifetime { valid_until: Some(1_800_000_000_000), recheck_after_s: None });
        assert_eq!(allowance.reason, Reason::new("token"));
    }
}

#[test]
fn a_bearer_token_with_standard_claims_is_its_subject() {
    let allowance = allowance(decide("{}", testing::get("/").header("Authorization", "Bearer bob"), &jwt()));
    assert_eq!(allowance.principal.id, "bob");
    assert_eq!(allowance.principal.groups, ["a", "b"]);
}

#[test]
fn only_declared_cookies_are_read() {
    let (code, _) = abstention(decide("{}", testing::get("/").cookie("other", "ada"), &jwt()));
    assert_eq!(code, "no-credential");
    let request = || testing::get("/").cookie("mine", "ada").header("authorization", "Bearer bob");
    assert_eq!(allowance(decide(r#"{"cookies": ["mine"], "bearer": false}"#, request(), &jwt())).principal.id, "ada");
}

#[test]
fn no_credential_abstains_and_says_how_to_log_in() {
    let (code, challenge) = abstention(decide(r#"{"login": "https://id.example/login"}"#, testing::get("/"), &jwt()));
    assert_eq!(code, "no-credential");
    assert_eq!(challenge.login.as_deref(), Some("https://id.example/login"));
    assert_eq!(challenge.schemes, [r#"Bearer realm="wicketgate""#]);
}

#[test]
fn a_bad_token_abstains_with_invalid_token_and_the_reason() {
    for (error, code) in [
        (VerifyError::Expired, "token-expired"),
        (VerifyError::NotYetValid, "token-not-yet-valid"),
        (VerifyError::Audience, "token-audience"),
        (VerifyError::Issuer, "token-issuer"),
        (VerifyError::Algorithm("none".into()), "token-algorithm"),
        (VerifyError::Signature, "token-signature"),
        (VerifyError::UnknownKey, "token-unknown-key"),
        (VerifyError::Malformed("x".into()), "token-malformed"),
        (VerifyError::CriticalHeader, "token-critical-header"),
        (VerifyError::Refused("revoked".into()), "token-refused"),
    ] {
        let jwt =
            FakeJwt::new().rejects("clearml", "bad", error.clone()).rejects("gateway", "bad", VerifyError::Algorithm("x".into()));
        let (found, challenge) = abstention(decide("{}", testing::get("/").cookie("wicketgate_session", "bad"), &jwt));
        assert_eq!((found.as_str(), challenge.reason.code.as_str()), (code, code));
        assert_eq!(challenge.schemes, [r#"Bearer realm="wicketgate", error="invalid_token""#]);
    }
}

#[test]
fn the_first_token_that_verifies_wins() {
    let request = testing::get("/").header("authorization", "Bearer app-own-token").cookie("wicketgate_session", "old");
    assert_eq!(allowance(decide("{}", request.cookie("clearml_token_basic", "ada"), &jwt())).principal.id, "ada");
    let both = testing::get("/").header("authorization", "Bearer bob").cookie("clearml_token_basic", "ada");
    assert_eq!(allowance(decide("{}", both, &jwt())).principal.id, "bob");
}

#[test]
fn a_key_set_that_is_not_there_fails_closed() {
    let request = || testing::get("/").cookie("wicketgate_session", "ada");
    for jwt in [jwt().without("clearml"), FakeJwt::new().without("clearml").without("gateway")] {
        assert!(matches!(decide("{}", request(), &jwt), Err(Error::Unavailable(_))));
    }
    // Another key set doesn't matter to a token that's accepted, or known and expired.
    assert_eq!(allowance(decide("{}", request(), &jwt().without("gateway"))).principal.id, "ada");
    let expired = FakeJwt::new().without("gateway").rejects("clearml", "ada", VerifyError::Expired);
    assert_eq!(abstention(decide("{}", request(), &expired)).0, "token-expired");
    // Nobody who sends no token is kept waiting for keys.
    assert_eq!(abstention(decide("{}", testing::get("/"), &jwt().without("clearml"))).0, "no-credential");
}

#[test]
fn a_token_that_names_nobody_is_refused() {
    for claims in [
        "{}",
        r#"{"sub": ""}"#,
        r#"{"sub": "a\nb"}"#,
        r#"{"sub": ["a"]}"#,
        r#"{"sub": true}"#,
        r#"{"sub": "a b"}"#,
        r#"{"sub": "ä"}"#,
    ] {
        let jwt = FakeJwt::new().accepts("clearml", "t", claims);
        assert_eq!(abstention(decide("{}", testing::get("/").cookie("wicketgate_session", "t"), &jwt)).0, "token-without-user");
    }
    let long = FakeJwt::new().accepts("clearml", "t", &format!(r#"{{"sub": "{}"}}"#, "a".repeat(257)));
    assert_eq!(abstention(decide("{}", testing::get("/").cookie("wicketgate_session", "t"), &long)).0, "token-without-user");
}

#[test]
fn what_an_identity_cannot_hold_is_no_failure() {
    let decide = |claims: &str| {
        let jwt = FakeJwt::new().accepts("clearml", "t", claims);
        decide(r#"{"claims": {"extra": ["team"]}}"#, testing::get("/").cookie("wicketgate_session", "t"), &jwt)
    };
    let (long, line) = ("a".repeat(1025), "a\\nb");
    let odd = format!(
        r#"{{"sub": "ada", "name": "{long}", "role": "{line}", "groups": ["{long}", "{line}", "b"], "team": ["{line}", "c"]}}"#
    );
    let principal = allowance(decide(&odd)).principal;
    assert_eq!((principal.name, principal.role, principal.groups), (None, None, vec!["b".to_owned()]));
    assert_eq!(principal.claims.all("team"), ["c"]);
    let groups = |count: usize| format!(r#"{{"sub": "ada", "groups": [{}]}}"#, vec![r#""g""#; count].join(","));
    assert_eq!(allowance(decide(&groups(256))).principal.groups.len(), 256);
    assert_eq!(abstention(decide(&groups(257))).0, "token-too-many-groups");
}

#[test]
fn claim_places_can_be_chosen_and_further_claims_passed_on() {
    let config = r#"{"claims": {"id": ["oid", "identity.user"], "groups": ["team"], "extra": ["team", "exp", "none"]}}"#;
    let principal = allowance(decide(config, testing::get("/").cookie("wicketgate_session", "ada"), &jwt())).principal;
    assert_eq!((principal.id.as_str(), principal.groups.as_slice()), ("ada", ["ml".to_owned()].as_slice()));
    assert_eq!(principal.claims.first("exp"), Some("1800000000"));
    assert!(principal.claims.has("team", "ml"));
    assert_eq!(principal.claims.all("none"), [""; 0]);
}

#[test]
fn deny_and_require_refuse_good_tokens() {
    for (config, code) in [
        (r#"{"deny": {"roles": ["user"]}}"#, "role-denied"),
        (r#"{"deny": {"users": ["ada"]}}"#, "user-denied"),
        (r#"{"deny": {"companies": ["c1"]}}"#, "company-denied"),
        (r#"{"require": {"companies": ["c2"]}}"#, "company-denied"),
        (r#"{"require": {"roles": ["admin"], "users": ["ada"]}}"#, "role-denied"),
    ] {
        match decide(config, testing::get("/").cookie("wicketgate_session", "ada"), &jwt()) {
            Ok(Decision::Deny(denial)) => {
                assert_eq!(denial.reason.code, code);
                assert_eq!(denial.lifetime.valid_until, Some(1_800_000_000_000));
            }
            other => panic!("{config}: {other:?}"),
        }
    }
    let config = r#"{"require": {"companies": ["c1"], "roles": ["user"]}, "deny": {"users": ["bob"]}}"#;
    assert_eq!(allowance(decide(config, testing::get("/").cookie("wicketgate_session", "ada"), &jwt())).principal.id, "ada");
    // Somebody without a company isn't in a required one.
    let outsider = decide(r#"{"require": {"companies": ["c1"]}}"#, testing::get("/").cookie("wicketgate_session", "bob"), &jwt());
    assert!(matches!(outsider, Ok(Decision::Deny(_))));
}

#[test]
fn a_tcp_connection_has_no_credential() {
    let decision = decide("{}", testing::tcp("192.0.2.1"), &jwt()).unwrap();
    assert_eq!(decision, Decision::Abstain(Abstention { reason: Reason::new("no-credential"), challenge: None }));
}

#[test]
fn the_declaration_is_what_the_configuration_needs() {
    let declaration = plugin(
        r#"{"cookies": ["a", "b*"], "bearer": false, "leeway_s": 5, "issuers": ["i"],
            "key_sets": ["x", {"name": "y", "audiences": ["z"], "issuers": []}], "claims": {"name": ["sub"]}}"#,
    )
    .declaration;
    assert_eq!(
        declaration.inputs,
        [Input::Cookie("a".into(), Sensitivity::Credential), Input::CookiePrefix("b".into(), Sensitivity::Credential)]
    );
    let [x, y] = declaration.verifications.as_slice() else { panic!() };
    assert_eq!((x.key_set.as_str(), x.issuers.len(), x.audiences.len(), x.leeway_s), ("x", 1, 0, 5));
    assert_eq!((y.key_set.as_str(), y.issuers.len(), y.audiences.len()), ("y", 0, 1));
    assert_eq!(x.claims.iter().filter(|path| *path == "sub").count(), 1);
    assert!(declaration.facts.is_empty());
}

#[test]
fn a_wrong_configuration_names_the_key() {
    for (config, key) in [
        (r#"{"cookie": []}"#, "cookie"),
        (r#"{"cookies": ["*"]}"#, "cookies"),
        (r#"{"cookies": ["a b"]}"#, "cookies"),
        (r#"{"cookies": [], "bearer": false}"#, "cookies"),
        (r#"{"key_sets": []}"#, "key_sets"),
        (r#"{"key_sets": [{"nam": "x"}]}"#, "key_sets.0.nam"),
        (r#"{"key_sets": [{}]}"#, "key_sets"),
        (r#"{"key_sets": [1]}"#, "key_sets.0"),
        (r#"{"leeway_s": 301}"#, "leeway_s"),
        (r#"{"claims": {"id": []}}"#, "claims"),
        (r#"{"realm": "a\"b"}"#, "realm"),
        (r#"{"deny": {"role": []}}"#, "deny.role"),
    ] {
        match testing::authenticator::<CookieAuth>(config) {
            Err(Error::InvalidConfig(it)) => assert_eq!(it.key, key, "{config}"),
            other => panic!("{config}: {other:?}"),
        }
    }
}

/// Names alice as the subject's common name.
const CERTIFICATE: &[u8] = include_bytes!("certificate/one-name.der");

#[test]
fn a_certificate_is_its_name_where_the_configuration_says_so() {
    let config = r#"{"certificate_name": "common-name"}"#;
    for request in [testing::tcp("192.0.2.1"), testing::get("/"), testing::get("/").cookie("clearml_token_basic", "stale")] {
        let allowance = allowance(decide(config, request.client_certificate(CERTIFICATE), &jwt()));
        assert_eq!((allowance.principal.id.as_str(), allowance.reason), ("alice", Reason::new("client-certificate")));
    }
    let with_token = testing::get("/").cookie("clearml_token_basic", "ada").client_certificate(CERTIFICATE);
    assert_eq!(allowance(decide(config, with_token, &jwt())).principal.id, "ada", "a token goes before a certificate");
    for nobody in [testing::tcp("192.0.2.1"), testing::tcp("192.0.2.1").client_certificate(b"no certificate")] {
        assert!(matches!(decide(config, nobody, &jwt()), Ok(Decision::Abstain(_))));
    }
    let unread = testing::tcp("192.0.2.1").client_certificate(CERTIFICATE);
    assert!(matches!(decide("{}", unread, &jwt()), Ok(Decision::Abstain(_))), "not looked at by default");
    let denied = r#"{"certificate_name": "common-name", "deny": {"users": ["alice"]}}"#;
    assert!(matches!(decide(denied, testing::tcp("::1").client_certificate(CERTIFICATE), &jwt()), Ok(Decision::Deny(_))));
}
