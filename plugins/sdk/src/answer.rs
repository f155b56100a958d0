//! What every answer of a plugin is made of: reasons, lifetimes, errors.

use crate::prelude::*;

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
pub type Timestamp = u64;

/// Why a decision came out as it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// For machines: kebab-case, at most 64 bytes, few different ones (`owner`, `token-expired`). It goes into metrics.
    pub code: String,
    /// For the operator's log; never shown to a client. No credentials.
    pub detail: Option<String>,
}

/// How long a decision holds. The default: as long as its inputs stay the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lifetime {
    /// The instant from which it no longer holds (a token's expiry).
    pub valid_until: Option<Timestamp>,
    /// So many seconds after which it's to be made again.
    pub recheck_after_s: Option<u32>,
}

/// "Could not decide." Not a denial: it's counted and logged as a fault, never cached, and the request fails closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// Only from `configure`: a key of the configuration isn't as expected.
    InvalidConfig(InvalidConfig),
    /// Something that the decision needs isn't there.
    Unavailable(String),
    Other(String),
}

/// Which key, what was found, what was expected: written for the operator who made the mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidConfig {
    /// The path of the key, with dots (`allow.owners.0`); empty for the whole.
    pub key: String,
    pub found: String,
    pub expected: String,
}

// === impl Reason ===

impl Reason {
    pub fn new(code: impl Into<String>) -> Self {
        Self { code: code.into(), detail: None }
    }

    pub fn with_detail(code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { code: code.into(), detail: Some(detail.into()) }
    }
}

impl From<&str> for Reason {
    fn from(code: &str) -> Self {
        Self::new(code)
    }
}

// === impl Error ===

impl Error {
    /// For what a type can't say about a configuration: `Error::invalid_config("leeway_s", "301", "at most 300")`.
    pub fn invalid_config(key: impl Into<String>, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::InvalidConfig(InvalidConfig { key: key.into(), found: found.into(), expected: expected.into() })
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::InvalidConfig(it) if it.key.is_empty() => write!(f, "found {}, expected {}", it.found, it.expected),
            Self::InvalidConfig(it) => write!(f, "{}: found {}, expected {}", it.key, it.found, it.expected),
            Self::Unavailable(what) => write!(f, "unavailable: {what}"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

impl core::error::Error for Error {}
