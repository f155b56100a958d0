//! HTTP/2 by clients: many requests at a time, each with a deadline of its own, and each the same to its session as by HTTP/1.1.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn::http2::SendRequest,
    ext::Protocol,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
};

use super::support::{AnyBody, Running, Setup, Wire, body, http2, mirror, run, upstream};
use crate::listener::Drain;

fn get(path: &str) -> http::request::Builder {
    Request::get(format!("http://gate.test{path}"))
}

async fn send(client: &mut SendRequest<AnyBody>, request: http::request::Builder) -> Response<Incoming> {
    client.ready().await.unwrap();
    client.send_request(request.body(body("")).unwrap()).await.unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

async fn client(running: &Running) -> SendRequest<AnyBody> {
    http2(running.address).await.0
}

fn websocket(path: &str) -> http::request::Builder {
    let request = Request::builder().method(Method::CONNECT).uri(format!("http://gate.test{path}"));
    request.extension(Protocol::from_static("websocket")).header("sec-websocket-version", "13")
}

/// An upstream that agrees to a WebSocket, and then sends back what comes.
async fn websocket_upstream(accept: impl Fn(&str) -> String + 'static) -> std::net::SocketAddr {
    let accept = std::rc::Rc::new(accept);
    upstream(move |mut wire| {
        let accept = accept.clone();
        async move {
            let head = wire.head().await;
            assert!(head.starts_with("GET /ws HTTP/1.1\r\n") && head.contains("upgrade: websocket\r\n"), "{head}");
            let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap().to_owned();
            let accept = accept(&key);
            wire.send(&format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            ))
            .await;
            let (mut read, mut write) = wire.stream.split();
            let _ = tokio::io::copy(&mut read, &mut write).await;
        }
    })
    .await
}

fn accepted(key: &str) -> String {
    tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes())
}

#[test]
fn a_request_reaches_its_session_as_by_http1() {
    run(async {
        let running = Setup::new(mirror().await).start();
        let mut client = client(&running).await;
        let request = get("/service/t1/a?b=1").header("cookie", "own=1").header("cookie", "gate=secret").header("cookie", "two=2");
        let answer = send(&mut client, request.header("referer", "http://gate.test/service/t1/")).await;
        assert_eq!((answer.version(), answer.status()), (Version::HTTP_2, StatusCode::OK));
        let head = text(answer).await;
        for wanted in ["GET /a?b=1 HTTP/1.1\r\n", "host: gate.test\r\n", "cookie: own=1; two=2\r\n", "x-wicketgate-user: u1\r\n"] {
            assert!(head.contains(wanted), "{wanted} in {head}");
        }
        assert!(!head.contains("secret"), "{head}");
    });
}

#[test]
fn requests_on_one_connection_do_not_wait_for_each_other() {
    run(async {
        let (tell, told) = watch::channel(false);
        let tell = std::rc::Rc::new(tell);
        let slow = upstream(move |mut wire| {
            let (tell, mut told) = (tell.clone(), told.clone());
            async move {
                let head = wire.head().await;
                if head.starts_with("GET /first") {
                    told.wait_for(|told| *told).await.unwrap();
                } else {
                    tell.send(true).unwrap();
                }
                wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            }
        });
        let running = Setup::new(slow.await).start();
        let client = client(&running).await;
        let (mut one, mut two) = (client.clone(), client);
        let answers = tokio::join!(send(&mut one, get("/service/t1/first")), send(&mut two, get("/service/t1/second")));
        assert_eq!((answers.0.status(), answers.1.status()), (StatusCode::OK, StatusCode::OK));
    });
}

#[test]
fn a_body_without_a_length_and_its_trailers_reach_the_session() {
    run(async {
        let reads = upstream(|mut wire| async move {
            let head = wire.head().await;
            assert!(head.contains("transfer-encoding: chunked\r\n") && !head.contains("content-length"), "{head}");
            let body = wire.until("0\r\n").await;
            assert_eq!(body, "3\r\none\r\n3\r\ntwo\r\n0\r\n");
            wire.until("\r\n").await;
            wire.send("HTTP/1.1 200 OK\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n")
                .await;
        });
        let running = Setup::new(reads.await).start();
        let mut client = client(&running).await;
        let frames = ["one", "two"].map(|part| Ok::<_, Infallible>(Frame::data(Bytes::from(part))));
        // Also of a method that has none as a rule.
        let request = get("/service/t1/").body(UnsyncBoxBody::new(StreamBody::new(stream::iter(frames)))).unwrap();
        let answer = client.send_request(request).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(answer.trailers().and_then(|trailers| trailers.get("x-sum")).unwrap(), "7");
        assert_eq!(answer.to_bytes(), "ok");
    });
}

#[test]
fn a_websocket_is_an_upgrade_to_plugins_and_to_the_session() {
    run(async {
        let running = Setup::new(websocket_upstream(accepted).await).start();
        let mut client = client(&running).await;
        // The server's settings say that it may be asked.
        send(&mut client, get("/nothing")).await;
        let answer = send(&mut client, websocket("/service/t1/ws").header("origin", "http://gate.test")).await;
        assert_eq!(answer.status(), StatusCode::OK);
        for absent in ["connection", "upgrade", "sec-websocket-accept"] {
            assert!(!answer.headers().contains_key(absent), "{absent}");
        }
        let mut stream = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
        stream.write_all(b"ping").await.unwrap();
        let mut echo = [0; 4];
        stream.read_exact(&mut echo).await.unwrap();
        assert_eq!(&echo, b"ping");
        assert_eq!(running.worker.upgraded.count(), 1);
        let asked = running.fixture.asked.lock().unwrap().last().cloned().unwrap();
        assert_eq!((asked.0.as_str(), asked.1.as_deref()), ("/ws", Some("websocket")));
        // Others on the connection go on.
        assert_eq!(send(&mut client, get("/nothing")).await.status(), StatusCode::NOT_FOUND);
        drop(stream);
        running.worker.upgraded.none_left().await;
    });
}

#[test]
fn a_websocket_of_a_foreign_page_or_an_upstream_that_read_no_key_is_refused() {
    run(async {
        let running = Setup::new(websocket_upstream(|_| "another".into()).await).start();
        let mut client = client(&running).await;
        send(&mut client, get("/nothing")).await;
        let foreign = websocket("/service/t1/ws").header("origin", "http://elsewhere.test").header("cookie", "gate=1");
        assert_eq!(send(&mut client, foreign).await.status(), StatusCode::FORBIDDEN);
        assert_eq!(send(&mut client, websocket("/service/t1/ws")).await.status(), StatusCode::BAD_GATEWAY);
        // Neither a page of the session's nor one of the gateway's is an open WebSocket.
        assert_eq!(send(&mut client, websocket("/login")).await.status(), StatusCode::NOT_FOUND);
        let page = Setup::new(mirror().await).start();
        let mut pages = self::client(&page).await;
        send(&mut pages, get("/nothing")).await;
        assert_eq!(send(&mut pages, websocket("/service/t1/ws")).await.status(), StatusCode::BAD_GATEWAY);
        let other = Request::builder().method(Method::CONNECT).uri("http://gate.test/service/t1/ws");
        let other = other.extension(Protocol::from_static("connect-udp"));
        assert_eq!(send(&mut client, other).await.status(), StatusCode::NOT_IMPLEMENTED);
        let tunnel = Request::builder().method(Method::CONNECT).uri("gate.test:80");
        assert_eq!(send(&mut client, tunnel).await.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(running.worker.upgraded.count(), 0);
    });
}

#[test]
fn what_is_not_well_formed_is_refused() {
    run(async {
        let running = Setup::new(mirror().await).start();
        let mut client = client(&running).await;
        for (request, status) in [
            (get("/service/t1/").header("host", "elsewhere.test"), 400),
            (get("/service/t1/").header("host", "GATE.test"), 200),
            (get("/service/t1/%2e%2e/x"), 400),
            (Request::get("ftp://gate.test/service/t1/"), 400),
            (Request::options("http://gate.test").method(Method::TRACE), 405),
            ((0..200).fold(get("/service/t1/"), |request, at| request.header(format!("x-{at}"), "1")), 431),
        ] {
            let answer = send(&mut client, request).await;
            assert_eq!(answer.status().as_u16(), status, "{}", text(answer).await);
        }
        let mut setup = Setup::new(mirror().await);
        setup.config.http.limits.body_bytes = Some(3);
        let running = setup.start();
        let mut client = self::client(&running).await;
        let request = Request::post("http://gate.test/service/t1/").body(body("four")).unwrap();
        assert_eq!(client.send_request(request).await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    });
}

#[test]
fn a_stream_takes_a_place_as_a_connection_does() {
    run(async {
        let silent = upstream(|mut wire| async move {
            wire.head().await;
            wire.rest().await;
        });
        let mut setup = Setup::new(silent.await);
        setup.config.http.limits.connections = 2;
        let running = setup.start();
        let client = client(&running).await;
        let (mut one, mut two) = (client.clone(), client);
        let first = one.send_request(get("/service/t1/").body(body("")).unwrap());
        while running.fixture.asked.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(send(&mut two, get("/service/t1/")).await.status(), StatusCode::SERVICE_UNAVAILABLE);
        // Who gives it up leaves it to others.
        drop(first);
        let mut again = 503;
        while again == 503 {
            again = send(&mut two, get("/nothing")).await.status().as_u16();
        }
        assert_eq!(again, 404);
    });
}

#[test]
fn a_client_that_does_not_read_holds_its_stream_for_no_longer_than_any() {
    run(async {
        let (given_up, mut seen) = watch::channel(false);
        let given_up = std::rc::Rc::new(given_up);
        let endless = upstream(move |mut wire| {
            let given_up = given_up.clone();
            async move {
                let head = wire.head().await;
                if head.starts_with("GET /small") {
                    wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
                    return;
                }
                wire.send("HTTP/1.1 200 OK\r\n\r\n").await;
                let block = [b'x'; 16 * 1024];
                while wire.stream.write_all(&block).await.is_ok() {}
                given_up.send(true).unwrap();
            }
        });
        let mut setup = Setup::new(endless.await);
        setup.config.http.timeouts.body_idle_ms = 200;
        let running = setup.start();
        let mut client = client(&running).await;
        let unread = send(&mut client, get("/service/t1/endless")).await.into_body();
        // The others on the connection are served.
        assert_eq!(text(send(&mut client, get("/service/t1/small")).await).await, "ok");
        seen.wait_for(|given_up| *given_up).await.unwrap();
        assert!(unread.collect().await.is_err(), "an end that isn't one");
        assert_eq!(text(send(&mut client, get("/service/t1/small")).await).await, "ok");
    });
}

#[test]
fn an_upload_that_stops_is_answered_408_and_a_slow_session_504() {
    run(async {
        let silent = upstream(|mut wire| async move {
            wire.head().await;
            wire.rest().await;
        });
        let mut setup = Setup::new(silent.await);
        setup.config.http.timeouts.body_idle_ms = 200;
        setup.config.http.timeouts.response_head_ms = 200;
        let running = setup.start();
        let mut client = client(&running).await;
        let stalled = stream::once(async { Ok::<_, Infallible>(Frame::data(Bytes::from("a"))) });
        let stalled = futures_util::StreamExt::chain(stalled, stream::pending());
        let request = Request::post("http://gate.test/service/t1/").body(UnsyncBoxBody::new(StreamBody::new(stalled))).unwrap();
        assert_eq!(client.send_request(request).await.unwrap().status(), StatusCode::REQUEST_TIMEOUT);
        assert_eq!(send(&mut client, get("/service/t1/")).await.status(), StatusCode::GATEWAY_TIMEOUT);
    });
}

#[test]
fn a_connection_that_is_idle_or_old_is_ended_after_its_streams() {
    run(async {
        let mut setup = Setup::new(mirror().await);
        setup.config.http.timeouts.keep_alive_ms = 100;
        let running = setup.start();
        let (mut client, connection) = http2(running.address).await;
        send(&mut client, get("/service/t1/")).await;
        assert!(connection.await.unwrap().is_ok());
        // Without a request from the start as well.
        let mut setup = Setup::new(mirror().await);
        setup.config.http.timeouts.keep_alive_ms = 100;
        let running = setup.start();
        let mut silent = Wire::new(TcpStream::connect(running.address).await.unwrap());
        assert!(silent.is_closed().await);
    });
}

#[test]
fn a_drain_lets_streams_end_and_takes_no_more() {
    run(async {
        let (go, gone) = watch::channel(false);
        let slow = upstream(move |mut wire| {
            let mut gone = gone.clone();
            async move {
                wire.head().await;
                gone.wait_for(|gone| *gone).await.unwrap();
                wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            }
        });
        let running = Setup::new(slow.await).start();
        let (mut client, connection) = http2(running.address).await;
        let answer = client.send_request(get("/service/t1/").body(body("")).unwrap());
        while running.fixture.asked.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        running.drain.send(Drain::Until(tokio::time::Instant::now() + Duration::from_secs(60))).unwrap();
        tokio::task::yield_now().await;
        go.send(true).unwrap();
        assert_eq!(text(answer.await.unwrap()).await, "ok");
        assert!(connection.await.unwrap().is_ok());
        running.serving.await.unwrap();
        assert!(client.send_request(get("/service/t1/").body(body("")).unwrap()).await.is_err());
    });
}

#[test]
fn headers_of_one_connection_only_reset_their_stream() {
    run(async {
        let running = Setup::new(mirror().await).start();
        let mut wire = running.client().await;
        // HEADERS of stream 1: GET, http, /service/t1/, gate.test, and `connection: close` (RFC 7541, appendix A).
        let mut block = vec![0x82, 0x86, 0x04, 12];
        block.extend_from_slice(b"/service/t1/");
        block.extend_from_slice(&[0x01, 9]);
        block.extend_from_slice(b"gate.test");
        block.extend_from_slice(b"\x00\x0aconnection\x05close");
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
        bytes.extend_from_slice(&[0, 0, u8::try_from(block.len()).unwrap(), 0x01, 0x05, 0, 0, 0, 1]);
        bytes.extend_from_slice(&block);
        wire.stream.write_all(&bytes).await.unwrap();
        loop {
            let head = wire.exactly(9).await;
            let payload = wire.exactly(usize::from(head[1]) << 8 | usize::from(head[2])).await;
            assert_ne!(head[3], 0x01, "an answer");
            if head[3] == 0x03 {
                assert_eq!((&head[5..], &payload[..]), (&[0, 0, 0, 1][..], &[0, 0, 0, 1][..]), "RST_STREAM with PROTOCOL_ERROR");
                break;
            }
        }
        assert!(running.fixture.asked.lock().unwrap().is_empty());
    });
}
