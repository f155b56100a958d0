//! Conversions of what the three kinds have in common.

use crate::guest::bindings::authenticator::wicketgate::plugin::types as wit;
use crate::prelude::*;
use crate::{Declaration, Fact, Identity, Input, Principal, Sensitivity};

// === from the host ===

impl From<wit::Identity> for Identity {
    fn from(identity: wit::Identity) -> Self {
        match identity {
            wit::Identity::Anonymous => Self::Anonymous,
            wit::Identity::Principal(it) => Self::Principal(Principal {
                id: it.id,
                name: it.name,
                company: it.company,
                role: it.role,
                groups: it.groups,
                claims: it.claims.into(),
            }),
        }
    }
}

// === to the host ===

impl From<Principal> for wit::Principal {
    fn from(it: Principal) -> Self {
        Self { id: it.id, name: it.name, company: it.company, role: it.role, groups: it.groups, claims: it.claims.into() }
    }
}

impl From<Declaration> for wit::Declaration {
    fn from(it: Declaration) -> Self {
        Self {
            inputs: it.inputs.into_iter().map(Into::into).collect(),
            verifications: it.verifications,
            facts: it.facts.into_iter().map(|Fact::MayReadSession| wit::Fact::MayReadSession).collect(),
        }
    }
}

impl From<Input> for wit::Input {
    fn from(input: Input) -> Self {
        match input {
            Input::Cookie(name, sensitivity) => Self::Cookie(named(name, sensitivity)),
            Input::CookiePrefix(name, sensitivity) => Self::CookiePrefix(named(name, sensitivity)),
            Input::Header(name, sensitivity) => Self::Header(named(name, sensitivity)),
            Input::QueryParameter(name, sensitivity) => Self::QueryParameter(named(name, sensitivity)),
            Input::Method => Self::Method,
            Input::Authority => Self::Authority,
            Input::Path(extent) => Self::Path(extent),
            Input::Upgrade => Self::Upgrade,
            Input::TlsName => Self::TlsName,
            Input::ClientAddress => Self::ClientAddress,
            Input::ClientCertificate => Self::ClientCertificate,
            Input::ListenerPort => Self::ListenerPort,
            Input::Identity => Self::Identity,
            Input::SessionAttribute(name) => Self::SessionAttribute(name),
        }
    }
}

fn named(name: String, sensitivity: Sensitivity) -> wit::NamedInput {
    let sensitivity = match sensitivity {
        Sensitivity::Plain => wit::Sensitivity::Plain,
        Sensitivity::Credential => wit::Sensitivity::Credential,
    };
    wit::NamedInput { name, sensitivity }
}
