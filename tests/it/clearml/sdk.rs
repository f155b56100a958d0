//! The real ClearML SDK asks for an endpoint, gets its address from the gateway's write-back, and is reached by it.

use std::process::Stdio;

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};
use wicketgate_tests::{Clearml, Client, Gateway, PATIENCE, python};

async fn asks_for_an_endpoint_and_is_reached_by_it(version: &'static str) {
    let python = tokio::task::spawn_blocking(move || python::with_package("clearml", version)).await.unwrap();
    let clearml = Clearml::start();
    let gateway = Gateway::start(&clearml.config()).await;
    let home = tempfile::tempdir().unwrap();
    let mut session = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/endpoint.py"))
        .envs(clearml.environment("alice"))
        // What a task's address is said to be; otherwise the SDK takes the machine's.
        .env("CLEARML_AGENT_HOST_IP", "127.0.0.1")
        .env("HOME", home.path())
        // The SDK locks a file of the task's name there.
        .env("TMPDIR", home.path())
        .env_remove("CLEARML_CONFIG_FILE")
        .current_dir(home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let input = session.stdin.take();
    let mut lines = BufReader::new(session.stdout.take().unwrap()).lines();
    let mut said = Vec::new();
    let told = tokio::time::timeout(PATIENCE, async {
        while let Some(line) = lines.next_line().await.unwrap() {
            match serde_json::from_str::<Value>(&line) {
                Ok(told) if told.is_object() => return Some(told),
                _ => said.push(line),
            }
        }
        None
    });
    let Ok(Some(told)) = told.await else {
        let calls: Vec<String> = clearml.calls().into_iter().filter(|call| call.user != "root").map(|call| call.name).collect();
        panic!("no endpoint; the session said:\n{}\nand called {calls:?}", said.join("\n"));
    };
    let endpoint = told["endpoint"]["endpoint"].as_str().unwrap_or_else(|| panic!("no endpoint in {told}"));
    assert_eq!(endpoint, gateway.at(&format!("/service/{}/", told["task"].as_str().unwrap())));

    let alice = Client::default().bearer(&clearml.token("alice"));
    let reply = alice.get(&format!("{endpoint}lab/tree?x=1")).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["path"]), (200, &Value::from("/lab/tree?x=1")));
    assert_eq!(Client::default().get(endpoint).await.status, 401);

    // People are sent to log in first.
    let browser = told["endpoint"]["browser_endpoint"].as_str().unwrap();
    assert!(browser.starts_with(&gateway.at("/login?return=%2Fservice%2F")), "{browser}");
    assert_eq!(Client::default().with("accept", "text/html").get(browser).await.status, 200);

    // How the SDK winds up is its own affair; it may take minutes.
    drop(input);
    session.kill().await.unwrap();
}

#[tokio::test]
async fn clearml_1_18_0() {
    asks_for_an_endpoint_and_is_reached_by_it("1.18.0").await;
}

#[tokio::test]
async fn clearml_2_0_2() {
    asks_for_an_endpoint_and_is_reached_by_it("2.0.2").await;
}

#[tokio::test]
async fn clearml_2_1_12() {
    asks_for_an_endpoint_and_is_reached_by_it("2.1.12").await;
}
