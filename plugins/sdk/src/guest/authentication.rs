//! Conversions of authenticators, and the host's verification of tokens.

use super::{
    Slot,
    bindings::authenticator::{exports::wicketgate::plugin::authentication as wit, wicketgate::plugin::jwt as wit_jwt},
};
use crate::authentication::{Authenticator, Decision, Request};
use crate::jwt::{Jwt, Verified, VerifyError};
use crate::{Attributes, Error};

pub fn configure<P: Authenticator>(slot: &Slot<P>, config: &str) -> Result<wit::Declaration, Error> {
    super::configure(slot, config, P::configure)
}

pub fn authenticate<P: Authenticator>(slot: &Slot<P>, request: wit::Request) -> Result<wit::Decision, Error> {
    let request = Request { subject: request.subject, session: Attributes::from(request.session), now: request.now };
    Ok(match slot.plugin()?.authenticate(&request, &HostJwt)? {
        Decision::Allow(it) => {
            wit::Decision::Allow(wit::Allowance { principal: it.principal.into(), lifetime: it.lifetime, reason: it.reason })
        }
        Decision::Challenge(it) => wit::Decision::Challenge(it),
        Decision::Deny(it) => wit::Decision::Deny(it),
        Decision::Abstain(it) => wit::Decision::Abstain(it),
    })
}

/// The real one.
struct HostJwt;

impl Jwt for HostJwt {
    fn verify(&self, verification: usize, token: &str) -> Result<Verified, VerifyError> {
        let number = u32::try_from(verification).map_err(|_| VerifyError::Undeclared)?;
        wit_jwt::verify(number, token)
    }
}
