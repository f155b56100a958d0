//! `clearml`: the API server that sessions, people and credentials belong to.

use serde::{Deserialize, Serialize};

use super::Secret;

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Clearml {
    pub api_url: url::Url,
    pub access_key: Option<Secret>,
    pub secret_key: Option<Secret>,
    /// The server's `secure.auth.token_secret` (the commercial gateway's `jwksKey`). Without it, the server is asked who
    /// a token is.
    pub token_secret: Option<Secret>,
    #[serde(default)]
    pub token_secret_encoding: super::SecretEncoding,
    #[serde(default = "yes")]
    pub ssl_verify: bool,
    /// Queues whose sessions are served, by name. Empty: all.
    #[serde(default)]
    pub queues: Vec<String>,
    #[serde(default = "three_seconds")]
    pub poll_ms: u64,
    /// Whether addresses are written back to the tasks.
    #[serde(default = "yes")]
    pub publish: bool,
}

fn yes() -> bool {
    true
}

fn three_seconds() -> u64 {
    3_000
}
