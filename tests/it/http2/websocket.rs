//! WebSockets over HTTP/1.1 and as streams of HTTP/2 (RFC 8441), to a server that knows the former only.

use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::process::Command;
use wicketgate_tests::{free_port, programs::Program, python};

use super::{Peers, alices_token, told};

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/websocket_peer.py");
const PACKAGES: [(&str, &str); 3] = [("websockets", "17.4"), ("wsproto", "1.3.2"), ("h2", "4.4.1")];

struct Site {
    peers: Peers,
    python: PathBuf,
    _program: Program,
}

impl Site {
    async fn start() -> Self {
        let python = tokio::task::spawn_blocking(|| python::with_packages(&PACKAGES)).await.unwrap();
        let port = free_port();
        let mut program = Program::start(&python, &[FIXTURE, "serve", &port.to_string()], tempfile::tempdir().unwrap());
        program.listens(port).await;
        Self { peers: Peers::of_alice(port, "").await, python, _program: program }
    }

    /// What a client tells that speaks this version.
    async fn talk(&self, version: &str, authority: &str, path: &str, token: &str) -> Value {
        let mut client = Command::new(&self.python);
        client.args([FIXTURE, version, &self.peers.gateway.port.to_string(), authority, path, token]);
        told(client).await
    }
}

#[tokio::test]
async fn over_http1_messages_pings_and_the_closes_reason_pass() {
    let site = Site::start().await;
    let authority = format!("127.0.0.1:{}", site.peers.gateway.port);
    let told = site.talk("http1", &authority, "/service/s1/socket", &alices_token()).await;
    let wanted = json!({"status": 101, "text": "good morning", "large": true, "pong": true, "closed": [4001, "as told"]});
    assert_eq!(told, wanted);
    assert_eq!(site.talk("http1", &authority, "/service/s1/socket", "").await, json!({"status": 401}));
}

#[tokio::test]
async fn over_http2_several_share_a_connection_with_other_requests() {
    let site = Site::start().await;
    let port = site.peers.gateway.port;
    for (authority, path) in [(format!("127.0.0.1:{port}"), "/service/s1/socket"), (Peers::authority(port), "/socket")] {
        let told = site.talk("http2", &authority, path, &alices_token()).await;
        let wanted = json!({
            "allowed": true, "status": 200, "text": "good morning", "other": "good evening", "large": true, "pong": true,
            // What the server says to a request for a page.
            "beside": 426,
            "closed": [4001, "as told"], "after": "still there?",
        });
        assert_eq!(told, wanted, "{authority}{path}");
    }
    let stranger = site.talk("http2", &format!("127.0.0.1:{port}"), "/service/s1/socket", "").await;
    assert_eq!(stranger, json!({"allowed": true, "status": 401}));
}
