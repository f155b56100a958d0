//! Routing policies: whether an identity may use a session, and how.

use crate::prelude::*;
use crate::{Attributes, Configuration, Declaration, Error, Field, Identity, Lifetime, Reason, Subject, Timestamp};

/// Whether an identity may use a session, and how.
pub trait RoutingPolicy: Sized {
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
    /// The client gets 503 and nothing reaches the upstream, unless the manifest says `on_error: owner-only`.
    fn route(&self, request: &Request) -> Result<Decision, Error>;
}

/// One request or connection after authentication, reduced to the declared inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub subject: Subject,
    pub session: Attributes,
    /// None when it wasn't declared.
    pub identity: Option<Identity>,
    /// None when it wasn't declared.
    pub may_read_session: Option<FactAnswer>,
    pub now: Timestamp,
}

/// The answer to a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactAnswer {
    Yes,
    No,
    /// The host could not find out, and why. The decision is then not cached.
    Unavailable(String),
}

/// The policy's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    Forward(Forwarding),
    /// 307; HTTP only.
    Redirect(Redirection),
    Reject(Rejection),
    /// Perhaps, for somebody known: becomes the challenge.
    Unauthenticated(Reason),
    /// The next policy decides. If all abstain, it's a rejection.
    Abstain(Reason),
}

/// Let it through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarding {
    pub reason: Reason,
    pub lifetime: Lifetime,
    /// Another endpoint of the same session, by name. None: the one that was asked for.
    pub endpoint: Option<String>,
    pub request_headers: Vec<HeaderEdit>,
    pub response_headers: Vec<HeaderEdit>,
    pub limits: Option<Limits>,
}

/// One change to the headers. The host refuses changes to framing, connection, forwarding and identity headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderEdit {
    /// In place of every line of that name.
    Set(Field),
    Append(Field),
    Remove(String),
}

/// Limits that hold for this request in place of the gateway's wider ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    pub request_body_bytes: Option<u64>,
    /// From the request's end to the response's head.
    pub response_timeout_ms: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirection {
    pub reason: Reason,
    pub lifetime: Lifetime,
    /// A path of this gateway, or an absolute URL on a host that its configuration knows.
    pub location: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    pub reason: Reason,
    pub lifetime: Lifetime,
    /// None: the client gets the same 404 as for a session that doesn't exist. Some: 403 with this text.
    pub message: Option<String>,
}

// === impl Forwarding ===

impl Forwarding {
    /// Lets it through as it is, for as long as its inputs stay the same.
    pub fn new(reason: impl Into<Reason>) -> Self {
        Self {
            reason: reason.into(),
            lifetime: Lifetime::default(),
            endpoint: None,
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            limits: None,
        }
    }
}

// === impl Rejection ===

impl Rejection {
    /// The client can't tell it from a session that doesn't exist.
    pub fn new(reason: impl Into<Reason>) -> Self {
        Self { reason: reason.into(), lifetime: Lifetime::default(), message: None }
    }

    /// The client is told so, with 403.
    pub fn with_message(reason: impl Into<Reason>, message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..Self::new(reason) }
    }
}
