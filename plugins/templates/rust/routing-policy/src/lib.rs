//! Guests may look into every session and change nothing. Everybody else is left to the next policy.

use serde::Deserialize;
use wicketgate_plugin::routing::{Decision, Forwarding, Rejection, Request, RoutingPolicy};
use wicketgate_plugin::{Declaration, Error, Identity, Input, Reason, Subject};

#[derive(Deserialize)]
struct Config {
    /// Groups.
    guests: Vec<String>,
}

struct ReadOnlyGuests(Config);

impl RoutingPolicy for ReadOnlyGuests {
    type Config = Config;

    fn configure(config: Config) -> Result<(Self, Declaration), Error> {
        let declaration = Declaration::new().reads(Input::Identity).reads(Input::Method).reads(Input::Upgrade);
        Ok((Self(config), declaration))
    }

    fn route(&self, request: &Request) -> Result<Decision, Error> {
        let is_guest = match &request.identity {
            Some(Identity::Principal(person)) => person.groups.iter().any(|group| self.0.guests.contains(group)),
            _ => false,
        };
        let Subject::Http(http) = &request.subject else {
            return Ok(Decision::Abstain(Reason::new("not-http")));
        };
        if !is_guest {
            return Ok(Decision::Abstain(Reason::new("no-guest")));
        }
        // After an upgrade nobody sees any more what is done.
        if http.upgrade.is_none() && matches!(http.method.as_deref(), Some("GET" | "HEAD")) {
            return Ok(Decision::Forward(Forwarding::new("guest")));
        }
        Ok(Decision::Reject(Rejection::with_message("read-only", "You may look, and change nothing.")))
    }
}

wicketgate_plugin::export_routing_policy!(ReadOnlyGuests);
