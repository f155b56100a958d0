//! The access log: one line for each request that ended, under the target `access`. Nothing is gathered while it's off. It
//! never holds a query, a credential or a cookie.

use std::{sync::Arc, time::Instant};

use http::{Method, StatusCode, request::Parts};

use super::decisions;
use crate::{
    domain::{
        Endpoint,
        decision::{Authentication, Routing},
    },
    error::Error,
    plugin::{Authenticated, PluginName, Routed},
};

/// What is known of one request so far.
pub struct Record {
    started: Instant,
    decided: Option<Instant>,
    answered: Option<Instant>,
    method: Method,
    path: String,
    host: String,
    pub client: Option<std::net::IpAddr>,
    pub request_id: String,
    generation: u64,
    endpoint: Option<String>,
    identity: Option<String>,
    authentication: Option<Step>,
    routing: Option<Step>,
    error: Option<String>,
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
            decided: None,
            answered: None,
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            host: host.unwrap_or_default(),
            client: None,
            request_id: String::new(),
            generation: 0,
            endpoint: None,
            identity: None,
            authentication: None,
            routing: None,
            error: None,
        }
    }

    pub fn deciding(&mut self, generation: u64, endpoint: Option<&Endpoint>) {
        self.generation = generation;
        self.endpoint = endpoint.map(|endpoint| endpoint.id.to_string());
    }

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

    pub fn failed(&mut self, error: &Error) {
        self.error = Some(error.to_string());
    }

    pub fn answered(&mut self) {
        self.answered = Some(Instant::now());
    }

    /// Writes the line.
    pub fn write(&self, status: StatusCode, bytes: u64) {
        let micros = |instant: Option<Instant>| {
            instant.map(|instant| u64::try_from(instant.duration_since(self.started).as_micros()).unwrap_or(u64::MAX))
        };
        tracing::info!(
            target: "access",
            method = %self.method,
            host = %self.host,
            path = %self.path,
            status = status.as_u16(),
            bytes,
            client = self.client.map(tracing::field::display),
            session = self.endpoint.as_deref(),
            identity = self.identity.as_deref(),
            authentication = self.authentication.as_ref().map(|step| step.code.as_ref()),
            authenticator = self.authentication.as_ref().and_then(Step::plugin).map(tracing::field::display),
            authentication_cached = self.authentication.as_ref().map(|step| step.cached),
            routing = self.routing.as_ref().map(|step| step.code.as_ref()),
            policy = self.routing.as_ref().and_then(Step::plugin).map(tracing::field::display),
            routing_cached = self.routing.as_ref().map(|step| step.cached),
            generation = self.generation,
            decided_us = micros(self.decided),
            head_us = micros(self.answered),
            total_us = micros(Some(Instant::now())),
            request_id = %self.request_id,
            error = self.error.as_deref(),
        );
    }
}

// === impl Step ===

impl Step {
    fn plugin(&self) -> Option<&PluginName> {
        self.plugin.as_deref()
    }
}
