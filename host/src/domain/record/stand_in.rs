//! What stands in a record for a value that may be secret. Two of one process are equal where the values are; of two processes nobody
//! can say.

use std::fmt;

const BEGINNING: &str = "redacted-";

/// `redacted-<whose>-<digest>`
pub struct StandIn<'a> {
    whose: [u8; 3],
    digest: &'a str,
}

// === impl StandIn ===

impl<'a> StandIn<'a> {
    /// `whose` tells processes apart.
    pub fn new(whose: [u8; 3], digest: &'a str) -> Self {
        Self { whose, digest }
    }
}

impl fmt::Display for StandIn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [one, two, three] = self.whose;
        write!(f, "{BEGINNING}{one:02x}{two:02x}{three:02x}-{}", self.digest)
    }
}

/// Whether two values are the same, as far as that can be known.
pub(super) fn may_be_same(one: &[u8], other: &[u8]) -> bool {
    one == other || matches!((whose(one), whose(other)), (Some(one), Some(other)) if one != other)
}

/// The same for locations, in which something may stand behind the path.
pub(super) fn may_be_same_location(one: &str, other: &str) -> bool {
    let (one, other) = (split(one), split(other));
    one.0 == other.0 && may_be_same(one.1.as_bytes(), other.1.as_bytes())
}

fn split(location: &str) -> (&str, &str) {
    location.split_at(location.find(['?', '#']).map_or(location.len(), |at| at + 1))
}

fn whose(value: &[u8]) -> Option<&[u8]> {
    let (whose, rest) = value.strip_prefix(BEGINNING.as_bytes())?.split_at_checked(6)?;
    (whose.iter().all(u8::is_ascii_hexdigit) && rest.first() == Some(&b'-')).then_some(whose)
}
