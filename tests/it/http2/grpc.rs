//! A gRPC service behind a host of its own, and a gRPC client that sends its token as metadata.

use serde_json::{Value, json};
use tokio::process::Command;
use wicketgate_tests::{free_port, programs::Program, python};

use super::{Peers, alices_token, told};

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/grpc_peer.py");

/// The service, the gateway before it, and the interpreter for clients.
struct Service {
    peers: Peers,
    python: std::path::PathBuf,
    _program: Program,
}

#[derive(Clone, Copy)]
enum Over {
    Plain,
    Tls,
}

impl Service {
    async fn start() -> Self {
        let python = tokio::task::spawn_blocking(|| python::with_package("grpcio", "1.85.1")).await.unwrap();
        let port = free_port();
        let mut program = Program::start(&python, &[FIXTURE, "serve", &port.to_string()], tempfile::tempdir().unwrap());
        program.listens(port).await;
        Self { peers: Peers::of_alice(port, "upstream_http: http2").await, python, _program: program }
    }

    /// What a client tells of these steps, one after another on one connection.
    async fn call(&self, over: Over, token: &str, steps: &[&str]) -> Value {
        let (port, certificate) = match over {
            Over::Plain => (self.peers.gateway.port, ""),
            Over::Tls => (self.peers.tls_port, self.peers.certificate.certificate.to_str().unwrap()),
        };
        let mut client = Command::new(&self.python);
        client.args([FIXTURE, "call", &format!("127.0.0.1:{port}"), &Peers::authority(port), token, certificate]).args(steps);
        told(client).await
    }
}

#[tokio::test]
async fn a_call_is_answered_with_its_metadata_and_without_the_gateways_token() {
    let service = Service::start().await;
    for over in [Over::Plain, Over::Tls] {
        let told = service.call(over, &alices_token(), &["unary", "seen"]).await;
        let unary = json!({"answer": "good morning", "first": "before the answer", "last": "after the answer"});
        assert_eq!(told["unary"], unary);
        let seen = told["seen"].as_array().unwrap_or_else(|| panic!("{told}"));
        for pair in [json!(["x-mine", "kept"]), json!(["bytes-bin", "00ff"]), json!(["x-wicketgate-user", "alice"])] {
            assert!(seen.contains(&pair), "{pair}: {told}");
        }
        assert!(seen.iter().all(|pair| pair[0] != "authorization"), "the session doesn't see the token: {told}");
    }
}

#[tokio::test]
async fn streams_go_in_either_direction_and_in_both() {
    let service = Service::start().await;
    for over in [Over::Plain, Over::Tls] {
        let told = service.call(over, &alices_token(), &["streams", "chat"]).await;
        assert_eq!(told["streams"], json!({"counted": true, "total": 499_500}), "{told}");
        assert_eq!(told["chat"], json!(["you said a", "you said b", "you said c"]), "{told}");
    }
}

#[tokio::test]
async fn a_status_comes_as_the_service_said_it() {
    let service = Service::start().await;
    let told = service.call(Over::Plain, &alices_token(), &["refused", "broken_off"]).await;
    let refused = json!({"code": "FAILED_PRECONDITION", "details": "not at 100 % – tomorrow", "why": "the moon"});
    assert_eq!(told["refused"], refused, "without a message before it");
    let broken_off = json!({"code": "DATA_LOSS", "details": "the rest is lost", "why": null, "before": ["one", "two"]});
    assert_eq!(told["broken_off"], broken_off, "after messages");
}

#[tokio::test]
async fn many_calls_and_large_ones_share_a_connection() {
    let service = Service::start().await;
    let told = service.call(Over::Plain, &alices_token(), &["parallel", "large", "unary"]).await;
    assert_eq!((&told["parallel"], &told["large"]), (&json!(true), &json!(true)), "{told}");
    assert_eq!(told["unary"]["answer"], "good morning", "{told}");
}

#[tokio::test]
async fn a_client_that_gives_up_is_noticed_by_the_service() {
    let service = Service::start().await;
    let told = service.call(Over::Plain, &alices_token(), &["cancelled", "unary"]).await;
    assert_eq!((&told["cancelled"], &told["unary"]["answer"]), (&json!("True"), &json!("good morning")), "{told}");
}

#[tokio::test]
async fn a_call_that_takes_too_long_for_its_client_ends() {
    let service = Service::start().await;
    let told = service.call(Over::Plain, &alices_token(), &["overdue", "unary"]).await;
    assert_eq!((&told["overdue"], &told["unary"]["answer"]), (&json!("DEADLINE_EXCEEDED"), &json!("good morning")), "{told}");
}

#[tokio::test]
async fn without_a_token_a_call_is_unauthenticated() {
    let service = Service::start().await;
    let told = service.call(Over::Plain, "", &["unary", "chat"]).await;
    assert_eq!(told["unary"]["failed"], "UNAUTHENTICATED", "{told}");
    assert_eq!(told["chat"]["failed"], "UNAUTHENTICATED", "{told}");
}

#[tokio::test]
async fn a_session_that_does_not_answer_is_unavailable() {
    let mut service = Service::start().await;
    // A session whose server never was there, in place of the running one.
    service.peers = Peers::of_alice(free_port(), "upstream_http: http2").await;
    let told = service.call(Over::Plain, &alices_token(), &["unary"]).await;
    assert_eq!(told["unary"]["failed"], "UNAVAILABLE", "{told}");
}
