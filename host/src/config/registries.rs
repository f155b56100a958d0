//! `plugins.registries` and `plugins.signatures`: where plugins may come from besides the directory, and whose they must be.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Secret;

/// One registry, under its host (and port) as manifests write it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Registry {
    /// Of somebody who may pull. With `password`.
    pub username: Option<String>,
    pub password: Option<Secret>,
    /// It's spoken with without TLS. What is pulled is held against its digest all the same; a password can be read on the way.
    pub plain_http: bool,
}

/// Who must have signed what plugins are made of.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Signatures {
    /// Public keys, each as PEM text or the path of such a file. Where there's one, an unsigned manifest is refused.
    pub keys: Vec<SignatureKey>,
}

/// A public key as PEM (ECDSA on the curve P-256).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(from = "String", into = "String")]
pub enum SignatureKey {
    Pem(String),
    File(PathBuf),
}

// === impl SignatureKey ===

impl From<String> for SignatureKey {
    fn from(text: String) -> Self {
        if text.contains("-----") { Self::Pem(text) } else { Self::File(text.into()) }
    }
}

impl From<SignatureKey> for String {
    fn from(key: SignatureKey) -> Self {
        match key {
            SignatureKey::Pem(text) => text,
            SignatureKey::File(path) => path.display().to_string(),
        }
    }
}

/// Whether it's a registry's host, perhaps with a port. Without a dot or port it would be a folder of some default registry, which
/// there isn't here.
pub fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    let is_name = host.len() <= 253
        && host.split('.').all(|label| {
            !label.is_empty() && label.len() <= 63 && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        });
    let named = host.contains('.') || host == "localhost" || port.is_some() || is_address;
    (is_address || is_name) && named && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}
