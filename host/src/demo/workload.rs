//! A session of the demonstration: a page that shows who the gateway says is there, a WebSocket that echoes, and an event
//! stream. A server of its own on loopback, as a person's notebook would be.

use std::{convert::Infallible, io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use maud::{DOCTYPE, PreEscaped, html};
use tokio::net::TcpListener;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};

type Body = UnsyncBoxBody<Bytes, Infallible>;

const SCRIPT: &str = "
const show = (id, text) => document.getElementById(id).textContent = text;
const socket = new WebSocket(location.href.replace(/^http/, 'ws').replace(/[^/]*$/, 'socket'));
let sent = 0;
socket.onopen = () => setInterval(() => socket.send(String(++sent)), 1000);
socket.onmessage = event => show('socket', 'echoed ' + event.data);
socket.onclose = () => show('socket', 'closed after ' + sent);
new EventSource('events').onmessage = event => show('events', event.data);
";

/// Starts it on a free port of loopback.
pub async fn start(greeting: &'static str) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let service = service_fn(move |request| async move { Ok::<_, Infallible>(answer(request, greeting)) });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades());
        }
    });
    Ok(address)
}

fn answer(request: Request<Incoming>, greeting: &str) -> Response<Body> {
    match request.uri().path() {
        "/" => page(greeting, request.headers()),
        "/socket" => echo(request),
        "/events" => events(),
        _ => plain(StatusCode::NOT_FOUND, "There is no such page here."),
    }
}

fn page(greeting: &str, headers: &HeaderMap) -> Response<Body> {
    let text = |name: &str| headers.get(name).map_or("—", |value| value.to_str().unwrap_or("?")).to_owned();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { (greeting) }
                style { "body{font:16px/1.5 system-ui;max-width:40rem;margin:4rem auto;padding:0 1rem;color-scheme:light dark}dt{font-weight:600}" } }
            body {
                h1 { (greeting) }
                p { "This page comes from a small server behind the gateway, which told it:" }
                dl {
                    dt { "who you are" } dd { (text("x-wicketgate-user")) }
                    dt { "under which path it is reached" } dd { (text("x-forwarded-prefix")) }
                    dt { "your cookies" } dd { (text("cookie")) " (the gateway keeps its own to itself)" }
                }
                p { "WebSocket: " b id="socket" { "connecting" } ". Event stream: " b id="events" { "connecting" } "." }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    let mut response = Response::new(Full::from(page.into_string()).boxed_unsync());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

fn events() -> Response<Body> {
    let ticks = futures_util::stream::unfold(0_u64, |tick| async move {
        tokio::time::sleep(Duration::from_secs(u64::from(tick > 0))).await;
        Some((Ok(Frame::data(Bytes::from(format!("data: tick {tick}\n\n")))), tick + 1))
    });
    let mut response = Response::new(BodyExt::boxed_unsync(StreamBody::new(ticks)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}

fn echo(mut request: Request<Incoming>) -> Response<Body> {
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    let Some(accept) = key.and_then(|accept| HeaderValue::from_str(&accept).ok()) else {
        return plain(StatusCode::BAD_REQUEST, "A WebSocket handshake is expected.");
    };
    tokio::spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(&mut request).await else { return };
        let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        while let Some(Ok(message)) = socket.next().await {
            let echoed = matches!(message, Message::Text(_) | Message::Binary(_));
            if echoed && socket.send(message).await.is_err() {
                break;
            }
        }
    });
    let mut response = plain(StatusCode::SWITCHING_PROTOCOLS, "");
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Full::from(text).boxed_unsync());
    *response.status_mut() = status;
    response
}
