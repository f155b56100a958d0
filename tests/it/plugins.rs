//! Changes of plugins while the gateway runs, and plugins that mean harm.

mod admission;
mod cases;
mod chains;
mod compiler;
mod decisions;
mod members;
mod modes;
mod registries;
mod reload;
mod requests;
mod saved;
mod schema;
mod signatures;
mod soak;
mod swaps;
mod taken_back;
mod versions;
mod wasi;

pub(crate) use wicketgate_tests::components::HOSTILE;

/// The routing policy as it was when contract 0.1 came out: for tests that need some plugin that works.
pub(crate) const POLICY: &[u8] = include_bytes!("../fixtures/contract-0.1/routing-policy.wasm");

/// What the upstream got in a header, as the echo says.
pub(crate) fn got(echo: &serde_json::Value, header: &str) -> serde_json::Value {
    let headers = echo["headers"].as_array().unwrap();
    headers.iter().find(|pair| pair[0] == serde_json::json!(header)).map_or(serde_json::Value::Null, |pair| pair[1].clone())
}
