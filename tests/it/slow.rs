//! Clients that take their time, by the hundred, and more of them than the gateway has descriptors for: nobody else waits for
//! them.

use std::{net::Ipv4Addr, process::Command};

use serde_json::json;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
};
use wicketgate_tests::{
    Certificate, Client, Gateway, PortRange, Upstream, eventually, free_port, greeting, speaker,
    tcp::{connect, head},
};

use crate::{
    site::{SESSION, Site, defaults, only, person, token},
    tcp::leased,
};

const EACH: usize = 250;
const REQUESTS: usize = 200;

/// Two ends of each connection are in this process.
const DESCRIPTORS: u64 = 4096;

/// Lifts this process's limit of descriptors, which gateways inherit.
fn need_descriptors() {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let soft = line.split_whitespace().next().unwrap();
    if soft.parse().is_ok_and(|soft: u64| soft < DESCRIPTORS) {
        let process = std::process::id().to_string();
        let lifted = Command::new("prlimit").args(["--pid", &process, &format!("--nofile={DESCRIPTORS}:")]).status().unwrap();
        assert!(lifted.success(), "this test needs {DESCRIPTORS} descriptors");
    }
}

/// Connects and says this.
async fn says(port: u16, bytes: &[u8]) -> TcpStream {
    let mut stream = connect(port).await;
    stream.write_all(bytes).await.unwrap();
    stream
}

/// One that takes as little at a time as the system lets it.
async fn hardly_reads(port: u16, bytes: &[u8]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect((Ipv4Addr::LOCALHOST, port).into()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

#[tokio::test]
async fn a_thousand_slow_clients_keep_nobody_waiting() {
    need_descriptors();
    let (site, certificate, secure) = (Site::new(&only(defaults())), Certificate::of("gate.example").await, free_port());
    let timeouts = "{request_head_ms: 3600000, body_idle_ms: 3600000}";
    let config = format!(
        "{}http: {{listen: '127.0.0.1:{{port}}', workers: 2, timeouts: {timeouts}}}\n\
         tls: {{listen: '127.0.0.1:{secure}', handshake_ms: 3600000, certificates: [{{certificate: '{}', key: '{}'}}]}}\n",
        site.config(),
        certificate.certificate.display(),
        certificate.key.display()
    );
    let gateway = Gateway::start(&config).await;
    let bearer = token(&json!({"sub": "alice"}));
    let start = |method: &str, path: &str| {
        format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {bearer}\r\n", gateway.port)
    };
    let (in_head, in_body) = (start("GET", SESSION), start("POST", SESSION) + "Content-Length: 100\r\n\r\nsome of it");
    let unread = start("GET", "/service/s1/bytes/8000000") + "\r\n";
    let mut slow: [Vec<TcpStream>; 4] = Default::default();
    for _ in 0..EACH {
        slow[0].push(says(gateway.port, in_head.as_bytes()).await);
        slow[1].push(says(gateway.port, in_body.as_bytes()).await);
        // The first bytes of a TLS record with a handshake message (RFC 8446, section 5.1).
        slow[2].push(says(secure, b"\x16\x03\x01\x02\x00\x01\x00").await);
        slow[3].push(hardly_reads(gateway.port, unread.as_bytes()).await);
    }
    eventually("all of them are in", async || (gateway.metric("wicketgate_connections").await >= 3 * EACH as u64).then_some(()))
        .await;
    let alice = person("alice");
    let mut served = 0;
    for _ in 0..REQUESTS {
        served += usize::from(alice.get(&gateway.at(SESSION)).await.status == 200);
    }
    assert_eq!(served, REQUESTS);
    assert_eq!(gateway.metric("wicketgate_refused_connections_total").await, 0);
    // They were still there, and may end what they began.
    let [in_head, in_body, ..] = &mut slow;
    for (stream, rest) in [(&mut in_head[0], "\r\n".to_owned()), (&mut in_body[0], "x".repeat(90))] {
        stream.write_all(rest.as_bytes()).await.unwrap();
        let answer = head(stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[tokio::test]
async fn more_connections_than_descriptors_stop_no_listener() {
    let (upstream, raw) = (Upstream::start(), speaker("still there").await);
    let site = Site::new(&only(defaults()));
    site.write_sessions(&format!(
        "sessions:\n  - {{id: s1, owner: alice, endpoints: [{{address: 127.0.0.1, port: {}}}, \
         {{name: raw, protocol: tcp, address: 127.0.0.1, port: {raw}}}]}}\n",
        upstream.port()
    ));
    let gateway = Gateway::start_with_descriptors(&(site.config() + &PortRange::free(2).config()), 128).await;
    let port = leased(&gateway, "s1").await;
    let alice = person("alice");
    assert_eq!(alice.get(&gateway.at(SESSION)).await.status, 200);
    assert_eq!(greeting(port).await.as_deref(), Some("still there"));
    let mut waiting = Vec::new();
    for _ in 0..150 {
        // The system takes them, whether the gateway does or not.
        waiting.push(connect(gateway.port).await);
        waiting.push(connect(port).await);
    }
    gateway.logs("cannot accept connections").await;
    drop(waiting);
    let get = async || alice.try_send(http::Method::GET, &gateway.at(SESSION), bytes::Bytes::new()).await;
    eventually("a request is served again", async || get().await.ok().filter(|reply| reply.status == 200)).await;
    eventually("and the session's port", async || greeting(port).await.filter(|said| said == "still there")).await;
    for _ in 0..20 {
        assert_eq!(alice.get(&gateway.at(SESSION)).await.status, 200);
        assert_eq!(greeting(port).await.as_deref(), Some("still there"));
    }
    assert_eq!(Client::default().get(&format!("{}/readyz", gateway.admin)).await.status, 200);
    assert!(!gateway.log().contains("panicked"));
}
