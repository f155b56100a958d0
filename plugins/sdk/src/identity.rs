//! Who a subject comes from.

use crate::prelude::*;
use crate::subject::Attributes;

/// Who the subject comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// Nobody we know: every authenticator abstained.
    Anonymous,
    Principal(Principal),
}

/// Somebody who was recognised.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Principal {
    /// Stable and unique, at most 256 bytes. It's compared with session owners.
    pub id: String,
    /// For display.
    pub name: Option<String>,
    pub company: Option<String>,
    pub role: Option<String>,
    pub groups: Vec<String>,
    /// Further claims that a routing policy may want to see.
    pub claims: Attributes,
}
