//! Upstreams that aren't what they were said to be.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    time::Duration,
};

use wicketgate_tests::{Client, Gateway};

use super::A_MOMENT;
use crate::site::{Site, defaults, only, person};

/// Answers each connection's first request with these bytes, then does as told.
struct Liar {
    port: u16,
}

#[derive(Clone, Copy)]
enum Then {
    Close,
    Reset,
    /// Says no more, until the gateway leaves.
    Stall,
}

// === impl Liar ===

impl Liar {
    fn start(answer: &'static [u8], then: Then) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                std::thread::spawn(move || lie(&mut stream, answer, then));
            }
        });
        Self { port }
    }
}

fn lie(stream: &mut TcpStream, answer: &[u8], then: Then) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if !stream.read(&mut byte).is_ok_and(|read| read == 1) {
            return;
        }
        head.push(byte[0]);
    }
    let _ = stream.write_all(answer);
    match then {
        Then::Close => drop(stream.shutdown(Shutdown::Both)),
        // Closing with unread bytes of the gateway's would do as well; this needs none.
        Then::Reset => drop(socket2::SockRef::from(&*stream).set_linger(Some(Duration::ZERO))),
        Then::Stall => drop(stream.read(&mut byte)),
    }
}

/// A gateway with the usual site, whose file has these endpoints as sessions `u0`, `u1`, … of alice.
async fn gateway(site: &Site, ports: &[u16]) -> Gateway {
    let sessions = ports.iter().enumerate().fold("sessions:\n".to_owned(), |text, (number, port)| {
        text + &format!("  - {{id: u{number}, owner: alice, endpoints: [{{address: 127.0.0.1, port: {port}}}]}}\n")
    });
    site.write_sessions(&sessions);
    Gateway::start(&(site.config() + "http: {listen: '127.0.0.1:{port}', workers: 2, timeouts: {response_head_ms: 300}}\n")).await
}

#[tokio::test]
async fn one_that_gives_no_answer_is_a_bad_gateway_or_a_timeout() {
    let site = Site::new(&only(defaults()));
    let cases: &[(&str, &'static [u8], Then, u16)] = &[
        ("closes", b"", Then::Close, 502),
        ("resets", b"", Then::Reset, 502),
        ("stalls", b"", Then::Stall, 504),
        ("stalls within the head", b"HTTP/1.1 200 OK\r\nContent-", Then::Stall, 504),
        ("closes within the head", b"HTTP/1.1 200 OK\r\nContent-", Then::Close, 502),
        ("speaks SSH", b"SSH-2.0-OpenSSH_9.2\r\n", Then::Stall, 502),
        ("speaks HTTP/2", b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64", Then::Stall, 502),
        ("has an invalid status", b"HTTP/1.1 99999 OK\r\n\r\n", Then::Close, 502),
        ("has an invalid header", b"HTTP/1.1 200 OK\r\nA B: c\r\n\r\n", Then::Close, 502),
        ("has two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", Then::Close, 502),
        ("switches unasked", b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", Then::Stall, 502),
    ];
    let mut ports: Vec<u16> = cases.iter().map(|(_, answer, then, _)| Liar::start(answer, *then).port).collect();
    // Nobody listens.
    ports.push(wicketgate_tests::free_port());
    let gateway = gateway(&site, &ports).await;
    let ask = async |number: usize| person("alice").get(&gateway.at(&format!("/service/u{number}/"))).await;
    for (number, (what, _, _, expected)) in cases.iter().enumerate() {
        let reply = ask(number).await;
        assert_eq!(reply.status.as_u16(), *expected, "{what}: {}", reply.text());
        assert!(!reply.text().contains("127.0.0.1"), "{what}: the client is told too much: {}", reply.text());
    }
    assert_eq!(ask(cases.len()).await.status, 502, "refuses");
    assert!(!gateway.log().contains("panicked"));
}

#[tokio::test]
async fn one_that_lies_about_its_length_is_never_taken_for_whole() {
    let site = Site::new(&only(defaults()));
    let liars = [
        Liar::start(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", Then::Close),
        Liar::start(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", Then::Reset),
        Liar::start(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", Then::Close),
        Liar::start(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", Then::Close),
        Liar::start(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n", Then::Close),
    ];
    let gateway = gateway(&site, &liars.map(|liar| liar.port)).await;
    for number in 0..5 {
        let url = gateway.at(&format!("/service/u{number}/"));
        let reply = person("alice").try_send(http::Method::GET, &url, bytes::Bytes::new()).await;
        assert!(reply.is_err(), "u{number}: {reply:?}");
    }
}

#[tokio::test]
async fn what_one_says_beyond_its_length_is_nobodys_answer() {
    let site = Site::new(&only(defaults()));
    let liar = Liar::start(
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        Then::Stall,
    );
    let gateway = gateway(&site, &[liar.port]).await;
    let url = gateway.at("/service/u0/");
    for _ in 0..8 {
        let reply = person("alice").get(&url).await;
        assert_eq!((reply.status.as_u16(), reply.text().as_str()), (200, "abc"));
        // The rest may come while the connection waits in the pool.
        tokio::time::sleep(A_MOMENT / 8).await;
    }
    assert_eq!(Client::default().get(&url).await.status, 401);
}
