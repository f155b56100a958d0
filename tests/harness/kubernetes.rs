//! A fake of Kubernetes' API server that fails on request: what a real one can't be brought to. It knows pods (list and watch) and
//! takes what is written to Leases, Events and pods; tests of everything else use the real server.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::server::{Answer, Closed, Server, whole};

/// A running server.
pub struct Kubernetes {
    server: Server,
    state: Arc<Mutex<State>>,
}

/// How the server fails where pods are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// With this status, as an object of kind Status.
    Status(u16),
    /// With text that isn't JSON.
    Garbage,
    /// Without an answer.
    Closes,
}

#[derive(Default)]
struct State {
    pods: Vec<Value>,
    version: u64,
    watches: Vec<mpsc::UnboundedSender<Bytes>>,
    refusal: Option<Refusal>,
    asked: usize,
}

// === impl Kubernetes ===

impl Kubernetes {
    pub fn start() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        Self { server: Server::start(move |request| serve(Arc::clone(&shared), request)), state }
    }

    /// A kubeconfig for it.
    pub fn kubeconfig(&self) -> String {
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.server.url()}}],
            "users": [{"name": "test", "user": {}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "team"}}],
        })
        .to_string()
    }

    /// A running pod, with annotations without their prefix.
    pub fn add_pod(&self, name: &str, address: IpAddr, annotations: &[(&str, String)]) {
        let mut state = self.state();
        let annotations = annotations.iter().map(|(key, value)| (format!("wicketgate.io/{key}"), json!(value)));
        let metadata = json!({
            "name": name, "namespace": "team", "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": serde_json::Map::from_iter(annotations), "resourceVersion": state.next_version(),
        });
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": metadata,
            "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]},
        });
        state.tell(&json!({"type": "ADDED", "object": pod}));
        state.pods.push(pod);
    }

    /// From now on, for listings and watches; those that are open end. None: no more.
    pub fn refuse(&self, refusal: Option<Refusal>) {
        let mut state = self.state();
        state.refusal = refusal;
        state.watches.clear();
    }

    /// Says to the watches that what they know is too old, and ends them.
    pub fn expire(&self) {
        let mut state = self.state();
        state.tell(&json!({"type": "ERROR", "object": status(410)}));
        state.watches.clear();
    }

    /// How often pods were listed or watched.
    pub fn asked(&self) -> usize {
        self.state().asked
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

// === impl State ===

impl State {
    fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    fn tell(&mut self, event: &Value) {
        let line = Bytes::from(format!("{event}\n"));
        self.watches.retain(|watch| watch.send(line.clone()).is_ok());
    }
}

async fn serve(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let (path, query) = (head.uri.path().to_owned(), head.uri.query().unwrap_or_default().to_owned());
    if path != "/api/v1/namespaces/team/pods" {
        // What is written comes back as if it had been taken.
        return Ok(match head.method {
            http::Method::GET => answer(404, status(404).to_string()),
            _ => answer(200, String::from_utf8_lossy(&body).into_owned()),
        });
    }
    let mut state = state.lock().unwrap();
    state.asked += 1;
    match state.refusal {
        Some(Refusal::Status(code)) => return Ok(answer(code, status(code).to_string())),
        Some(Refusal::Garbage) => return Ok(answer(200, "<html>a proxy's page</html>".into())),
        Some(Refusal::Closes) => return Err(Closed),
        None => {}
    }
    if !query.contains("watch=true") {
        let list = json!({
            "apiVersion": "v1", "kind": "PodList", "metadata": {"resourceVersion": state.version.to_string()}, "items": state.pods,
        });
        return Ok(answer(200, list.to_string()));
    }
    let (watch, lines) = mpsc::unbounded_channel();
    state.watches.push(watch);
    let frames = stream::unfold(lines, async |mut lines| Some((Ok(Frame::data(lines.recv().await?)), lines)));
    let response = Response::builder().header(header::CONTENT_TYPE, "application/json");
    Ok(response.body(StreamBody::new(frames).boxed_unsync()).unwrap())
}

fn answer(code: u16, text: String) -> Response<crate::server::Body> {
    let mut response = Response::new(whole(text));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

fn status(code: u16) -> Value {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        410 => "Expired",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    let message = format!("refused with {code}");
    json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message})
}
