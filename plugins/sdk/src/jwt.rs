//! Verification of JSON Web Tokens by the host. The keys never enter a plugin.

use crate::Timestamp;
use crate::prelude::*;
use crate::text::signed_decimal;

/// Asks the host to verify tokens. In a test, [`FakeJwt`](crate::testing::FakeJwt) answers instead.
#[cfg_attr(target_arch = "wasm32", allow(rustdoc::broken_intra_doc_links))]
pub trait Jwt {
    /// Verifies a token against the declared verification of this number.
    ///
    /// # Errors
    /// Why the token isn't accepted. Details are for the log: tell a client no more than "invalid token".
    fn verify(&self, verification: usize, token: &str) -> Result<Verified, VerifyError>;
}

/// A token that verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// One for each declared claim, in its order; none where the token doesn't have it.
    pub claims: Vec<Option<ClaimValue>>,
    /// None: it doesn't expire.
    pub valid_until: Option<Timestamp>,
}

/// A claim's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimValue {
    Text(String),
    Integer(i64),
    Boolean(bool),
    /// A list of texts (roles, groups).
    Texts(Vec<String>),
    /// Anything else, as JSON text.
    Json(String),
}

/// Why a token isn't accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerifyError {
    /// The number isn't one of the declared verifications.
    Undeclared,
    /// Not a JWT in compact form, or over 16 KiB.
    Malformed(String),
    /// The header's `alg` isn't one that the key set allows.
    Algorithm(String),
    /// No key of the set has this `kid`; the host has asked for a refresh.
    UnknownKey,
    Signature,
    Expired,
    NotYetValid,
    Audience,
    Issuer,
    /// The header's `crit` names an extension (RFC 7515, section 4.1.11).
    CriticalHeader,
    /// Introspection: the server doesn't accept the token.
    Refused(String),
    /// The key set was never loaded, or the server can't be asked: answer [`Error::Unavailable`](crate::Error::Unavailable).
    Unavailable(String),
}

// === impl ClaimValue ===

impl ClaimValue {
    /// The value where it's one text or number.
    pub fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Integer(number) => Some(signed_decimal(number)),
            Self::Boolean(_) | Self::Texts(_) | Self::Json(_) => None,
        }
    }

    /// The value as a list: one text is a list of one, and what isn't text is an empty list.
    pub fn into_texts(self) -> Vec<String> {
        match self {
            Self::Text(text) => vec![text],
            Self::Texts(texts) => texts,
            Self::Integer(_) | Self::Boolean(_) | Self::Json(_) => Vec::new(),
        }
    }
}
