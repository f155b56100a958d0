//! Who a subject comes from.

use std::sync::Arc;

use super::Attributes;

/// The result of authentication, as routing policies see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Every authenticator abstained.
    Anonymous,
    Principal(Arc<Principal>),
}

/// Somebody who was recognised.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    /// Stable and unique; compared with session owners. 1 to 256 visible ASCII characters, so that it fits a header.
    pub id: String,
    pub name: Option<String>,
    pub company: Option<String>,
    pub role: Option<String>,
    pub groups: Vec<String>,
    /// Further claims for routing policies.
    pub claims: Attributes,
}

impl Identity {
    pub fn principal(&self) -> Option<&Principal> {
        match self {
            Self::Anonymous => None,
            Self::Principal(principal) => Some(principal),
        }
    }
}
