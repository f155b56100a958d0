//! Which decisions a request was let in or turned away by: the ids under which they can be looked up. They go into the access
//! log, and into a header for people who run the gateway.

use std::fmt;

use http::{HeaderName, HeaderValue};

use crate::{
    domain::{decision::Authentication, record::RecordId},
    plugin::{Authenticated, Fault, Routed},
};

/// For people whose role is among `plugins.records.show_to_roles`.
pub const DECISION: HeaderName = HeaderName::from_static("x-wicketgate-decision");

/// The decisions that one request came to. A cached one has the id of the decision that it repeats.
#[derive(Clone, Debug, Default)]
pub struct Consulted {
    authentication: Option<RecordId>,
    routing: Option<RecordId>,
    role: Option<String>,
}

// === impl Consulted ===

impl Consulted {
    pub fn authenticated(&mut self, authenticated: &Authenticated) {
        self.authentication = authenticated.record;
        if let Authentication::Allow(allowance) = &*authenticated.decision {
            self.role.clone_from(&allowance.principal.role);
        }
    }

    pub fn routed(&mut self, routed: &Routed) {
        self.routing = routed.record;
    }

    /// A decision that couldn't be made is recorded, too.
    pub fn failed(&mut self, fault: &Fault) {
        if self.authentication.is_none() {
            self.authentication = fault.record;
        } else {
            self.routing = fault.record;
        }
    }

    /// The header, for somebody of one of these roles.
    pub fn header(&self, roles: &[String]) -> Option<HeaderValue> {
        let role = self.role.as_ref().filter(|role| roles.contains(role));
        role.and_then(|_| HeaderValue::from_str(&self.to_string()).ok()).filter(|value| !value.is_empty())
    }
}

/// With commas between.
impl fmt::Display for Consulted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, id) in self.authentication.iter().chain(&self.routing).enumerate() {
            write!(f, "{}{id}", if at > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_role_that_is_told_is_told() {
        let roles = ["admin".to_owned()];
        let consulted = |role: Option<&str>| Consulted {
            authentication: Some(RecordId(1)),
            routing: Some(RecordId(2)),
            role: role.map(str::to_owned),
        };
        assert_eq!(consulted(Some("admin")).header(&roles).unwrap(), "0000000000000001,0000000000000002");
        assert_eq!(consulted(Some("user")).header(&roles), None);
        assert_eq!(consulted(None).header(&roles), None);
        assert_eq!(Consulted { role: Some("admin".into()), ..Consulted::default() }.header(&roles), None, "nothing is recorded");
    }
}
