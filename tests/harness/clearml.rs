//! A fake of the ClearML API server, faithful where clients can tell: POST, or GET with a JSON body as the SDK sends it, query
//! arguments merged in, the envelope, tokens signed with the raw secret, sessions that end, pages, system tags, the two ways
//! to edit a runtime with the fault of one release, and ways to fail.

mod auth;
mod calls;
mod state;
mod tasks;

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Map, Value, json};

use crate::server::{Answer, Closed, Server, whole};

use state::State;
pub use state::{Call, Failure, Options, SECRET, User};

/// A running server. Its people: `alice` and `bob` of company `acme`, `eve` of `other`, and the administrator `root`; a
/// person's password and secret key is the name with `-secret`, the access key with `-key`.
pub struct Clearml {
    server: Server,
    state: Arc<Mutex<State>>,
}

/// A refusal: HTTP status and `result_code`, `result_subcode`, `result_msg`.
pub(crate) struct Refusal(pub u16, pub u32, pub String);

pub(crate) type Data = Result<Value, Refusal>;

impl Clearml {
    /// An open-source server that the SDK takes for one with endpoints.
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    pub fn with(options: Options) -> Self {
        let state = Arc::new(Mutex::new(State::new(options)));
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| serve(Arc::clone(&shared), request));
        Self { server, state }
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    pub fn address(&self) -> std::net::SocketAddr {
        self.server.address
    }

    /// What a gateway needs to use this server.
    pub fn config(&self) -> String {
        self.config_with("")
    }

    /// The same with further keys of the section `clearml` (`queues: [gpu]`).
    pub fn config_with(&self, keys: &str) -> String {
        format!(
            "clearml: {{api_url: '{}', access_key: root-key, secret_key: root-secret, poll_ms: 200, longest_poll_ms: 400, {keys}}}\n\
             discovery: {{dial: {{networks: [127.0.0.0/8]}}}}\n",
            self.url()
        )
    }

    /// The environment under which the real SDK talks to this server as somebody.
    pub fn environment(&self, user: &str) -> Vec<(&'static str, String)> {
        vec![
            ("CLEARML_API_HOST", self.url()),
            ("CLEARML_WEB_HOST", self.url()),
            ("CLEARML_FILES_HOST", self.url()),
            ("CLEARML_API_ACCESS_KEY", format!("{user}-key")),
            ("CLEARML_API_SECRET_KEY", format!("{user}-secret")),
        ]
    }

    /// A token as a browser of this person would have it.
    pub fn token(&self, user: &str) -> String {
        self.lock().issue(user, 3600)
    }

    /// Ends the session of a token, as `auth.logout` does.
    pub fn revoke(&self, token: &str) {
        self.lock().revoke(token);
    }

    /// A running task with the tag of external services and this runtime.
    pub fn add_session(&self, id: &str, user: &str, runtime: Value) {
        self.lock().add_task(id, user, json!(["external_service"]), runtime);
    }

    /// Changes fields of a task as a client's own edit would.
    pub fn change(&self, task: &str, change: impl FnOnce(&mut Map<String, Value>)) {
        change(self.lock().tasks.get_mut(task).expect("no such task"));
    }

    pub fn end(&self, task: &str) {
        self.change(task, |task| {
            task.insert("status".into(), json!("stopped"));
        });
    }

    /// A task as it's stored.
    pub fn task(&self, id: &str) -> Option<Map<String, Value>> {
        self.lock().tasks.get(id).cloned()
    }

    /// One value of a task's runtime, as a client reads it.
    pub fn runtime(&self, task: &str, key: &str) -> Option<Value> {
        self.task(task)?.get("runtime")?.get(key).cloned()
    }

    pub fn add_queue(&self, id: &str, name: &str) {
        self.lock().queues.insert(id.into(), name.into());
    }

    /// Fails every call from now on; None ends it.
    pub fn fail(&self, failure: Option<Failure>) {
        self.lock().failure = failure;
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// How often a call came so far.
    pub fn count(&self, call: &str) -> usize {
        self.lock().calls.iter().filter(|made| made.name == call).count()
    }

    /// Runs once, just before the next call of this name is answered: what another client does in between.
    pub fn before(&self, call: &str, act: impl FnOnce(&mut Map<String, Value>) + Send + 'static, task: &str) {
        self.lock().interference = Some((call.into(), task.into(), Box::new(act)));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

async fn serve(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    let failure = state.lock().unwrap().failure;
    match failure {
        Some(Failure::Status500) => return Ok(status(StatusCode::INTERNAL_SERVER_ERROR, "<html>Internal Server Error</html>")),
        Some(Failure::Garbage) => return Ok(status(StatusCode::OK, "{\"meta\": {\"result_code\": 200}, \"data\": {\"tasks\": [")),
        Some(Failure::Nonsense) => {
            return Ok(status(StatusCode::OK, "{\"meta\": {\"result_code\": 200}, \"data\": {\"tasks\": 7}}"));
        }
        Some(Failure::Hang) => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            return Err(Closed);
        }
        Some(Failure::Close) => return Err(Closed),
        Some(Failure::FirstPage) | None => {}
    }
    // `/v2.30/tasks.get_all` or without the version.
    let call = parts.uri.path().rsplit('/').next().unwrap_or_default().to_owned();
    let mut arguments = match serde_json::from_slice(&body) {
        Ok(Value::Object(arguments)) => arguments,
        _ => Map::new(),
    };
    for pair in parts.uri.query().unwrap_or_default().split('&') {
        if let Some((name, value)) = pair.split_once('=') {
            arguments.insert(name.into(), json!(value));
        }
    }
    if failure == Some(Failure::FirstPage) && arguments.contains_key("page") {
        arguments.insert("page".into(), json!(0));
    }
    let mut state = state.lock().unwrap();
    let outcome = state.call(&call, &parts.headers, arguments, &body);
    let (code, subcode, message, data) = match outcome {
        Ok(data) => (200, 0, "OK".to_owned(), data),
        Err(Refusal(code, subcode, message)) => (code, subcode, message, json!({})),
    };
    let envelope = json!({
        "meta": {
            "id": "1", "trx": "1",
            "endpoint": {"name": call, "requested_version": "2.34", "actual_version": "1.0"},
            "result_code": code, "result_subcode": subcode, "result_msg": message,
            "error_stack": "", "error_data": {},
        },
        "data": data,
    });
    let mut response = Response::builder().status(code).header(header::CONTENT_TYPE, "application/json");
    if let (200, "auth.login", Some(token)) = (code, call.as_str(), data.get("token").and_then(Value::as_str)) {
        response = response.header(header::SET_COOKIE, format!("clearml_token_basic={token}; HttpOnly; Path=/; SameSite=Lax"));
    }
    Ok(response.body(whole(envelope.to_string())).unwrap())
}

fn status(status: StatusCode, body: &'static str) -> Response<crate::server::Body> {
    Response::builder().status(status).body(whole(body)).unwrap()
}
