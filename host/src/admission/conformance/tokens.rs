//! What a key set may say of a token, the unlikely included: anybody who can sign for it chooses the claims.

use serde_json::{Map, Value, json};

use crate::{
    domain::record::{Refused, Token, TokenAnswer},
    plugin::key_set::{ClaimPath, LONGEST_TOKEN},
};

/// What is presented, and what a key set says of it.
pub const TOKEN: &str = "stand.in.token";
/// What a token's claims may come to, in bytes: a longer token isn't looked at, and a quarter of it is base64's.
const CLAIMS_BYTES: usize = LONGEST_TOKEN / 4 * 3;

/// Each answer that a key set may give, with each value for all of these claims, and for each of them among plain ones.
pub fn answers(claims: &[&ClaimPath]) -> Vec<(String, TokenAnswer)> {
    let refused = [
        Refused::Malformed,
        Refused::Algorithm,
        Refused::UnknownKey,
        Refused::Signature,
        Refused::CriticalHeader,
        Refused::ByServer,
    ];
    let refused = refused.into_iter().map(|refused| (format!("refused ({refused:?})"), TokenAnswer::Refused(refused)));
    let unavailable = [("unavailable".to_owned(), TokenAnswer::Unavailable("the server is down".into()))];
    let standard = [
        ("claims of nobody", json!({})),
        ("over for long", json!({"exp": 1})),
        ("not yet valid", json!({"nbf": 9_000_000_000_u64})),
        ("an end that is none", json!({"exp": "tomorrow", "nbf": {}})),
        ("an end far off", json!({"exp": u64::MAX, "aud": ["a", 1, null], "iss": {}})),
    ];
    let standard = standard.into_iter().map(|(what, claims)| (what.to_owned(), TokenAnswer::Claims(claims)));
    let odd = values(CLAIMS_BYTES / claims.len().max(1)).into_iter().map(|(what, value)| {
        let mut all = Map::new();
        all.insert("exp".into(), json!(4_000_000_000_u64));
        claims.iter().for_each(|path| put(&mut all, path.names(), &value));
        (format!("claims that are {what}"), TokenAnswer::Claims(Value::Object(all)))
    });
    let one_odd = claims.iter().enumerate().flat_map(|(at, path)| {
        values(CLAIMS_BYTES).into_iter().map(move |(what, value)| {
            let mut all = Map::from_iter([("exp".to_owned(), json!(4_000_000_000_u64))]);
            claims
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != at)
                .for_each(|(_, path)| put(&mut all, path.names(), &json!("ada")));
            put(&mut all, path.names(), &value);
            (format!("a claim {path} that is {what}"), TokenAnswer::Claims(Value::Object(all)))
        })
    });
    refused.chain(unavailable).chain(standard).chain(odd).chain(one_odd).collect()
}

/// Values of so many bytes at most.
fn values(room: usize) -> Vec<(&'static str, Value)> {
    let deep = (0..60).fold(json!(1), |value, _| json!([value]));
    vec![
        ("plain text", json!("ada")),
        ("empty", json!("")),
        ("null", Value::Null),
        ("a number", json!(-7)),
        ("a fraction", json!(0.5)),
        ("a boolean", json!(true)),
        ("a list", json!(["a", "b"])),
        ("a list of many", json!(vec!["x"; room / r#""x","#.len()])),
        ("a list of odd texts", json!(["", "a\r\nb", "x".repeat(room.min(2_000)), "\u{202e}"])),
        ("a list of anything", json!(["a", 1, null, {"a": []}])),
        ("a map", json!({"a": {"b": 1}})),
        ("nested deeply", deep),
        ("a long text", json!("x".repeat(room))),
        ("control characters", json!("a\r\nb\u{0}\u{1b}[31m")),
        ("of another script", json!("\u{202e}\u{1f600}ä")),
        ("with spaces", json!(" a b ")),
    ]
}

fn put(all: &mut Map<String, Value>, path: &[String], value: &Value) {
    match path {
        [] => {}
        [name] => {
            all.insert(name.clone(), value.clone());
        }
        [name, rest @ ..] => {
            let below = all.entry(name.clone()).or_insert_with(|| json!({}));
            if let Value::Object(below) = below {
                put(below, rest, value);
            }
        }
    }
}

/// The same answer of each key set.
pub fn of_each(key_sets: &[&str], answer: &TokenAnswer) -> Vec<Token> {
    let token = |key_set: &&str| Token { token: TOKEN.into(), key_set: (*key_set).to_owned(), answer: answer.clone() };
    key_sets.iter().map(token).collect()
}
