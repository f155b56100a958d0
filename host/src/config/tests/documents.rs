//! Documents that show configuration are read by the real parser, and the table of keys is compared with the real keys.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

use crate::config::{legacy, parse};

/// A configuration in which every key that may be left out is there.
const FULL: &str = "
public_url: https://gate.example.org
base_domain: example.org
clearml: {api_url: 'http://api'}
kubernetes: {}
key_sets:
  a: {kind: secret, secret: x}
  b: {kind: jwks, file: keys.json}
  c: {kind: jwks, url: 'https://sso/keys'}
  d: {kind: introspect}
login: {users: [{id: ada, password: x}]}
tcp: {ports: {start: 1, end: 2}, static_ports: {db: 2}}
tls: {certificates: [{certificate: a.pem, key: a.key}]}
plugins: {registries: {registry.example: {}}}
";

/// Keys of `FULL` without which the parser refuses, so that they have no default.
const REQUIRED: [&str; 11] = [
    "clearml.api_url",
    "key_sets.<name>.kind",
    "key_sets.<name>.secret",
    "login.users[].id",
    "login.users[].password",
    "tcp.ports.start",
    "tcp.ports.end",
    "tcp.static_ports.<name>",
    "key_sets.<name>",
    "tls.certificates[].certificate",
    "tls.certificates[].key",
];

fn document(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The text of every fenced block of a language.
fn blocks<'a>(document: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("\n```{language}\n");
    document.split(&fence).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

/// Rows of two or more cells whose first is code.
fn rows(document: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| line.split('|').skip(1).map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    document.lines().filter(|line| line.starts_with("| `")).map(cells).collect()
}

/// Every key with its default as the table writes it.
fn keys(value: &Value, path: &str, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                // Names of key sets and ports are people's own.
                let key = if ["key_sets", "tcp.static_ports", "plugins.registries"].contains(&path) { "<name>" } else { key };
                let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                keys(value, &path, into);
            }
        }
        Value::Object(_) => {}
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().for_each(|item| keys(item, &format!("{path}[]"), into));
        }
        Value::Array(items) if items.is_empty() => drop(into.insert(path.to_owned(), "none".to_owned())),
        Value::Array(items) => {
            let texts: Vec<String> = items.iter().map(text).collect();
            into.insert(path.to_owned(), texts.join(", "));
        }
        value => drop(into.insert(path.to_owned(), text(value))),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[test]
fn the_table_of_keys_is_the_parsers() {
    let mut real = BTreeMap::new();
    keys(&serde_json::to_value(parse(FULL).unwrap().config).unwrap(), "", &mut real);
    // What `FULL` had to say isn't a default.
    for key in ["public_url", "base_domain", "key_sets.<name>.file", "key_sets.<name>.url"] {
        real.insert(key.to_owned(), "–".to_owned());
    }
    for key in REQUIRED {
        real.entry(key.to_owned()).and_modify(|default| *default = "required".to_owned());
    }
    let document = document("host/README.md");
    let written = rows(&document).into_iter().filter(|row| row.len() >= 4);
    let written: BTreeMap<String, String> = written.map(|row| (row[0].trim_matches('`').to_owned(), row[1].clone())).collect();
    let missing: Vec<_> = real.iter().filter(|(key, _)| !written.contains_key(*key)).collect();
    let unknown: Vec<_> = written.keys().filter(|key| !real.contains_key(*key)).collect();
    let other: Vec<_> = real.iter().filter(|(key, default)| written.get(*key).is_some_and(|written| written != *default)).collect();
    assert!(
        missing.is_empty() && unknown.is_empty() && other.is_empty(),
        "host/README.md: rows missing (key, default): {missing:#?}; no such keys: {unknown:#?}; other defaults: {other:#?}"
    );
}

#[test]
fn the_table_of_legacy_variables_is_the_parsers() {
    let document = document("host/README.md");
    let written = rows(&document).into_iter().filter(|row| row.len() == 3);
    let written: Vec<(String, String)> =
        written.map(|row| (row[0].trim_matches('`').to_owned(), row[1].trim_matches('`').to_owned())).collect();
    let real: Vec<(String, String)> = legacy::NAMES.iter().map(|name| (name.variable.to_owned(), name.key.to_owned())).collect();
    assert_eq!(written, real);
}

/// Secrets of the documents are in files and variables that aren't here.
fn without_places(block: &str) -> String {
    let inlined = |line: &str| match line.split_once(": {env:").or(line.split_once(": {file:")) {
        Some((key, _)) => format!("{key}: a-secret-of-at-least-32-characters"),
        None => line.to_owned(),
    };
    block.lines().map(inlined).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_configuration_in_a_document_is_one() {
    let mut count = 0;
    for path in ["README.md", "host/README.md"] {
        let document = document(path);
        // Manifests have a parser of their own.
        for block in blocks(&document, "yaml").into_iter().filter(|block| !block.starts_with("version:")) {
            parse(&without_places(block)).unwrap_or_else(|error| panic!("{path}: {error}\n{block}"));
            count += 1;
        }
    }
    assert!(count >= 3, "{count}");
}
