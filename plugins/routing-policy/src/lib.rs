//! The default routing policy: who may use a session, over HTTP and TCP.
//!
//! Somebody may enter by any one of the configured ways (`allow`, and the lists of users, groups and roles), unless a `deny_`
//! list names him. Who may not is told what a stranger is told about a session that doesn't exist, unless the configuration
//! has words for him. Nobody known, and not open to everybody: the client is asked to authenticate.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod admission;
mod config;
mod headers;
mod network;

use alloc::string::String;

use wicketgate_plugin::routing::{Decision, Forwarding, Limits, Rejection, Request, RoutingPolicy};
use wicketgate_plugin::{Declaration, Error, Fact, Identity, Input, Lifetime, Reason, Subject, TcpConnection};

use admission::Admission;
pub use config::{Config, TcpAccess, Way};
pub use headers::HeaderEdits;
pub use network::Network;

/// The plugin, configured.
#[derive(Debug)]
pub struct DefaultPolicy(Config);

wicketgate_plugin::export_routing_policy!(DefaultPolicy);
wicketgate_plugin::runtime_without_std!();

// === impl DefaultPolicy ===

impl RoutingPolicy for DefaultPolicy {
    type Config = Config;

    fn configure(config: Config) -> Result<(Self, Declaration), Error> {
        let mut declaration = Declaration::new().reads(Input::Identity);
        for way in &config.allow {
            declaration = match way {
                Way::Owner => declaration.reads_attributes(["owner"]),
                Way::Shared => declaration.reads_attributes(["access", "company"]),
                Way::Company => declaration.reads_attributes(["company"]),
                Way::Group => declaration.reads_attributes([config.group_attribute.as_str()]),
                Way::Readers => declaration.asks(Fact::MayReadSession),
                Way::Admins | Way::Everyone => declaration,
            };
        }
        declaration = match config.tcp_access {
            TcpAccess::Open | TcpAccess::Identity => declaration,
            TcpAccess::KnownAddress => declaration.reads(Input::ClientAddress),
            TcpAccess::ClientCertificate => declaration.reads(Input::ClientCertificate),
        };
        Ok((Self(config), declaration))
    }

    fn route(&self, request: &Request) -> Result<Decision, Error> {
        let Self(config) = self;
        match &request.subject {
            Subject::Tcp(connection) => self.route_tcp(request, connection),
            Subject::Http(_) => Ok(match admission::admit(config, request)? {
                Admission::Admitted(way) if config.closed.is_some() && way != "admin" => {
                    self.reject(Reason::with_detail("closed", way), config.closed.clone())
                }
                Admission::Admitted(way) => self.forward(way),
                Admission::Refused(code) => match request.identity {
                    Some(Identity::Principal(_)) => self.reject(Reason::new(code), config.message.clone()),
                    Some(Identity::Anonymous) | None => Decision::Unauthenticated(Reason::new("anonymous")),
                },
            }),
        }
    }
}

impl DefaultPolicy {
    /// Most TCP protocols carry no credential that a gateway could see: what is known is where they come from.
    fn route_tcp(&self, request: &Request, connection: &TcpConnection) -> Result<Decision, Error> {
        let Self(config) = self;
        let admitted = match config.tcp_access {
            TcpAccess::Open => Some("tcp-open"),
            TcpAccess::KnownAddress => {
                let known = |address: &str| config.known_addresses.iter().any(|network| network.has(address));
                connection.client_address.as_deref().is_some_and(known).then_some("tcp-known-address")
            }
            TcpAccess::ClientCertificate => connection.client_certificate.is_some().then_some("tcp-client-certificate"),
            TcpAccess::Identity => match (&request.identity, admission::admit(config, request)?) {
                (Some(Identity::Principal(_)), Admission::Admitted(way)) => Some(way),
                _ => None,
            },
        };
        Ok(match admitted {
            Some(_) if config.closed.is_some() => self.reject(Reason::new("closed"), None),
            Some(code) => Decision::Forward(Forwarding { lifetime: self.lifetime(), ..Forwarding::new(code) }),
            None => self.reject(Reason::new("tcp-access"), None),
        })
    }

    fn forward(&self, way: &'static str) -> Decision {
        let Self(config) = self;
        let limits = Limits {
            request_body_bytes: config.request_body_bytes,
            response_timeout_ms: config.response_timeout_ms.and_then(|number| u32::try_from(number).ok()),
        };
        Decision::Forward(Forwarding {
            lifetime: self.lifetime(),
            request_headers: config.request_headers.edits(),
            response_headers: config.response_headers.edits(),
            limits: (limits != Limits::default()).then_some(limits),
            ..Forwarding::new(way)
        })
    }

    fn reject(&self, reason: Reason, message: Option<String>) -> Decision {
        Decision::Reject(Rejection { lifetime: self.lifetime(), message, ..Rejection::new(reason) })
    }

    fn lifetime(&self) -> Lifetime {
        let recheck_after_s = self.0.recheck_after_s.and_then(|number| u32::try_from(number).ok());
        Lifetime { valid_until: None, recheck_after_s }
    }
}

#[cfg(test)]
mod tests;
