use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::{config::Secret, shutdown};

struct Scripted(Result<(), Vec<String>>);

impl Status for Scripted {
    fn readiness(&self) -> Result<(), Vec<String>> {
        self.0.clone()
    }

    fn sessions(&self) -> serde_json::Value {
        serde_json::json!([{"id": "t1"}])
    }

    fn plugins(&self) -> serde_json::Value {
        serde_json::json!({"generation": 1})
    }

    fn decision(&self, id: &str) -> Option<serde_json::Value> {
        (id == "1").then(|| serde_json::json!({"id": "1"}))
    }

    fn decisions(&self, kind: Option<&str>, last: usize) -> Result<String, String> {
        Ok(format!("{kind:?} {}\n", last.min(9)))
    }
}

fn admin(listen: &str, token: Option<&str>, readiness: Result<(), Vec<String>>) -> Admin {
    let config = config::Admin { listen: listen.parse().unwrap(), token: token.map(Secret::new), connections: 2 };
    Admin::new(&config, Arc::new(Scripted(readiness)), Arc::new(telemetry::registry()))
}

fn asked(admin: &Admin, path: &str, headers: &[(&str, &str)]) -> Response<Full<Bytes>> {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    admin.answer(&request.body(()).unwrap())
}

fn status(admin: &Admin, path: &str, headers: &[(&str, &str)]) -> u16 {
    asked(admin, path, headers).status().as_u16()
}

const HERE: (&str, &str) = ("host", "127.0.0.1:9090");
const PROBE: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const ALL: [&str; 8] = ["/healthz", "/readyz", "/metrics", "/sessions", "/plugins", "/decisions", "/decisions/1", "/"];

#[test]
fn loopback_is_open_to_addresses_of_this_machine_only() {
    let admin = admin("127.0.0.1:9090", None, Ok(()));
    for path in ALL {
        for host in ["127.0.0.1:9090", "localhost:9090", "LOCALHOST", "[::1]:9090", "10.0.0.7"] {
            assert_eq!(status(&admin, path, &[("host", host)]), 200, "{path} {host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:9090", "", "a b"] {
            assert_eq!(status(&admin, path, &[("host", host)]), 421, "{path} {host}");
        }
        assert_eq!(status(&admin, path, &[]), 421);
        assert_eq!(status(&admin, path, &[HERE, ("host", "evil.example")]), 421);
    }
}

#[test]
fn off_loopback_only_health_and_metrics_go_without_the_token() {
    let (without, with) = (admin("0.0.0.0:9090", None, Ok(())), admin("0.0.0.0:9090", Some("hush"), Ok(())));
    let host = ("host", "gate.monitoring:9090");
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!((status(&without, path, &[host]), status(&with, path, &[host])), (200, 200), "{path}");
    }
    for path in ["/sessions", "/plugins", "/decisions", "/decisions/1", "/decisions/2", "/"] {
        assert_eq!(status(&without, path, &[host, ("authorization", "Bearer ")]), 403, "{path}");
        for sent in ["Bearer hus", "Bearer hush2", "Bearer ", "Basic hush", "hush", "Bearer"] {
            assert_eq!(status(&with, path, &[host, ("authorization", sent)]), 401, "{path} {sent}");
        }
        assert_eq!(status(&with, path, &[host, ("authorization", "Bearer hush"), ("authorization", "Bearer x")]), 401);
        let shown = if path == "/decisions/2" { 404 } else { 200 };
        assert_eq!(status(&with, path, &[host, ("authorization", "bearer hush")]), shown, "{path}");
    }
}

#[test]
fn a_token_that_is_configured_is_asked_for_on_loopback_too() {
    let admin = admin("[::1]:9090", Some("hush"), Ok(()));
    assert_eq!(status(&admin, "/sessions", &[HERE]), 401);
    assert_eq!(status(&admin, "/sessions", &[HERE, ("authorization", "Bearer hush")]), 200);
    assert_eq!(status(&admin, "/healthz", &[HERE]), 200);
}

#[tokio::test]
async fn decisions_are_asked_for_by_kind_and_number() {
    let admin = admin("127.0.0.1:9090", None, Ok(()));
    for (path, expected) in [
        ("/decisions", "None 9\n"),
        ("/decisions?kind=authenticator&last=3", "Some(\"authenticator\") 3\n"),
        ("/decisions?last=x", "last: found \"x\", expected a number\n"),
        ("/decisions?first=1", "found \"first\", expected kind or last\n"),
    ] {
        let body = asked(&admin, path, &[HERE]).into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, expected, "{path}");
    }
}

#[test]
fn nothing_but_reading_is_offered() {
    let admin = admin("127.0.0.1:9090", None, Ok(()));
    let request = Request::post("/sessions").header("host", "localhost").body(()).unwrap();
    let response = admin.answer(&request);
    assert_eq!((response.status().as_u16(), &response.headers()["allow"]), (405, &HeaderValue::from_static("GET, HEAD")));
    assert_eq!(status(&admin, "/sessions/", &[HERE]), 404);
}

#[tokio::test]
async fn a_gateway_that_is_not_ready_says_why() {
    let admin = admin("127.0.0.1:9090", None, Err(vec!["no plugins yet".into(), "clearml: not asked yet".into()]));
    let response = asked(&admin, "/readyz", &[HERE]);
    assert_eq!(response.status(), 503);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "no plugins yet\nclearml: not asked yet\n");
    assert_eq!(status(&admin, "/healthz", &[HERE]), 200, "alive all the same");
}

#[tokio::test]
async fn a_port_in_use_is_said_with_its_key() {
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let taken = listener.local_addr().unwrap();
    let error = bind(taken).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("admin.listen: {taken} is in use by another program; choose another port or stop that program")
    );
}

#[tokio::test]
async fn it_serves_within_its_connections_until_hurried() {
    let admin = Arc::new(admin("127.0.0.1:0", None, Ok(())));
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (trigger, shutdown) = shutdown::channel();
    let serving = tokio::spawn(admin.serve(listener, shutdown));
    // Two connections that say nothing hold both places; the third is served once one of them is gone.
    let silent = tokio::net::TcpStream::connect(address).await.unwrap();
    let _other = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut third = tokio::net::TcpStream::connect(address).await.unwrap();
    third.write_all(PROBE).await.unwrap();
    drop(silent);
    let mut answer = String::new();
    third.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok\n"), "{answer}");
    trigger.advance();
    // Probes are answered while the gateway drains.
    let mut fourth = tokio::net::TcpStream::connect(address).await.unwrap();
    fourth.write_all(PROBE).await.unwrap();
    fourth.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{answer}");
    trigger.advance();
    serving.await.unwrap();
}
