//! Plugins with WASI, as they run in the gateway.
