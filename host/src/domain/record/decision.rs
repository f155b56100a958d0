//! What a chain decided, as data.

use serde::{Deserialize, Serialize};

use super::{
    Bytes,
    stand_in::{may_be_same, may_be_same_location},
};
use crate::domain::{
    Attributes, Principal, Timestamp, UpstreamPath,
    decision::{self, Authentication, HeaderEdit, Routing, Verdict},
};

/// A decision of any kind of chain. `abstain` is what it comes to when all plugins abstain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    // Of authenticators:
    Allow {
        principal: Principal,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        valid_until_ms: Option<Timestamp>,
    },
    Challenge(Challenge),
    Deny,
    Abstain {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        challenge: Option<Challenge>,
    },
    // Of routing policies:
    Forward {
        /// Another endpoint of the same session.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        request_headers: Vec<Edit>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        response_headers: Vec<Edit>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_body_bytes: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        response_timeout_ms: Option<u64>,
    },
    Redirect {
        location: String,
    },
    Reject {
        /// None: the answer for a session that doesn't exist.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    Unauthenticated,
    // Of discovery filters:
    Keep {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        access: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        upstream_path: Option<UpstreamPath>,
        #[serde(default, skip_serializing_if = "Attributes::is_empty")]
        labels: Attributes,
    },
    Drop,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Challenge {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    #[serde(default)]
    pub schemes: Vec<String>,
}

/// One change to headers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edit {
    Set(String, Bytes),
    Append(String, Bytes),
    Remove(String),
}

// === impl Decision ===

impl Decision {
    /// Whoever is sent elsewhere isn't let in.
    pub fn admits(&self) -> bool {
        matches!(self, Self::Allow { .. } | Self::Forward { .. } | Self::Keep { .. })
    }

    /// An authenticator's: it lets nobody in by itself, a policy decides after it.
    pub fn is_step(&self) -> bool {
        matches!(self, Self::Allow { .. } | Self::Challenge(_) | Self::Deny | Self::Abstain { .. })
    }

    /// Equal but for how long it holds, as far as that can be known.
    pub fn has_effect_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Allow { principal: one, .. }, Self::Allow { principal: other, .. }) => one == other,
            (Self::Challenge(one), Self::Challenge(other))
            | (Self::Abstain { challenge: Some(one) }, Self::Abstain { challenge: Some(other) }) => one.has_effect_of(other),
            (Self::Redirect { location: one }, Self::Redirect { location: other }) => may_be_same_location(one, other),
            (
                Self::Forward { request_headers: one_in, response_headers: one_out, .. },
                Self::Forward { request_headers: other_in, response_headers: other_out, .. },
            ) => {
                let are_alike = |one: &[Edit], other: &[Edit]| {
                    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.has_effect_of(other))
                };
                are_alike(one_in, other_in) && are_alike(one_out, other_out) && self.has_aims_of(other)
            }
            _ => self == other,
        }
    }

    /// Whether both forward to the same place with the same limits.
    fn has_aims_of(&self, other: &Self) -> bool {
        let aims = |decision: &Self| match decision {
            Self::Forward { endpoint, request_body_bytes, response_timeout_ms, .. } => {
                Some((endpoint.clone(), *request_body_bytes, *response_timeout_ms))
            }
            _ => None,
        };
        aims(self) == aims(other)
    }

    /// Its name in the contract.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Allow { .. } => "allow",
            Self::Challenge(_) => "challenge",
            Self::Deny => "deny",
            Self::Abstain { .. } => "abstain",
            Self::Forward { .. } => "forward",
            Self::Redirect { .. } => "redirect",
            Self::Reject { .. } => "reject",
            Self::Unauthenticated => "unauthenticated",
            Self::Keep { .. } => "keep",
            Self::Drop => "drop",
        }
    }
}

impl From<&Authentication> for Decision {
    fn from(decision: &Authentication) -> Self {
        match decision {
            Authentication::Allow(allowance) => {
                Self::Allow { principal: Principal::clone(&allowance.principal), valid_until_ms: allowance.valid_until }
            }
            Authentication::Challenge(challenge) => Self::Challenge(challenge.into()),
            Authentication::Deny(_) => Self::Deny,
            Authentication::Anonymous { challenge, .. } => Self::Abstain { challenge: challenge.as_ref().map(Challenge::from) },
        }
    }
}

impl From<&Routing> for Decision {
    fn from(decision: &Routing) -> Self {
        match decision {
            Routing::Forward(forwarding) => {
                let edits = |edits: &[HeaderEdit]| edits.iter().map(Edit::from).collect();
                let timeout = forwarding.limits.response_timeout;
                Self::Forward {
                    endpoint: forwarding.endpoint.as_ref().map(|name| name.as_str().to_owned()),
                    request_headers: edits(&forwarding.request_headers),
                    response_headers: edits(&forwarding.response_headers),
                    request_body_bytes: forwarding.limits.request_body_bytes,
                    response_timeout_ms: timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
                }
            }
            Routing::Redirect { location, .. } => {
                Self::Redirect { location: String::from_utf8_lossy(location.as_bytes()).into_owned() }
            }
            Routing::Reject { message, .. } => Self::Reject { message: message.as_deref().map(str::to_owned) },
            Routing::Unauthenticated(_) => Self::Unauthenticated,
        }
    }
}

impl From<&Verdict> for Decision {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Keep(keeping) => Self::Keep {
                name: keeping.name.clone(),
                access: keeping.access.clone(),
                upstream_path: keeping.upstream_path,
                labels: keeping.labels.clone(),
            },
            Verdict::Drop(_) => Self::Drop,
        }
    }
}

// === impl Challenge ===

impl Challenge {
    fn has_effect_of(&self, other: &Self) -> bool {
        let are_alike = match (&self.login, &other.login) {
            (Some(one), Some(other)) => may_be_same_location(one, other),
            (one, other) => one == other,
        };
        are_alike && self.schemes == other.schemes
    }
}

impl From<&decision::Challenge> for Challenge {
    fn from(challenge: &decision::Challenge) -> Self {
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Self { login: challenge.login.as_deref().map(str::to_owned), schemes: challenge.schemes.iter().map(text).collect() }
    }
}

// === impl Edit ===

impl Edit {
    fn has_effect_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Set(one, value), Self::Set(other, new)) | (Self::Append(one, value), Self::Append(other, new)) => {
                one == other && may_be_same(&value.0, &new.0)
            }
            (one, other) => one == other,
        }
    }
}

impl From<&HeaderEdit> for Edit {
    fn from(edit: &HeaderEdit) -> Self {
        let bytes = |value: &http::HeaderValue| Bytes(value.as_bytes().to_vec());
        match edit {
            HeaderEdit::Set(name, value) => Self::Set(name.to_string(), bytes(value)),
            HeaderEdit::Append(name, value) => Self::Append(name.to_string(), bytes(value)),
            HeaderEdit::Remove(name) => Self::Remove(name.to_string()),
        }
    }
}
