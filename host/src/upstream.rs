//! Carrying bytes to and from sessions: connections, pools, bodies, upgrades. Called by the pipeline once it holds a permit;
//! knows addresses and messages, and nothing of plugins, routes or identities.

pub mod body;
pub mod connect;
pub mod deadline;
pub mod http;
pub mod http2;
pub mod peer;
pub mod pool;
pub mod proxy_protocol;
pub mod relay;
pub mod tls;
pub mod upgrade;

use std::time::Duration;

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};
use tokio::net::TcpStream;

pub use self::{
    body::{RequestBody, ResponseBody},
    connect::{Connector, Stream},
    deadline::{Deadline, Phase},
    http::Upstream,
    http2::Multiplexed,
    peer::Peer,
    pool::Pool,
    tls::Tls,
};
use crate::config;

/// A connection that says nothing is asked so often whether its peer is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// What the configuration says of upstream connections.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub connect: Duration,
    /// From the request's end to the response's head.
    pub response_head: Duration,
    /// Neither direction of a body moved a byte.
    pub body_idle: Duration,
    /// Neither direction of an upgraded connection moved a byte.
    pub upgrade_idle: Duration,
    pub idle: Duration,
    /// Idle connections per address.
    pub idle_connections: usize,
}

/// What upstream connections did; one for all workers.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    pub connects: Counter,
    pub connect_failures: Counter,
    pub retries: Counter,
    pub upgrades: Gauge,
}

// === impl Bounds ===

impl Bounds {
    pub fn new(http: &config::Http) -> Self {
        Self {
            connect: Duration::from_millis(http.timeouts.upstream_connect_ms),
            response_head: Duration::from_millis(http.timeouts.response_head_ms),
            body_idle: Duration::from_millis(http.timeouts.body_idle_ms),
            upgrade_idle: Duration::from_millis(http.timeouts.upgrade_idle_ms),
            idle: Duration::from_millis(http.timeouts.upstream_idle_ms),
            idle_connections: http.limits.upstream_idle_connections,
        }
    }
}

/// So that a peer that vanished is found out on a connection that says nothing, before the idle timeout of an upgraded one,
/// which is a day.
///
/// # Errors
/// The system doesn't let the option be set; the connection works without.
pub fn keep_alive(stream: &TcpStream) -> std::io::Result<()> {
    let keep_alive = socket2::TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE / 4);
    socket2::SockRef::from(stream).set_tcp_keepalive(&keep_alive)
}

// === impl Metrics ===

impl Metrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("upstream_connects", "Connections opened to sessions", metrics.connects.clone());
        registry.register(
            "upstream_connect_failures",
            "Connections to sessions that were refused, timed out or came to no TLS",
            metrics.connect_failures.clone(),
        );
        registry.register("upstream_retries", "Requests sent again because a kept connection was stale", metrics.retries.clone());
        registry.register("upgrades", "Open WebSockets and other upgraded connections", metrics.upgrades.clone());
        metrics
    }
}
