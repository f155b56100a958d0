//! Conversions of what the three kinds have in common.

use crate::guest::bindings::authenticator::wicketgate::plugin::types as wit;
use crate::prelude::*;
use crate::{
    Attributes, Declaration, Error, Fact, Field, HttpRequest, Identity, Input, Lifetime, PathExtent, Principal, Reason,
    Sensitivity, Subject, TcpConnection, Verification,
};

// === from the host ===

impl From<wit::Subject> for Subject {
    fn from(subject: wit::Subject) -> Self {
        match subject {
            wit::Subject::Http(http) => Self::Http(HttpRequest {
                method: http.method,
                authority: http.authority,
                path: http.path,
                upgrade: http.upgrade,
                tls_name: http.tls_name,
                client_address: http.client_address,
                client_certificate: http.client_certificate,
                listener_port: http.listener_port,
                cookies: fields(http.cookies),
                headers: fields(http.headers),
                query: fields(http.query),
            }),
            wit::Subject::Tcp(tcp) => Self::Tcp(TcpConnection {
                listener_port: tcp.listener_port,
                client_address: tcp.client_address,
                tls_name: tcp.tls_name,
                client_certificate: tcp.client_certificate,
            }),
        }
    }
}

fn fields(fields: Vec<wit::Field>) -> Vec<Field> {
    fields.into_iter().map(|field| Field { name: field.name, value: field.value }).collect()
}

pub fn attributes(attributes: Vec<wit::Attribute>) -> Attributes {
    attributes.into_iter().map(|attribute| (attribute.name, attribute.values)).collect()
}

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
                claims: attributes(it.claims),
            }),
        }
    }
}

// === to the host ===

pub fn wit_attributes(attributes: Attributes) -> Vec<wit::Attribute> {
    attributes.into_iter().map(|(name, values)| wit::Attribute { name, values }).collect()
}

impl From<Principal> for wit::Principal {
    fn from(it: Principal) -> Self {
        Self { id: it.id, name: it.name, company: it.company, role: it.role, groups: it.groups, claims: wit_attributes(it.claims) }
    }
}

impl From<Field> for wit::Field {
    fn from(field: Field) -> Self {
        Self { name: field.name, value: field.value }
    }
}

impl From<Reason> for wit::Reason {
    fn from(reason: Reason) -> Self {
        Self { code: reason.code, detail: reason.detail }
    }
}

impl From<Lifetime> for wit::Lifetime {
    fn from(lifetime: Lifetime) -> Self {
        Self { valid_until: lifetime.valid_until, recheck_after_s: lifetime.recheck_after_s }
    }
}

impl From<Error> for wit::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidConfig(it) => {
                Self::InvalidConfig(wit::InvalidConfig { key: it.key, found: it.found, expected: it.expected })
            }
            Error::Unavailable(what) => Self::Unavailable(what),
            Error::Other(what) => Self::Other(what),
        }
    }
}

impl From<Declaration> for wit::Declaration {
    fn from(declaration: Declaration) -> Self {
        Self {
            inputs: declaration.inputs.into_iter().map(Into::into).collect(),
            verifications: declaration.verifications.into_iter().map(Into::into).collect(),
            facts: declaration.facts.into_iter().map(|Fact::MayReadSession| wit::Fact::MayReadSession).collect(),
        }
    }
}

impl From<Verification> for wit::Verification {
    fn from(it: Verification) -> Self {
        Self { key_set: it.key_set, audiences: it.audiences, issuers: it.issuers, leeway_s: it.leeway_s, claims: it.claims }
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
            Input::Path(PathExtent::Full) => Self::Path(wit::PathExtent::Full),
            Input::Path(PathExtent::Segments(count)) => Self::Path(wit::PathExtent::Segments(count)),
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
