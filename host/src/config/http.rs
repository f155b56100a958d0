//! `http`: the listener for people and programs, its timeouts and limits.

use std::net::SocketAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    pub listen: SocketAddr,
    /// Threads that carry traffic, each with its own listener and upstream connections. Default: one per core.
    pub workers: Option<std::num::NonZeroUsize>,
    /// Networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<IpNet>,
    pub timeouts: Timeouts,
    pub limits: Limits,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// From a connection's first byte, or the end of the request before, to the end of a request's head: a slow client
    /// holds a connection for no longer.
    pub request_head_ms: u64,
    /// A kept-alive downstream connection without a request.
    pub keep_alive_ms: u64,
    pub upstream_connect_ms: u64,
    /// From the request's end to the response's head. Long: notebooks and models think before they answer.
    pub response_head_ms: u64,
    /// Neither direction of a body moved a byte.
    pub body_idle_ms: u64,
    /// Neither direction of a WebSocket moved a byte. Long: people leave notebooks open over lunch.
    pub upgrade_idle_ms: u64,
    /// An idle upstream connection is kept for so long; shorter than most servers' own keep-alive.
    pub upstream_idle_ms: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Downstream connections in all.
    pub connections: usize,
    /// A request's head with all headers, in bytes.
    pub head_bytes: usize,
    pub headers: usize,
    /// Request target, in bytes.
    pub target_bytes: usize,
    /// A request's body, in bytes. None: no limit, bodies are streamed.
    pub body_bytes: Option<u64>,
    /// Idle connections kept per upstream address and worker.
    pub upstream_idle_connections: usize,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 8080)),
            workers: None,
            trusted_proxies: Vec::new(),
            timeouts: Timeouts::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            request_head_ms: 15_000,
            keep_alive_ms: 75_000,
            upstream_connect_ms: 5_000,
            response_head_ms: 300_000,
            body_idle_ms: 300_000,
            upgrade_idle_ms: 86_400_000,
            upstream_idle_ms: 4_000,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            head_bytes: 64 * 1024,
            headers: 100,
            target_bytes: 16 * 1024,
            body_bytes: None,
            upstream_idle_connections: 64,
        }
    }
}
