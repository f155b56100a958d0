//! The session behind the gateway: WebSockets that send back, streams of numbered events, and pages that say by whom a request was
//! let in.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, stream};
use http::{Request, Response, StatusCode, header};
use http_body_util::StreamBody;
use hyper::{
    body::{Frame, Incoming},
    upgrade::OnUpgrade,
};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{handshake::derive_accept_key, protocol::Role},
};

use crate::server::{Answer, Body, Server, whole};

/// Between two events of a stream.
const EVENT: Duration = Duration::from_millis(200);

pub fn start() -> Server {
    Server::start(serve)
}

async fn serve(mut request: Request<Incoming>) -> Answer {
    let upgrade = hyper::upgrade::on(&mut request);
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("-");
    if let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY) {
        tokio::task::spawn_local(send_back(upgrade));
        let switch = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
        let switch = switch.header(header::CONNECTION, "upgrade").header(header::UPGRADE, "websocket");
        return Ok(switch.header(header::SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes())).body(whole("")).unwrap());
    }
    if request.uri().path().ends_with("/events") {
        return Ok(Response::builder().header(header::CONTENT_TYPE, "text/event-stream").body(events()).unwrap());
    }
    Ok(Response::new(whole(format!("{} {}", header("x-wicketgate-user"), header("x-policy")))))
}

async fn send_back(upgrade: OnUpgrade) {
    // An error is the client's end, or the gateway's: the client knows which.
    let Ok(upgraded) = upgrade.await else { return };
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() && socket.send(message).await.is_err() {
            return;
        }
    }
}

fn events() -> Body {
    let events = stream::unfold(0_u64, |count| async move {
        if count > 0 {
            tokio::time::sleep(EVENT).await;
        }
        Some((Ok(Frame::data(Bytes::from(format!("data: {count}\n\n")))), count + 1))
    });
    Body::new(StreamBody::new(events))
}
