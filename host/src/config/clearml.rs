//! `clearml`: the API server that sessions, people and credentials belong to.

use serde::{Deserialize, Serialize};

use super::Secret;

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Clearml {
    pub api_url: url::Url,
    /// The API server as browsers reach it, for addresses that are written to tasks of an Enterprise server. Default: the
    /// same.
    #[serde(default)]
    pub public_api_url: Option<url::Url>,
    pub access_key: Option<Secret>,
    pub secret_key: Option<Secret>,
    /// The server's `secure.auth.token_secret` (the commercial gateway's `jwksKey`). Without it, the server is asked who
    /// a token is.
    pub token_secret: Option<Secret>,
    #[serde(default)]
    pub token_secret_encoding: super::SecretEncoding,
    #[serde(default = "yes")]
    pub ssl_verify: bool,
    /// An HTTP proxy on the way to the server. The environment's proxies aren't used: the server is mostly next door.
    #[serde(default)]
    pub proxy: Option<url::Url>,
    /// From a call's start to the end of its answer.
    #[serde(default = "ten_seconds")]
    pub timeout_ms: u64,
    /// The largest answer that is read into memory. A page of 500 tasks with long properties has a few MiB.
    #[serde(default = "answer_mib")]
    pub answer_mib: usize,
    /// Queues whose sessions are served, by name. Empty: all.
    #[serde(default)]
    pub queues: Vec<String>,
    #[serde(default = "three_seconds")]
    pub poll_ms: u64,
    /// While the server fails, looks get rarer until they are so far apart.
    #[serde(default = "thirty_seconds")]
    pub longest_poll_ms: u64,
    /// Sessions that are taken in at most: all of them are in memory.
    #[serde(default = "ten_thousand")]
    pub sessions: usize,
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

fn ten_seconds() -> u64 {
    10_000
}

fn thirty_seconds() -> u64 {
    30_000
}

fn answer_mib() -> usize {
    64
}

fn ten_thousand() -> usize {
    10_000
}
