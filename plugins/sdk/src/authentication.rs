//! Authenticators: who a request or connection comes from.

use crate::jwt::Jwt;
use crate::prelude::*;
use crate::{Attributes, Configuration, Declaration, Error, Lifetime, Principal, Reason, Subject, Timestamp};

/// Who a request or connection comes from.
pub trait Authenticator: Sized {
    /// Any type that serde can read. Keys that it doesn't know are refused.
    type Config: Configuration;

    /// Called once for each instance, before anything else.
    ///
    /// # Errors
    /// Refuses the plugin set and keeps the one before.
    fn configure(config: Self::Config) -> Result<(Self, Declaration), Error>;

    /// Called for each request or connection whose decision isn't cached, in the order of the chain until one doesn't
    /// abstain.
    ///
    /// # Errors
    /// The client gets 503 and nothing reaches the upstream.
    fn authenticate(&self, request: &Request, jwt: &impl Jwt) -> Result<Decision, Error>;
}

/// One request or connection, reduced to the declared inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub subject: Subject,
    /// The declared attributes of the session that was asked for. Empty when there is no such session.
    pub session: Attributes,
    pub now: Timestamp,
}

/// The authenticator's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The subject is who it says.
    Allow(Allowance),
    /// Stop here and ask for credentials.
    Challenge(Challenge),
    /// 403, whatever the routing policy would say.
    Deny(Denial),
    /// The next authenticator decides. If all abstain, the identity is anonymous.
    Abstain(Abstention),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    pub principal: Principal,
    pub lifetime: Lifetime,
    pub reason: Reason,
}

/// What a client is told that must authenticate first. The host adds the way back itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    pub reason: Reason,
    /// Where people log in: an absolute URL on a host that the gateway's configuration knows. None: the gateway's own page.
    pub login: Option<String>,
    /// Values of `WWW-Authenticate` (RFC 9110, section 11.6.1). Empty: `Bearer`.
    pub schemes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    pub reason: Reason,
    pub lifetime: Lifetime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abstention {
    pub reason: Reason,
    /// What to tell the client if a routing policy then asks for authentication.
    pub challenge: Option<Challenge>,
}
