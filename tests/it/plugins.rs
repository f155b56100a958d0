//! Changes of plugins while the gateway runs, and plugins that mean harm.

mod admission;
mod cases;
mod decisions;
mod modes;
mod reload;
mod requests;
mod saved;
mod swaps;
mod taken_back;

/// The hostile plugin of each kind, built from `tests/fixtures/hostile`.
pub(crate) const HOSTILE: [(&str, &[u8]); 3] = [
    ("discovery-filter", include_bytes!(concat!(env!("OUT_DIR"), "/hostile-discovery-filter.wasm"))),
    ("authenticator", include_bytes!(concat!(env!("OUT_DIR"), "/hostile-authenticator.wasm"))),
    ("routing-policy", include_bytes!(concat!(env!("OUT_DIR"), "/hostile-routing-policy.wasm"))),
];
