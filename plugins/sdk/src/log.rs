//! Lines in the gateway's log. A plugin that uses this imports `log`, which the manifest must grant.
//!
//! At most 1 KiB of a message and 16 messages of a call are kept. Don't log credentials: the host can't recognise them in
//! text. Natively, in tests, nothing is written.

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// Writes a line. It never fails.
#[cfg_attr(not(target_arch = "wasm32"), expect(unused_variables, reason = "there is no host natively"))]
pub fn write(level: Level, message: &str) {
    #[cfg(target_arch = "wasm32")]
    crate::guest::log(level, message);
}
