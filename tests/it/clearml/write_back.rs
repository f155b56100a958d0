//! Addresses get into a task's runtime, stay there, and harm nothing else in it.

use serde_json::{Value, json};
use wicketgate_tests::{Clearml, Gateway, clearml::Options, eventually};

use super::runtime;

/// Waits for a value of a task's runtime.
async fn written(clearml: &Clearml, key: &str) -> String {
    eventually(key, async || clearml.runtime("s1", key)?.as_str().map(str::to_owned)).await
}

fn writes(clearml: &Clearml) -> usize {
    clearml.count("tasks.edit") + clearml.count("tasks.edit_runtime")
}

/// Waits until the server was asked for sessions twice more: whatever there was to do has been done.
pub(super) async fn two_looks(clearml: &Clearml) {
    let before = clearml.count("tasks.get_all_ex");
    eventually("two more looks", async || (clearml.count("tasks.get_all_ex") > before + 2).then_some(())).await;
}

#[tokio::test]
async fn an_address_is_written_once_and_again_when_a_client_wiped_it() {
    let clearml = Clearml::start();
    clearml.add_session("s1", "alice", runtime(8888));
    let gateway = Gateway::start(&clearml.config()).await;
    let address = gateway.at("/service/s1/");
    assert_eq!(written(&clearml, "endpoint").await, address);
    assert_eq!(written(&clearml, "browser_endpoint").await, gateway.at("/login?return=%2Fservice%2Fs1%2F"));
    two_looks(&clearml).await;
    assert_eq!(writes(&clearml), 1, "nothing is written where nothing changed");
    assert_eq!(clearml.runtime("s1", "_jupyter_token"), Some(json!("hush")));

    // The SDK reads the whole map, changes it, and writes it back: without what came in between.
    clearml.change("s1", |task| {
        task.insert("runtime".into(), runtime(8888));
    });
    assert_eq!(written(&clearml, "endpoint").await, address);
    two_looks(&clearml).await;
    assert_eq!(writes(&clearml), 2);
    assert!(!gateway.log().contains("hush"), "a secret of the runtime is in the log");
}

#[tokio::test]
async fn a_server_that_stores_keys_under_other_names_gets_them_by_the_other_call() {
    let clearml = Clearml::with(Options { escapes_keys: true, ..Options::default() });
    let mut asked = runtime(8888);
    asked["_ADDRESS__api"] = json!("127.0.0.1");
    asked["_PORT__api"] = json!(8889);
    clearml.add_session("s1", "alice", asked);
    let gateway = Gateway::start(&clearml.config()).await;
    assert_eq!(written(&clearml, "endpoint__api").await, gateway.at("/service/s1.api/"));
    assert_eq!(written(&clearml, "endpoint").await, gateway.at("/service/s1/"));
    two_looks(&clearml).await;
    let task = clearml.task("s1").unwrap();
    let keys: Vec<&str> = task["runtime"].as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "_ADDRESS",
        "_ADDRESS__api",
        "_PORT",
        "_PORT__api",
        "_SERVICE",
        "_jupyter_token",
        "browser_endpoint",
        "browser_endpoint__api",
        "endpoint",
        "endpoint__api",
    ];
    assert_eq!(keys, expected, "nothing strays under another name");
    let before = writes(&clearml);
    two_looks(&clearml).await;
    assert_eq!(writes(&clearml), before);
}

#[tokio::test]
async fn what_a_client_writes_meanwhile_survives() {
    let clearml = Clearml::with(Options { edit_runtime: false, ..Options::default() });
    clearml.add_session("s1", "alice", runtime(8888));
    // A client that read before the gateway wrote, and writes after it: its map has no address.
    let stale = |task: &mut serde_json::Map<String, Value>| {
        let mut runtime = runtime(8888);
        runtime["progress"] = json!("7");
        task.insert("runtime".into(), runtime);
    };
    let gateway = Gateway::start(&clearml.config()).await;
    written(&clearml, "endpoint").await;
    clearml.before("tasks.get_all_ex", stale, "s1");
    eventually("both", async || {
        let (ours, theirs) = (clearml.runtime("s1", "endpoint")?, clearml.runtime("s1", "progress")?);
        (ours == gateway.at("/service/s1/").as_str() && theirs == "7").then_some(())
    })
    .await;
    two_looks(&clearml).await;
    assert_eq!(clearml.runtime("s1", "progress"), Some(json!("7")));
}

#[tokio::test]
async fn an_enterprise_server_sends_browsers_back_by_itself() {
    let clearml = Clearml::with(Options { enterprise: true, ..Options::default() });
    clearml.add_session("s1", "alice", runtime(8888));
    let _gateway = Gateway::start(&format!("name: gate\n{}", clearml.config())).await;
    let expected = format!("{}/auth.redirect_to_router?router=gate&task=s1&path=service%2Fs1", clearml.url());
    assert_eq!(written(&clearml, "browser_endpoint").await, expected);
}

#[tokio::test]
async fn what_stays_behind_is_taken_back_only_where_it_is_ours() {
    let clearml = Clearml::start();
    let mut asked = runtime(8888);
    asked["_ADDRESS__api"] = json!("127.0.0.1");
    asked["_PORT__api"] = json!(8889);
    asked["endpoint__other"] = json!("https://elsewhere.example/");
    clearml.add_session("s1", "alice", asked);
    let _gateway = Gateway::start(&clearml.config()).await;
    written(&clearml, "endpoint__api").await;
    clearml.change("s1", |task| {
        task["runtime"].as_object_mut().unwrap().remove("_PORT__api");
    });
    eventually("the named endpoint is taken back", async || {
        (clearml.runtime("s1", "endpoint__api").is_none() && clearml.runtime("s1", "browser_endpoint__api").is_none()).then_some(())
    })
    .await;
    assert!(clearml.runtime("s1", "endpoint").is_some() && clearml.runtime("s1", "endpoint__other").is_some());
}
