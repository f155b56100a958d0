//! Write plugins for the Wicketgate access gateway in Rust.
//!
//! A plugin is a pure function of the inputs that it declares. Take the trait of its kind, a configuration that
//! [serde](::serde) can read, and one macro:
//!
//! ```
//! use wicketgate_plugin::routing::{Decision, Forwarding, Rejection, Request, RoutingPolicy};
//! use wicketgate_plugin::{Declaration, Error, Input, Reason, Subject, serde};
//!
//! #[derive(serde::Deserialize)]
//! #[serde(crate = "wicketgate_plugin::serde", default)]
//! struct Config {
//!     read_only: bool,
//! }
//!
//! impl Default for Config {
//!     fn default() -> Self {
//!         Self { read_only: true }
//!     }
//! }
//!
//! struct ReadOnly(Config);
//!
//! impl RoutingPolicy for ReadOnly {
//!     type Config = Config;
//!
//!     fn configure(config: Config) -> Result<(Self, Declaration), Error> {
//!         Ok((Self(config), Declaration::new().reads(Input::Method)))
//!     }
//!
//!     fn route(&self, request: &Request) -> Result<Decision, Error> {
//!         let Subject::Http(http) = &request.subject else {
//!             return Ok(Decision::Abstain(Reason::new("not-http")));
//!         };
//!         if self.0.read_only && http.method.as_deref() != Some("GET") {
//!             return Ok(Decision::Reject(Rejection::with_message("method", "This session can only be read.")));
//!         }
//!         Ok(Decision::Abstain(Reason::new("no-opinion")))
//!     }
//! }
//!
//! wicketgate_plugin::export_routing_policy!(ReadOnly);
//!
//! // Natively, in a test:
//! use wicketgate_plugin::testing;
//! let policy = testing::routing_policy::<ReadOnly>("{}")?;
//! let decision = policy.route(&testing::get("/").method("DELETE").route())?;
//! assert!(matches!(decision, Decision::Reject(_)));
//! # Ok::<(), Error>(())
//! ```
//!
//! The crate needs `crate-type = ["cdylib", "rlib"]` and is built for `wasm32-unknown-unknown`. A panic is a trap: the
//! decision fails closed and the instance is thrown away. Return [`Error`] instead where something can't be decided.

#![no_std]

extern crate alloc;
#[cfg(not(target_arch = "wasm32"))]
extern crate std;

mod answer;
pub mod authentication;
mod config;
mod declaration;
pub mod discovery;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod guest;
mod identity;
mod json;
pub mod jwt;
pub mod log;
mod pattern;
mod prelude;
pub mod routing;
mod section;
mod subject;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod text;

pub use serde;

pub use answer::{Error, InvalidConfig, Lifetime, Reason, Timestamp};
pub use config::Configuration;
pub use declaration::{Declaration, Fact, Input, PathExtent, Sensitivity, Verification};
pub use identity::{Identity, Principal};
pub use pattern::Pattern;
pub use section::Section;
pub use subject::{Attributes, Field, HttpRequest, Subject, TcpConnection};

/// Makes a [`DiscoveryFilter`](discovery::DiscoveryFilter) the plugin of this crate. Outside Wasm, for tests and editors, it
/// only counts as used.
#[macro_export]
macro_rules! export_discovery_filter {
    ($plugin:ty) => {
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || {
            let _ = <$plugin as $crate::discovery::DiscoveryFilter>::configure;
        };
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code)]
        const _: () = {
            use $crate::guest::{bindings::discovery_filter::exports::wicketgate::plugin::discovery as wit, discovery};
            struct Exports;
            static PLUGIN: $crate::guest::Slot<$plugin> = $crate::guest::Slot::new();
            impl wit::Guest for Exports {
                fn configure(config: $crate::guest::String) -> Result<wit::Declaration, $crate::Error> {
                    discovery::configure(&PLUGIN, &config)
                }
                fn filter(candidate: wit::Candidate) -> Result<wit::Verdict, $crate::Error> {
                    discovery::filter(&PLUGIN, candidate)
                }
            }
            $crate::guest::bindings::discovery_filter::export_discovery_filter!(
                Exports with_types_in $crate::guest::bindings::discovery_filter
            );
        };
    };
}

/// Makes an [`Authenticator`](authentication::Authenticator) the plugin of this crate. Outside Wasm, for tests and editors, it
/// only counts as used.
#[macro_export]
macro_rules! export_authenticator {
    ($plugin:ty) => {
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || {
            let _ = <$plugin as $crate::authentication::Authenticator>::configure;
        };
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code)]
        const _: () = {
            use $crate::guest::{authentication, bindings::authenticator::exports::wicketgate::plugin::authentication as wit};
            struct Exports;
            static PLUGIN: $crate::guest::Slot<$plugin> = $crate::guest::Slot::new();
            impl wit::Guest for Exports {
                fn configure(config: $crate::guest::String) -> Result<wit::Declaration, $crate::Error> {
                    authentication::configure(&PLUGIN, &config)
                }
                fn authenticate(request: wit::Request) -> Result<wit::Decision, $crate::Error> {
                    authentication::authenticate(&PLUGIN, request)
                }
            }
            $crate::guest::bindings::authenticator::export_authenticator!(
                Exports with_types_in $crate::guest::bindings::authenticator
            );
        };
    };
}

/// Makes a [`RoutingPolicy`](routing::RoutingPolicy) the plugin of this crate. Outside Wasm, for tests and editors, it
/// only counts as used.
#[macro_export]
macro_rules! export_routing_policy {
    ($plugin:ty) => {
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || {
            let _ = <$plugin as $crate::routing::RoutingPolicy>::configure;
        };
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code)]
        const _: () = {
            use $crate::guest::{bindings::routing_policy::exports::wicketgate::plugin::routing as wit, routing};
            struct Exports;
            static PLUGIN: $crate::guest::Slot<$plugin> = $crate::guest::Slot::new();
            impl wit::Guest for Exports {
                fn configure(config: $crate::guest::String) -> Result<wit::Declaration, $crate::Error> {
                    routing::configure(&PLUGIN, &config)
                }
                fn route(request: wit::Request) -> Result<$crate::routing::Decision, $crate::Error> {
                    routing::route(&PLUGIN, request)
                }
            }
            $crate::guest::bindings::routing_policy::export_routing_policy!(
                Exports with_types_in $crate::guest::bindings::routing_policy
            );
        };
    };
}

/// Makes do without Rust's standard library, in a crate that says `#![cfg_attr(target_arch = "wasm32", no_std)]`: some 10 KiB
/// less. A panic then traps without a message.
#[macro_export]
macro_rules! runtime_without_std {
    () => {
        #[cfg(target_arch = "wasm32")]
        #[global_allocator]
        static ALLOCATOR: $crate::guest::Allocator = $crate::guest::Allocator::new();

        #[cfg(target_arch = "wasm32")]
        #[panic_handler]
        fn panic(_: &::core::panic::PanicInfo<'_>) -> ! {
            ::core::arch::wasm32::unreachable()
        }
    };
}

/// The example of the contract's page compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../wit/README.md")]
struct ContractPage;
