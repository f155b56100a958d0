use super::*;
use crate::admission::activation::Rollback;

const GOOD: &str = "
version: 1
plugins:
  - {name: filter, kind: discovery-filter, builtin: discovery-filter}
  - {name: auth, kind: authenticator, file: auth.wasm, grants: {log: true, key_sets: [gateway]}}
  - {name: policy, kind: routing-policy, builtin: routing-policy, on_error: owner-only, config: {allow: [owner]}}
";

#[test]
fn a_manifest_is_read_in_its_order() {
    let manifest = Manifest::parse(GOOD).unwrap();
    assert_eq!(manifest.entries.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["filter", "auth", "policy"]);
    assert_eq!(manifest.entries[1].component, Component::File("auth.wasm".into()));
    assert_eq!(manifest.entries[2].on_fault, OnFault::OwnerOnly);
}

#[test]
fn each_mistake_names_its_key() {
    let change = |from: &str, to: &str| {
        assert!(GOOD.contains(from), "{from}");
        Manifest::parse(&GOOD.replace(from, to)).unwrap_err().to_string()
    };
    let table = [
        (change("version: 1", "version: 2"), "plugins.yaml, version: found 2, expected 1"),
        (change("kind: authenticator", "kind: authn"), "plugins.yaml, plugins[1].kind: unknown variant `authn`"),
        (change("file: auth.wasm", "file: ../auth.wasm"), "plugins.yaml, plugins[1].file: found '../auth.wasm'"),
        (change("file: auth.wasm", "path: auth.wasm"), "plugins.yaml, plugins[1].path: unknown field `path`"),
        (change("name: auth,", "name: filter,"), "plugins.yaml, plugins[1].name: found 'filter' twice"),
        (change("log: true", "log: 3"), "plugins.yaml, plugins[1].grants.log: invalid type"),
        (change("builtin: routing-policy", "builtin: nothing"), "plugins.yaml, plugins[2].builtin: found 'nothing'"),
        (change("kind: routing-policy", "kind: authenticator"), "plugins.yaml, plugins[2].on_error: found owner-only"),
        (
            change("kind: discovery-filter", "kind: routing-policy"),
            "plugins.yaml, plugins: found no plugin of kind discovery-filter",
        ),
        (change("name: auth,", "name: auth, cases: [a.json],"), "plugins.yaml, plugins[1].cases: found 'a.json'"),
        (change("version: 1", "version: 1\nactivation: {mode: fast}"), "plugins.yaml, activation.mode: unknown variant `fast`"),
        (
            change("version: 1", "version: 1\nactivation: {rollback: on}"),
            "plugins.yaml, activation.rollback: found 'on', expected off, errors or errors+denials",
        ),
        (
            change("version: 1", "version: 1\nactivation: {most_denied_percent: 101}"),
            "plugins.yaml, activation.most_denied_percent: found 101, expected 0 to 100",
        ),
        (
            change("version: 1", "version: 1\nactivation: {mode: shadow, shadow_s: 0}"),
            "plugins.yaml, activation.shadow_s: found a shadow of no time",
        ),
        (change("version: 1", "version: [1"), "plugins.yaml: not YAML"),
    ];
    for (found, expected) in table {
        assert!(found.starts_with(expected), "{found}\nexpected {expected}…");
        assert!(!found.contains('\n'), "{found}");
    }
    for text in ["", "[]", "version: 1", "plugins: {}"] {
        assert!(Manifest::parse(text).is_err(), "{text:?}");
    }
}

const SCHEMA: &str = "plugins/plugins.schema.json";

/// After a change of what is parsed, `WRITE_SCHEMA=1 cargo test schema_file` writes it anew.
#[test]
fn the_schema_file_is_what_the_parser_makes() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(SCHEMA);
    let real = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os("WRITE_SCHEMA").is_some() {
        std::fs::write(&path, &real).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == real, "{SCHEMA} isn't what the parser makes: run this test with WRITE_SCHEMA=1");
}

#[test]
fn off_is_a_word_in_every_yaml() {
    for off in ["off", "'off'", "false"] {
        let text = GOOD.replace("version: 1", &format!("version: 1\nactivation: {{rollback: {off}}}"));
        assert_eq!(Manifest::parse(&text).unwrap().activation.rollback, Rollback::Off, "{off}");
    }
}
