//! The Wasm side: between the generated bindings and the types that authors see. Only the `export_…!` macros use this.
//!
//! A new version of the contract changes the bindings, not the plugins: authors see this crate's own types. The bindings use them
//! where they have the contract's shape, and the rest is converted here.

use crate::prelude::*;

#[allow(clippy::all, unsafe_code, missing_docs, reason = "generated from the contract")]
pub mod bindings;

mod allocator;
pub mod authentication;
pub mod discovery;
pub mod routing;
mod shared;

use core::cell::OnceCell;

use crate::Error;
use crate::log::Level;
use bindings::authenticator::wicketgate::plugin::{log as wit_log, types::Declaration};

pub use alloc::string::String;
pub use allocator::Allocator;

/// Where an instance keeps its configured plugin.
pub struct Slot<P>(OnceCell<P>);

#[cfg(not(target_feature = "atomics"))]
#[expect(unsafe_code, reason = "a static must be Sync")]
// SAFETY: without the target feature `atomics` a Wasm instance has one thread.
unsafe impl<P> Sync for Slot<P> {}

impl<P> Slot<P> {
    #[expect(clippy::new_without_default, reason = "only the macros make one, in a constant")]
    pub const fn new() -> Self {
        Self(OnceCell::new())
    }

    /// A second `configure` in the same instance isn't part of the contract.
    fn fill(&self, plugin: P) -> Result<(), Error> {
        self.0.set(plugin).map_err(|_| Error::Other("configured already".to_owned()))
    }

    fn plugin(&self) -> Result<&P, Error> {
        self.0.get().ok_or_else(|| Error::Other("called before configure".to_owned()))
    }
}

pub fn log(level: Level, message: &str) {
    let level = match level {
        Level::Debug => wit_log::Level::Debug,
        Level::Info => wit_log::Level::Info,
        Level::Warn => wit_log::Level::Warn,
        Level::Error => wit_log::Level::Error,
    };
    wit_log::write(level, message);
}

/// What the three kinds do alike in `configure`.
fn configure<P, C: crate::Configuration>(
    slot: &Slot<P>,
    config: &str,
    configure: fn(C) -> Result<(P, crate::Declaration), Error>,
) -> Result<Declaration, Error> {
    let (plugin, declaration) = C::from_json(config).and_then(configure)?;
    slot.fill(plugin)?;
    Ok(declaration.into())
}
