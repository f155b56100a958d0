//! Requests that aren't HTTP, or are more of it than anybody needs.

use wicketgate_tests::{Client, Gateway};

use super::{ask, status};
use crate::site::{SESSION, Site, defaults, only, person, token};

/// Each with the statuses that it may get; none: the connection is closed without a word.
fn bad_requests(authorization: &str) -> Vec<(String, &'static [&'static str])> {
    let lines = |lines: &str| format!("{lines}\r\nConnection: close\r\n{authorization}\r\n");
    let get = |more: &str| lines(&format!("GET {SESSION} HTTP/1.1\r\nHost: a{more}"));
    let post = |more: &str, body: &str| lines(&format!("POST {SESSION} HTTP/1.1\r\nHost: a\r\n{more}")) + body;
    let long = "a".repeat(20_000);
    vec![
        // No HTTP at all.
        ("\0\0\0\0\r\n\r\n".into(), &["400"]),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n".into(), &["400"]),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}\r\n\r\n".into(), &["400"]),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), &[""]),
        // The request line.
        (lines(&format!("GET {SESSION}\r\nHost: a")), &["400"]),
        (lines(&format!("GET {SESSION} HTTP/9.9\r\nHost: a")), &["400", "505"]),
        (lines(&format!("GET  {SESSION} HTTP/1.1\r\nHost: a")), &["400"]),
        (lines(&format!("G@T {SESSION} HTTP/1.1\r\nHost: a")), &["400"]),
        (lines(&format!("GET {SESSION}\0 HTTP/1.1\r\nHost: a")), &["400"]),
        (lines("GET /service/s1/%2e%2e/admin HTTP/1.1\r\nHost: a"), &["400"]),
        (lines("GET /service/s1/..\\x HTTP/1.1\r\nHost: a"), &["400"]),
        (lines("CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22"), &["405"]),
        (lines(&format!("TRACE {SESSION} HTTP/1.1\r\nHost: a")), &["405"]),
        (lines(&format!("GET {SESSION}?{long} HTTP/1.1\r\nHost: a")), &["414"]),
        // Headers.
        (lines(&format!("GET {SESSION} HTTP/1.1")), &["400"]),
        (get("\r\nHost: b"), &["400"]),
        (get("\r\nHost : a"), &["400"]),
        (get("\r\nX: a\r\n folded"), &["400"]),
        (get("\r\nX y: a"), &["400"]),
        (get("\r\n: a"), &["400"]),
        (get("\r\nX: a\0b"), &["400"]),
        (get(&format!("\r\nX: {}", long.repeat(4))), &["431"]),
        (get(&"\r\nX: a".repeat(200)), &["431"]),
        // Bodies and their lengths.
        (post("Content-Length: 1\r\nContent-Length: 2", "ab"), &["400"]),
        (post("Content-Length: 1, 2", "ab"), &["400"]),
        (post("Content-Length: -1", ""), &["400"]),
        (post("Content-Length: 0x10", ""), &["400"]),
        (post("Content-Length: 99999999999999999999", ""), &["400"]),
        (post("Transfer-Encoding: gzip", "x"), &["400"]),
        (post("Transfer-Encoding: chunked, identity", "0\r\n\r\n"), &["400"]),
        (post("Transfer-Encoding: chunked", "zz\r\nabc\r\n0\r\n\r\n"), &["400"]),
        (post("Transfer-Encoding: chunked", "3\r\nabcX\r\n0\r\n\r\n"), &["400"]),
        (post("Transfer-Encoding: chunked", "ffffffffffffffff1\r\nabc\r\n"), &["400"]),
        (post("Transfer-Encoding: chunked", "-1\r\nabc\r\n0\r\n\r\n"), &["400"]),
        (post("Expect: miracles\r\nContent-Length: 1", "a"), &["417"]),
    ]
}

#[tokio::test]
async fn malformed_requests_are_refused_and_reach_no_session() {
    let site = Site::new(&only(defaults()));
    let gateway = Gateway::start(&site.config()).await;
    let authorization = format!("Authorization: Bearer {}\r\n", token(&serde_json::json!({"sub": "alice"})));
    for (request, expected) in bad_requests(&authorization) {
        let shown: String = request.chars().take(100).collect();
        let answer = ask(&gateway, request.as_bytes()).await;
        assert!(expected.contains(&status(&answer)), "{shown:?}: expected {expected:?}, got {answer}");
        assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{shown:?}: more than one answer: {answer}");
    }
    assert!(site.upstream.seen().is_empty(), "{:?}", site.upstream.seen());
    gateway.logs("malformed request").await;
    let metrics = Client::default().get(&format!("{}/metrics", gateway.admin)).await.text();
    let malformed = metrics.lines().find_map(|line| line.strip_prefix("wicketgate_http_malformed_total "));
    assert!(malformed.is_some_and(|count| count.parse::<u32>().unwrap() > 10), "{malformed:?}");
    assert_eq!(person("alice").get(&gateway.at(SESSION)).await.status, 200, "the gateway goes on");
    assert!(!gateway.log().contains("panicked"));
}

#[tokio::test]
async fn what_stands_behind_a_request_with_two_lengths_is_no_request() {
    let site = Site::new(&only(defaults()));
    let gateway = Gateway::start(&site.config()).await;
    let authorization = format!("Authorization: Bearer {}", token(&serde_json::json!({"sub": "alice"})));
    let smuggled = format!("GET {SESSION}?smuggled HTTP/1.1\r\nHost: a\r\n{authorization}\r\n\r\n");
    for lengths in ["Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 4"] {
        let request =
            format!("POST {SESSION} HTTP/1.1\r\nHost: a\r\n{authorization}\r\n{lengths}\r\n\r\n1\r\nx\r\n0\r\n\r\n{smuggled}");
        let answer = ask(&gateway, request.as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }
    for seen in site.upstream.seen() {
        assert!(!seen.target.contains("smuggled") && seen.headers.get("content-length").is_none(), "{seen:?}");
        assert_eq!(seen.body, "x");
    }
}
