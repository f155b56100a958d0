//! Who a subject comes from.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Attributes;

/// The result of authentication, as routing policies see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Identity {
    /// Every authenticator abstained.
    Anonymous,
    Principal(#[serde(with = "shared")] Arc<Principal>),
}

/// Somebody who was recognised.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Principal {
    /// Stable and unique; compared with session owners. 1 to 256 visible ASCII characters, so that it fits a header.
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Further claims for routing policies.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub claims: Attributes,
}

/// An `Arc` as what is in it.
mod shared {
    use super::{Arc, Deserialize, Principal, Serialize};

    pub fn serialize<S: serde::Serializer>(principal: &Arc<Principal>, serializer: S) -> Result<S::Ok, S::Error> {
        principal.as_ref().serialize(serializer)
    }

    pub fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Arc<Principal>, D::Error> {
        Principal::deserialize(deserializer).map(Arc::new)
    }
}

impl Identity {
    pub fn principal(&self) -> Option<&Principal> {
        match self {
            Self::Anonymous => None,
            Self::Principal(principal) => Some(principal),
        }
    }
}
