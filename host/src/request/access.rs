//! The access log: one line for each request that ended, under the target `access`. Nothing is gathered while it's off. It
//! never holds a query, a credential or a cookie.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use http::{Method, StatusCode, request::Parts};

use super::{consulted::Consulted, decisions, tcp::code};
use crate::{
    domain::{
        Endpoint,
        decision::{Authentication, Routing},
    },
    error::Error,
    plugin::{Authenticated, PluginName, Routed},
    upstream::relay::Relayed,
};

/// What is known of one request so far.
pub struct Record {
    started: Instant,
    answered: Option<Instant>,
    method: Method,
    path: String,
    host: String,
    pub client: Option<std::net::IpAddr>,
    pub request_id: String,
    generation: u64,
    endpoint: Option<String>,
    steps: Steps,
    error: Option<String>,
    decisions: String,
}

/// What is known of one TCP connection so far.
pub struct Passage {
    started: Instant,
    client: SocketAddr,
    port: u16,
    generation: u64,
    endpoint: Option<String>,
    pub steps: Steps,
    pub consulted: Consulted,
}

/// What was decided.
#[derive(Default)]
pub struct Steps {
    decided: Option<Instant>,
    identity: Option<String>,
    authentication: Option<Step>,
    routing: Option<Step>,
}

struct Step {
    code: Arc<str>,
    plugin: Option<Arc<PluginName>>,
    cached: bool,
}

/// Whether lines are wanted.
pub fn is_on() -> bool {
    tracing::enabled!(target: "access", tracing::Level::INFO)
}

// === impl Record ===

impl Record {
    pub fn new(parts: &Parts, started: Instant) -> Self {
        let host = parts.headers.get(http::header::HOST).map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
        Self {
            started,
            answered: None,
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            host: host.unwrap_or_default(),
            client: None,
            request_id: String::new(),
            generation: 0,
            endpoint: None,
            steps: Steps::default(),
            error: None,
            decisions: String::new(),
        }
    }

    pub fn deciding(&mut self, generation: u64, endpoint: Option<&Endpoint>) {
        self.generation = generation;
        self.endpoint = endpoint.map(|endpoint| endpoint.id.to_string());
    }

    pub fn authenticated(&mut self, authenticated: &Authenticated) {
        self.steps.authenticated(authenticated);
    }

    pub fn routed(&mut self, routed: &Routed) {
        self.steps.routed(routed);
    }

    pub fn failed(&mut self, error: &Error) {
        self.error = Some(error.to_string());
    }

    pub fn answered(&mut self, consulted: &Consulted) {
        self.answered = Some(Instant::now());
        self.decisions = consulted.to_string();
    }

    /// Writes the line.
    pub fn write(&self, status: StatusCode, bytes: u64) {
        let micros = |instant: Option<Instant>| instant.map(|instant| micros(self.started, instant));
        let Steps { decided, identity, authentication, routing } = &self.steps;
        tracing::info!(
            target: "access",
            method = %self.method,
            host = %self.host,
            path = %self.path,
            status = status.as_u16(),
            bytes,
            client = self.client.map(tracing::field::display),
            session = self.endpoint.as_deref(),
            identity = identity.as_deref(),
            authentication = authentication.as_ref().map(|step| step.code.as_ref()),
            authenticator = authentication.as_ref().and_then(Step::plugin).map(tracing::field::display),
            authentication_cached = authentication.as_ref().map(|step| step.cached),
            routing = routing.as_ref().map(|step| step.code.as_ref()),
            policy = routing.as_ref().and_then(Step::plugin).map(tracing::field::display),
            routing_cached = routing.as_ref().map(|step| step.cached),
            generation = self.generation,
            decisions = Some(self.decisions.as_str()).filter(|ids| !ids.is_empty()),
            decided_us = micros(*decided),
            head_us = micros(self.answered),
            total_us = micros(Some(Instant::now())),
            request_id = %self.request_id,
            error = self.error.as_deref(),
        );
    }
}

// === impl Passage ===

impl Passage {
    pub fn new(client: SocketAddr, port: u16) -> Self {
        Self {
            started: Instant::now(),
            client,
            port,
            generation: 0,
            endpoint: None,
            steps: Steps::default(),
            consulted: Consulted::default(),
        }
    }

    pub fn deciding(&mut self, generation: u64, endpoint: &Endpoint) {
        (self.generation, self.endpoint) = (generation, Some(endpoint.id.to_string()));
    }

    /// Writes the line of a connection that wasn't let in.
    pub fn refused(&self, error: &Error) {
        self.write(None, Some(error));
    }

    /// Writes the line of one that was carried.
    pub fn ended(&self, relayed: &Relayed) {
        self.write(Some(relayed), None);
    }

    fn write(&self, relayed: Option<&Relayed>, error: Option<&Error>) {
        let Steps { decided, identity, authentication, routing } = &self.steps;
        tracing::info!(
            target: "access",
            protocol = "tcp",
            port = self.port,
            client = %self.client.ip(),
            session = self.endpoint.as_deref(),
            received_bytes = relayed.map(|relayed| relayed.moved.from_client),
            sent_bytes = relayed.map(|relayed| relayed.moved.from_upstream),
            end = relayed.map(|relayed| code(relayed.end)),
            identity = identity.as_deref(),
            authentication = authentication.as_ref().map(|step| step.code.as_ref()),
            authenticator = authentication.as_ref().and_then(Step::plugin).map(tracing::field::display),
            routing = routing.as_ref().map(|step| step.code.as_ref()),
            policy = routing.as_ref().and_then(Step::plugin).map(tracing::field::display),
            generation = self.generation,
            decisions = Some(self.consulted.to_string()).filter(|ids| !ids.is_empty()),
            decided_us = decided.map(|decided| micros(self.started, decided)),
            total_us = micros(self.started, Instant::now()),
            error = error.map(tracing::field::display),
        );
    }
}

// === impl Steps ===

impl Steps {
    pub fn authenticated(&mut self, authenticated: &Authenticated) {
        if let Authentication::Allow(allowance) = authenticated.decision.as_ref() {
            self.identity = Some(allowance.principal.id.clone());
        }
        self.authentication = Some(Step {
            code: decisions::reason(&authenticated.decision).code.clone(),
            plugin: authenticated.plugin.clone(),
            cached: authenticated.cached,
        });
        self.decided = Some(Instant::now());
    }

    pub fn routed(&mut self, routed: &Routed) {
        let reason = match routed.decision.as_ref() {
            Routing::Forward(forwarding) => &forwarding.reason,
            Routing::Redirect { reason, .. } | Routing::Reject { reason, .. } | Routing::Unauthenticated(reason) => reason,
        };
        self.routing = Some(Step { code: reason.code.clone(), plugin: routed.plugin.clone(), cached: routed.cached });
        self.decided = Some(Instant::now());
    }
}

fn micros(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.duration_since(from).as_micros()).unwrap_or(u64::MAX)
}

// === impl Step ===

impl Step {
    fn plugin(&self) -> Option<&PluginName> {
        self.plugin.as_deref()
    }
}
