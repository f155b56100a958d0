//! Discovery filters: which of the discovered endpoints are published.

use crate::prelude::*;
use crate::{Attributes, Configuration, Declaration, Error, Reason, Timestamp};

/// Which of the discovered endpoints are published.
pub trait DiscoveryFilter: Sized {
    /// Any type that serde can read. Keys that it doesn't know are refused.
    type Config: Configuration;

    /// Called once for each instance, before anything else.
    ///
    /// # Errors
    /// Refuses the plugin set and keeps the one before.
    fn configure(config: Self::Config) -> Result<(Self, Declaration), Error>;

    /// Called when a candidate is new or has changed, or when the plugin set changes; never on the path of a request.
    ///
    /// # Errors
    /// The candidate's earlier verdict stands; a new candidate waits.
    fn filter(&self, candidate: &Candidate) -> Result<Verdict, Error>;
}

/// A candidate endpoint. Everything in it may have been written by the session's owner: hostile input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Candidate {
    /// The declared attributes that the candidate has.
    pub attributes: Attributes,
    pub now: Timestamp,
}

/// The filter's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Keep(Keeping),
    Drop(Reason),
}

/// What the filter changes in an endpoint that it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeping {
    pub reason: Reason,
    /// Another name for display.
    pub name: Option<String>,
    /// The session attribute `access` from now on, whatever the candidate claims.
    pub access: Option<String>,
    pub upstream_path: Option<UpstreamPath>,
    /// Named `label.<name>` for routing policies. At most 32.
    pub labels: Attributes,
}

/// How the upstream sees the path of a path route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpstreamPath {
    /// Without the route's prefix, which goes into `X-Forwarded-Prefix`.
    Strip,
    /// As the client sent it, for applications that are told their base URL.
    Keep,
}

// === impl Keeping ===

impl Keeping {
    /// Keeps the endpoint and changes nothing.
    pub fn new(reason: impl Into<Reason>) -> Self {
        Self { reason: reason.into(), name: None, access: None, upstream_path: None, labels: Attributes::default() }
    }
}
