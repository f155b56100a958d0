//! Counts of requests and connections; one for all workers.

use std::time::Duration;

use http::StatusCode;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::error::Error;

#[derive(Clone, Debug)]
pub struct Metrics {
    /// By the first digit of the status.
    responses: [Counter; 5],
    errors: Family<ErrorLabels, Counter>,
    /// From a request's head to the response's head.
    head_seconds: Histogram,
    pub connections: Gauge,
    pub refused_connections: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    origin: &'static str,
    kind: &'static str,
}

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        Self {
            responses: Default::default(),
            errors: Family::default(),
            head_seconds: Histogram::new([0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0]),
            connections: Gauge::default(),
            refused_connections: Counter::default(),
        }
    }
}

impl Metrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for (counter, class) in metrics.responses.iter().zip(["1xx", "2xx", "3xx", "4xx", "5xx"]) {
            let labelled = registry.sub_registry_with_label(("class".into(), class.into()));
            labelled.register("wicketgate_http_responses", "Responses by the class of their status", counter.clone());
        }
        registry.register("wicketgate_http_errors", "Requests that ended in an error, by whose fault", metrics.errors.clone());
        registry.register(
            "wicketgate_http_head_seconds",
            "From a request's head to the head of its response",
            metrics.head_seconds.clone(),
        );
        registry.register("wicketgate_connections", "Open downstream connections", metrics.connections.clone());
        registry.register(
            "wicketgate_refused_connections",
            "Downstream connections refused because there were too many",
            metrics.refused_connections.clone(),
        );
        metrics
    }

    pub fn responded(&self, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.responses[class].inc();
        self.head_seconds.observe(took.as_secs_f64());
    }

    pub fn failed(&self, error: &Error) {
        self.errors.get_or_create(&ErrorLabels { origin: error.origin.code(), kind: error.kind.code() }).inc();
    }
}
