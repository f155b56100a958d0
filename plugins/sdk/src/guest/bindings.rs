//! The bindings that are generated from the contract, one set for each world; the shared interfaces once.
//!
//! Where a type of the contract has the same shape as the one that authors see, `with` says to use that one: there's nothing to
//! convert, neither in code nor in a call. A version of the contract that changes such a type doesn't compile here, and its row
//! becomes a conversion. Enumerations aren't among them: they'd go by the order of their cases, and nobody would notice.

/// One world: the types that all worlds use, then its own.
macro_rules! world {
    ($world:literal, $export:literal, { $($with:tt)* }) => {
        wit_bindgen::generate!({
            path: "../../wit",
            world: $world,
            pub_export_macro: true,
            export_macro_name: $export,
            with: {
                "wicketgate:plugin/types@0.1.0/attribute": crate::subject::Attribute,
                "wicketgate:plugin/types@0.1.0/error": crate::Error,
                "wicketgate:plugin/types@0.1.0/invalid-config": crate::InvalidConfig,
                "wicketgate:plugin/types@0.1.0/path-extent": crate::PathExtent,
                "wicketgate:plugin/types@0.1.0/reason": crate::Reason,
                "wicketgate:plugin/types@0.1.0/verification": crate::Verification,
                $($with)*
            },
        });
    };
}

pub mod authenticator {
    world!("authenticator", "export_authenticator", {
        "wicketgate:plugin/authentication@0.1.0/abstention": crate::authentication::Abstention,
        "wicketgate:plugin/authentication@0.1.0/challenge": crate::authentication::Challenge,
        "wicketgate:plugin/authentication@0.1.0/denial": crate::authentication::Denial,
        "wicketgate:plugin/jwt@0.1.0/claim-value": crate::jwt::ClaimValue,
        "wicketgate:plugin/jwt@0.1.0/verified": crate::jwt::Verified,
        "wicketgate:plugin/jwt@0.1.0/verify-error": crate::jwt::VerifyError,
        "wicketgate:plugin/types@0.1.0/field": crate::Field,
        "wicketgate:plugin/types@0.1.0/http-request": crate::HttpRequest,
        "wicketgate:plugin/types@0.1.0/lifetime": crate::Lifetime,
        "wicketgate:plugin/types@0.1.0/subject": crate::Subject,
        "wicketgate:plugin/types@0.1.0/tcp-connection": crate::TcpConnection,
    });
}

pub mod discovery_filter {
    world!("discovery-filter", "export_discovery_filter", {
        "wicketgate:plugin/types@0.1.0": crate::guest::bindings::authenticator::wicketgate::plugin::types,
        "wicketgate:plugin/log@0.1.0": crate::guest::bindings::authenticator::wicketgate::plugin::log,
    });
}

pub mod routing_policy {
    world!("routing-policy", "export_routing_policy", {
        "wicketgate:plugin/routing@0.1.0/decision": crate::routing::Decision,
        "wicketgate:plugin/routing@0.1.0/forwarding": crate::routing::Forwarding,
        "wicketgate:plugin/routing@0.1.0/header-edit": crate::routing::HeaderEdit,
        "wicketgate:plugin/routing@0.1.0/limits": crate::routing::Limits,
        "wicketgate:plugin/routing@0.1.0/redirection": crate::routing::Redirection,
        "wicketgate:plugin/routing@0.1.0/rejection": crate::routing::Rejection,
        "wicketgate:plugin/types@0.1.0/fact-answer": crate::routing::FactAnswer,
        "wicketgate:plugin/types@0.1.0/field": crate::Field,
        "wicketgate:plugin/types@0.1.0/http-request": crate::HttpRequest,
        "wicketgate:plugin/types@0.1.0/lifetime": crate::Lifetime,
        "wicketgate:plugin/types@0.1.0/subject": crate::Subject,
        "wicketgate:plugin/types@0.1.0/tcp-connection": crate::TcpConnection,
        "wicketgate:plugin/types@0.1.0": crate::guest::bindings::authenticator::wicketgate::plugin::types,
        "wicketgate:plugin/log@0.1.0": crate::guest::bindings::authenticator::wicketgate::plugin::log,
    });
}
