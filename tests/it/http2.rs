//! HTTP/2, with prior knowledge and over TLS: real clients and servers of gRPC and WebSockets, curl, and the trials of h2spec.

mod conformance;
mod curl;
mod floods;
mod grpc;
mod websocket;

use serde_json::{Value, json};
use wicketgate_tests::{Certificate, Gateway, PATIENCE, eventually, free_port, programs::output};

use crate::site::{Site, defaults, only, token};

/// Sessions have hosts of their own below it, so that clients that know nothing of paths reach them.
const DOMAIN: &str = "apps.localhost";

/// A gateway with TLS and without, before one session `s1` of alice's.
struct Peers {
    gateway: Gateway,
    tls_port: u16,
    certificate: Certificate,
    site: Site,
}

impl Peers {
    /// The session is the site's own upstream, which answers what it got; everybody may enter.
    async fn open_to_all() -> Self {
        Self::before("access: public", None).await
    }

    /// The session is a server on a port of loopback, with further keys of its endpoint, and alice's alone.
    async fn of_alice(port: u16, keys: &str) -> Self {
        Self::before("access: owner", Some((port, keys))).await
    }

    async fn before(access: &str, upstream: Option<(u16, &str)>) -> Self {
        let (site, certificate, tls_port) = (Site::new(&only(defaults())), Certificate::of(DOMAIN).await, free_port());
        let (port, keys) = upstream.unwrap_or((site.upstream.port(), ""));
        let endpoint = format!("{{address: 127.0.0.1, port: {port}, {keys}}}");
        site.write_sessions(&format!("sessions: [{{id: s1, owner: alice, {access}, endpoints: [{endpoint}]}}]\n"));
        let tls = format!(
            "base_domain: {DOMAIN}\ntls: {{listen: '127.0.0.1:{tls_port}', certificates: [{{certificate: '{}', key: '{}'}}]}}\n",
            certificate.certificate.display(),
            certificate.key.display()
        );
        let gateway = Gateway::start(&(site.config() + &tls)).await;
        eventually("the session is known", async || {
            gateway.status("/sessions").await["sessions"].to_string().contains("\"s1\"").then_some(())
        })
        .await;
        Self { gateway, tls_port, certificate, site }
    }

    /// The host of the session, with the port that a client reaches it on.
    fn authority(port: u16) -> String {
        format!("s1.{DOMAIN}:{port}")
    }
}

fn alices_token() -> String {
    token(&json!({"sub": "alice"}))
}

/// Runs a client to its end and answers the JSON that it prints.
async fn told(client: tokio::process::Command) -> Value {
    let said = output(client, PATIENCE.saturating_mul(2)).await;
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}
