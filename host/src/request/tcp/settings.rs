//! What all workers share about TCP: limits, timeouts, counts.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::Places;
use crate::{
    config,
    request::Slots,
    upstream::relay::{End, Goodbye, Relayed},
};

/// See the module.
pub struct Tcp {
    /// In all.
    pub places: Slots,
    pub counted: Places,
    pub idle: Duration,
    pub metrics: Metrics,
}

/// What TCP connections did.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    pub accepted: Counter,
    pub connections: Gauge,
    refused: Family<Reason, Counter>,
    ends: Family<Reason, Counter>,
    bytes: Family<Direction, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Direction {
    direction: &'static str,
}

// === impl Tcp ===

impl Tcp {
    pub fn new(config: &config::Tcp, metrics: Metrics) -> Self {
        Self {
            places: Slots::new(config.limits.connections),
            counted: Places::new(&config.limits),
            idle: Duration::from_millis(config.timeouts.idle_ms),
            metrics,
        }
    }
}

// === impl Metrics ===

impl Metrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("tcp_accepted", "Connections to leased ports", metrics.accepted.clone());
        registry.register("tcp_connections", "Open connections to leased ports", metrics.connections.clone());
        registry.register("tcp_refused", "Connections that weren't let in, by reason", metrics.refused.clone());
        registry.register("tcp_ended", "Connections that ended, by how", metrics.ends.clone());
        registry.register("tcp_bytes", "Bytes through leased ports", metrics.bytes.clone());
        metrics
    }

    pub fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason }).inc();
    }

    pub fn ended(&self, relayed: &Relayed) {
        self.ends.get_or_create(&Reason { reason: code(relayed.end) }).inc();
        for (direction, bytes) in [("in", relayed.moved.from_client), ("out", relayed.moved.from_upstream)] {
            self.bytes.get_or_create(&Direction { direction }).inc_by(bytes);
        }
    }
}

/// How a connection ended, for metrics and the log.
pub fn code(end: End) -> &'static str {
    match end {
        End::Finished => "finished",
        End::ClientBroke => "client-broke",
        End::UpstreamBroke => "upstream-broke",
        End::Idle => "idle",
        End::Left(Goodbye::Denied) => "denied",
        End::Left(Goodbye::Gone) => "gone",
        End::Left(Goodbye::Undecided) => "undecided",
        End::Left(Goodbye::Draining) => "draining",
    }
}
