//! Machines that can't log in (monitoring, build runners) are known by the addresses that they come from.

use serde::Deserialize;
use wicketgate_plugin::authentication::{Abstention, Allowance, Authenticator, Decision, Request};
use wicketgate_plugin::jwt::Jwt;
use wicketgate_plugin::{Declaration, Error, Input, Lifetime, Principal, Reason};

#[derive(Deserialize)]
struct Config {
    machines: Vec<Machine>,
}

#[derive(Deserialize)]
struct Machine {
    id: String,
    addresses: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
}

struct KnownMachines(Vec<Machine>);

impl Authenticator for KnownMachines {
    type Config = Config;

    fn configure(config: Config) -> Result<(Self, Declaration), Error> {
        Ok((Self(config.machines), Declaration::new().reads(Input::ClientAddress)))
    }

    fn authenticate(&self, request: &Request, _: &impl Jwt) -> Result<Decision, Error> {
        let address = request.subject.client_address().unwrap_or_default();
        Ok(match self.0.iter().find(|machine| machine.addresses.iter().any(|known| known == address)) {
            Some(machine) => Decision::Allow(Allowance {
                principal: Principal { id: machine.id.clone(), groups: machine.groups.clone(), ..Principal::default() },
                lifetime: Lifetime::default(),
                reason: Reason::new("machine"),
            }),
            None => Decision::Abstain(Abstention { reason: Reason::new("unknown-address"), challenge: None }),
        })
    }
}

wicketgate_plugin::export_authenticator!(KnownMachines);
