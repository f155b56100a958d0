//! Ports of the range: which endpoint has which, and what passes through them. Real programs in `redis` and `ssh`; elsewhere
//! servers that do exactly what a test says.

mod leases;
mod limits;
mod proxy_protocol;
mod redis;
mod relay;
mod ssh;
mod tls;

use serde_json::Value;
use tempfile::TempDir;
use wicketgate_tests::{Gateway, PortRange, eventually};

/// A gateway that leases ports to sessions from a file.
pub(crate) struct Site {
    pub gateway: Gateway,
    /// What the gateway leased to the first session.
    pub port: u16,
    files: TempDir,
}

/// A session of alice's with one TCP endpoint on loopback; `keys` are further ones of the endpoint (`, listen_port: 2222`).
pub(crate) fn session(id: &str, upstream: u16, keys: &str) -> String {
    format!("{{id: {id}, owner: alice, endpoints: [{{name: raw, protocol: tcp, address: 127.0.0.1, port: {upstream}{keys}}}]}}")
}

impl Site {
    /// A gateway with one session `s1`, whose one endpoint is this server.
    async fn before(upstream: u16) -> Self {
        Self::with(&PortRange::free(4).config(), &[session("s1", upstream, "")]).await
    }

    /// A gateway with this configuration and these sessions, the first of which must be served.
    pub async fn with(config: &str, sessions: &[String]) -> Self {
        let files = tempfile::tempdir().unwrap();
        write(&files, sessions);
        let file = files.path().join("sessions.yaml");
        let discovery = format!("discovery: {{file: '{}', dial: {{networks: [127.0.0.0/8]}}}}\n", file.display());
        let gateway = Gateway::start(&(discovery + config)).await;
        let first = sessions[0].trim_start_matches("{id: ").split(',').next().unwrap();
        let port = leased(&gateway, first).await;
        Self { gateway, port, files }
    }

    /// Puts other sessions in the place of all.
    pub fn replace(&self, sessions: &[String]) {
        write(&self.files, sessions);
    }
}

/// In one step, so that nobody reads half a list.
fn write(files: &TempDir, sessions: &[String]) {
    let whole = files.path().join("sessions.new");
    std::fs::write(&whole, format!("sessions: [{}]\n", sessions.join(", "))).unwrap();
    std::fs::rename(whole, files.path().join("sessions.yaml")).unwrap();
}

/// Waits until the one TCP endpoint of a session has its port.
pub(crate) async fn leased(gateway: &Gateway, session: &str) -> u16 {
    eventually(&format!("a port for {session}"), async || {
        let endpoint = endpoint(gateway, session).await?;
        let port = endpoint["listener_port"].as_u64().filter(|_| endpoint["state"] == "routed")?;
        Some(u16::try_from(port).unwrap())
    })
    .await
}

/// Waits until the one endpoint of a session is refused, and answers why.
async fn refused(gateway: &Gateway, session: &str) -> String {
    eventually(&format!("a refusal of {session}"), async || {
        let endpoint = endpoint(gateway, session).await?;
        (endpoint["state"] == "refused").then(|| endpoint["reason"].as_str().unwrap().to_owned())
    })
    .await
}

/// The TCP endpoint of a session, as the status shows it.
async fn endpoint(gateway: &Gateway, session: &str) -> Option<Value> {
    let status = gateway.status("/sessions").await;
    let found = status["sessions"].as_array()?.iter().find(|found| found["id"] == session)?;
    found["endpoints"].as_array()?.iter().find(|endpoint| endpoint["protocol"] == "tcp").cloned()
}
