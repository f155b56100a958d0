//! Sessions that speak HTTP/2: many exchanges on few connections, trailers both ways, and gRPC.

use std::{
    convert::Infallible,
    net::SocketAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::support::{AnyBody, Local, Setup, body, http2 as connect, run};
use crate::{
    certificates::{authority, issue, server},
    domain::{Transport, UpstreamHttp, UpstreamTls},
};

fn http2() -> Transport {
    Transport { upstream_http: UpstreamHttp::Http2, ..Transport::default() }
}

/// A session that answers by this script, how many connections it got, and how many exchanges it serves on each.
async fn session<F: Future<Output = Response<AnyBody>> + 'static>(
    most: usize,
    tls: Option<TlsAcceptor>,
    script: impl Fn(Request<Incoming>) -> F + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, connections, script) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)), Rc::new(script));
    let counted = connections.clone();
    tokio::task::spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Relaxed);
            let (script, tls) = (script.clone(), tls.clone());
            tokio::task::spawn_local(async move {
                let served = Rc::new(tokio::sync::watch::Sender::new(0));
                let mut seen = served.subscribe();
                let service = service_fn(move |request| {
                    served.send_modify(|served| *served += 1);
                    let answer = script(request);
                    async move { Ok::<_, Infallible>(answer.await) }
                });
                let stream: Box<dyn Stream> = match tls {
                    None => Box::new(stream),
                    Some(tls) => Box::new(tls.accept(stream).await.unwrap()),
                };
                let mut connection = std::pin::pin!(http2::Builder::new(Local).serve_connection(TokioIo::new(stream), service));
                tokio::select! {
                    _ = &mut connection => return,
                    _ = seen.wait_for(|served| *served >= most) => connection.as_mut().graceful_shutdown(),
                }
                let _ = connection.await;
            });
        }
    });
    (address, connections)
}

trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send {}
impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> Stream for S {}

/// Answers with what came: the head as text, the body, and the trailers under other names.
async fn mirror(request: Request<Incoming>) -> Response<AnyBody> {
    let (parts, body) = request.into_parts();
    let text = format!("{} {} {:?} {:?}", parts.method, parts.uri, parts.version, parts.headers);
    let collected = body.collect().await.unwrap();
    let mut trailers = HeaderMap::new();
    for (name, value) in collected.trailers().into_iter().flatten() {
        trailers.insert(http::HeaderName::try_from(format!("got-{name}")).unwrap(), value.clone());
    }
    let frames = [Frame::data(Bytes::from(text)), Frame::data(collected.to_bytes()), Frame::trailers(trailers)];
    Response::new(UnsyncBoxBody::new(StreamBody::new(stream::iter(frames.map(Ok)))))
}

fn call(path: &str) -> http::request::Builder {
    Request::post(format!("http://gate.test{path}")).header("content-type", "application/grpc").header("te", "trailers")
}

#[test]
fn requests_and_answers_pass_with_their_trailers() {
    run(async {
        let (upstream, connections) = session(usize::MAX, None, mirror).await;
        let running = Setup { transport: http2(), ..Setup::new(upstream) }.start();
        let (mut client, _) = connect(running.address).await;
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("7"));
        trailers.insert("x-wicketgate-user", HeaderValue::from_static("forged"));
        let frames = [Frame::data(Bytes::from("message")), Frame::trailers(trailers)].map(Ok);
        let request = call("/service/t1/pkg.Service/Method").header("grpc-timeout", "5S");
        let request = request.body(UnsyncBoxBody::new(StreamBody::new(stream::iter(frames)))).unwrap();
        let answer = client.send_request(request).await.unwrap();
        assert_eq!(answer.version(), Version::HTTP_2);
        let answer = answer.into_body().collect().await.unwrap();
        let trailers = answer.trailers().unwrap().clone();
        assert_eq!((trailers["got-x-sum"].as_bytes(), trailers.len()), (&b"7"[..], 1), "{trailers:?}");
        let text = String::from_utf8(answer.to_bytes().to_vec()).unwrap();
        assert!(text.starts_with("POST http://gate.test/pkg.Service/Method HTTP/2.0 ") && text.ends_with("message"), "{text}");
        for wanted in [r#""te": "trailers""#, r#""grpc-timeout": "5S""#, r#""x-wicketgate-user": "u1""#] {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
        assert!(!text.contains("\"host\"") && !text.contains("transfer-encoding"), "{text}");
        // By HTTP/1.1 as well, on the same connection.
        let answer = running.get("/service/t1/plain", "").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("transfer-encoding: chunked"), "{answer}");
        assert_eq!(connections.load(Relaxed), 1);
    });
}

#[test]
fn many_exchanges_share_few_connections() {
    run(async {
        let barrier = Rc::new(tokio::sync::Barrier::new(40));
        let (upstream, connections) = session(usize::MAX, None, move |_| {
            let barrier = barrier.clone();
            async move {
                // None is answered before all are there.
                barrier.wait().await;
                Response::new(body("ok"))
            }
        })
        .await;
        let mut setup = Setup { transport: http2(), ..Setup::new(upstream) };
        setup.config.http.http2.upstream_streams = 10;
        let running = setup.start();
        let (client, _) = connect(running.address).await;
        let calls = (0..40).map(|_| {
            let mut client = client.clone();
            async move { client.send_request(call("/service/t1/x").body(body("a")).unwrap()).await.unwrap().status() }
        });
        let statuses = futures_util::future::join_all(calls).await;
        assert_eq!(statuses, [StatusCode::OK; 40]);
        assert_eq!(connections.load(Relaxed), 4);
    });
}

#[test]
fn a_session_that_goes_away_is_connected_anew() {
    run(async {
        let (upstream, connections) = session(2, None, mirror).await;
        let running = Setup { transport: http2(), ..Setup::new(upstream) }.start();
        for number in 0..6 {
            let answer = running.get("/service/t1/", "").await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{number}: {answer}");
        }
        assert!(connections.load(Relaxed) >= 3);
    });
}

#[test]
fn over_tls_it_is_agreed_on_by_name() {
    run(async {
        let ca = authority();
        let acceptor = TlsAcceptor::from(Arc::new(server(&issue(&ca, &["session.test"]), &["h2"])));
        let (upstream, _) = session(usize::MAX, Some(acceptor), mirror).await;
        let transport = Transport { upstream_tls: UpstreamTls::Verify, ..http2() };
        let setup = Setup { transport, upstream_name: "session.test", authorities: vec![ca.der().clone()], ..Setup::new(upstream) };
        let running = setup.start();
        let (mut client, _) = connect(running.address).await;
        let answer = client.send_request(call("/service/t1/x").body(body("")).unwrap()).await.unwrap();
        let text = String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
        assert!(text.starts_with("POST https://gate.test/x HTTP/2.0 "), "{text}");
    });
}

#[test]
fn limits_hold_towards_it_as_well() {
    run(async {
        let (upstream, _) = session(usize::MAX, None, mirror).await;
        let mut setup = Setup { transport: http2(), ..Setup::new(upstream) };
        setup.config.http.limits.body_bytes = Some(3);
        let running = setup.start();
        let (mut client, _) = connect(running.address).await;
        let frames = ["two", "more"].map(|part| Ok(Frame::data(Bytes::from(part))));
        let request = Request::post("http://gate.test/service/t1/");
        let request = request.body(UnsyncBoxBody::new(StreamBody::new(stream::iter(frames)))).unwrap();
        assert_eq!(client.send_request(request).await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
        let upgrade = running.get("/service/t1/ws", "Connection: upgrade\r\nUpgrade: websocket\r\n").await;
        assert!(upgrade.starts_with("HTTP/1.1 501"), "{upgrade}");
    });
}

#[test]
fn a_call_of_grpc_is_told_an_error_as_a_status_of_its_own() {
    run(async {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let unreachable = Setup { transport: http2(), ..Setup::new(gone) };
        let unknown = Setup { authentication: Ok(super::support::anonymous()), ..Setup::new(gone) };
        for (setup, path, status) in [(unreachable, "/service/t1/x", "14"), (unknown, "/service/nothing/x", "16")] {
            let running = setup.start();
            let (mut client, _) = connect(running.address).await;
            let answer = client.send_request(call(path).body(body("")).unwrap()).await.unwrap();
            assert_eq!((answer.status(), answer.headers()["grpc-status"].to_str().unwrap()), (StatusCode::OK, status));
            assert_eq!(answer.headers()["content-type"], "application/grpc");
            assert!(answer.headers()["grpc-message"].to_str().unwrap().ends_with('.'));
        }
    });
}
