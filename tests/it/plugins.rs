//! Changes of plugins while the gateway runs, and plugins that mean harm.

mod admission;
mod reload;
mod requests;
mod swaps;

/// The hostile plugin of each kind, built from `tests/fixtures/hostile`.
pub(crate) const HOSTILE: [(&str, &[u8]); 3] = [
    ("discovery-filter", include_bytes!(concat!(env!("OUT_DIR"), "/hostile-discovery-filter.wasm"))),
    ("authenticator", include_bytes!(concat!(env!("OUT_DIR"), "/hostile-authenticator.wasm"))),
    ("routing-policy", include_bytes!(concat!(env!("OUT_DIR"), "/hostile-routing-policy.wasm"))),
];
