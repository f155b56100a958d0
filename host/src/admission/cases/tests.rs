use super::*;
use crate::domain::{
    Principal,
    record::{Bytes, Decision, Refused, TokenAnswer},
};

const AUTHENTICATOR: &str = "
- name: a token that verified
  http: {cookies: {clearml_token_basic: good}}
  tokens: [{token: good, key_set: clearml, claims: {identity: {user: ada}, exp: 2000000000}}]
  expect: {decision: {allow: {principal: {id: ada}}}}
- name: a bad one
  http: {headers: {authorization: [Bearer x, {base64: /w==}]}}
  tokens: [{token: x, key_set: clearml, refused: signature}]
  now_ms: 5
  expect: {decision: abstain, reason: token-signature}
- name: it can't decide
  http: {}
  expect: {error: unavailable}
";

fn decided(decision: Decision, reason: &str) -> Outcome {
    Outcome::Decided(Decided { by: Some("p".into()), decision, reason: reason.into(), detail: None, holds_until_ms: None })
}

fn failed(fault: &str, message: &str) -> Outcome {
    Outcome::Failed(Failed { by: "p".into(), fault: fault.into(), message: message.into() })
}

fn allow(principal: Value) -> Decision {
    let principal: Principal = serde_json::from_value(principal).unwrap();
    Decision::Allow { principal, valid_until_ms: None }
}

/// One case of a policy that expects this.
fn expecting(expect: &str) -> Result<Expected, CaseError> {
    let text = format!("- {{name: a, http: {{}}, expect: {expect}}}");
    parse("cases.yaml", &text, Kind::RoutingPolicy).map(|mut cases| cases.remove(0).expect)
}

fn differences(expected: &Expected, outcome: &Outcome) -> Vec<String> {
    expected.compare(outcome).iter().map(Mismatch::to_string).collect()
}

#[test]
fn cases_are_read_as_people_write_them() {
    let cases = parse("cases.yaml", AUTHENTICATOR, Kind::Authenticator).unwrap();
    assert_eq!(
        cases.iter().map(|case| case.name.as_str()).collect::<Vec<_>>(),
        ["a token that verified", "a bad one", "it can't decide"]
    );
    assert_eq!((cases[0].inputs.kind, cases[0].inputs.now_ms), (Kind::Authenticator, CASE_NOW));
    assert!(cases[0].inputs.known.is_everything());
    let bad = &cases[1].inputs;
    assert_eq!(bad.now_ms, Timestamp(5));
    assert_eq!(bad.http.as_ref().unwrap().headers.0[1].1, Bytes(vec![0xff]));
    assert_eq!(bad.tokens[0].answer, TokenAnswer::Refused(Refused::Signature));
    let policy = "[{name: a, http: {}, expect: {decision: reject}}, \
                   {name: b, tcp: {listener_port: 10022}, identity: {principal: {id: ada}}, expect: {reason: x}}]";
    let cases = parse("cases.yaml", policy, Kind::RoutingPolicy).unwrap();
    assert_eq!(cases[0].inputs.identity, Some(Identity::Anonymous), "nobody, where nobody is said");
    assert!(cases[1].inputs.identity.as_ref().unwrap().principal().is_some());
    let filter = "[{name: a, session: {owner: ada, tag: [one, two]}, expect: {decision: keep}}]";
    assert_eq!(
        parse("cases.yaml", filter, Kind::DiscoveryFilter).unwrap()[0].inputs.session.as_ref().unwrap().values("tag").len(),
        2
    );
}

#[test]
fn an_unfit_file_is_said_in_one_sentence() {
    let policy = |text: &str| parse("cases.yaml", text, Kind::RoutingPolicy).unwrap_err().to_string();
    let table = [
        (policy("[1"), "cases.yaml: not YAML: "),
        (policy("a: 1"), "cases.yaml: found a map, expected a list of cases"),
        (policy("[]"), "cases.yaml: found 0 cases, expected 1 to 1000"),
        (policy(&"x".repeat(LARGEST_FILE + 1)), "cases.yaml: found 1048577 bytes, expected at most 1048576"),
        (policy("[1]"), "cases.yaml, case 1: found a number, expected a map"),
        (policy("[{http: {}}]"), "cases.yaml, case 1, name: is missing"),
        (policy("[{name: 1}]"), "cases.yaml, case 1, name: found a number, expected a text"),
        (policy("[{name: a, http: {}}]"), "cases.yaml, case 1 ('a'), expect: is missing"),
        (policy("[{name: a, expect: {reason: x}}]"), "cases.yaml, case 1 ('a'): found 0 of http and tcp, expected one"),
        (
            policy("[{name: a, http: {}, expect: {reason: x}}, {name: b, http: {metod: GET}, expect: {reason: x}}]"),
            "cases.yaml, case 2 ('b'), http.metod: unknown field `metod`",
        ),
        (policy("[{name: a, http: {}, htp: {}, expect: {reason: x}}]"), "cases.yaml, case 1 ('a'), htp: unknown field `htp`"),
        (
            policy("[{name: a, http: {}, expect: {reason: x}}, {name: a, http: {}, expect: {reason: x}}]"),
            "cases.yaml, case 2 ('a'), name: found twice",
        ),
        (
            policy("[{name: a, http: {}, kind: authenticator, expect: {reason: x}}]"),
            "cases.yaml, case 1 ('a'), kind: found authenticator, expected routing-policy, as the plugin is",
        ),
        (
            policy("[{name: a, http: {}, tokens: [{token: x, key_set: k, refused: signature}], expect: {reason: x}}]"),
            "cases.yaml, case 1 ('a'), tokens: found for a routing-policy, expected for an authenticator alone",
        ),
    ];
    for (found, expected) in table {
        assert!(found.starts_with(expected) && !found.contains('\n'), "{found}\nexpected {expected}…");
    }
    let filter = |text: &str| parse("c", text, Kind::DiscoveryFilter).unwrap_err().to_string();
    assert!(filter("[{name: a, expect: {reason: x}}]").starts_with("c, case 1 ('a'), session: is missing"));
    assert!(filter("[{name: a, http: {}, expect: {reason: x}}]").contains("expected session alone for a discovery-filter"));
}

#[test]
fn an_unfit_expectation_is_said_in_one_sentence() {
    for (expect, expected) in [
        ("1", "expect: found a number"),
        ("{}", "expect: found nothing, expected decision, or error"),
        ("{decision: alow}", "expect.decision: found 'alow', expected one of forward, redirect, reject, unauthenticated, abstain"),
        ("{decision: {forward: {}, reject: {}}}", "expect.decision: found a map, expected a word, or a map of one word"),
        ("{decision: {forward: api}}", "expect.decision.forward: found a text, expected a map"),
        ("{reasons: x}", "expect.reasons: an unknown key, expected one of decision, reason"),
        ("{error: x, reason: y}", "expect: found error and more"),
        ("{error: 1}", "expect.error: found a number"),
    ] {
        let found = expecting(expect).unwrap_err().to_string();
        assert!(found.starts_with(&format!("cases.yaml, case 1 ('a'), {expected}")), "{found}\nexpected {expected}…");
    }
}

#[test]
fn an_outcome_is_compared_with_what_was_expected_of_it_and_no_more() {
    let forward = Decision::Forward {
        endpoint: Some("api".into()),
        request_headers: Vec::new(),
        response_headers: Vec::new(),
        request_body_bytes: Some(5),
        response_timeout_ms: None,
    };
    let outcome = decided(forward, "owner");
    for met in [
        "{decision: forward}",
        "{reason: owner}",
        "{decision: forward, reason: owner, by: p, detail: null}",
        "{decision: {forward: {endpoint: api, request_headers: [], response_timeout_ms: null}}}",
        "{decision: {forward: null}}",
    ] {
        assert_eq!(differences(&expecting(met).unwrap(), &outcome), [""; 0], "{met}");
    }
    for (unmet, said) in [
        ("{decision: reject}", "decision: expected reject, found forward (owner)"),
        ("{reason: admin}", "reason: expected \"admin\", found \"owner\""),
        ("{decision: {forward: {endpoint: web}}}", "decision.forward.endpoint: expected \"web\", found \"api\""),
        ("{decision: {forward: {endpoint: null}}}", "decision.forward.endpoint: expected nothing, found \"api\""),
        ("{decision: {forward: {response_timeout_ms: 7}}}", "decision.forward.response_timeout_ms: expected 7, found nothing"),
        ("{detail: x}", "detail: expected \"x\", found nothing"),
        ("{error: trap}", "error: expected 'trap' in it, found forward (owner)"),
    ] {
        assert_eq!(differences(&expecting(unmet).unwrap(), &outcome), [said], "{unmet}");
    }
}

#[test]
fn a_decision_without_fields_is_a_word_alone() {
    let outcome = decided(Decision::Unauthenticated, "anonymous");
    for met in ["{decision: unauthenticated}", "{decision: {unauthenticated: {}}}"] {
        assert_eq!(differences(&expecting(met).unwrap(), &outcome), [""; 0], "{met}");
    }
}

#[test]
fn a_policy_that_abstains_is_seen_by_nobody_having_decided() {
    let rejected = |by: Option<&str>| {
        let decision = Decision::Reject { message: None };
        let reason = "no-policy-decided".into();
        Outcome::Decided(Decided { by: by.map(str::to_owned), decision, reason, detail: None, holds_until_ms: None })
    };
    let abstains = expecting("{decision: abstain}").unwrap();
    assert_eq!(differences(&abstains, &rejected(None)), [""; 0]);
    assert_eq!(differences(&abstains, &rejected(Some("p"))), ["decision: expected abstain, found reject (no-policy-decided)"]);
}

#[test]
fn lists_are_as_long_and_one_value_stands_for_a_list_of_it() {
    let of = |expect: &str| {
        let text = format!("- {{name: a, http: {{}}, expect: {{decision: {{allow: {{principal: {expect}}}}}}}}}");
        parse("c", &text, Kind::Authenticator).unwrap().remove(0).expect
    };
    let outcome = decided(allow(json!({"id": "ada", "groups": ["a", "b"], "claims": {"team": "x"}})), "token");
    for met in ["{groups: [a, b]}", "{claims: {team: x}}", "{claims: {team: [x]}}", "{id: ada, role: null}"] {
        assert_eq!(differences(&of(met), &outcome), [""; 0], "{met}");
    }
    for (unmet, said) in [
        ("{groups: [a]}", r#"decision.allow.principal.groups: expected ["a"], found ["a","b"]"#),
        ("{groups: [a, c]}", r#"decision.allow.principal.groups[1]: expected "c", found "b""#),
        ("{claims: {team: z}}", r#"decision.allow.principal.claims.team: expected "z", found "x""#),
    ] {
        assert_eq!(differences(&of(unmet), &outcome), [said], "{unmet}");
    }
}

#[test]
fn a_failure_is_met_by_a_part_of_what_it_says() {
    let outcome = failed("unavailable", "key set 'k' was never loaded");
    assert_eq!(differences(&expecting("{error: never loaded}").unwrap(), &outcome), [""; 0]);
    assert_eq!(differences(&expecting("{error: unavailable}").unwrap(), &outcome), [""; 0]);
    let wrong = differences(&expecting("{error: trap}").unwrap(), &outcome);
    assert_eq!(wrong, ["error: expected 'trap' in it, found unavailable: key set 'k' was never loaded"]);
    let decision = differences(&expecting("{decision: forward}").unwrap(), &outcome);
    assert_eq!(decision, ["decision: expected forward, found an error: unavailable: key set 'k' was never loaded"]);
}
