//! Bodies and connections: what comes in goes out, at once and whole.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{Setup, mirror, run, upstream};
use crate::listener::Drain;

#[test]
fn connections_are_kept_on_both_sides() {
    run(async {
        let running = Setup::new(mirror().await).start();
        let mut client = running.client().await;
        for _ in 0..3 {
            client.send("GET /service/t1/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert!(client.message().await.contains("GET /x HTTP/1.1"));
        }
        assert_eq!(running.worker.gateway.upstream_metrics.connects.get(), 1);
    });
}

#[test]
fn chunks_and_trailers_pass_both_ways() {
    run(async {
        let address = upstream(|mut wire| async move {
            let head = wire.head().await;
            assert!(head.contains("transfer-encoding: chunked"), "{head}");
            let body = wire.until("0\r\nsum: 7\r\n\r\n").await;
            assert!(body.contains("hello"), "{body}");
            assert!(!body.contains("forged"), "{body}");
            wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: check\r\n\r\n2\r\nok\r\n0\r\ncheck: 9\r\n\r\n")
                .await;
        })
        .await;
        let running = Setup::new(address).start();
        let mut client = running.client().await;
        client
            .send(
                "POST /service/t1/ HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: te\r\nTrailer: sum, x-wicketgate-user\r\n\
                 Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nsum: 7\r\nX-Wicketgate-User: forged\r\n\r\n",
            )
            .await;
        let answer = client.until("0\r\ncheck: 9\r\n\r\n").await;
        assert!(answer.contains("2\r\nok\r\n"), "{answer}");
    });
}

#[test]
fn a_chunked_get_keeps_its_body() {
    run(async {
        let address = upstream(|mut wire| async move {
            wire.head().await;
            wire.until("2\r\n{}\r\n0\r\n\r\n").await;
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        })
        .await;
        let running = Setup::new(address).start();
        let request = "GET /service/t1/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
        assert!(running.ask(request).await.starts_with("HTTP/1.1 200"));
    });
}

#[test]
fn continue_is_said_only_when_the_body_is_wanted() {
    run(async {
        let address = upstream(|mut wire| async move {
            let head = wire.head().await;
            assert!(!head.contains("expect"), "{head}");
            assert_eq!(wire.exactly(2).await, b"hi");
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        })
        .await;
        let running = Setup::new(address).start();
        let mut client = running.client().await;
        client.send("PUT /service/t1/ HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n").await;
        assert!(client.head().await.starts_with("HTTP/1.1 100"));
        client.send("hi").await;
        assert!(client.head().await.starts_with("HTTP/1.1 200"));

        // Refused without the body: never asked to send it.
        let mut client = running.client().await;
        client.send("PUT /service/nobody/ HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n").await;
        assert!(client.head().await.starts_with("HTTP/1.1 404"));
    });
}

#[test]
fn events_arrive_before_the_stream_ends() {
    run(async {
        let (more, wanted) = tokio::sync::watch::channel(false);
        let address = upstream(move |mut wire| {
            let mut wanted = wanted.clone();
            async move {
                wire.head().await;
                wire.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: one\n\n").await;
                wanted.wait_for(|wanted| *wanted).await.unwrap();
                wire.send("data: two\n\n").await;
            }
        })
        .await;
        let running = Setup::new(address).start();
        let mut client = running.client().await;
        client.send("GET /service/t1/ HTTP/1.1\r\nHost: a\r\n\r\n").await;
        client.until("data: one\n\n").await;
        more.send(true).unwrap();
        client.until("data: two\n\n").await;
    });
}

#[test]
fn a_large_body_is_not_kept() {
    const SIZE: usize = 64 << 20;
    run(async {
        let (hold, held) = tokio::sync::watch::channel(false);
        let address = upstream(move |mut wire| {
            let mut held = held.clone();
            async move {
                wire.head().await;
                held.wait_for(|held| *held).await.unwrap();
                let mut left = SIZE - wire.buffered();
                let mut chunk = vec![0; 1 << 16];
                while left > 0 {
                    let count = wire.stream.read(&mut chunk).await.unwrap();
                    assert!(count > 0);
                    left -= count;
                }
                wire.send(&format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n")).await;
                let chunk = vec![b'x'; 1 << 16];
                for _ in 0..SIZE / chunk.len() {
                    wire.stream.write_all(&chunk).await.unwrap();
                }
            }
        })
        .await;
        let running = Setup::new(address).start();
        let mut client = running.client().await;
        client.send(&format!("POST /service/t1/ HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n")).await;
        let (mut read, mut write) = client.stream.split();
        // As long as the upstream doesn't read, the client is held back by what fits into sockets and a few buffers.
        let chunk = vec![b'y'; 1 << 16];
        let (mut sent, mut refused) = (0, 0);
        while refused < 10_000 {
            match write.try_write(&chunk) {
                Ok(count) => (sent, refused) = (sent + count, 0),
                Err(_) => {
                    refused += 1;
                    tokio::task::yield_now().await;
                }
            }
        }
        assert!(sent < SIZE / 2, "{sent} bytes were kept somewhere");
        hold.send(true).unwrap();
        let upload = async {
            while sent < SIZE {
                let most = chunk.len().min(SIZE - sent);
                sent += write.write(&chunk[..most]).await.unwrap();
            }
        };
        let download = async {
            let mut got = 0;
            let mut chunk = vec![0; 1 << 16];
            while got < SIZE {
                let count = read.read(&mut chunk).await.unwrap();
                assert!(count > 0, "ended after {got} bytes");
                got += count;
            }
        };
        tokio::join!(upload, download);
    });
}

#[test]
fn a_client_that_leaves_is_felt_upstream() {
    run(async {
        let (gone, mut felt) = tokio::sync::watch::channel(0);
        let gone = std::rc::Rc::new(gone);
        let address = upstream(move |mut wire| {
            let gone = gone.clone();
            async move {
                let head = wire.head().await;
                if head.contains("/streaming") {
                    wire.send("HTTP/1.1 200 OK\r\n\r\nx").await;
                }
                assert!(wire.is_closed().await);
                gone.send_modify(|count| *count += 1);
            }
        })
        .await;
        let running = Setup::new(address).start();
        let mut waiting = running.client().await;
        waiting.send("GET /service/t1/waiting HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut streaming = running.client().await;
        streaming.send("GET /service/t1/streaming HTTP/1.1\r\nHost: a\r\n\r\n").await;
        streaming.head().await;
        drop((waiting, streaming));
        felt.wait_for(|count| *count == 2).await.unwrap();
    });
}

#[test]
fn a_drain_lets_the_request_end_and_closes_the_connection() {
    run(async {
        let (go, going) = tokio::sync::watch::channel(false);
        let address = upstream(move |mut wire| {
            let mut going = going.clone();
            async move {
                wire.head().await;
                going.wait_for(|go| *go).await.unwrap();
                wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            }
        })
        .await;
        let running = Setup::new(address).start();
        let mut idle = running.client().await;
        let mut client = running.client().await;
        client.send("GET /service/t1/ HTTP/1.1\r\nHost: a\r\n\r\n").await;
        while running.fixture.asked.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        running.drain.send(Drain::Until(tokio::time::Instant::now() + std::time::Duration::from_secs(10))).unwrap();
        assert!(idle.is_closed().await);
        go.send(true).unwrap();
        let answer = client.message().await;
        assert!(answer.ends_with("ok") && answer.contains("connection: close"), "{answer}");
        running.serving.await.unwrap();
    });
}
