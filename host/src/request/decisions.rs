//! The seam to whoever decides, and what follows from the decisions. Whoever has no `Permit` can't be forwarded, and only
//! `decide` makes one: every fault, denial, rejection and abstention ends here.

use std::{future::Future, sync::Arc};

use http::{HeaderMap, HeaderValue, header};
use tokio::sync::watch;

use super::{
    access::{Passage, Record},
    consulted::Consulted,
    live::Lifetime,
};
use crate::{
    domain::{
        Endpoint, Identity, Principal,
        decision::{Allowance, Authentication, Challenge, Forwarding, Reason, Routing},
    },
    error::Error,
    plugin::{Authenticated, CredentialInputs, Fault, Routed, Subject, bearer},
    route::{PortRoute, Route, RouteTable},
};

/// Hands out what one request is decided by.
pub trait Decisions: 'static {
    type Set: DecisionSet + 'static;

    /// Routes and plugins of this moment, to be kept to the request's end. None until both are there.
    fn current(&self) -> Option<Self::Set>;

    /// Changes whenever `current` does.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// Routes and plugins of one moment.
pub trait DecisionSet {
    fn routes(&self) -> &RouteTable;

    fn generation(&self) -> u64;

    fn credentials(&self) -> &CredentialInputs;

    fn authenticate(
        &self,
        subject: &Subject<'_>,
        endpoint: Option<&Endpoint>,
    ) -> impl Future<Output = Result<Authenticated, Fault>>;

    fn route(
        &self,
        subject: &Subject<'_>,
        endpoint: &Endpoint,
        identity: &Authenticated,
    ) -> impl Future<Output = Result<Routed, Fault>>;
}

/// The proof that authentication and routing both let this request through.
pub struct Permit {
    entered: Arc<Route>,
    route: Arc<Route>,
    forwarding: Arc<Forwarding>,
    authentication: Arc<Authentication>,
    authorization_is_ours: bool,
    lifetime: Lifetime,
}

/// The same proof for a TCP connection.
pub struct TcpPermit {
    route: Arc<PortRoute>,
    lifetime: Lifetime,
}

/// What the decisions came to.
pub enum Ruling {
    Permit(Permit),
    /// To be sent to log in, or told to.
    Challenge(Option<Challenge>),
    /// 307 to a location that was checked.
    Redirect(HeaderValue),
}

// === impl Permit ===

impl Permit {
    /// The route that the client asked for.
    pub fn entered(&self) -> &Arc<Route> {
        &self.entered
    }

    /// The route that it gets: the same, or another endpoint of its session.
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    pub fn forwarding(&self) -> &Forwarding {
        &self.forwarding
    }

    pub fn principal(&self) -> Option<&Arc<Principal>> {
        match self.authentication.as_ref() {
            Authentication::Allow(allowance) => Some(&allowance.principal),
            _ => None,
        }
    }

    pub fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// `Authorization` holds a token of ours, good or not: it's kept from the session.
    pub fn authorization_is_ours(&self) -> bool {
        self.authorization_is_ours
    }

    /// Whether these headers identify the visitor without their cookies: `Authorization` holds the very token that was
    /// accepted. Any other token there may have been put beside somebody's cookie by a hostile page.
    pub fn is_by_authorization(&self, headers: &HeaderMap) -> bool {
        let Authentication::Allow(Allowance { token: Some(token), .. }) = self.authentication.as_ref() else { return false };
        headers
            .get_all(header::AUTHORIZATION)
            .iter()
            .any(|line| line.to_str().ok().and_then(bearer).is_some_and(|bearer| bearer == token.reveal()))
    }
}

// === impl TcpPermit ===

impl TcpPermit {
    pub fn route(&self) -> &Arc<PortRoute> {
        &self.route
    }

    pub fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// Whether it's the same endpoint at the same address.
    pub fn leads_where(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.route.endpoint, &other.route.endpoint);
        ours.id == theirs.id && ours.upstream == theirs.upstream
    }
}

// === impl Lifetime ===

impl Lifetime {
    fn of(authenticated: &Authenticated, routed: &Routed) -> Self {
        let valid_until = match authenticated.decision.as_ref() {
            Authentication::Allow(allowance) => allowance.valid_until,
            _ => None,
        };
        Self { valid_until, holds_until: authenticated.holds_until.min(routed.holds_until) }
    }
}

/// Asks the authenticators, then the policies. For a session that doesn't exist the authenticators are asked all the same,
/// and a stranger gets what he'd get for one that isn't his.
pub async fn decide<S: DecisionSet>(
    set: &S,
    subject: &Subject<'_>,
    route: Option<&Arc<Route>>,
    record: &mut Option<Box<Record>>,
    consulted: &mut Consulted,
) -> Result<Ruling, Error> {
    let endpoint = route.map(|route| route.endpoint.as_ref());
    let authenticated = set.authenticate(subject, endpoint).await.inspect_err(|fault| consulted.failed(fault));
    let authenticated = authenticated.map_err(Error::plugin_fault)?;
    consulted.authenticated(&authenticated);
    if let Some(record) = record {
        record.authenticated(&authenticated);
    }
    let is_known = match authenticated.decision.as_ref() {
        Authentication::Allow(_) => true,
        Authentication::Challenge(challenge) => return Ok(Ruling::Challenge(Some(challenge.clone()))),
        Authentication::Deny(_) => return Err(Error::denied("You may not enter.")),
        Authentication::Anonymous { .. } => false,
    };
    let Some(route) = route else {
        return if is_known { Err(Error::not_found()) } else { Ok(ask(&authenticated.decision)) };
    };
    let routed = set.route(subject, &route.endpoint, &authenticated).await.inspect_err(|fault| consulted.failed(fault));
    let routed = routed.map_err(Error::plugin_fault)?;
    consulted.routed(&routed);
    if let Some(record) = record {
        record.routed(&routed);
    }
    let forwarding = match routed.decision.as_ref() {
        Routing::Forward(forwarding) => forwarding.clone(),
        Routing::Redirect { location, .. } => return Ok(Ruling::Redirect(location.clone())),
        Routing::Reject { message: Some(message), .. } => return Err(Error::denied(message.to_string())),
        Routing::Reject { message: None, .. } => return Err(Error::not_found()),
        Routing::Unauthenticated(_) if is_known => return Err(Error::not_found()),
        Routing::Unauthenticated(_) => return Ok(ask(&authenticated.decision)),
    };
    let entered = route.clone();
    let route = match &forwarding.endpoint {
        None => entered.clone(),
        Some(name) => {
            let session = &route.endpoint.id.session;
            let missing = || Error::plugin_fault(format_args!("policy names no HTTP endpoint {:?} of {session}", name.as_str()));
            set.routes().sibling(session, name).ok_or_else(missing)?.clone()
        }
    };
    let lifetime = Lifetime::of(&authenticated, &routed);
    let Authenticated { decision: authentication, authorization_is_ours, .. } = authenticated;
    Ok(Ruling::Permit(Permit { entered, route, forwarding, authentication, authorization_is_ours, lifetime }))
}

/// The same for a TCP connection, which can't be asked for anything: who isn't let in is refused.
pub async fn decide_tcp<S: DecisionSet>(
    set: &S,
    subject: &Subject<'_>,
    route: &Arc<PortRoute>,
    passage: &mut Option<Box<Passage>>,
) -> Result<TcpPermit, Error> {
    let authenticated = set.authenticate(subject, Some(&route.endpoint)).await.inspect_err(|fault| failed(passage, fault));
    let authenticated = authenticated.map_err(Error::plugin_fault)?;
    if let Some(passage) = passage {
        passage.consulted.authenticated(&authenticated);
        passage.steps.authenticated(&authenticated);
    }
    match authenticated.decision.as_ref() {
        Authentication::Allow(_) | Authentication::Anonymous { .. } => {}
        Authentication::Challenge(_) | Authentication::Deny(_) => return Err(Error::denied("You may not enter.")),
    }
    let routed = set.route(subject, &route.endpoint, &authenticated).await.inspect_err(|fault| failed(passage, fault));
    let routed = routed.map_err(Error::plugin_fault)?;
    if let Some(passage) = passage {
        passage.consulted.routed(&routed);
        passage.steps.routed(&routed);
    }
    let Routing::Forward(forwarding) = routed.decision.as_ref() else { return Err(Error::denied("You may not enter.")) };
    let lifetime = Lifetime::of(&authenticated, &routed);
    let route = match &forwarding.endpoint {
        None => Arc::clone(route),
        Some(name) => {
            let session = &route.endpoint.id.session;
            let missing = || Error::plugin_fault(format_args!("policy names no TCP endpoint {:?} of {session}", name.as_str()));
            set.routes().port_sibling(session, name).map(Arc::clone).ok_or_else(missing)?
        }
    };
    Ok(TcpPermit { route, lifetime })
}

fn failed(passage: &mut Option<Box<Passage>>, fault: &Fault) {
    if let Some(passage) = passage {
        passage.consulted.failed(fault);
    }
}

fn ask(authentication: &Authentication) -> Ruling {
    match authentication {
        Authentication::Anonymous { challenge, .. } => Ruling::Challenge(challenge.clone()),
        _ => Ruling::Challenge(None),
    }
}

/// Who an authentication says somebody is.
pub fn identity(authentication: &Authentication) -> Identity {
    match authentication {
        Authentication::Allow(allowance) => Identity::Principal(allowance.principal.clone()),
        _ => Identity::Anonymous,
    }
}

/// The reason of an authentication.
pub fn reason(authentication: &Authentication) -> &Reason {
    match authentication {
        Authentication::Allow(allowance) => &allowance.reason,
        Authentication::Challenge(challenge) => &challenge.reason,
        Authentication::Deny(reason) | Authentication::Anonymous { reason, .. } => reason,
    }
}

/// Whether somebody would be let through, for lists of what he may enter. Nothing is permitted by it.
pub async fn would_forward<S: DecisionSet>(set: &S, subject: &Subject<'_>, endpoint: &Endpoint) -> bool {
    let Ok(authenticated) = set.authenticate(subject, Some(endpoint)).await else { return false };
    if !matches!(*authenticated.decision, Authentication::Allow(_) | Authentication::Anonymous { .. }) {
        return false;
    }
    let routed = set.route(subject, endpoint, &authenticated).await;
    routed.is_ok_and(|routed| matches!(*routed.decision, Routing::Forward(_)))
}
