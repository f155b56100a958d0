use std::path::PathBuf;

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};

use super::*;
use crate::plugin::{Grants, Kind, OnFault};

const MANIFEST_TEXT: &str = "version: 1";
const COMPONENT: &[u8] = b"\0asm component";

fn key() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap()
}

fn pem(key: &EcdsaKeyPair) -> String {
    let der: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der.as_ref()))
}

fn sign(key: &EcdsaKeyPair, content: &[u8]) -> Vec<u8> {
    STANDARD.encode(key.sign(&SystemRandom::new(), content).unwrap()).into_bytes()
}

fn keys(of: &[&EcdsaKeyPair]) -> Keys {
    Keys::read(&config::Signatures { keys: of.iter().map(|key| SignatureKey::from(pem(key))).collect() }).unwrap()
}

fn set(members: &[(&str, &[u8])]) -> Files {
    let members = members.iter().map(|(name, content)| ((*name).to_owned(), content.to_vec())).collect();
    Files { manifest: MANIFEST_TEXT.into(), members, digest: String::new() }
}

fn entry(component: Component, sha256: Option<&str>) -> Entry {
    Entry {
        name: "policy".into(),
        kind: Kind::RoutingPolicy,
        component,
        sha256: sha256.map(str::to_owned),
        cases: Vec::new(),
        config: serde_json::Value::Null,
        grants: Grants::default(),
        call_budget_ms: None,
        memory_mib: None,
        on_fault: OnFault::Closed,
    }
}

#[test]
fn any_of_the_keys_may_have_signed() {
    let (one, two, stranger) = (key(), key(), key());
    let both = keys(&[&one, &two]);
    for signer in [&one, &two] {
        let mut signature = sign(signer, MANIFEST_TEXT.as_bytes());
        assert_eq!(both.check_manifest(&set(&[("plugins.yaml.sig", &signature)])), Ok(()));
        // As an editor or a tool may have left it.
        signature.insert(20, b'\n');
        signature.extend(b"\r\n");
        assert_eq!(both.check_manifest(&set(&[("plugins.yaml.sig", &signature)])), Ok(()));
    }
    let refused = |members: &[(&str, &[u8])]| both.check_manifest(&set(members)).unwrap_err().to_string();
    let end = "expected a signature by a key of plugins.signatures.keys in plugins.yaml.sig";
    let other = format!("plugins.yaml: found a signature of other content or by another key, {end}");
    assert_eq!(refused(&[]), format!("plugins.yaml: found no signature, {end}"));
    assert_eq!(refused(&[("plugins.yaml.sig", &sign(&stranger, MANIFEST_TEXT.as_bytes()))]), other);
    assert_eq!(refused(&[("plugins.yaml.sig", &sign(&one, b"version: 2"))]), other);
    assert_eq!(refused(&[("plugins.yaml.sig", b"")]), other);
    assert_eq!(
        refused(&[("plugins.yaml.sig", b"{\"bundle\": 1}")]),
        format!("plugins.yaml: found a signature that isn't base64, {end}")
    );
}

#[test]
fn without_keys_nothing_has_to_be_signed() {
    let none = Keys::read(&config::Signatures::default()).unwrap();
    assert!(!none.are_required());
    assert_eq!(none.check_manifest(&set(&[])), Ok(()));
    assert_eq!(none.check_component(&entry(Component::File("a.wasm".into()), None), COMPONENT, &BTreeMap::new()), Ok(()));
}

#[test]
fn a_component_is_signed_itself_or_pinned_by_the_signed_manifest() {
    let key = key();
    let keys = keys(&[&key]);
    let signature = sign(&key, COMPONENT);
    let signed = set(&[("a.wasm.sig", &signature)]).members;
    let check = |component: Component, sha256, members: &BTreeMap<_, _>| {
        keys.check_component(&entry(component, sha256), COMPONENT, members)
    };
    let (plain, packed) = (|| Component::File("a.wasm".into()), || Component::File("a.wasm.zst".into()));
    assert_eq!(check(plain(), None, &signed), Ok(()));
    assert_eq!(check(packed(), None, &signed), Ok(()), "the component is signed, however it's packed");
    let nothing = BTreeMap::new();
    let pin = "0".repeat(64);
    assert_eq!(check(plain(), Some(&pin), &nothing), Ok(()), "whether the digest is right is looked at elsewhere");
    assert_eq!(check(Component::Oci(format!("registry.example/p@sha256:{pin}").parse().unwrap()), None, &nothing), Ok(()));
    assert_eq!(check(Component::Builtin("routing-policy".into()), None, &nothing), Ok(()));
    assert_eq!(
        check(packed(), None, &nothing).unwrap_err().to_string(),
        "a.wasm: found no signature, expected a signature by a key of plugins.signatures.keys in a.wasm.sig, or its sha256 in the \
         signed manifest"
    );
    let other = set(&[("a.wasm.sig", &sign(&key, b"another"))]).members;
    assert!(check(plain(), None, &other).is_err());
}

#[test]
fn only_a_public_key_of_the_one_kind_is_a_key() {
    let other = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).unwrap();
    let private =
        "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\n-----END PRIVATE KEY-----\n".to_owned();
    for text in [pem(&other), private, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n".into()] {
        let why = Keys::read(&config::Signatures { keys: vec![text.into()] }).err().unwrap().to_string();
        assert!(
            why.starts_with("plugins.signatures.keys[0]: found something else, expected an ECDSA public key on P-256"),
            "{why}"
        );
        assert!(!why.contains('\n') && !why.contains("MIGH"), "{why}");
    }
    let nowhere = config::Signatures { keys: vec![SignatureKey::File(PathBuf::from("/nowhere.pub"))] };
    let why = Keys::read(&nowhere).err().unwrap().to_string();
    assert!(why.starts_with("plugins.signatures.keys[0]: /nowhere.pub: it can't be read: "), "{why}");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cosign.pub");
    std::fs::write(&file, pem(&key())).unwrap();
    assert!(Keys::read(&config::Signatures { keys: vec![SignatureKey::File(file)] }).unwrap().are_required());
}
