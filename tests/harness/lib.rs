//! What integration tests share: a fake of the ClearML API server, upstreams that behave and misbehave, real programs as peers,
//! directories as the kubelet mounts them, a real cluster, and the real gateway as a process. It doesn't know the gateway's crate.

// Whatever goes wrong here fails the test that called it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

pub mod browser;
pub mod cache;
pub mod certificates;
pub mod clearml;
pub mod client;
pub mod cluster;
pub mod components;
pub mod gateway;
pub mod kubernetes;
pub mod life;
pub mod mount;
pub mod network;
pub mod ports;
pub mod programs;
pub mod python;
pub mod relay;
pub mod server;
pub mod soak;
pub mod tcp;
pub mod tls;
pub mod upstream;
pub mod websocket;

pub use browser::Browser;
pub use certificates::Certificate;
pub use clearml::Clearml;
pub use client::{Client, Reply};
pub use cluster::Cluster;
pub use gateway::Gateway;
pub use kubernetes::Kubernetes;
pub use mount::ConfigMap;
pub use network::{Host, Network};
pub use ports::PortRange;
pub use programs::{OpenSsh, Redis, Registry};
pub use relay::{Relay, Way};
pub use tcp::{Listener, greeting, speaker};
pub use tls::{Authority, Pair, TlsClient};
pub use upstream::Upstream;
pub use websocket::{Frame, WebSocket};

use std::time::Duration;

/// Longer than anything takes on a slow machine; no test waits for so long unless it fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until there's an answer.
///
/// # Panics
/// When there's none in `PATIENCE`.
pub async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_within(PATIENCE, what, ask).await
}

/// The same for what takes its time.
pub async fn eventually_within<T>(patience: Duration, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let started = std::time::Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(started.elapsed() < patience, "{what}: not within {patience:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A port that nobody listens on now, and that the system gives to no outgoing connection meanwhile.
pub fn free_port() -> u16 {
    PortRange::free(1).start
}
