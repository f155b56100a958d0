//! `key_sets`: keys under which tokens verify. They stay in the host; plugins name a set and get claims back.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Secret;

/// One named key set.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum KeySet {
    /// One shared secret (HS256).
    Secret {
        secret: Secret,
        #[serde(default)]
        encoding: SecretEncoding,
    },
    /// Public keys as JSON Web Key Set (RFC 7517), kept fresh by the gateway.
    Jwks {
        #[serde(flatten)]
        source: JwksSource,
        #[serde(default = "asymmetric")]
        algorithms: Vec<Algorithm>,
        /// How often the set is loaded again. An unknown `kid` asks for it at once, at most every ten seconds.
        #[serde(default = "five_minutes")]
        refresh_s: u64,
    },
    /// The ClearML API server is asked who a token is (`users.get_current_user`).
    Introspect {
        /// How long an answer may be used; a logout is seen after this time at the latest.
        #[serde(default = "ten_seconds")]
        cache_s: u64,
    },
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JwksSource {
    File(PathBuf),
    Url(url::Url),
}

/// How a secret's text becomes the key's bytes. The commercial gateway's documents call the raw text a JWK's `k`, which
/// RFC 7518 makes base64url: so all are offered, and `auto` tries each that the text can be.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum SecretEncoding {
    #[default]
    Auto,
    Raw,
    Base64,
    Base64url,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub enum Algorithm {
    RS256,
    ES256,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

fn asymmetric() -> Vec<Algorithm> {
    vec![Algorithm::RS256, Algorithm::ES256, Algorithm::EdDsa]
}

fn five_minutes() -> u64 {
    300
}

fn ten_seconds() -> u64 {
    10
}
