//! Contract 0.1, generated from `wit/`.

pub mod authenticator {
    wasmtime::component::bindgen!({ path: "../wit", world: "authenticator" });
}

pub mod discovery_filter {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "discovery-filter",
        with: {
            "wicketgate:plugin/types": super::authenticator::wicketgate::plugin::types,
            "wicketgate:plugin/log": super::authenticator::wicketgate::plugin::log,
        },
    });
}

pub mod routing_policy {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "routing-policy",
        with: {
            "wicketgate:plugin/types": super::authenticator::wicketgate::plugin::types,
            "wicketgate:plugin/log": super::authenticator::wicketgate::plugin::log,
        },
    });
}

pub use self::{
    authenticator::{
        Authenticator,
        exports::wicketgate::plugin::authentication,
        wicketgate::plugin::{jwt, log, types},
    },
    discovery_filter::{DiscoveryFilter, exports::wicketgate::plugin::discovery},
    routing_policy::{RoutingPolicy, exports::wicketgate::plugin::routing},
};
