//! What plugins decide, in the host's own types: converted from whichever version of the contract a plugin speaks.

use std::{sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue};

use super::{Attributes, Credential, EndpointName, Principal, Timestamp, UpstreamPath};

/// What a plugin decides about: the three worlds of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    DiscoveryFilter,
    Authenticator,
    RoutingPolicy,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::DiscoveryFilter, Self::Authenticator, Self::RoutingPolicy];
}

/// Why a decision came out as it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Kebab-case, at most 64 bytes; fit for a metric's label.
    pub code: Arc<str>,
    /// For the operator's log only.
    pub detail: Option<Arc<str>>,
}

/// How long a decision holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    pub valid_until: Option<Timestamp>,
    pub recheck_after: Option<Duration>,
}

/// What the chain of authenticators came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Authentication {
    Allow(Allowance),
    /// Stop and ask for credentials.
    Challenge(Challenge),
    /// 403.
    Deny(Reason),
    /// Everybody abstained. The challenge is for the case that a policy asks for authentication.
    Anonymous {
        reason: Reason,
        challenge: Option<Challenge>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Allowance {
    pub principal: Arc<Principal>,
    pub reason: Reason,
    /// From when on this no longer holds: the earliest of the token's, the decision's and the facts' ends.
    pub valid_until: Option<Timestamp>,
    /// The token that verified, for facts about this person. None when no token was involved.
    pub token: Option<Credential>,
}

/// What a client is told that must authenticate first.
#[derive(Clone, Debug, PartialEq)]
pub struct Challenge {
    pub reason: Reason,
    /// Where people log in; None is the gateway's own page.
    pub login: Option<Arc<str>>,
    /// Values of `WWW-Authenticate`; never empty.
    pub schemes: Vec<HeaderValue>,
}

/// What the chain of routing policies came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Routing {
    Forward(Arc<Forwarding>),
    /// 307. The location was checked: a path of this gateway, or a URL on a known host.
    Redirect {
        reason: Reason,
        location: HeaderValue,
    },
    /// None: the same answer as for a session that doesn't exist. Some: 403 with this text.
    Reject {
        reason: Reason,
        message: Option<Arc<str>>,
    },
    /// Becomes the authenticators' challenge, or a rejection for somebody who is known.
    Unauthenticated(Reason),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Forwarding {
    pub reason: Reason,
    /// Another endpoint of the same session.
    pub endpoint: Option<EndpointName>,
    pub request_headers: Vec<HeaderEdit>,
    pub response_headers: Vec<HeaderEdit>,
    pub limits: Limits,
}

/// One change to the headers; names of framing, connection, forwarding and identity were refused on conversion.
#[derive(Clone, Debug, PartialEq)]
pub enum HeaderEdit {
    Set(HeaderName, HeaderValue),
    Append(HeaderName, HeaderValue),
    Remove(HeaderName),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub request_body_bytes: Option<u64>,
    pub response_timeout: Option<Duration>,
}

/// What the chain of discovery filters came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Keep(Keeping),
    Drop(Reason),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Keeping {
    pub reason: Reason,
    pub name: Option<String>,
    pub access: Option<String>,
    pub upstream_path: Option<UpstreamPath>,
    /// Names begin with `label.`.
    pub labels: Attributes,
}
