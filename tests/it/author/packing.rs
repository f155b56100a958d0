//! `plugin pack`: what is packed is what the gateway reads.

use std::{collections::BTreeMap, fs};

use serde_json::Value;
use tempfile::TempDir;

use super::{text, wicketgate, write};
use crate::{
    plugins::HOSTILE,
    site::{DEFAULTS, manifest},
};

/// A plugin directory with one component beside the defaults.
fn directory(component: &[u8]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let hostile =
        "{name: ours, kind: authenticator, file: ours.wasm, grants: {log: true, key_sets: [people]}, config: {behaviour: ok}}";
    let [filter, auth, policy] = DEFAULTS;
    write(&directory, "plugins.yaml", format!("# Ours.\n{}", manifest(&[filter, hostile, auth, policy])));
    write(&directory, "ours.wasm", component);
    directory
}

/// With a section of so many bytes that nothing makes smaller.
fn with_ballast(component: &[u8], bytes: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    });
    let section: Vec<u8> = [1, b'x'].into_iter().chain(noise.take(bytes)).collect();
    let mut grown = component.to_vec();
    grown.push(0);
    let mut length = section.len();
    while length >= 0x80 {
        grown.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    grown.push(length as u8);
    grown.extend(section);
    grown
}

#[test]
fn a_packed_directory_is_one_that_loads() {
    let directory = directory(HOSTILE[1].1);
    let out = directory.path().join("packed");
    let arguments = ["plugin", "pack", &text(directory.path()), "--to", "directory", &text(&out)];
    wicketgate(&arguments).exits(0).says(&["ours.wasm.zst", "4 plugins in 2 members"]);
    let packed = fs::read_to_string(out.join("plugins.yaml")).unwrap();
    assert!(packed.starts_with("# Ours.\n") && packed.contains("file: ours.wasm.zst, sha256: "), "{packed}");
    let check = ["plugin", "check", &text(&out)];
    wicketgate(&check).says(&["4 plugins in a set that loads"]);
    // What is there already isn't written over.
    wicketgate(&arguments).exits(1).complains(&["packed: File exists"]);
    // Every byte counts.
    let mut broken = fs::read(out.join("ours.wasm.zst")).unwrap();
    *broken.last_mut().unwrap() ^= 1;
    fs::write(out.join("ours.wasm.zst"), broken).unwrap();
    wicketgate(&check).exits(1).says(&["FAILED  directory", "plugin 'ours'"]);
}

#[test]
fn a_config_map_holds_the_set_and_says_how_it_is_applied() {
    let directory = directory(HOSTILE[1].1);
    let file = text(&directory.path().join("map.out"));
    let pack = ["plugin", "pack", &text(directory.path()), "--to", "configmap", "team-plugins"];
    let more = ["--namespace", "team-a", "--output", &file];
    wicketgate(&[&pack[..], &more].concat()).exits(0).says(&[
        "of 1.00 MiB",
        &format!("kubectl apply --server-side -f {file}\n"),
        "a client-side apply copies all of it into an annotation, which holds 256 KiB",
    ]);
    let written = fs::read_to_string(&file).unwrap();
    let starts =
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: team-plugins\n  namespace: team-a\ndata:\n  plugins.yaml: |\n";
    assert!(written.starts_with(starts), "{written}");
    assert!(written.contains("\nbinaryData:\n  ours.wasm.zst: KLUv"), "{written}");

    let report = wicketgate(&[&pack[..], &more, &["--json"]].concat()).exits(0).json();
    assert_eq!((report["plugins"].as_u64(), report["most_bytes"].as_u64()), (Some(4), Some(1 << 20)), "{report}");
    let members: BTreeMap<String, Value> = serde_json::from_value(report["members"].clone()).unwrap();
    assert_eq!(members.keys().collect::<Vec<_>>(), ["ours.wasm.zst", "plugins.yaml"]);

    let values = wicketgate(&[&pack[..], &["--helm", "--output", "-"]].concat()).exits(0);
    assert!(values.stdout.starts_with("plugins:\n  files:\n    plugins.yaml: |\n      # Ours.\n"), "{}", values.stdout);
    values.says(&["\n    ours.wasm.zst: KLUv"]).complains(&["helm upgrade", "of 300.0 KiB"]);
    wicketgate(&[&pack[..], &["--namespace", "Team A"]].concat()).exits(2).complains(&["--namespace: found 'Team A'"]);
}

#[test]
fn what_does_not_fit_is_not_packed() {
    let small = directory(&with_ballast(HOSTILE[1].1, 400 << 10));
    let pack = |directory: &TempDir, more: &[&str]| {
        let arguments = ["plugin", "pack", &text(directory.path()), "--to", "configmap", "team", "--output", "-"];
        wicketgate(&[&arguments[..], more].concat())
    };
    pack(&small, &[]).exits(0);
    let refused = pack(&small, &["--helm"]).exits(1);
    assert_eq!(refused.stdout, "");
    refused.complains(&["of which ours.wasm.zst has ", "expected at most 307,200 (300 KiB, because a release's values"]);
    let large = directory(&with_ballast(HOSTILE[1].1, 1 << 20));
    pack(&large, &[]).exits(1).complains(&["expected at most 1,048,576 (1 MiB is what a ConfigMap holds); a registry (oci)"]);
}

#[test]
fn what_would_not_load_is_not_packed() {
    let directory = directory(&HOSTILE[1].1[..100]);
    let out = directory.path().join("packed");
    let arguments = ["plugin", "pack", &text(directory.path()), "--to", "directory", &text(&out)];
    wicketgate(&arguments).exits(1).complains(&["plugin 'ours': compilation: "]);
    assert!(!out.exists());
    fs::remove_file(directory.path().join("ours.wasm")).unwrap();
    wicketgate(&arguments).exits(1).complains(&["plugin 'ours': ours.wasm: no such file beside the manifest"]);
}
