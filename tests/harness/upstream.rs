//! An application behind the gateway: it says what it got, streams, is slow, or speaks WebSocket.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use serde_json::json;

use crate::server::{Answer, Body, Closed, Server, whole};

/// For hundreds of bodies at a time.
static SHARED: LazyLock<Bytes> = LazyLock::new(|| vec![b'x'; 8 * 1024 * 1024].into());

/// A running application. Paths may have anything in front:
/// `…/echo` answers what it got as JSON; `…/events` is a stream of events without an end; `…/slow/<ms>` waits;
/// `…/socket` switches to a WebSocket (by its header alone) and sends every byte back; `…/status/<code>`; `…/bytes/<n>`; `…/close` closes the connection; everything else is a page that names its path.
pub struct Upstream {
    server: Server,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

impl Upstream {
    pub fn start() -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST.into())
    }

    /// The same at another address of this machine.
    pub fn start_at(address: IpAddr) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        Self { server: Server::start_at(address, move |request| serve(Arc::clone(&log), request)), seen }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    pub fn port(&self) -> u16 {
        self.server.address.port()
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(log: Arc<Mutex<Vec<Seen>>>, request: Request<Incoming>) -> Answer {
    let mut request = request;
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    let target = parts.uri.to_string();
    log.lock().unwrap().push(Seen {
        method: parts.method.to_string(),
        target: target.clone(),
        headers: parts.headers.clone(),
        body: body.clone(),
    });
    let segments: Vec<&str> = parts.uri.path().split('/').collect();
    let number = || segments.last().and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    match segments.as_slice() {
        [.., "echo"] => {
            let headers: Vec<(String, String)> = parts
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
                .collect();
            let got = json!({
                "method": parts.method.as_str(), "target": target, "headers": headers,
                "body": String::from_utf8_lossy(&body),
            });
            Ok(answer(StatusCode::OK, "application/json", whole(got.to_string())))
        }
        [.., "events"] => Ok(answer(StatusCode::OK, "text/event-stream", events())),
        [.., "slow", _] => {
            tokio::time::sleep(Duration::from_millis(number())).await;
            Ok(answer(StatusCode::OK, "text/plain", whole("at last")))
        }
        [.., "status", _] => {
            let status = u16::try_from(number()).ok().and_then(|code| StatusCode::from_u16(code).ok());
            Ok(answer(status.unwrap_or(StatusCode::OK), "text/plain", whole("as asked")))
        }
        [.., "bytes", _] => {
            let size = usize::try_from(number()).map_err(|_| Closed)?;
            let body = if size <= SHARED.len() { SHARED.slice(..size) } else { vec![b'x'; size].into() };
            Ok(answer(StatusCode::OK, "application/octet-stream", whole(body)))
        }
        [.., "socket"] => {
            tokio::task::spawn_local(send_back(upgrade));
            let switch = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
            let switch = switch.header(header::CONNECTION, "upgrade").header(header::UPGRADE, "websocket");
            Ok(switch.body(whole("")).unwrap())
        }
        [.., "close"] => Err(Closed),
        _ => Ok(answer(StatusCode::OK, "text/html", whole(format!("<h1>{}</h1>", parts.uri.path())))),
    }
}

fn answer(status: StatusCode, kind: &str, body: Body) -> Response<Body> {
    Response::builder().status(status).header(header::CONTENT_TYPE, kind).body(body).unwrap()
}

async fn send_back(upgrade: hyper::upgrade::OnUpgrade) {
    // Nobody upgraded, or the client has gone: either way there's nothing to send back.
    let Ok(upgraded) = upgrade.await else { return };
    let (mut from, mut to) = tokio::io::split(hyper_util::rt::TokioIo::new(upgraded));
    let _ = tokio::io::copy(&mut from, &mut to).await;
}

/// An event each 50 ms.
fn events() -> Body {
    let events = stream::unfold(0_u64, |count| async move {
        if count > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Some((Ok(Frame::data(Bytes::from(format!("data: {count}\n\n")))), count + 1))
    });
    Body::new(StreamBody::new(events))
}
