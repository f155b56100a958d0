//! Conversions of routing policies.

use super::{Slot, bindings::routing_policy::exports::wicketgate::plugin::routing as wit};
use crate::routing::{Decision, Request, RoutingPolicy};
use crate::{Attributes, Error};

pub fn configure<P: RoutingPolicy>(slot: &Slot<P>, config: &str) -> Result<wit::Declaration, Error> {
    super::configure(slot, config, P::configure)
}

pub fn route<P: RoutingPolicy>(slot: &Slot<P>, request: wit::Request) -> Result<Decision, Error> {
    let request = Request {
        subject: request.subject,
        session: Attributes::from(request.session),
        identity: request.identity.map(Into::into),
        may_read_session: request.may_read_session,
        now: request.now,
    };
    slot.plugin()?.route(&request)
}
