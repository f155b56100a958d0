//! What lies in a plugin directory: components, packed or not, taken whole or not at all.

use std::fs::{self, File};

use wicketgate_tests::{Gateway, programs::registry::digest};

use super::POLICY;
use crate::site::{SESSION, Site, defaults, defaults_with, generation, mounted, only, person, refused, settled, swapped};

const MIB: usize = 1 << 20;

/// The defaults with a policy from a file.
fn from_file(file: &str, more: &str) -> String {
    defaults_with("routing-policy", &format!("{{name: policy, kind: routing-policy, file: {file}{more}}}"))
}

fn packed(content: &[u8]) -> Vec<u8> {
    zstd::encode_all(content, 19).unwrap()
}

fn sha256(content: &[u8]) -> String {
    digest(content).trim_start_matches("sha256:").to_owned()
}

async fn serves(gateway: &Gateway, generation_expected: u64) {
    assert_eq!(generation(gateway).await, Some(generation_expected));
    assert_eq!(person("alice").get(&gateway.at(SESSION)).await.status, 200);
    assert_eq!(person("bob").get(&gateway.at("/service/s2/echo")).await.status, 404);
}

#[tokio::test]
async fn a_packed_component_is_the_component() {
    let mut site = Site::new(&only(defaults()));
    let gateway = Gateway::start(&site.config()).await;
    let pin = format!(", sha256: {}", sha256(POLICY));
    site.plugins.replace(&[("plugins.yaml", from_file("ours.wasm.zst", &pin).as_bytes()), ("ours.wasm.zst", &packed(POLICY))]);
    assert_eq!(swapped(&gateway, 1).await, 2);
    serves(&gateway, 2).await;
    let plugin = gateway.status("/plugins").await["plugins"][2].clone();
    assert_eq!((plugin["sha256"].as_str(), plugin["bytes"].as_u64()), (Some(sha256(POLICY).as_str()), Some(POLICY.len() as u64)));
    // Unpacked it's the same plugin, by the same digest.
    site.plugins.replace(&[("plugins.yaml", from_file("ours.wasm", &pin).as_bytes()), ("ours.wasm", POLICY)]);
    assert_eq!(swapped(&gateway, 2).await, 3);
    serves(&gateway, 3).await;
}

#[tokio::test]
async fn a_member_that_cannot_be_unpacked_keeps_the_set_before() {
    let good = packed(POLICY);
    let mut site = Site::new(&only(defaults()));
    let gateway = Gateway::start(&site.config()).await;
    let bomb = packed(&vec![0; 300 * MIB]);
    assert!(bomb.len() < MIB, "{}", bomb.len());
    let pinned = |sha256: &str| from_file("ours.wasm.zst", &format!(", sha256: {sha256}"));
    let plain = from_file("ours.wasm.zst", "");
    for (what, manifest, member, expected) in [
        ("a bomb", &plain, &bomb[..], "ours.wasm.zst: unpacks to more than 33554432 bytes (plugins.component_mib)"),
        ("cut short", &plain, &good[..good.len() / 2], "ours.wasm.zst: isn't whole zstd data"),
        ("not packed", &plain, POLICY, "ours.wasm.zst: isn't whole zstd data"),
        ("packed twice", &plain, &packed(&good)[..], "not a WebAssembly component"),
        ("pinned as it lies there", &pinned(&sha256(&good)), &good, &format!("sha256 is {}, expected ", sha256(POLICY))),
        (
            "named as another file",
            &from_file("ours.wasm", ""),
            &good,
            "ours.wasm: no such file beside the manifest; there are [\"ours.wasm.zst\"]",
        ),
        ("a name that is neither", &from_file("ours.zst", ""), &good, "found 'ours.zst', expected a .wasm or .wasm.zst file"),
    ] {
        site.plugins.replace(&[("plugins.yaml", manifest.as_bytes()), ("ours.wasm.zst", member)]);
        let why = refused(&gateway, None).await;
        assert!(why.contains(expected) && !why.contains('\n'), "{what}: {why}");
        serves(&gateway, 1).await;
        site.mount(&defaults());
        settled(&gateway).await;
    }
}

#[tokio::test]
async fn a_set_that_is_too_large_is_refused_with_the_numbers() {
    let site = Site::new(&only(defaults()));
    let gateway = Gateway::start(&site.config()).await;
    let length = 256 * MIB as u64;
    let big = mounted(site.plugins.path()).join("big.wasm");
    // Nothing but a length.
    File::create(&big).unwrap().set_len(length).unwrap();
    let why = refused(&gateway, None).await;
    let all = length + defaults().len() as u64;
    let expected = format!("{all} bytes in all, the largest being big.wasm with {length}, expected at most 268435456");
    assert!(why.ends_with(&expected), "{why}\nexpected {expected}");
    serves(&gateway, 1).await;
    fs::remove_file(big).unwrap();
    settled(&gateway).await;
}

/// What a script does that copies file by file into a directory that no kubelet mounts.
#[tokio::test]
async fn a_plain_directory_that_is_being_copied_counts_when_it_is_whole() {
    let site = Site::new(&only(defaults()));
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| fs::write(directory.path().join(name), content).unwrap();
    write("plugins.yaml", defaults().as_bytes());
    let config = site.config().replace(site.plugins.path().to_str().unwrap(), directory.path().to_str().unwrap());
    let gateway = Gateway::start(&config).await;
    serves(&gateway, 1).await;

    write("plugins.yaml", from_file("ours.wasm", "").as_bytes());
    let why = refused(&gateway, None).await;
    assert!(why.contains("ours.wasm: no such file beside the manifest"), "{why}");
    write("ours.wasm", &POLICY[..POLICY.len() / 2]);
    let why = refused(&gateway, Some(&why)).await;
    assert!(why.contains("plugin 'policy': compilation: "), "{why}");
    serves(&gateway, 1).await;
    write("ours.wasm", POLICY);
    settled(&gateway).await;
    serves(&gateway, 2).await;
}
