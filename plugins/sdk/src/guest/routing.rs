//! Conversions of routing policies.

use super::shared::attributes;
use super::{
    Slot,
    bindings::{
        authenticator::wicketgate::plugin::types::FactAnswer as WitFactAnswer,
        routing_policy::exports::wicketgate::plugin::routing as wit,
    },
};
use crate::routing::{Decision, FactAnswer, Forwarding, HeaderEdit, Request, RoutingPolicy};

pub fn configure<P: RoutingPolicy>(slot: &Slot<P>, config: &str) -> Result<wit::Declaration, wit::Error> {
    super::configure(slot, config, P::configure)
}

pub fn route<P: RoutingPolicy>(slot: &Slot<P>, request: wit::Request) -> Result<wit::Decision, wit::Error> {
    let request = Request {
        subject: request.subject.into(),
        session: attributes(request.session),
        identity: request.identity.map(Into::into),
        may_read_session: request.may_read_session.map(|answer| match answer {
            WitFactAnswer::Yes => FactAnswer::Yes,
            WitFactAnswer::No => FactAnswer::No,
            WitFactAnswer::Unavailable(why) => FactAnswer::Unavailable(why),
        }),
        now: request.now,
    };
    Ok(match slot.plugin()?.route(&request)? {
        Decision::Forward(it) => wit::Decision::Forward(it.into()),
        Decision::Redirect(it) => wit::Decision::Redirect(wit::Redirection {
            reason: it.reason.into(),
            lifetime: it.lifetime.into(),
            location: it.location,
        }),
        Decision::Reject(it) => {
            wit::Decision::Reject(wit::Rejection { reason: it.reason.into(), lifetime: it.lifetime.into(), message: it.message })
        }
        Decision::Unauthenticated(reason) => wit::Decision::Unauthenticated(reason.into()),
        Decision::Abstain(reason) => wit::Decision::Abstain(reason.into()),
    })
}

impl From<Forwarding> for wit::Forwarding {
    fn from(it: Forwarding) -> Self {
        Self {
            reason: it.reason.into(),
            lifetime: it.lifetime.into(),
            endpoint: it.endpoint,
            request_headers: it.request_headers.into_iter().map(Into::into).collect(),
            response_headers: it.response_headers.into_iter().map(Into::into).collect(),
            limits: it.limits.map(|limits| wit::Limits {
                request_body_bytes: limits.request_body_bytes,
                response_timeout_ms: limits.response_timeout_ms,
            }),
        }
    }
}

impl From<HeaderEdit> for wit::HeaderEdit {
    fn from(edit: HeaderEdit) -> Self {
        match edit {
            HeaderEdit::Set(field) => Self::Set(field.into()),
            HeaderEdit::Append(field) => Self::Append(field.into()),
            HeaderEdit::Remove(name) => Self::Remove(name),
        }
    }
}
