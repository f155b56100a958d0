//! Real programs over ports of the range: what a session's own server and client say to each other passes as it is.

mod redis;
mod ssh;

use tempfile::TempDir;
use wicketgate_tests::{Gateway, PortRange, eventually};

/// A gateway with one session, whose one endpoint is a TCP server on loopback.
struct Site {
    gateway: Gateway,
    /// What the gateway leased to the session.
    port: u16,
    _files: TempDir,
}

impl Site {
    async fn before(upstream: u16) -> Self {
        let (ports, files) = (PortRange::free(4), tempfile::tempdir().unwrap());
        let file = files.path().join("sessions.yaml");
        let endpoint = format!("{{name: raw, protocol: tcp, address: 127.0.0.1, port: {upstream}}}");
        std::fs::write(&file, format!("sessions: [{{id: s1, owner: alice, endpoints: [{endpoint}]}}]\n")).unwrap();
        let discovery = format!("discovery: {{file: '{}', dial: {{networks: [127.0.0.0/8]}}}}\n", file.display());
        let gateway = Gateway::start(&(ports.config() + &discovery)).await;
        let port = leased(&gateway, "s1").await;
        assert!(ports.contains(port), "{port} isn't within {ports:?}");
        Self { gateway, port, _files: files }
    }
}

/// Waits until the one endpoint of a session has its port.
async fn leased(gateway: &Gateway, session: &str) -> u16 {
    eventually(&format!("a port for {session}"), async || {
        let status = gateway.status("/sessions").await;
        let found = status["sessions"].as_array()?.iter().find(|found| found["id"] == session)?;
        let endpoint = found["endpoints"].as_array()?.first()?;
        assert_ne!(endpoint["state"], "refused", "{endpoint}");
        let port = endpoint["listener_port"].as_u64().filter(|_| endpoint["state"] == "routed")?;
        Some(u16::try_from(port).unwrap())
    })
    .await
}
