//! The bindings that are generated from the contract, one set for each world; the shared interfaces once.

pub mod authenticator {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "authenticator",
        pub_export_macro: true,
        export_macro_name: "export_authenticator",
    });
}

pub mod discovery_filter {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "discovery-filter",
        pub_export_macro: true,
        export_macro_name: "export_discovery_filter",
        with: {
            "wicketgate:plugin/types@0.1.0": crate::guest::bindings::authenticator::wicketgate::plugin::types,
            "wicketgate:plugin/log@0.1.0": crate::guest::bindings::authenticator::wicketgate::plugin::log,
        },
    });
}

pub mod routing_policy {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "routing-policy",
        pub_export_macro: true,
        export_macro_name: "export_routing_policy",
        with: {
            "wicketgate:plugin/types@0.1.0": crate::guest::bindings::authenticator::wicketgate::plugin::types,
            "wicketgate:plugin/log@0.1.0": crate::guest::bindings::authenticator::wicketgate::plugin::log,
        },
    });
}
