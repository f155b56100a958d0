//! The default authenticator: a JSON Web Token in a cookie or an `Authorization` header.
//!
//! It finds the tokens and reads the claims; the host verifies, with keys that never come in here. No token: it abstains and
//! says how to log in. A token that isn't accepted: the same, with `invalid_token` (RFC 6750) and the reason for the log.
//! A token that can't be judged, because its key set isn't there: an error, so that the request fails closed.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod certificate;
mod config;
mod credential;
mod judgement;
mod principal;

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec;

use wicketgate_plugin::authentication::{Abstention, Allowance, Authenticator, Challenge, Decision, Denial, Request};
use wicketgate_plugin::jwt::Jwt;
use wicketgate_plugin::text::concatenated;
use wicketgate_plugin::{Declaration, Error, Input, Lifetime, Principal, Reason, Sensitivity, Subject, Verification};

pub use certificate::CertificateName;
pub use config::{Claims, Config, Cookie, KeySet, People};
use judgement::Judgement;
use principal::ClaimPlaces;

/// `Authorization`, as the host names headers.
const AUTHORIZATION: &str = "authorization";

/// The plugin, configured.
#[derive(Debug)]
pub struct CookieAuth {
    config: Config,
    places: ClaimPlaces,
    /// What `WWW-Authenticate` says where there was no token.
    scheme: String,
    /// The same where there was one that isn't accepted (RFC 6750, section 3.1).
    scheme_invalid_token: String,
}

wicketgate_plugin::export_authenticator!(CookieAuth);
wicketgate_plugin::runtime_without_std!();

// === impl CookieAuth ===

impl Authenticator for CookieAuth {
    type Config = Config;

    fn configure(config: Config) -> Result<(Self, Declaration), Error> {
        let (places, claims) = ClaimPlaces::of(&config);
        let mut declaration = Declaration::new();
        if config.bearer {
            declaration = declaration.reads(Input::Header(AUTHORIZATION.to_owned(), Sensitivity::Credential));
        }
        if config.certificate_name.is_some() {
            declaration = declaration.reads(Input::ClientCertificate);
        }
        for entry in &config.cookies {
            declaration = declaration.reads(match Cookie::of(entry) {
                Cookie::Named(name) => Input::Cookie(name.to_owned(), Sensitivity::Credential),
                Cookie::Prefixed(prefix) => Input::CookiePrefix(prefix.to_owned(), Sensitivity::Credential),
            });
        }
        for key_set in &config.key_sets {
            declaration = declaration.verifies(Verification {
                key_set: key_set.name.clone(),
                audiences: key_set.audiences.as_ref().unwrap_or(&config.audiences).clone(),
                issuers: key_set.issuers.as_ref().unwrap_or(&config.issuers).clone(),
                leeway_s: seconds(config.leeway_s).unwrap_or_default(),
                claims: claims.clone(),
            });
        }
        let scheme = concatenated(&["Bearer realm=\"", &config.realm, "\""]);
        let scheme_invalid_token = concatenated(&[&scheme, ", error=\"invalid_token\""]);
        Ok((Self { config, places, scheme, scheme_invalid_token }, declaration))
    }

    fn authenticate(&self, request: &Request, jwt: &impl Jwt) -> Result<Decision, Error> {
        let http = match &request.subject {
            Subject::Http(http) => http,
            Subject::Tcp(tcp) => {
                let nobody = || Decision::Abstain(Abstention { reason: Reason::new("no-credential"), challenge: None });
                return Ok(self.by_certificate(tcp.client_certificate.as_deref()).unwrap_or_else(nobody));
            }
        };
        let tokens = credential::tokens(http, &self.config);
        let by_certificate = || self.by_certificate(http.client_certificate.as_deref());
        if tokens.is_empty() {
            return Ok(by_certificate().unwrap_or_else(|| self.abstain(Reason::new("no-credential"), &self.scheme)));
        }
        // The first token that verifies wins. Of those that don't, the first one's fault is the one to tell: it's the one
        // that the client meant.
        let mut first_fault = None;
        let mut unavailable = None;
        for token in tokens {
            match judgement::judge(token, self.config.key_sets.len(), jwt) {
                Judgement::Accepted(verified) => match self.places.principal(verified.claims) {
                    Ok(principal) => return Ok(self.admit(principal, verified.valid_until, "token")),
                    Err(code) => first_fault = first_fault.or(Some(Reason::new(code))),
                },
                Judgement::Refused(reason) => first_fault = first_fault.or(Some(reason)),
                Judgement::Unavailable(why) => unavailable = unavailable.or(Some(why)),
            }
        }
        match (unavailable, first_fault) {
            (Some(why), _) => Err(Error::Unavailable(why)),
            // A stale cookie doesn't lock out who has a certificate.
            (None, fault) => Ok(by_certificate().unwrap_or_else(|| {
                self.abstain(fault.unwrap_or_else(|| Reason::new("token-refused")), &self.scheme_invalid_token)
            })),
        }
    }
}

impl CookieAuth {
    /// Whom a certificate names, where it does and the configuration wants to know.
    fn by_certificate(&self, certificate: Option<&[u8]>) -> Option<Decision> {
        let id = self.config.certificate_name?.of(certificate?)?;
        let principal = Principal { id, name: None, company: None, role: None, groups: vec![], claims: Default::default() };
        Some(self.admit(principal, None, "client-certificate"))
    }

    fn admit(&self, principal: Principal, valid_until: Option<u64>, reason: &str) -> Decision {
        let lifetime = Lifetime { valid_until, recheck_after_s: seconds(self.config.recheck_after_s) };
        if let Some(code) = self.config.refuses(&principal) {
            return Decision::Deny(Denial { reason: Reason::with_detail(code, principal.id), lifetime });
        }
        Decision::Allow(Allowance { principal, lifetime, reason: Reason::new(reason) })
    }

    fn abstain(&self, reason: Reason, scheme: &str) -> Decision {
        let challenge = Challenge { reason: reason.clone(), login: self.config.login.clone(), schemes: vec![scheme.to_owned()] };
        Decision::Abstain(Abstention { reason, challenge: Some(challenge) })
    }
}

/// The configuration's limits are those of 32 bits, or less.
fn seconds(number: Option<u64>) -> Option<u32> {
    number.and_then(|number| u32::try_from(number).ok())
}

#[cfg(test)]
mod tests;
