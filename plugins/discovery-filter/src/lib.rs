//! The default discovery filter. A placeholder: it declares nothing and admits nobody.

#![allow(unsafe_code, dead_code, reason = "the generated exports, which exist for Wasm only")]

#[allow(missing_docs, reason = "generated from the contract")]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "discovery-filter" });
}

use bindings::exports::wicketgate::plugin::discovery::{Candidate, Declaration, Error, Guest, Verdict};

struct Plugin;

impl Guest for Plugin {
    fn configure(_config: String) -> Result<Declaration, Error> {
        Ok(bindings::wicketgate::plugin::types::Declaration { inputs: Vec::new(), verifications: Vec::new(), facts: Vec::new() })
    }
    fn filter(_candidate: Candidate) -> Result<Verdict, Error> {
        Ok(Verdict::Drop(bindings::wicketgate::plugin::types::Reason { code: "placeholder".to_owned(), detail: None }))
    }
}

#[cfg(target_arch = "wasm32")]
bindings::export!(Plugin with_types_in bindings);
