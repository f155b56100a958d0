//! The default authenticator. A placeholder: it declares nothing and admits nobody.

#![allow(unsafe_code, dead_code, reason = "the generated exports, which exist for Wasm only")]

#[allow(missing_docs, reason = "generated from the contract")]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "authenticator" });
}

use bindings::exports::wicketgate::plugin::authentication::{Abstention, Decision, Declaration, Error, Guest, Request};

struct Plugin;

impl Guest for Plugin {
    fn configure(_config: String) -> Result<Declaration, Error> {
        Ok(bindings::wicketgate::plugin::types::Declaration { inputs: Vec::new(), verifications: Vec::new(), facts: Vec::new() })
    }
    fn authenticate(_request: Request) -> Result<Decision, Error> {
        Ok(Decision::Abstain(Abstention {
            reason: bindings::wicketgate::plugin::types::Reason { code: "placeholder".to_owned(), detail: None },
            challenge: None,
        }))
    }
}

#[cfg(target_arch = "wasm32")]
bindings::export!(Plugin with_types_in bindings);
