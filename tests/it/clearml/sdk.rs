//! The real ClearML SDK asks for an endpoint, gets its address from the gateway's write-back, and is reached by it.

use serde_json::Value;
use wicketgate_tests::{Clearml, Client, Gateway};

use super::task::Task;

async fn asks_for_an_endpoint_and_is_reached_by_it(version: &'static str) {
    let clearml = Clearml::start();
    let gateway = Gateway::start(&clearml.config()).await;
    let mut task = Task::start(&clearml, version, "endpoint.py", &[], "127.0.0.1").await;
    let told = task.tells().await;
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
