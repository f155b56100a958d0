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
    /// By the first digit of the status. `counters` are the family's own, looked up once.
    responses: Family<ClassLabel, Counter>,
    counters: [Counter; 5],
    errors: Family<ErrorLabels, Counter>,
    /// From a request's head to the response's head.
    head_seconds: Histogram,
    pub malformed: Counter,
    pub connections: Gauge,
    pub http2_connections: Gauge,
    pub refused_connections: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClassLabel {
    class: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    origin: &'static str,
    kind: &'static str,
}

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        let responses = Family::<ClassLabel, Counter>::default();
        let counters = ["1xx", "2xx", "3xx", "4xx", "5xx"].map(|class| responses.get_or_create_owned(&ClassLabel { class }));
        Self {
            responses,
            counters,
            malformed: Counter::default(),
            errors: Family::default(),
            head_seconds: Histogram::new([0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0]),
            connections: Gauge::default(),
            http2_connections: Gauge::default(),
            refused_connections: Counter::default(),
        }
    }
}

impl Metrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("http_responses", "Responses by the class of their status", metrics.responses.clone());
        registry.register(
            "http_malformed",
            "Requests whose head or body couldn't be read: answered by the protocol itself, and in no other count",
            metrics.malformed.clone(),
        );
        registry.register("http_errors", "Requests that ended in an error, by whose fault", metrics.errors.clone());
        registry.register("http_head_seconds", "From a request's head to the head of its response", metrics.head_seconds.clone());
        registry.register("connections", "Open downstream connections", metrics.connections.clone());
        registry.register("http2_connections", "Those of them that speak HTTP/2", metrics.http2_connections.clone());
        registry.register(
            "refused_connections",
            "Downstream connections refused because there were too many",
            metrics.refused_connections.clone(),
        );
        metrics
    }

    pub fn responded(&self, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.counters[class].inc();
        self.head_seconds.observe(took.as_secs_f64());
    }

    pub fn failed(&self, error: &Error) {
        self.errors.get_or_create(&ErrorLabels { origin: error.origin.code(), kind: error.kind.code() }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_is_named_once_and_by_one_prefix() {
        let mut registry = Registry::with_prefix("wicketgate");
        let metrics = Metrics::register(&mut registry);
        metrics.responded(StatusCode::OK, Duration::from_millis(1));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains("wicketgate_http_responses_total{class=\"2xx\"} 1\n"), "{text}");
        assert_eq!(text.matches("# TYPE wicketgate_http_responses counter").count(), 1, "{text}");
        assert!(!text.contains("wicketgate_wicketgate"), "{text}");
    }
}
