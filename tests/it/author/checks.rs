//! `plugin check`: the defaults keep the contract, and what doesn't is told by the check that it fails.

use hostile_plugin::{Behaviour, of_version_0_9_0};
use serde_json::{Value, json};

use super::{text, wicketgate, write};
use crate::{
    plugins::HOSTILE,
    site::{DEFAULTS, manifest},
};

/// The checks of a report that failed, with what they say.
fn failed(report: &Value) -> Vec<(String, String)> {
    let checks = report["checks"].as_array().unwrap();
    let failed = checks.iter().filter(|check| check["result"] == "failed");
    failed.map(|check| (check["check"].as_str().unwrap().to_owned(), check["detail"].as_str().unwrap().to_owned())).collect()
}

/// With a budget that no honest call needs on a busy machine.
fn check(file: &str, config: &Value) -> Value {
    let ran = wicketgate(&["plugin", "check", file, "--config", &config.to_string(), "--call-budget-ms", "200", "--json"]);
    let report = ran.json();
    assert_eq!(report["ok"].as_bool().unwrap(), ran.code == 0, "{report}");
    assert!(ran.code == 0 || ran.code == 1, "{report}");
    report
}

#[test]
fn the_default_plugins_keep_the_contract() {
    for name in ["discovery-filter", "cookie-auth", "routing-policy"] {
        let file = format!("builtin:{name}");
        let report = check(&file, &json!({}));
        assert_eq!(failed(&report), [], "{name}");
        let checked: Vec<&str> =
            report["checks"].as_array().unwrap().iter().map(|check| check["check"].as_str().unwrap()).collect();
        for expected in ["format", "size", "contract", "imports", "configure", "unknown key", "instances", "hostile inputs"] {
            assert!(checked.contains(&expected), "{name}: no {expected} in {checked:?}");
        }
        assert!(checked.ends_with(&["determinism", "memory"]), "{checked:?}");
    }
}

#[test]
fn policies_with_every_input_keep_the_contract() {
    let everything = json!({
        "allow": ["owner", "admins", "shared", "company", "group", "readers"],
        "allow_groups": ["a"], "deny_users": ["mallory"],
        "tcp_access": "known-address", "known_addresses": ["10.0.0.0/8"],
    });
    assert_eq!(failed(&check("builtin:routing-policy", &everything)), []);
    let certificates = json!({
        "certificate_name": "common-name", "deny": {"companies": ["c"]}, "claims": {"extra": ["team", "https://example\\.com/x"]},
    });
    assert_eq!(failed(&check("builtin:cookie-auth", &certificates)), []);
    let labels = json!({"labels": {"group": "tag", "project": "project"}, "access": {"believe": ["company"]}});
    assert_eq!(failed(&check("builtin:discovery-filter", &labels)), []);
}

#[test]
fn each_misdeed_is_found_by_a_check() {
    let directory = tempfile::tempdir().unwrap();
    let table = [
        (Behaviour::Stateful, "determinism", "at first allow (call-"),
        (Behaviour::Trap, "hostile inputs", "fails (trap)"),
        (Behaviour::Spin, "hostile inputs", "fails (deadline)"),
        // Of memory, or of time: whichever is used up first.
        (Behaviour::Grow, "hostile inputs", "made it fail, such as 'a plain request': fails ("),
        (Behaviour::Recurse, "hostile inputs", "fails (trap)"),
        (Behaviour::Huge, "hostile inputs", "fails (output)"),
        (Behaviour::Invalid, "hostile inputs", "fails (output)"),
        (Behaviour::InvalidIdentity, "hostile inputs", "fails (output)"),
        (Behaviour::TrapConfigure, "configure", "trap: "),
        (Behaviour::SpinConfigure, "configure", "deadline: "),
        (Behaviour::RefuseConfigure, "configure", "configure: behaviour: found"),
        (Behaviour::DeclaresTooMuch, "configure", "found 1000 inputs, expected at most 64"),
        // It takes any configuration, as all of these do.
        (Behaviour::Ok, "unknown key", "configure took 'a-key-that-nobody-knows'"),
    ];
    let (_, component) = HOSTILE[1];
    let file = write(&directory, "hostile.wasm", component);
    for (behaviour, expected, part) in table {
        let report = check(&file, &json!({"behaviour": behaviour.name()}));
        let failed = failed(&report);
        assert!(failed.iter().any(|(check, says)| check == expected && says.contains(part)), "{behaviour:?}: {report:#}");
    }
    // An answer that it couldn't decide isn't a failure of the plugin.
    let report = check(&file, &json!({"behaviour": "error"}));
    assert!(!failed(&report).iter().any(|(check, _)| check == "hostile inputs"), "{report:#}");
}

#[test]
fn what_is_no_plugin_is_told_by_what_it_lacks() {
    let directory = tempfile::tempdir().unwrap();
    let (_, component) = HOSTILE[1];
    let table = [
        (b"\0asm\x01\0\0\0".to_vec(), "format", "a core module"),
        (b"\x7fELF\x02\x01\x01\0\0".to_vec(), "format", "precompiled code is never taken"),
        (component[..component.len() / 2].to_vec(), "format", "compilation: "),
        (b"\0asm\x0d\0\x01\0".to_vec(), "contract", "exports nothing, expected discovery, authentication or routing"),
        (of_version_0_9_0(component), "contract", "speaks version 0.9.0 of the contract, this gateway speaks 0.1.0"),
        (vec![0; (32 << 20) + 1], "size", "at most 33554432"),
    ];
    for (bytes, expected, part) in table {
        let file = write(&directory, "x.wasm", bytes);
        let failed = failed(&check(&file, &json!({})));
        assert!(failed.iter().any(|(check, says)| check == expected && says.contains(part)), "{expected}: {failed:?}");
    }
}

#[test]
fn a_whole_directory_is_checked_as_the_gateway_would_take_it() {
    let directory = tempfile::tempdir().unwrap();
    let check = |text: &str| {
        write(&directory, "plugins.yaml", text);
        wicketgate(&["plugin", "check", &self::text(directory.path())])
    };
    let good = manifest(&DEFAULTS).replace("kind: routing-policy,", "kind: routing-policy, cases: [cases.yaml],");
    write(&directory, "cases.yaml", super::CASES);
    let found = check(&good).exits(0);
    found.says(&["3 plugins in a set that loads", "ok  policy  cases           2 cases passed", "ok  auth    determinism"]);
    check("version: 2\nplugins: []\n").exits(1).says(&["FAILED  directory  plugins.yaml, version: found 2, expected 1"]);
    write(&directory, "cases.yaml", super::CASES.replace("reason: owner", "reason: admin"));
    check(&good)
        .exits(1)
        .says(&["FAILED", "1 of 2 failed, such as 'the owner enters': reason: expected \"admin\", found \"owner\""]);
    wicketgate(&["plugin", "check", &text(directory.path()), "--config", "{}"])
        .exits(2)
        .complains(&["--config: found with a directory"]);
}
