use serde_json::json;

use super::*;
use crate::domain::Principal;

#[test]
fn a_record_reads_back_as_it_was_written() {
    let principal: Principal = serde_json::from_value(json!({"id": "ada", "claims": {"team": "a", "x": ["1", "2"]}})).unwrap();
    let record = Record {
        id: RecordId(0xab),
        generation: 3,
        set: "0123".into(),
        asked: vec!["auth@0123".into()],
        inputs: Inputs {
            kind: Kind::Authenticator,
            now_ms: Timestamp(1),
            known: Known::These(["method".into()].into()),
            http: Some(Http {
                method: Some("GET".into()),
                cookies: Fields(vec![Field("a".into(), Bytes(b"text".to_vec())), Field("a".into(), Bytes(vec![0xff]))]),
                ..Http::default()
            }),
            tcp: None,
            session: None,
            identity: Some(Identity::Anonymous),
            may_read_session: Some(MayRead::Unavailable("down".into())),
            tokens: vec![
                Token { token: "t".into(), key_set: "k".into(), answer: TokenAnswer::Claims(json!({"sub": "ada"})) },
                Token { token: "t".into(), key_set: "l".into(), answer: TokenAnswer::Refused(Refused::UnknownKey) },
            ],
        },
        outcome: Outcome::Decided(Decided {
            by: Some("auth".into()),
            decision: Decision::Allow { principal, valid_until_ms: None },
            reason: "token".into(),
            detail: None,
            holds_until_ms: None,
        }),
        took_us: 7,
    };
    let line = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record, "{line}");
    assert!(line.contains(r#""id":"00000000000000ab""#) && line.contains(r#"["a",{"base64":"/w=="}]"#), "{line}");
}

#[test]
fn people_write_fields_as_a_map() {
    let fields: Fields = serde_json::from_value(json!({"a": "1", "b": ["2", {"base64": "/w=="}]})).unwrap();
    assert_eq!(fields.iter().collect::<Vec<_>>(), [("a", &b"1"[..]), ("b", b"2"), ("b", b"\xff")]);
    for bad in [json!({"a": 1}), json!({"a": {"base64": "%"}}), json!("a")] {
        assert!(serde_json::from_value::<Fields>(bad.clone()).is_err(), "{bad}");
    }
}

#[test]
fn only_an_id_is_an_id() {
    assert_eq!("00000000000000ab".parse(), Ok(RecordId(0xab)));
    for bad in ["", "ab", "00000000000000ag", "+0000000000000ab", "00000000000000ab0"] {
        assert!(bad.parse::<RecordId>().is_err(), "{bad}");
    }
}

#[test]
fn an_effect_is_what_counts_not_its_reason() {
    let decided = |reason: &str, message: Option<&str>| {
        Outcome::Decided(Decided {
            by: Some("policy".into()),
            decision: Decision::Reject { message: message.map(str::to_owned) },
            reason: reason.into(),
            detail: None,
            holds_until_ms: None,
        })
    };
    assert!(decided("one", None).has_effect_of(&decided("other", None)));
    assert!(!decided("one", None).has_effect_of(&decided("one", Some("Ask the owner."))));
    let failed = Outcome::Failed(Failed { by: "policy".into(), fault: "trap".into(), message: String::new() });
    assert!(!failed.admits() && !failed.has_effect_of(&decided("one", None)));
    assert_eq!((failed.summary().as_str(), decided("one", None).summary().as_str()), ("fails (trap)", "reject (one)"));
}
