//! The default routing policy. A placeholder: it declares nothing and admits nobody.

#![allow(unsafe_code, dead_code, reason = "the generated exports, which exist for Wasm only")]

#[allow(missing_docs, reason = "generated from the contract")]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "routing-policy" });
}

use bindings::exports::wicketgate::plugin::routing::{Decision, Declaration, Error, Guest, Request};

struct Plugin;

impl Guest for Plugin {
    fn configure(_config: String) -> Result<Declaration, Error> {
        Ok(bindings::wicketgate::plugin::types::Declaration { inputs: Vec::new(), verifications: Vec::new(), facts: Vec::new() })
    }
    fn route(_request: Request) -> Result<Decision, Error> {
        Ok(Decision::Abstain(bindings::wicketgate::plugin::types::Reason { code: "placeholder".to_owned(), detail: None }))
    }
}

#[cfg(target_arch = "wasm32")]
bindings::export!(Plugin with_types_in bindings);
