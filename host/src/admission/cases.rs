//! A plugin's own cases: a YAML list of inputs, each with what the plugin must come to. Admission and `wicketgate plugin test`
//! read them here and compare here; how a case is run is the plugin room's affair.

use serde_json::{Map, Value, json};

use crate::domain::{
    Identity, Timestamp,
    decision::Kind,
    record::{Decided, Failed, Inputs, Outcome},
};

/// The instant of a case that names none: 2027-01-15T08:00:00Z. A fixed one, so that a case comes out alike on every day.
pub const CASE_NOW: Timestamp = Timestamp(1_800_000_000_000);
/// A file over this size isn't read, in bytes.
pub const LARGEST_FILE: usize = 1 << 20;
/// Each change of the directory runs all of them.
pub const MOST_CASES: usize = 1000;

/// One case.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    pub name: String,
    pub inputs: Inputs,
    pub expect: Expected,
}

/// What an outcome must hold: a part of it, the rest doesn't count.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// Parts of a `Decided` as JSON; `decision` is a map of the decision's word to parts of it.
    Decided(Map<String, Value>),
    /// The plugin can't decide, and this is part of `fault: message`.
    Failed(String),
}

/// A case file isn't as expected: where, what was found, what was expected.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", self.place())]
pub struct CaseError {
    pub file: String,
    /// Its number, from 1, with its name where it has one.
    pub case: Option<(usize, Option<String>)>,
    pub key: String,
    pub message: String,
}

/// One thing in which an outcome isn't what a case expects.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, thiserror::Error)]
#[error("{key}: expected {expected}, found {found}")]
pub struct Mismatch {
    pub key: String,
    pub expected: String,
    pub found: String,
}

/// What is wrong with one case: a key and a message.
type Wrong = (String, String);

/// Reads the cases of a plugin of a kind. `file` is what messages call the text.
///
/// # Errors
/// The first thing that isn't as expected, in one sentence.
pub fn parse(file: &str, text: &str, kind: Kind) -> Result<Vec<Case>, CaseError> {
    let wrong = |message: String| CaseError { file: file.to_owned(), case: None, key: String::new(), message };
    if text.len() > LARGEST_FILE {
        return Err(wrong(format!("found {} bytes, expected at most {LARGEST_FILE}", text.len())));
    }
    // The lines after the first quote the file.
    let in_words = |error: String| wrong(format!("not YAML: {}", error.lines().next().unwrap_or_default()));
    let items = match serde_saphyr::from_str::<Value>(text).map_err(|error| in_words(error.to_string()))? {
        Value::Array(items) => items,
        other => return Err(wrong(format!("found {}, expected a list of cases", type_of(&other)))),
    };
    if items.is_empty() || items.len() > MOST_CASES {
        return Err(wrong(format!("found {} cases, expected 1 to {MOST_CASES}", items.len())));
    }
    let mut cases: Vec<Case> = Vec::with_capacity(items.len());
    for (at, item) in items.into_iter().enumerate() {
        let name = item.get("name").and_then(Value::as_str).map(str::to_owned);
        let known = cases.iter().any(|earlier| Some(&earlier.name) == name.as_ref());
        let parsed = match known {
            false => case(item, kind),
            true => Err(("name".into(), "found twice, expected different names".into())),
        };
        let failed = |(key, message)| CaseError { file: file.to_owned(), case: Some((at + 1, name)), key, message };
        cases.push(parsed.map_err(failed)?);
    }
    Ok(cases)
}

fn case(item: Value, kind: Kind) -> Result<Case, Wrong> {
    let Value::Object(mut item) = item else {
        return Err((String::new(), format!("found {}, expected a map with name, inputs and expect", type_of(&item))));
    };
    let name = match item.remove("name") {
        Some(Value::String(name)) if !name.trim().is_empty() => name,
        Some(other) => return Err(("name".into(), format!("found {}, expected a text", type_of(&other)))),
        None => return Err(("name".into(), "is missing: expected a text that says what is tried".into())),
    };
    let expect =
        item.remove("expect").ok_or_else(|| ("expect".to_owned(), "is missing: expected decision, or error".to_owned()))?;
    let expect = Expected::parse(expect, kind)?;
    item.entry("kind").or_insert_with(|| json!(kind));
    item.entry("now_ms").or_insert_with(|| json!(CASE_NOW));
    let mut inputs: Inputs = serde_path_to_error::deserialize(Value::Object(item)).map_err(|error| {
        let key = error.path().to_string();
        (if key == "." { String::new() } else { key }, error.into_inner().to_string())
    })?;
    check_kind(&inputs, kind)?;
    if kind == Kind::RoutingPolicy {
        inputs.identity.get_or_insert(Identity::Anonymous);
    }
    Ok(Case { name, inputs, expect })
}

/// An input that the kind never gets has been written by mistake.
fn check_kind(inputs: &Inputs, kind: Kind) -> Result<(), Wrong> {
    let wrong = |key: &str, message: String| Err((key.to_owned(), message));
    let a_plugin = a(kind);
    if inputs.kind != kind {
        return wrong("kind", format!("found {}, expected {}, as the plugin is", word_of(inputs.kind), word_of(kind)));
    }
    let subjects = usize::from(inputs.http.is_some()) + usize::from(inputs.tcp.is_some());
    match (kind, subjects) {
        (Kind::DiscoveryFilter, 0) if inputs.session.is_none() => {
            return wrong("session", format!("is missing: expected the candidate's attributes, all that {a_plugin} sees"));
        }
        (Kind::DiscoveryFilter, 1..) => return wrong("", format!("found http or tcp, expected session alone for {a_plugin}")),
        (Kind::Authenticator | Kind::RoutingPolicy, 0 | 2..) => {
            return wrong(
                "",
                format!("found {subjects} of http and tcp, expected one of them (http: {{}} is a request without anything)"),
            );
        }
        _ => {}
    }
    for (given, key, only) in [
        (inputs.identity.is_some(), "identity", Kind::RoutingPolicy),
        (inputs.may_read_session.is_some(), "may_read_session", Kind::RoutingPolicy),
        (!inputs.tokens.is_empty(), "tokens", Kind::Authenticator),
    ] {
        if given && kind != only {
            return wrong(key, format!("found for {a_plugin}, expected for {} alone", a(only)));
        }
    }
    Ok(())
}

fn word_of(kind: Kind) -> &'static str {
    match kind {
        Kind::DiscoveryFilter => "discovery-filter",
        Kind::Authenticator => "authenticator",
        Kind::RoutingPolicy => "routing-policy",
    }
}

fn a(kind: Kind) -> String {
    format!("{} {}", if kind == Kind::Authenticator { "an" } else { "a" }, word_of(kind))
}

/// The words of a kind's decisions.
fn decisions(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::DiscoveryFilter => &["keep", "drop"],
        Kind::Authenticator => &["allow", "challenge", "deny", "abstain"],
        Kind::RoutingPolicy => &["forward", "redirect", "reject", "unauthenticated", "abstain"],
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

// === impl Expected ===

impl Expected {
    fn parse(written: Value, kind: Kind) -> Result<Self, Wrong> {
        const KEYS: [&str; 5] = ["decision", "reason", "detail", "by", "holds_until_ms"];
        let wrong = |key: &str, message: String| Err((key.to_owned(), message));
        let Value::Object(mut map) = written else {
            return wrong("expect", format!("found {}, expected a map with decision, or with error", type_of(&written)));
        };
        if let Some(error) = map.remove("error") {
            return match error {
                Value::String(part) if map.is_empty() => Ok(Self::Failed(part)),
                Value::String(_) => wrong("expect", "found error and more, expected error alone: who fails decides nothing".into()),
                other => wrong("expect.error", format!("found {}, expected a part of the fault or its message", type_of(&other))),
            };
        }
        if let Some(key) = map.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return wrong(&format!("expect.{key}"), format!("an unknown key, expected one of {}, error", KEYS.join(", ")));
        }
        if map.is_empty() {
            return wrong("expect", "found nothing, expected decision, or error".into());
        }
        let Some(decision) = map.remove("decision") else { return Ok(Self::Decided(map)) };
        let (word, parts) = match decision {
            Value::String(word) => (word, json!({})),
            Value::Object(one) if one.len() == 1 => one.into_iter().next().unwrap_or_default(),
            other => {
                let expected = "a word, or a map of one word to parts of the decision";
                return wrong("expect.decision", format!("found {}, expected {expected}", type_of(&other)));
            }
        };
        if !decisions(kind).contains(&word.as_str()) {
            let expected = decisions(kind).join(", ");
            return wrong("expect.decision", format!("found '{word}', expected one of {expected}, as {} decides", a(kind)));
        }
        let parts = if parts.is_null() { json!({}) } else { parts };
        if !parts.is_object() {
            return wrong(&format!("expect.decision.{word}"), format!("found {}, expected a map", type_of(&parts)));
        }
        map.insert("decision".into(), json!({word: parts}));
        Ok(Self::Decided(map))
    }

    /// In what an outcome differs; nothing when it's as expected.
    pub fn compare(&self, outcome: &Outcome) -> Vec<Mismatch> {
        match (self, outcome) {
            (Self::Failed(part), Outcome::Failed(failed)) => {
                let said = fault_in_words(failed);
                if said.contains(part) { Vec::new() } else { vec![mismatch("error", format!("'{part}' in it"), said)] }
            }
            (Self::Failed(part), Outcome::Decided(_)) => vec![mismatch("error", format!("'{part}' in it"), outcome.summary())],
            (Self::Decided(parts), Outcome::Failed(failed)) => {
                let expected = parts.get("decision").and_then(Value::as_object).and_then(|one| one.keys().next());
                let expected = expected.map_or("a decision", String::as_str);
                vec![mismatch("decision", expected.to_owned(), format!("an error: {}", fault_in_words(failed)))]
            }
            (Self::Decided(parts), Outcome::Decided(decided)) => compare_decided(parts, decided),
        }
    }
}

fn fault_in_words(failed: &Failed) -> String {
    format!("{}: {}", failed.fault, failed.message)
}

fn compare_decided(parts: &Map<String, Value>, decided: &Decided) -> Vec<Mismatch> {
    let Ok(Value::Object(mut found)) = serde_json::to_value(decided) else {
        return vec![mismatch("", "a decision".into(), "one that can't be written as JSON".into())];
    };
    let mut mismatches = Vec::new();
    let word = decided.decision.word();
    // One without fields is a word alone.
    let decision = match found.remove("decision") {
        Some(Value::Object(decision)) => decision,
        _ => Map::from_iter([(word.to_owned(), json!({}))]),
    };
    for (expected_word, expected) in parts.get("decision").and_then(Value::as_object).into_iter().flatten() {
        match decision.get(expected_word) {
            Some(found) => compare(&format!("decision.{word}"), expected, Some(found), &mut mismatches),
            // A policy that abstains leaves the rejection to the host, which is nobody's decision.
            None if expected_word == "abstain" && decided.by.is_none() => {}
            None => mismatches.push(mismatch("decision", expected_word.clone(), format!("{word} ({})", decided.reason))),
        }
    }
    for (key, expected) in parts.iter().filter(|(key, _)| *key != "decision") {
        compare(key, expected, found.get(key), &mut mismatches);
    }
    mismatches
}

/// Every key of an expected map must be as expected; a list must be as long, and each of its elements as expected. A value in place
/// of a list stands for a list of it alone, and nothing (`null`) for what mustn't be there.
fn compare(key: &str, expected: &Value, found: Option<&Value>, mismatches: &mut Vec<Mismatch>) {
    match (expected, found) {
        (Value::Null, None | Some(Value::Null)) => {}
        (Value::Object(expected), Some(Value::Object(found))) => {
            for (name, expected) in expected {
                compare(&format!("{key}.{name}"), expected, found.get(name), mismatches);
            }
        }
        (Value::Array(expected), Some(Value::Array(found))) if expected.len() == found.len() => {
            for (at, (expected, found)) in expected.iter().zip(found).enumerate() {
                compare(&format!("{key}[{at}]"), expected, Some(found), mismatches);
            }
        }
        (expected, Some(Value::Array(found))) if !expected.is_array() && found.len() == 1 => {
            compare(key, expected, found.first(), mismatches);
        }
        (expected, Some(found)) if expected == found => {}
        // What is empty isn't written.
        (Value::Array(expected), None) if expected.is_empty() => {}
        (expected, found) => {
            let found = found.map_or_else(|| "nothing".to_owned(), Value::to_string);
            let expected = if expected.is_null() { "nothing".to_owned() } else { expected.to_string() };
            mismatches.push(mismatch(key, expected, found));
        }
    }
}

fn mismatch(key: &str, expected: String, found: String) -> Mismatch {
    Mismatch { key: key.to_owned(), expected, found }
}

// === impl CaseError ===

impl CaseError {
    fn place(&self) -> String {
        let mut place = self.file.clone();
        if let Some((number, name)) = &self.case {
            place += &format!(", case {number}");
            if let Some(name) = name {
                place += &format!(" ('{name}')");
            }
        }
        if !self.key.is_empty() {
            place += &format!(", {}", self.key);
        }
        place
    }
}

#[cfg(test)]
mod tests;
