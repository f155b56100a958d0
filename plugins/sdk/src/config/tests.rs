use alloc::format;

use serde::Deserialize;

use super::*;

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Config {
    name: String,
    port: u16,
    on: bool,
    share: f64,
    inner: Inner,
    kind: Kind,
    inners: Vec<Inner>,
    by_name: alloc::collections::BTreeMap<String, u32>,
    maybe: Option<i32>,
    checked: Lower,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
struct Inner {
    texts: Vec<String>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    #[default]
    Plain,
    Limited(u8),
    Full {
        size: u8,
    },
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "String")]
struct Lower(String);

impl TryFrom<String> for Lower {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.bytes().all(|byte| byte.is_ascii_lowercase()) { Ok(Self(text)) } else { Err("lower-case letters") }
    }
}

fn fault(text: &str) -> (String, String, String) {
    match Config::from_json(text) {
        Err(Error::InvalidConfig(it)) => (it.key, it.found, it.expected),
        other => panic!("{text}: {other:?}"),
    }
}

fn is(fault: &(String, String, String), key: &str, found: &str, expected: &str) {
    assert_eq!((fault.0.as_str(), fault.1.as_str(), fault.2.as_str()), (key, found, expected));
}

#[test]
fn nothing_is_the_default() {
    for text in ["", " ", "null", "{}"] {
        assert_eq!(Config::from_json(text), Ok(Config::default()));
    }
}

#[test]
fn a_whole_configuration_is_read() {
    let config = Config::from_json(
        r#"{"name": "n", "port": 65535, "on": true, "share": -0.5, "inner": {"texts": ["a", "b"]}, "kind": "plain",
            "inners": [{"texts": []}], "by_name": {"x": 1}, "maybe": -7, "checked": "abc"}"#,
    )
    .unwrap();
    assert_eq!((config.name.as_str(), config.port, config.on, config.maybe), ("n", 65535, true, Some(-7)));
    assert!((config.share + 0.5).abs() < f64::EPSILON);
    assert_eq!(config.inner.texts, ["a", "b"]);
    assert_eq!(config.by_name["x"], 1);
    assert_eq!(Config::from_json(r#"{"kind": {"limited": 3}}"#).unwrap().kind, Kind::Limited(3));
    assert_eq!(Config::from_json(r#"{"kind": {"full": {"size": 9}}}"#).unwrap().kind, Kind::Full { size: 9 });
    assert_eq!(Config::from_json(r#"{"maybe": null}"#).unwrap().maybe, None);
}

#[test]
fn an_error_names_key_found_and_expected() {
    is(&fault(r#"{"name": 1}"#), "name", "1", "text");
    is(&fault(r#"{"on": "yes"}"#), "on", "\"yes\"", "true or false");
    is(&fault(r#"{"port": 65536}"#), "port", "65536", "a whole number from 0 to 65535");
    is(&fault(r#"{"port": "80"}"#), "port", "\"80\"", "a whole number");
    is(&fault(r#"{"inner": {"texts": ["a", null]}}"#), "inner.texts.1", "null", "text");
    is(&fault(r#"{"inner": {"texts": "a"}}"#), "inner.texts", "\"a\"", "a list");
    is(&fault(r#"{"inner": []}"#), "inner", "a list", "a mapping");
    is(&fault(r#"{"inner": {}}"#), "inner.texts", "nothing", "a value");
    is(&fault(r#"{"kind": "big"}"#), "kind", "\"big\"", "one of plain, limited, full");
    is(&fault(r#"{"kind": {"limited": 256}}"#), "kind.limited", "256", "a whole number from 0 to 255");
    is(&fault(r#"{"checked": "ABC"}"#), "checked", "\"ABC\"", "lower-case letters");
    is(&fault(r#"{"by_name": {"x": {}}}"#), "by_name.x", "a mapping", "a whole number");
    is(&fault(r#"{"on": true, "on": true}"#), "on", "the key again", "each key once");
    is(&fault("[]"), "", "a list", "a mapping");
    is(&fault("name: x"), "", "no JSON from byte 0 on", "JSON text");
}

#[test]
fn an_unknown_key_is_an_error_at_any_depth() {
    is(&fault(r#"{"inner": {"texts": [], "txets": []}}"#), "inner.txets", "an unknown key", "texts");
    let (key, found, expected) = fault(r#"{"nmae": "n"}"#);
    assert_eq!((key.as_str(), found.as_str()), ("nmae", "an unknown key"));
    assert!(expected.starts_with("one of name, port"), "{expected}");
}

#[test]
fn a_long_value_is_cut() {
    let (_, found, _) = fault(&format!(r#"{{"port": "{}"}}"#, "ä".repeat(1000)));
    assert_eq!(found.chars().count(), QUOTED_CHARS + 3);
}
