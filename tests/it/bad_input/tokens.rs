//! Tokens that prove nothing.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use wicketgate_tests::{Client, Gateway};

use crate::site::{SECRET, SESSION, Site, defaults, only, person, token};

/// A token with this header, signed by HS256 with the right secret whatever the header says.
fn with_header(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn bad_tokens() -> Vec<(&'static str, String)> {
    let alice = json!({"sub": "alice"});
    let good = token(&alice);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (_, payload) = message.split_once('.').unwrap();
    let signed = |header: Value| with_header(&header, &alice);
    let wrong_key = EncodingKey::from_secret(b"another secret, as long as the right one is");
    let hs = |algorithm, key: &EncodingKey| encode(&Header::new(algorithm), &alice, key).unwrap();
    let unsigned = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let claims = BASE64_URL_SAFE_NO_PAD.encode(r#"{"sub":"alice","#);
    vec![
        ("alg none, no signature", format!("{unsigned}.{payload}.")),
        ("alg none, a signature", format!("{unsigned}.{payload}.{signature}")),
        ("alg none in capitals", signed(json!({"alg": "NONE"}))),
        ("no alg", signed(json!({"typ": "JWT"}))),
        ("alg isn't a text", signed(json!({"alg": ["HS256"]}))),
        ("an algorithm that the key isn't for", signed(json!({"alg": "RS256"}))),
        ("a longer hash with the right secret", hs(Algorithm::HS512, &EncodingKey::from_secret(SECRET.as_bytes()))),
        ("the wrong key", hs(Algorithm::HS256, &wrong_key)),
        ("an empty key", hs(Algorithm::HS256, &EncodingKey::from_secret(b""))),
        ("expired", token(&json!({"sub": "alice", "exp": now() - 60}))),
        ("expires at the beginning of time", token(&json!({"sub": "alice", "exp": 0}))),
        ("an end that is no number", token(&json!({"sub": "alice", "exp": "tomorrow"}))),
        ("not yet valid", token(&json!({"sub": "alice", "nbf": now() + 3600}))),
        ("an unknown critical header", signed(json!({"alg": "HS256", "crit": ["exp2"], "exp2": 1}))),
        ("an empty critical header", signed(json!({"alg": "HS256", "crit": []}))),
        ("nobody", token(&json!({"name": "Alice"}))),
        ("an id that is none", token(&json!({"sub": {"$ne": null}}))),
        ("an empty id", token(&json!({"sub": ""}))),
        ("claims that are a list", token(&json!(["alice"]))),
        ("claims that are no JSON", format!("{}.{claims}.{signature}", message.split('.').next().unwrap())),
        ("changed claims", good.replacen(payload, &BASE64_URL_SAFE_NO_PAD.encode(r#"{"sub":"alicf"}"#), 1)),
        ("a cut signature", good[..good.len() - 4].to_owned()),
        ("two parts", message.to_owned()),
        ("four parts", format!("{good}.{signature}")),
        ("other characters", format!("{good}!")),
        ("no token", "x".to_owned()),
        ("nothing", String::new()),
        ("a long one", "a".repeat(20_000)),
    ]
}

#[tokio::test]
async fn each_is_refused_with_a_challenge_and_named_in_the_log() {
    let site = Site::new(&only(defaults()));
    site.write_sessions(&format!(
        "sessions: [{{id: s1, owner: alice, endpoints: [{{address: 127.0.0.1, port: {}}}]}}]",
        site.upstream.port()
    ));
    let gateway = Gateway::start(&site.config()).await;
    for (what, token) in bad_tokens() {
        for client in [Client::default().bearer(&token), Client::default().with("cookie", &format!("clearml_token_basic={token}"))]
        {
            let reply = client.get(&gateway.at(SESSION)).await;
            // The cookie of nobody asks for nothing.
            assert_eq!(reply.status, 401, "{what}: {}", reply.text());
            assert!(reply.header("www-authenticate").is_some_and(|scheme| scheme.starts_with("Bearer")), "{what}");
        }
    }
    assert!(site.upstream.seen().is_empty());
    for reason in ["token-expired", "token-not-yet-valid", "token-algorithm", "token-signature", "token-critical-header"] {
        gateway.logs(reason).await;
    }
    let log = gateway.log();
    assert!(!log.contains("eyJ"), "a token is in the log");
    assert!(!log.contains("panicked"));
    assert_eq!(person("alice").get(&gateway.at(SESSION)).await.status, 200);
}
