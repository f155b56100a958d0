//! Plugins that must be signed: by keys and tools that operators have, OpenSSL and cosign.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;
use wicketgate_tests::{Client, Gateway, programs::need};

use super::POLICY;
use crate::site::{DEFAULTS, SESSION, Site, defaults, defaults_with, generation, manifest, person, refused, settled, swapped};

/// Made by cosign: `tests/fixtures/contract-0.1/README.md`.
const COSIGN_KEY: &str = include_str!("../../fixtures/contract-0.1/cosign.pub");
const COSIGN_SIGNATURE: &[u8] = include_bytes!("../../fixtures/contract-0.1/routing-policy.wasm.sig");

/// A key made by OpenSSL.
struct Signer {
    files: TempDir,
}

impl Signer {
    fn new() -> Self {
        let files = tempfile::tempdir().unwrap();
        let run = |arguments: &[&str]| {
            let run = Command::new(need("openssl", "openssl")).args(arguments).current_dir(files.path()).output().unwrap();
            assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        };
        run(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key.pem"]);
        run(&["ec", "-in", "key.pem", "-pubout", "-out", "key.pub"]);
        Self { files }
    }

    fn public(&self) -> PathBuf {
        self.files.path().join("key.pub")
    }

    /// As the documents say: `openssl dgst -sha256 -sign key.pem FILE | base64`.
    fn sign(&self, content: impl AsRef<[u8]>) -> Vec<u8> {
        fs::write(self.files.path().join("content"), content).unwrap();
        let script = "openssl dgst -sha256 -sign key.pem content | base64";
        let run = Command::new("sh").args(["-c", script]).current_dir(self.files.path()).output().unwrap();
        assert!(run.status.success() && !run.stdout.is_empty());
        run.stdout
    }
}

/// Keys of the configuration.
fn required(keys: &[&Path]) -> String {
    let keys: String = keys.iter().map(|key| format!("'{}', ", key.display())).collect();
    format!(", signatures: {{keys: [{keys}]}}")
}

fn from_file(more: &str) -> String {
    defaults_with("routing-policy", &format!("{{name: policy, kind: routing-policy, file: routing-policy.wasm{more}}}"))
}

fn pin() -> String {
    format!(", sha256: {}", wicketgate_tests::programs::registry::digest(POLICY).trim_start_matches("sha256:"))
}

#[tokio::test]
async fn an_unsigned_manifest_never_decides() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let (closed, open) =
        (defaults(), defaults().replace("builtin: routing-policy", "builtin: routing-policy, config: {allow: [everyone]}"));
    let mut site = Site::new(&[("plugins.yaml", closed.as_bytes())]);
    let gateway = Gateway::start_unready(&site.config_with(&required(&[&signer.public()]))).await;
    let why = refused(&gateway, None).await;
    assert_eq!(
        why,
        "plugins.yaml: found no signature, expected a signature by a key of plugins.signatures.keys in plugins.yaml.sig"
    );
    assert_eq!(Client::default().get(&gateway.at(SESSION)).await.status, 503);

    let signature = signer.sign(&closed);
    site.plugins.replace(&[("plugins.yaml", closed.as_bytes()), ("plugins.yaml.sig", &signature)]);
    settled(&gateway).await;
    let first = generation(&gateway).await;
    // Whoever may write the directory can't write a policy.
    let by_stranger = stranger.sign(&open);
    for (what, text, shown) in [
        ("another manifest under the old signature", &open, &signature),
        ("a manifest that a stranger signed", &open, &by_stranger),
        ("a signature that isn't one", &closed, &b"signed, me".to_vec()),
    ] {
        site.plugins.replace(&[("plugins.yaml", text.as_bytes()), ("plugins.yaml.sig", shown)]);
        let why = refused(&gateway, None).await;
        assert!(why.starts_with("plugins.yaml: found a signature "), "{what}: {why}");
        assert_eq!(generation(&gateway).await, first, "{what}");
        site.plugins.replace(&[("plugins.yaml", closed.as_bytes()), ("plugins.yaml.sig", &signature)]);
        settled(&gateway).await;
    }
}

#[tokio::test]
async fn the_order_of_plugins_is_signed_with_the_manifest() {
    let signer = Signer::new();
    let open = "{name: open, kind: routing-policy, builtin: routing-policy, config: {allow: [everyone]}}";
    let strict = "{name: strict, kind: routing-policy, builtin: routing-policy, config: {allow: [owner]}}";
    let signed = manifest(&[DEFAULTS[0], DEFAULTS[1], strict, open]);
    let signature = signer.sign(&signed);
    let mut site = Site::new(&[("plugins.yaml", signed.as_bytes()), ("plugins.yaml.sig", &signature)]);
    let gateway = Gateway::start(&site.config_with(&required(&[&signer.public()]))).await;
    let bob = person("bob");
    assert_eq!(bob.get(&gateway.at(SESSION)).await.status, 404);
    let swapped = manifest(&[DEFAULTS[0], DEFAULTS[1], open, strict]);
    site.plugins.replace(&[("plugins.yaml", swapped.as_bytes()), ("plugins.yaml.sig", &signature)]);
    refused(&gateway, None).await;
    assert_eq!(bob.get(&gateway.at(SESSION)).await.status, 404);
}

#[tokio::test]
async fn a_component_is_signed_by_cosign_or_pinned_by_the_signed_manifest() {
    let signer = Signer::new();
    let cosign = signer.files.path().join("cosign.pub");
    fs::write(&cosign, COSIGN_KEY).unwrap();
    let (plain, pinned) = (from_file(""), from_file(&pin()));
    let (of_plain, of_pinned) = (signer.sign(&plain), signer.sign(&pinned));
    let mut site =
        Site::new(&[("plugins.yaml", plain.as_bytes()), ("plugins.yaml.sig", &of_plain), ("routing-policy.wasm", POLICY)]);
    let gateway = Gateway::start_unready(&site.config_with(&required(&[&signer.public(), &cosign]))).await;
    let why = refused(&gateway, None).await;
    assert_eq!(
        why,
        "routing-policy.wasm: found no signature, expected a signature by a key of plugins.signatures.keys in \
         routing-policy.wasm.sig, or its sha256 in the signed manifest"
    );
    let with = |manifest: &str, signature: &[u8], more: &[(&'static str, Vec<u8>)]| {
        let mut files = vec![("plugins.yaml", manifest.as_bytes().to_vec()), ("plugins.yaml.sig", signature.to_vec())];
        files.extend(more.iter().cloned());
        files
    };
    let signed = ("routing-policy.wasm.sig", COSIGN_SIGNATURE.to_vec());
    let component = ("routing-policy.wasm", POLICY.to_vec());
    site.plugins.replace(&with(&plain, &of_plain, &[component.clone(), signed.clone()]));
    settled(&gateway).await;
    let first = generation(&gateway).await.unwrap();
    assert_eq!(person("alice").get(&gateway.at(SESSION)).await.status, 200);

    // Another component under its signature.
    let mut other = POLICY.to_vec();
    other.extend(b"\0\x04\x03abc");
    site.plugins.replace(&with(&plain, &of_plain, &[("routing-policy.wasm", other.clone()), signed]));
    let why = refused(&gateway, None).await;
    assert!(why.starts_with("routing-policy.wasm: found a signature of other content or by another key"), "{why}");

    site.plugins.replace(&with(&pinned, &of_pinned, &[component]));
    swapped_from(&gateway, first).await;
    site.plugins.replace(&with(&pinned, &of_pinned, &[("routing-policy.wasm", other)]));
    let why = refused(&gateway, None).await;
    assert!(why.contains("plugin 'policy': sha256 is "), "{why}");
    assert_eq!(person("alice").get(&gateway.at(SESSION)).await.status, 200);
}

async fn swapped_from(gateway: &Gateway, before: u64) {
    settled(gateway).await;
    swapped(gateway, before).await;
}

#[test]
fn a_key_that_is_none_is_a_bad_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("wicketgate.yaml");
    fs::write(&config, "plugins: {signatures: {keys: [/nowhere/cosign.pub]}}\n").unwrap();
    let run =
        Command::new(wicketgate_tests::gateway::binary()).arg("config").arg("check").arg("--config").arg(&config).output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(!run.status.success() && said.contains("plugins.signatures.keys[0]: /nowhere/cosign.pub: it can't be read"), "{said}");
}
