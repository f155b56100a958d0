//! `clearml-session --router-enabled`: the keys that it writes, call by call, through the API. Its releases 0.17.0 and 1.0.0rc4
//! were read for the order and the types.

use std::net::TcpListener;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use wicketgate_tests::{Clearml, Client};

use super::{Published, TASKS_ADDRESS, answer, gateway, published};

const TASK: &str = "interactive";
const PASSWORD: &str = "correct horse battery staple";

/// The tool on both of its ends: it speaks to the API as the SDK does.
struct Tool<'a> {
    clearml: &'a Clearml,
    alice: Client,
}

/// How a release writes the port.
type Write = fn(u16) -> Value;

/// 1.0.0rc4.
fn as_text(port: u16) -> Value {
    json!(port.to_string())
}

/// 0.17.0.
fn as_number(port: u16) -> Value {
    json!(port)
}

async fn a_shell_is_reached_where_its_runtime_says(write: Write) {
    let clearml = Clearml::start();
    let (gateway, ports) = gateway(&clearml).await;
    let tool = Tool::new(&clearml);
    let port = shell().await;
    tool.prepares_the_task().await;
    tool.starts_the_shell(port, write(port)).await;

    let found = published(&clearml, ports, TASK, "").await;
    assert_eq!(found, Published { address: "127.0.0.1".into(), port: found.port, own_port: port });
    assert_eq!(answer(&format!("{}:{}", found.address, found.port), "root").await, "the shell of root");
    let runtime = tool.runtime().await;
    for (key, value) in [("_ssh_password", PASSWORD), ("_ssh_user", "root"), ("internal_tcp_port_request", "10022")] {
        assert_eq!(runtime[key], value, "it's still there: {runtime:?}");
    }
    assert_eq!(runtime["internal_ssh_port"], port.to_string(), "the address inside is still there, too");
    let shown = gateway.status("/sessions").await.to_string();
    for secret in [PASSWORD, "alice-secret"] {
        assert!(!gateway.log().contains(secret) && !shown.contains(secret), "a secret is in the log or in the status");
    }
}

#[tokio::test]
async fn a_port_that_is_a_text_is_taken() {
    a_shell_is_reached_where_its_runtime_says(as_text).await;
}

#[tokio::test]
async fn a_port_that_is_a_number_is_taken() {
    a_shell_is_reached_where_its_runtime_says(as_number).await;
}

#[tokio::test]
async fn an_old_map_that_is_written_back_gets_the_same_port_again() {
    let clearml = Clearml::start();
    let (_gateway, ports) = gateway(&clearml).await;
    let tool = Tool::new(&clearml);
    let port = shell().await;
    tool.prepares_the_task().await;
    // What the tool read before the gateway wrote: when JupyterLab is up, it writes all of it back with two more keys.
    tool.writes_the_address(as_text(port)).await;
    let mut old = tool.runtime().await;
    tool.sets_the_tag().await;
    let first = published(&clearml, ports, TASK, "").await;
    old.insert("_jupyter_token".into(), json!("hush"));
    old.insert("_jupyter_url".into(), json!("http://localhost:8888"));
    tool.edit(json!({ "runtime": old })).await;

    assert_eq!(published(&clearml, ports, TASK, "").await, first);
    assert_eq!(tool.runtime().await["_jupyter_token"], "hush");
    assert_eq!(answer(&format!("127.0.0.1:{}", first.port), "root").await, "the shell of root");
}

/// In place of the task's SSH server, one that answers each line.
async fn shell() -> u16 {
    let listener = TcpListener::bind((TASKS_ADDRESS, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut lines = BufReader::new(stream).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    let _ = lines.get_mut().write_all(format!("the shell of {line}\n").as_bytes()).await;
                }
            });
        }
    });
    port
}

// === impl Tool ===

impl<'a> Tool<'a> {
    fn new(clearml: &'a Clearml) -> Self {
        let credentials = BASE64_STANDARD.encode("alice-key:alice-secret");
        let alice = Client::default().with("authorization", &format!("Basic {credentials}"));
        Self { clearml, alice: alice.with("content-type", "application/json") }
    }

    /// On the person's machine: a task without the tag, which says how to log in.
    async fn prepares_the_task(&self) {
        self.clearml.add_session(TASK, "alice", json!({}));
        self.clearml.change(TASK, |task| {
            task.insert("system_tags".into(), json!([]));
        });
        self.sets(json!({
            "_jupyter_token": "", "_ssh_password": PASSWORD, "_user_key": "alice-key", "_user_secret": "alice-secret",
            "internal_tcp_port_request": "10022",
        }))
        .await;
    }

    /// In the task: the credentials go, the address comes before anything else, then the server's port, the request for a route,
    /// and the tag last.
    async fn starts_the_shell(&self, port: u16, written: Value) {
        let mut runtime = self.runtime().await;
        runtime.remove("_user_key");
        runtime.remove("_user_secret");
        self.edit(json!({ "runtime": runtime })).await;
        self.sets(json!({ "external_address": TASKS_ADDRESS })).await;
        self.sets(json!({ "internal_ssh_port": port.to_string(), "_ssh_user": "root" })).await;
        self.writes_the_address(written).await;
        self.sets_the_tag().await;
    }

    async fn writes_the_address(&self, written: Value) {
        self.sets(json!({ "external_address": TASKS_ADDRESS, "external_tcp_port": written, "_SERVICE": "EXTERNAL_TCP" })).await;
    }

    async fn sets_the_tag(&self) {
        self.edit(json!({ "system_tags": ["external_service"] })).await;
    }

    async fn runtime(&self) -> Map<String, Value> {
        let mut answer = self.call("tasks.get_by_id", json!({ "task": TASK })).await;
        answer["data"]["task"]["runtime"].as_object_mut().map(std::mem::take).expect("a runtime")
    }

    /// The whole map is read, changed and written back.
    async fn sets(&self, keys: Value) {
        let mut runtime = self.runtime().await;
        runtime.extend(keys.as_object().cloned().unwrap_or_default());
        self.edit(json!({ "runtime": runtime })).await;
    }

    async fn edit(&self, mut fields: Value) {
        fields["task"] = json!(TASK);
        fields["force"] = json!(true);
        self.call("tasks.edit", fields).await;
    }

    async fn call(&self, call: &str, arguments: Value) -> Value {
        let reply = self.alice.post(&format!("{}/v2.13/{call}", self.clearml.url()), arguments.to_string()).await;
        assert_eq!(reply.status, 200, "{call}: {}", reply.text());
        reply.json()
    }
}
