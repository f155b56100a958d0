use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

use super::*;
use crate::domain::Timestamp;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn requirements() -> Requirements {
    Requirements { claims: vec![ClaimPath::parse("identity.user"), ClaimPath::parse(r"a\.b")], ..Default::default() }
}

fn token(secret: &[u8], claims: &serde_json::Value) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(secret)).unwrap()
}

fn by_hand(header: &serde_json::Value, claims: &serde_json::Value) -> String {
    let part = |value: &serde_json::Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.AAAA", part(header), part(claims))
}

#[test]
fn a_good_token_answers_exactly_the_claims_asked_for() {
    let set = KeySet::secret("clearml", "s3cret", SecretEncoding::Raw).unwrap();
    let claims = json!({"exp": 1_800_000_100, "identity": {"user": "u1", "role": "root"}, "a.b": 3});
    let verified = set.verify(&token(b"s3cret", &claims), &requirements(), NOW).unwrap();
    assert_eq!(verified.claims, [Some(json!("u1")), Some(json!(3))]);
    assert_eq!(verified.valid_until, Some(Timestamp(1_800_000_100_000)));
}

#[test]
fn a_secret_verifies_in_each_of_its_three_encodings() {
    // The same bytes, whose base64 differs from their base64url.
    let bytes = [0xfb, 0xef, 0xff, 0x01];
    let claims = json!({"identity": {"user": "u1"}});
    let verifies = |text: &str, encoding, secret: &[u8]| {
        let set = KeySet::secret("clearml", text, encoding).unwrap();
        set.verify(&token(secret, &claims), &requirements(), NOW).is_ok()
    };
    for (text, encoding) in [("++//AQ==", SecretEncoding::Base64), ("--__AQ", SecretEncoding::Base64url)] {
        assert!(verifies(text, encoding, &bytes), "{text} as {encoding:?}");
        assert!(!verifies(text, encoding, text.as_bytes()), "{text} as {encoding:?} must not be taken raw");
        assert!(verifies(text, SecretEncoding::Raw, text.as_bytes()), "{text} raw");
        assert!(verifies(text, SecretEncoding::Auto, text.as_bytes()), "{text} auto, raw");
        assert!(verifies(text, SecretEncoding::Auto, &bytes), "{text} auto, decoded");
    }
    assert!(KeySet::secret("clearml", "++//", SecretEncoding::Base64url).is_err());
    assert!(KeySet::secret("clearml", "", SecretEncoding::Auto).is_err());
}

#[test]
fn bad_tokens_are_refused_each_for_its_reason() {
    let set = KeySet::secret("clearml", "s3cret", SecretEncoding::Raw).unwrap();
    let user = json!({"identity": {"user": "u1"}});
    let good = token(b"s3cret", &user);
    let (message, _) = good.rsplit_once('.').unwrap();
    let table = [
        (by_hand(&json!({"alg": "none"}), &user), Refusal::Algorithm("none".into())),
        (by_hand(&json!({"alg": "RS256"}), &user), Refusal::Algorithm("RS256".into())),
        (by_hand(&json!({"alg": "HS512"}), &user), Refusal::Algorithm("HS512".into())),
        (by_hand(&json!({"alg": "HS256", "crit": ["exp"]}), &user), Refusal::CriticalHeader),
        (token(b"other", &user), Refusal::Signature),
        (format!("{message}.AAAA"), Refusal::Signature),
        (token(b"s3cret", &json!({"exp": 1_799_999_999})), Refusal::Expired),
        (token(b"s3cret", &json!({"exp": 1_800_000_000})), Refusal::Expired),
        (token(b"s3cret", &json!({"nbf": 1_800_000_001})), Refusal::NotYetValid),
    ];
    for (token, refusal) in table {
        assert_eq!(set.verify(&token, &requirements(), NOW).unwrap_err(), refusal, "{token}");
    }
    for malformed in [
        String::new(),
        ".".into(),
        "..".into(),
        "a.b".into(),
        "a.b.c.d".into(),
        good.clone() + ".x",
        good.replace('.', "!"),
        "é.é.é".into(),
        format!("{}.x.y", "a".repeat(LONGEST_TOKEN)),
        token(b"s3cret", &json!({"exp": "soon"})),
        token(b"s3cret", &json!([1])),
    ] {
        assert!(matches!(set.verify(&malformed, &requirements(), NOW), Err(Refusal::Malformed(_))), "{malformed:.40}");
    }
}

#[test]
fn audience_and_issuer_are_looked_at_when_required() {
    let set = KeySet::secret("clearml", "s3cret", SecretEncoding::Raw).unwrap();
    let required = Requirements { audiences: vec!["gate".into()], issuers: vec!["us".into()], ..Default::default() };
    let verify = |claims: serde_json::Value| set.verify(&token(b"s3cret", &claims), &required, NOW).map(|_| ());
    assert_eq!(verify(json!({"aud": "gate", "iss": "us"})), Ok(()));
    assert_eq!(verify(json!({"aud": ["x", "gate"], "iss": "us"})), Ok(()));
    assert_eq!(verify(json!({"iss": "us"})), Err(Refusal::Audience));
    assert_eq!(verify(json!({"aud": ["x"], "iss": "us"})), Err(Refusal::Audience));
    assert_eq!(verify(json!({"aud": "gate"})), Err(Refusal::Issuer));
    assert_eq!(verify(json!({"aud": "gate", "iss": ["us"]})), Err(Refusal::Issuer));
}

#[test]
fn an_empty_set_is_unavailable_and_not_a_refusal() {
    let set = KeySet::jwks("sso", JwksSource::File("nowhere".into()), &[crate::config::Algorithm::RS256], Duration::from_secs(1));
    assert!(matches!(set.verify("a.b.c", &requirements(), NOW), Err(Refusal::Unavailable(_))));
}

#[test]
fn a_token_that_the_server_judged_holds_no_longer_than_it_says() {
    let required = Requirements { audiences: vec!["gate".into()], ..Default::default() };
    let check = |claims: serde_json::Value| check_unsigned(&token(b"anybody", &claims), &required, NOW);
    assert_eq!(check(json!({"aud": "gate"})), Ok(None));
    assert_eq!(check(json!({"aud": "gate", "exp": 1_800_000_001})), Ok(Some(Timestamp(1_800_000_001_000))));
    assert_eq!(check(json!({"aud": "gate", "exp": 1_800_000_000})), Err(Refusal::Expired));
    assert_eq!(check(json!({"aud": "gate", "nbf": 1_800_000_001})), Err(Refusal::NotYetValid));
    assert_eq!(check(json!({"aud": "other"})), Err(Refusal::Audience));
    assert_eq!(check_unsigned("a.b.c", &required, NOW), Err(Refusal::Audience));
    assert_eq!(check_unsigned("a.b.c", &Requirements::default(), NOW), Ok(None));
}
