//! Every file under `examples/` is read by the parser that would read it in use.

use std::{fs, path::PathBuf};

use crate::{
    admission::{Manifest, cases},
    config,
    discovery::file,
};

fn example(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_quick_start_is_read_as_it_stands() {
    let config = config::parse(&example("quickstart/wicketgate.yaml")).unwrap().config;
    assert_eq!(config.discovery.file, Some("sessions.yaml".into()));
    assert_eq!(file::parse(&example("quickstart/sessions.yaml")).unwrap().candidates.len(), 2);
    assert_eq!(Manifest::parse(&example("quickstart/plugins/plugins.yaml")).unwrap().entries.len(), 3);
    let without_secrets = example("quickstart/clearml.yaml")
        .replace("{env: CLEARML_API_ACCESS_KEY}", "a")
        .replace("{env: CLEARML_API_SECRET_KEY}", "b");
    assert!(config::parse(&without_secrets).unwrap().config.clearml.is_some());
}

#[test]
fn manifests_and_cases_of_the_plugins_are_read_as_they_stand() {
    for name in ["office-hours", "api-keys", "naming-rules"] {
        let manifest = Manifest::parse(&example(&format!("{name}/plugins.yaml"))).unwrap();
        let own = manifest.entries.iter().find(|entry| entry.name == name).unwrap();
        assert_eq!(own.cases, ["cases.yaml"]);
        let cases = cases::parse("cases.yaml", &example(&format!("{name}/cases.yaml")), own.kind);
        assert!(cases.unwrap_or_else(|error| panic!("{name}: {error}")).len() >= 3);
    }
}

#[test]
fn the_demonstrations_policy_is_a_manifest() {
    assert_eq!(Manifest::parse(include_str!("demo/plugins.yaml")).unwrap().entries.len(), 3);
}
