//! WebSockets and other upgrades: nothing moves before the upstream agreed, then everything does.

use tokio::io::AsyncWriteExt;

use super::support::{Setup, mirror, run, upstream};

const HANDSHAKE: &str = "GET /service/t1/ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
                         Sec-WebSocket-Key: k\r\nCookie: gate=secret; own=1\r\nX-Wicketgate-User: forged\r\n\r\n";

const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n";

#[test]
fn bytes_pass_both_ways_after_the_handshake() {
    run(async {
        let echo = upstream(|mut wire| async move {
            let head = wire.head().await;
            assert!(head.contains("connection: upgrade\r\n") && head.contains("upgrade: websocket\r\n"), "{head}");
            assert!(head.contains("cookie: own=1\r\n") && !head.contains("secret") && !head.contains("forged"), "{head}");
            wire.send(SWITCHING).await;
            assert_eq!(wire.exactly(4).await, b"ping");
            wire.send("pong").await;
            // The client ended its half; ours is still open.
            assert!(wire.is_closed().await);
            wire.send("late").await;
        })
        .await;
        let running = Setup::new(echo).start();
        let mut client = running.client().await;
        client.send(HANDSHAKE).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 101") && head.contains("sec-websocket-accept: x"), "{head}");
        client.send("ping").await;
        assert_eq!(client.exactly(4).await, b"pong");
        assert_eq!(running.worker.upgraded.count(), 1);
        client.stream.shutdown().await.unwrap();
        assert_eq!(client.rest().await, "late");
        running.worker.upgraded.none_left().await;
    });
}

#[test]
fn no_byte_passes_before_the_upstream_agreed() {
    run(async {
        let (agree, agreed) = tokio::sync::watch::channel(false);
        let (tell, mut told) = tokio::sync::watch::channel(());
        let tell = std::rc::Rc::new(tell);
        let waits = upstream(move |mut wire| {
            let (mut agreed, tell) = (agreed.clone(), tell.clone());
            async move {
                wire.head().await;
                tell.send(()).unwrap();
                let early = tokio::select! {
                    byte = wire.exactly(1) => Some(byte),
                    _ = agreed.wait_for(|agreed| *agreed) => None,
                };
                assert_eq!(early, None, "a byte came before the 101");
                wire.send(SWITCHING).await;
                assert_eq!(wire.exactly(5).await, b"early");
                wire.send("after").await;
            }
        })
        .await;
        let running = Setup::new(waits).start();
        let mut client = running.client().await;
        client.send(&format!("{HANDSHAKE}early")).await;
        told.changed().await.unwrap();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        agree.send(true).unwrap();
        assert!(client.head().await.starts_with("HTTP/1.1 101"));
        assert_eq!(client.exactly(5).await, b"after");
    });
}

#[test]
fn a_refused_upgrade_is_an_answer_like_any_other() {
    run(async {
        let refuses = upstream(|mut wire| async move {
            wire.head().await;
            wire.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno").await;
        })
        .await;
        let running = Setup::new(refuses).start();
        let answer = running.ask(HANDSHAKE).await;
        assert!(answer.starts_with("HTTP/1.1 403") && answer.ends_with("no"), "{answer}");
    });
}

#[test]
fn only_the_protocol_asked_for_is_switched_to() {
    run(async {
        let other = upstream(|mut wire| async move {
            wire.head().await;
            wire.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n").await;
            wire.rest().await;
        })
        .await;
        let running = Setup::new(other).start();
        assert!(running.ask(HANDSHAKE).await.starts_with("HTTP/1.1 502"));
        assert!(running.get("/service/t1/", "").await.starts_with("HTTP/1.1 502"), "nobody asked for a switch");
    });
}

#[test]
fn h2c_is_never_asked_for() {
    run(async {
        let running = Setup::new(mirror().await).start();
        let lines = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n";
        let answer = running.get("/service/t1/", lines).await;
        assert!(!answer.contains("h2c") && !answer.contains("http2-settings"), "{answer}");
    });
}

#[test]
fn an_idle_socket_is_closed() {
    run(async {
        let silent = upstream(|mut wire| async move {
            wire.head().await;
            wire.send(SWITCHING).await;
            wire.rest().await;
        })
        .await;
        let mut setup = Setup::new(silent);
        setup.config.http.timeouts.upgrade_idle_ms = 50;
        let running = setup.start();
        let mut client = running.client().await;
        client.send(HANDSHAKE).await;
        client.head().await;
        assert!(client.is_closed().await);
        running.worker.upgraded.none_left().await;
    });
}

#[test]
fn an_upgraded_connection_keeps_its_place() {
    run(async {
        let waits = upstream(|mut wire| async move {
            wire.head().await;
            wire.send(SWITCHING).await;
            wire.rest().await;
        })
        .await;
        let mut setup = Setup::new(waits);
        setup.config.http.limits.connections = 1;
        let running = setup.start();
        let mut socket = running.client().await;
        socket.send(HANDSHAKE).await;
        socket.head().await;
        assert!(running.client().await.is_closed().await);
        drop(socket);
        running.worker.upgraded.none_left().await;
        let mut next = running.client().await;
        next.send(HANDSHAKE).await;
        next.head().await;
    });
}
