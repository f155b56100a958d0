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
    /// Networks whose connections begin with a header of the PROXY protocol (versions 1 and 2): required from these, on both
    /// listeners, and never looked for from others.
    pub proxy_protocol_from: Vec<IpNet>,
    pub timeouts: Timeouts,
    pub limits: Limits,
    pub http2: Http2,
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

/// Connections of clients by HTTP/2. What one may make the gateway remember is about
/// `streams` × `send_buffer_bytes` + `connection_window_bytes`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http2 {
    /// Requests at a time on one connection. Browsers seldom have more than this, and wait then.
    pub streams: u32,
    /// Bytes of a request's body that a client may send ahead of its session. It bounds one upload: window by round trip.
    pub stream_window_bytes: u32,
    /// The same for all requests of a connection.
    pub connection_window_bytes: u32,
    /// Bytes of a response that wait for a client that reads slowly.
    pub send_buffer_bytes: usize,
    /// Requests that a client took back before they were looked at. Over it the connection is closed: that is an attack.
    pub pending_resets: usize,
    /// Requests of one connection that broke the protocol. Over it the connection is closed.
    pub malformed: usize,
    /// After so long without a word the client is asked whether it's there.
    pub ping_ms: u64,
    /// For its answer.
    pub ping_timeout_ms: u64,
    /// After so long a connection takes no more requests, and ends when those that it has do: a client that never reads the
    /// end of an answer holds it no longer, and certificates are looked at again.
    pub connection_age_s: u64,
    /// Connections to a session that declares HTTP/2, per address and worker.
    pub upstream_connections: usize,
    /// Requests at a time on one of them; the session may say less. Over all of them requests wait.
    pub upstream_streams: usize,
    /// Bytes of a response that a session may send ahead of its client. A connection may have all of its requests' together, so
    /// that a client that reads slowly holds up nobody else.
    pub upstream_window_bytes: u32,
    /// An idle one is kept for so long.
    pub upstream_idle_ms: u64,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 8080)),
            workers: None,
            trusted_proxies: Vec::new(),
            proxy_protocol_from: Vec::new(),
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            http2: Http2::default(),
        }
    }
}

impl Default for Http2 {
    fn default() -> Self {
        Self {
            streams: 128,
            stream_window_bytes: 256 * 1024,
            connection_window_bytes: 1024 * 1024,
            send_buffer_bytes: 16 * 1024,
            pending_resets: 20,
            malformed: 100,
            ping_ms: 30_000,
            ping_timeout_ms: 20_000,
            connection_age_s: 3_600,
            upstream_connections: 4,
            upstream_streams: 100,
            upstream_window_bytes: 128 * 1024,
            upstream_idle_ms: 60_000,
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
