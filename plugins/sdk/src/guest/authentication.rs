//! Conversions of authenticators, and the host's verification of tokens.

use super::shared::attributes;
use super::{
    Slot,
    bindings::authenticator::{exports::wicketgate::plugin::authentication as wit, wicketgate::plugin::jwt as wit_jwt},
};
use crate::authentication::{Abstention, Authenticator, Challenge, Decision, Request};
use crate::jwt::{ClaimValue, Jwt, Verified, VerifyError};

pub fn configure<P: Authenticator>(slot: &Slot<P>, config: &str) -> Result<wit::Declaration, wit::Error> {
    super::configure(slot, config, P::configure)
}

pub fn authenticate<P: Authenticator>(slot: &Slot<P>, request: wit::Request) -> Result<wit::Decision, wit::Error> {
    let request = Request { subject: request.subject.into(), session: attributes(request.session), now: request.now };
    Ok(match slot.plugin()?.authenticate(&request, &HostJwt)? {
        Decision::Allow(it) => wit::Decision::Allow(wit::Allowance {
            principal: it.principal.into(),
            lifetime: it.lifetime.into(),
            reason: it.reason.into(),
        }),
        Decision::Challenge(it) => wit::Decision::Challenge(it.into()),
        Decision::Deny(it) => wit::Decision::Deny(wit::Denial { reason: it.reason.into(), lifetime: it.lifetime.into() }),
        Decision::Abstain(Abstention { reason, challenge }) => {
            wit::Decision::Abstain(wit::Abstention { reason: reason.into(), challenge: challenge.map(Into::into) })
        }
    })
}

impl From<Challenge> for wit::Challenge {
    fn from(it: Challenge) -> Self {
        Self { reason: it.reason.into(), login: it.login, schemes: it.schemes }
    }
}

/// The real one.
struct HostJwt;

impl Jwt for HostJwt {
    fn verify(&self, verification: usize, token: &str) -> Result<Verified, VerifyError> {
        let number = u32::try_from(verification).map_err(|_| VerifyError::Undeclared)?;
        let verified = wit_jwt::verify(number, token)?;
        Ok(Verified {
            claims: verified.claims.into_iter().map(|claim| claim.map(Into::into)).collect(),
            valid_until: verified.valid_until,
        })
    }
}

impl From<wit_jwt::ClaimValue> for ClaimValue {
    fn from(value: wit_jwt::ClaimValue) -> Self {
        match value {
            wit_jwt::ClaimValue::Text(text) => Self::Text(text),
            wit_jwt::ClaimValue::Integer(number) => Self::Integer(number),
            wit_jwt::ClaimValue::Boolean(value) => Self::Boolean(value),
            wit_jwt::ClaimValue::Texts(texts) => Self::Texts(texts),
            wit_jwt::ClaimValue::Json(json) => Self::Json(json),
        }
    }
}

impl From<wit_jwt::VerifyError> for VerifyError {
    fn from(error: wit_jwt::VerifyError) -> Self {
        match error {
            wit_jwt::VerifyError::Undeclared => Self::Undeclared,
            wit_jwt::VerifyError::Malformed(why) => Self::Malformed(why),
            wit_jwt::VerifyError::Algorithm(name) => Self::Algorithm(name),
            wit_jwt::VerifyError::UnknownKey => Self::UnknownKey,
            wit_jwt::VerifyError::Signature => Self::Signature,
            wit_jwt::VerifyError::Expired => Self::Expired,
            wit_jwt::VerifyError::NotYetValid => Self::NotYetValid,
            wit_jwt::VerifyError::Audience => Self::Audience,
            wit_jwt::VerifyError::Issuer => Self::Issuer,
            wit_jwt::VerifyError::CriticalHeader => Self::CriticalHeader,
            wit_jwt::VerifyError::Refused(why) => Self::Refused(why),
            wit_jwt::VerifyError::Unavailable(why) => Self::Unavailable(why),
        }
    }
}
