//! Clients that show certificates, and clients that never finish their handshakes.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::{io::AsyncReadExt, net::TcpStream};
use wicketgate_tests::{Authority, ConfigMap, eventually};

use super::Secured;
use crate::site::{SESSION, defaults_with};

/// Clients that say nothing.
const SILENT: usize = 200;

fn by_certificate() -> String {
    let entry = "{name: auth, kind: authenticator, builtin: cookie-auth, grants: {key_sets: [people]}, \
                 config: {key_sets: [people], certificate_name: common-name}}";
    defaults_with("authenticator", entry)
}

fn asking(more: &'static str) -> impl FnOnce(&ConfigMap) -> String {
    move |mount| format!(", client_ca: '{}'{more}", mount.file("ca.crt").display())
}

#[tokio::test]
async fn a_plugin_reads_a_certificate_that_was_verified() {
    let secured = Secured::with(&by_certificate(), "access: owner", asking("")).await;
    let enter = async |pair: Option<&_>| secured.authority.client(pair).get(secured.port, "a.test", SESSION).await;
    let alice = enter(Some(&secured.authority.issue(&["alice"]))).await.unwrap();
    let got: Value = serde_json::from_str(&alice.body).unwrap();
    let header = |name: &str| got["headers"].as_array()?.iter().find(|pair| pair[0] == name)?[1].as_str();
    assert_eq!((header("x-wicketgate-user"), header("x-forwarded-proto")), (Some("alice"), Some("https")), "{got}");
    // Somebody else, and nobody.
    assert_eq!(enter(Some(&secured.authority.issue(&["bob"]))).await.unwrap().status, 404);
    assert_eq!(enter(None).await.unwrap().status, 401);
    // A name that somebody else signed is no name.
    assert!(enter(Some(&Authority::default().issue(&["alice"]))).await.is_err());
}

#[tokio::test]
async fn a_required_certificate_is_required() {
    let secured = Secured::with(&by_certificate(), "access: public", asking(", client_certificates: required")).await;
    let enter = async |pair: Option<&_>| secured.authority.client(pair).get(secured.port, "a.test", SESSION).await;
    assert!(enter(None).await.is_err());
    assert_eq!(enter(Some(&secured.authority.issue(&["bob"]))).await.unwrap().status, 200);
    assert!(secured.metric("wicketgate_tls_handshakes_total{result=\"refused\"}").await.is_some_and(|refused| refused > 0.0));
}

#[tokio::test]
async fn clients_that_never_finish_a_handshake_hold_up_nobody() {
    let secured = Secured::with(&crate::site::defaults(), "access: public", |_| ", handshake_ms: 2000".into()).await;
    let gateway = SocketAddr::from(([127, 0, 0, 1], secured.port));
    let mut silent = Vec::new();
    for number in 0..SILENT {
        let mut stream = TcpStream::connect(gateway).await.unwrap();
        if number % 2 == 0 {
            // The beginning of a record, and no more of it.
            tokio::io::AsyncWriteExt::write_all(&mut stream, &[0x16, 3, 1, 2, 0, 1]).await.unwrap();
        }
        silent.push(stream);
    }
    for _ in 0..3 {
        secured.shown("a.test").await;
    }
    let too_slow = "wicketgate_tls_handshakes_total{result=\"too-slow\"}";
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    eventually("all are given up", async || (secured.metric(too_slow).await? >= SILENT as f64).then_some(())).await;
    for mut stream in silent {
        let mut rest = Vec::new();
        // Closed, whether in order or not.
        let _ = stream.read_to_end(&mut rest).await;
    }
}
