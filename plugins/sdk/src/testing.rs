//! The test kit: a plugin's core, natively, with what the host would hand it.
//!
//! Build a whole request; the kit takes away what the plugin didn't declare, as the host does. So a test also shows that the
//! declaration is sufficient.
//!
//! ```
//! # use wicketgate_plugin::{authentication::*, *};
//! # struct ByCookie;
//! # impl Authenticator for ByCookie {
//! #     type Config = std::collections::BTreeMap<String, String>;
//! #     fn configure(_: Self::Config) -> Result<(Self, Declaration), Error> {
//! #         let verification = Verification { key_set: "clearml".into(), claims: vec!["sub".into()], ..Verification::default() };
//! #         Ok((Self, Declaration::new().reads(Input::Cookie("token".into(), Sensitivity::Credential)).verifies(verification)))
//! #     }
//! #     fn authenticate(&self, request: &Request, jwt: &impl jwt::Jwt) -> Result<Decision, Error> {
//! #         let Subject::Http(http) = &request.subject else { return Err(Error::Other("tcp".into())) };
//! #         let token = http.cookies("token").next().and_then(|it| std::str::from_utf8(it).ok()).unwrap_or_default();
//! #         let verified = jwt.verify(0, token).map_err(|_| Error::Other("bad".into()))?;
//! #         let id = verified.claims[0].clone().and_then(jwt::ClaimValue::into_text).unwrap_or_default();
//! #         let principal = Principal { id, ..Principal::default() };
//! #         Ok(Decision::Allow(Allowance { principal, lifetime: Lifetime::default(), reason: "token".into() }))
//! #     }
//! # }
//! use wicketgate_plugin::testing::{self, FakeJwt};
//!
//! let plugin = testing::authenticator::<ByCookie>("{}")?;
//! let jwt = FakeJwt::new().accepts("clearml", "good", r#"{"sub": "ada", "exp": 2000000000}"#);
//! let decision = plugin.authenticate(&testing::get("/").cookie("token", "good").authenticate(), &jwt)?;
//! assert!(matches!(decision, Decision::Allow(it) if it.principal.id == "ada"));
//! # Ok::<(), Error>(())
//! ```

mod build;
mod fake_jwt;
mod reduce;

pub use build::{Builder, NOW, Whole, candidate, get, principal, tcp};
pub use fake_jwt::FakeJwt;

use crate::authentication::{self, Authenticator};
use crate::discovery::{self, DiscoveryFilter};
use crate::routing::{self, RoutingPolicy};
use crate::{Configuration, Declaration, Error};
use reduce::reduce;

/// A configured plugin and what it declared.
#[derive(Debug)]
pub struct Configured<P> {
    pub plugin: P,
    pub declaration: Declaration,
}

/// Configures a discovery filter from JSON text.
///
/// # Errors
/// The plugin's own, and those of reading the configuration.
pub fn discovery_filter<P: DiscoveryFilter>(config: &str) -> Result<Configured<P>, Error> {
    P::Config::from_json(config).and_then(P::configure).map(Configured::from)
}

/// Configures an authenticator from JSON text.
///
/// # Errors
/// The plugin's own, and those of reading the configuration.
pub fn authenticator<P: Authenticator>(config: &str) -> Result<Configured<P>, Error> {
    P::Config::from_json(config).and_then(P::configure).map(Configured::from)
}

/// Configures a routing policy from JSON text.
///
/// # Errors
/// The plugin's own, and those of reading the configuration.
pub fn routing_policy<P: RoutingPolicy>(config: &str) -> Result<Configured<P>, Error> {
    P::Config::from_json(config).and_then(P::configure).map(Configured::from)
}

// === impl Configured ===

impl<P> From<(P, Declaration)> for Configured<P> {
    fn from((plugin, declaration): (P, Declaration)) -> Self {
        Self { plugin, declaration }
    }
}

impl<P: DiscoveryFilter> Configured<P> {
    /// # Errors
    /// The plugin's own.
    pub fn filter(&self, candidate: &discovery::Candidate) -> Result<discovery::Verdict, Error> {
        let attributes = reduce::attributes(&self.declaration, &candidate.attributes);
        self.plugin.filter(&discovery::Candidate { attributes, now: candidate.now })
    }
}

impl<P: Authenticator> Configured<P> {
    /// # Errors
    /// The plugin's own.
    pub fn authenticate(&self, request: &Whole<authentication::Request>, jwt: &FakeJwt) -> Result<authentication::Decision, Error> {
        let Whole(request) = request;
        let reduced = authentication::Request {
            subject: reduce(&self.declaration, &request.subject),
            session: reduce::attributes(&self.declaration, &request.session),
            now: request.now,
        };
        self.plugin.authenticate(&reduced, &jwt.declared(&self.declaration))
    }
}

impl<P: RoutingPolicy> Configured<P> {
    /// # Errors
    /// The plugin's own.
    pub fn route(&self, request: &Whole<routing::Request>) -> Result<routing::Decision, Error> {
        let Whole(request) = request;
        let reduced = routing::Request {
            subject: reduce(&self.declaration, &request.subject),
            session: reduce::attributes(&self.declaration, &request.session),
            identity: request.identity.clone().filter(|_| self.declaration.inputs.contains(&crate::Input::Identity)),
            may_read_session: request.may_read_session.clone().filter(|_| !self.declaration.facts.is_empty()),
            now: request.now,
        };
        self.plugin.route(&reduced)
    }
}
