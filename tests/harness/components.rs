//! Components for plugin directories: the default plugins as files, and plugins that mean harm.

/// The default plugins, each with its name in a manifest.
pub const DEFAULTS: [(&str, &[u8]); 3] = [
    ("discovery-filter", include_bytes!(concat!(env!("OUT_DIR"), "/discovery-filter.wasm"))),
    ("cookie-auth", include_bytes!(concat!(env!("OUT_DIR"), "/cookie-auth.wasm"))),
    ("routing-policy", include_bytes!(concat!(env!("OUT_DIR"), "/routing-policy.wasm"))),
];

/// The hostile plugin of each kind, built from `tests/fixtures/hostile`.
pub const HOSTILE: [(&str, &[u8]); 3] = [
    ("discovery-filter", include_bytes!(concat!(env!("OUT_DIR"), "/hostile-discovery-filter.wasm"))),
    ("authenticator", include_bytes!(concat!(env!("OUT_DIR"), "/hostile-authenticator.wasm"))),
    ("routing-policy", include_bytes!(concat!(env!("OUT_DIR"), "/hostile-routing-policy.wasm"))),
];

/// The same component with a number in a custom section, which means nothing: other bytes, which must be compiled anew.
pub fn numbered(component: &[u8], number: u64) -> Vec<u8> {
    const NAME: &[u8] = b"number";
    let content: Vec<u8> = [&[u8::try_from(NAME.len()).unwrap()], NAME, number.to_string().as_bytes()].concat();
    // Section 0, whose length takes one byte of LEB128 below 128.
    let head = [0, u8::try_from(content.len()).unwrap()];
    [component, &head, &content].concat()
}
