//! Each way in which a client, a plugin or an upstream can fail has its own answer, and nothing goes on after it.

use std::sync::Arc;

use super::support::{Setup, Wire, forwarding, mirror, run, upstream};
use crate::domain::decision::{Limits, Routing};

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

const GET: &str = "GET /service/t1/ HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn malformed_requests_are_refused_before_anything_is_decided() {
    run(async {
        let running = Setup::new(mirror().await).start();
        let long = "a".repeat(17_000);
        let wide = format!("GET /service/t1/ HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(70_000));
        let many = format!("GET /service/t1/ HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: a\r\n".repeat(120));
        let target = format!("GET /service/t1/{long} HTTP/1.1\r\nHost: a\r\n\r\n");
        for (request, expected) in [
            ("GET /service/t1/\r\n\r\n", "400"),
            ("GET  /service/t1/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
            ("GET /service/t1/ HTTP/1.1\r\nHost : a\r\n\r\n", "400"),
            ("GET /service/t1/ HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n", "400"),
            ("GET /service/t1/ HTTP/1.1\r\n\r\n", "400"),
            ("GET /service/t1/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400"),
            ("GET /service/t1/ HTTP/1.1\r\nHost: a b\r\n\r\n", "400"),
            ("GET /service/t1/ HTTP/1.1\r\nHost: u@a\r\n\r\n", "400"),
            ("GET /service/t1/ HTTP/1.1\r\nHost:\r\n\r\n", "400"),
            ("GET http://b/service/t1/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
            ("GET /service/t1/../t2/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
            ("GET /service/t1/%2e%2e/t2/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
            ("GET /service/t1/..%5ct2/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
            ("GET /service/t1/a\\b HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
            ("GET /service/t1/%00 HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
            ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
            ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", "405"),
            ("TRACE /service/t1/ HTTP/1.1\r\nHost: a\r\n\r\n", "405"),
            ("POST /service/t1/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400"),
            ("POST /service/t1/ HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", "400"),
            ("POST /service/t1/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: miracle\r\n\r\n", "417"),
            ("POST /service/t1/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "400"),
            ("POST /service/t1/ HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
            (target.as_str(), "414"),
            (wide.as_str(), "431"),
            (many.as_str(), "431"),
        ] {
            let shown = &request[..request.len().min(80)];
            assert_eq!(status(&running.ask(request).await), expected, "{shown:?}");
        }
        assert!(running.fixture.asked.lock().unwrap().is_empty());
        assert!(running.ask(GET).await.starts_with("HTTP/1.1 200"), "the gateway goes on");
    });
}

#[test]
fn length_with_chunks_is_read_as_chunks_and_ends_the_connection() {
    run(async {
        let address = upstream(|mut wire| async move {
            while let Some(head) = wire.try_head().await {
                assert!(head.starts_with("POST / ") && !head.contains("content-length"), "{head}");
                wire.until("1\r\na\r\n0\r\n\r\n").await;
                wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            }
        })
        .await;
        let running = Setup::new(address).start();
        for lines in ["Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 4"] {
            let mut client = running.client().await;
            let request = format!(
                "POST /service/t1/ HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n1\r\na\r\n0\r\n\r\nGET /service/t1/smuggled HTTP/1.1\r\n\r\n"
            );
            client.send(&request).await;
            client.head().await;
            assert_eq!(client.rest().await, "");
        }
    });
}

#[test]
fn each_upstream_failure_has_its_status() {
    run(async {
        let refused = {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap()
        };
        assert_eq!(status(&Setup::new(refused).start().ask(GET).await), "502");

        let reset = upstream(|mut wire| async move {
            wire.head().await;
            socket2::SockRef::from(&wire.stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        });
        assert_eq!(status(&Setup::new(reset.await).start().ask(GET).await), "502");

        let closed = upstream(|mut wire| async move { drop(wire.head().await) });
        assert_eq!(status(&Setup::new(closed.await).start().ask(GET).await), "502");

        let garbage = upstream(|mut wire| async move {
            wire.head().await;
            wire.send("SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
        });
        let answer = Setup::new(garbage.await).start().ask(GET).await;
        assert_eq!(status(&answer), "502");
        assert!(!answer.contains("127.0.0.1") && !answer.contains("SSH"), "{answer}");

        let stalled = upstream(|mut wire| async move {
            wire.head().await;
            assert!(wire.is_closed().await);
        });
        let mut setup = Setup::new(stalled.await);
        setup.config.http.timeouts.response_head_ms = 60;
        assert_eq!(status(&setup.start().ask(GET).await), "504");
    });
}

#[test]
fn a_policy_may_wait_for_less() {
    run(async {
        let stalled = upstream(|mut wire| async move { drop((wire.head().await, wire.rest().await)) }).await;
        let mut setup = Setup::new(stalled);
        let response_timeout = Some(std::time::Duration::from_millis(20));
        let limits = Limits { response_timeout, request_body_bytes: Some(3) };
        setup.routing = Routing::Forward(Arc::new(crate::domain::decision::Forwarding { limits, ..forwarding() }));
        let running = setup.start();
        assert_eq!(status(&running.ask(GET).await), "504");
        let known = "POST /service/t1/ HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd";
        assert_eq!(status(&running.ask(known).await), "413");
        let unknown = "POST /service/t1/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n";
        assert_eq!(status(&running.ask(unknown).await), "413");
    });
}

#[test]
fn an_upstream_that_dies_midway_breaks_the_response_off() {
    run(async {
        let dies = upstream(|mut wire| async move {
            let head = wire.head().await;
            let framing = if head.contains("/length") { "Content-Length: 100" } else { "Transfer-Encoding: chunked" };
            wire.send(&format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n2\r\nab")).await;
        })
        .await;
        let running = Setup::new(dies).start();
        for path in ["length", "chunks"] {
            let mut client = running.client().await;
            client.send(&format!("GET /service/t1/{path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
            client.head().await;
            assert!(!client.rest().await.ends_with("0\r\n\r\n"), "{path}: looks whole");
        }
    });
}

#[test]
fn a_body_that_stops_is_given_up() {
    run(async {
        let stops = upstream(|mut wire| async move {
            wire.head().await;
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nab").await;
            assert!(wire.is_closed().await);
        })
        .await;
        let mut setup = Setup::new(stops);
        setup.config.http.timeouts.body_idle_ms = 60;
        let running = setup.start();
        let mut client = running.client().await;
        client.send(GET).await;
        client.head().await;
        assert_eq!(client.rest().await, "ab");

        let mut client = running.client().await;
        client.send("POST /service/t1/ HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab").await;
        assert_eq!(status(&client.head().await), "200", "the upstream answered before");
    });
}

#[test]
fn a_slow_upload_is_the_clients_fault() {
    run(async {
        let reads = upstream(|mut wire| async move { drop(wire.rest().await) }).await;
        let mut setup = Setup::new(reads);
        setup.config.http.timeouts.body_idle_ms = 60;
        let answer = setup.start().ask("POST /service/t1/ HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab").await;
        assert_eq!(status(&answer), "408");
    });
}

#[test]
fn slow_heads_and_idle_connections_are_closed() {
    run(async {
        let mut setup = Setup::new(mirror().await);
        setup.config.http.timeouts.request_head_ms = 60;
        setup.config.http.timeouts.keep_alive_ms = 60;
        let running = setup.start();
        let mut silent = running.client().await;
        let mut slow = running.client().await;
        slow.send("GET /service/t1/ HTTP/1.1\r\nHo").await;
        let mut kept = running.client().await;
        kept.send(GET).await;
        kept.message().await;
        assert!(silent.is_closed().await);
        assert_eq!(slow.rest().await, "");
        assert!(kept.is_closed().await);
    });
}

#[test]
fn a_stale_connection_costs_a_safe_request_nothing() {
    run(async {
        // Answers one request for each connection and closes it only when the next one comes.
        let stale = upstream(|mut wire: Wire| async move {
            wire.head().await;
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            wire.head().await;
        })
        .await;
        let running = Setup::new(stale).start();
        assert_eq!(status(&running.ask(GET).await), "200");
        assert_eq!(status(&running.ask(GET).await), "200");
        assert_eq!(running.worker.gateway.upstream_metrics.retries.get(), 1);
        // A POST may have been acted on: it isn't sent twice.
        let post = "POST /service/t1/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(status(&running.ask(post).await), "502");
    });
}

#[test]
fn a_fault_of_a_plugin_closes() {
    run(async {
        let never = upstream(|_| async { panic!("something went upstream") }).await;
        let mut setup = Setup::new(never);
        setup.authentication = Err(());
        let answer = setup.start().ask(GET).await;
        assert_eq!(status(&answer), "503");
        assert!(!answer.contains("secret"), "{answer}");
    });
}

#[test]
fn one_connection_too_many_is_refused() {
    run(async {
        let mut setup = Setup::new(mirror().await);
        setup.config.http.limits.connections = 1;
        let running = setup.start();
        let mut first = running.client().await;
        first.send(GET).await;
        first.message().await;
        assert!(running.client().await.is_closed().await);
        first.send(GET).await;
        first.message().await;
    });
}
