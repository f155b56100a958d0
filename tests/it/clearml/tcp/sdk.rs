//! The real ClearML SDK asks for a TCP endpoint and is told the gateway's.

use serde_json::{Value, json};
use wicketgate_tests::{Clearml, eventually};

use super::{super::task::Task, Published, TASKS_ADDRESS, answer, gateway, published};

/// What `request_external_endpoint(wait=True)` answers: before 2.1.0 it waits until the gateway has written the task's own port,
/// since then the SDK writes that one itself and answers at once, with whatever address is there.
#[derive(Clone, Copy, PartialEq)]
enum Waits {
    ForTheGateway,
    ForNobody,
}

async fn is_reached_at_the_address_that_it_lists(version: &'static str, name: &str, waits: Waits) {
    let clearml = Clearml::start();
    let (gateway, ports) = gateway(&clearml).await;
    let mut task = Task::start(&clearml, version, "ports.py", &[name], TASKS_ADDRESS).await;
    let told = task.tells().await;
    let (id, own_port) = (told["task"].as_str().unwrap(), u16::try_from(told["port"].as_u64().unwrap()).unwrap());
    let suffix = if name.is_empty() { String::new() } else { format!("__{name}") };
    let found = published(&clearml, ports, id, &suffix).await;
    assert_eq!(found, Published { address: "127.0.0.1".into(), port: found.port, own_port });
    let endpoint = format!("127.0.0.1:{}", found.port);
    let answered = told["answer"]["endpoint"].as_str().unwrap_or_else(|| panic!("no endpoint in {told}"));
    assert!(answered == endpoint || (waits == Waits::ForNobody && answered == format!("{TASKS_ADDRESS}:{own_port}")), "{told}");

    let listed = task.asked_to("list").await;
    assert_eq!(listed["listed"].as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(listed["listed"][0]["endpoint"], *endpoint, "{listed}");
    assert_eq!(answer(&endpoint, "good morning").await, format!("{id}: good morning"));

    if waits == Waits::ForTheGateway || !name.is_empty() {
        asks_again(&mut task, &endpoint).await;
        assert_eq!(answer(&endpoint, "good evening").await, format!("{id}: good evening"));
    }
    assert!(!gateway.log().contains("alice-secret"), "a credential is in the log");
}

/// The same request once more writes the task's own address over the gateway's, which puts the same port there again. Releases
/// before 2.1.0 compare the port with what the gateway wrote, and refuse unless it's the same number. Since then a request
/// without a name is another endpoint, so that only a named one can be made again.
async fn asks_again(task: &mut Task<'_>, endpoint: &str) {
    let mut told = task.asked_to("again").await;
    eventually("the same port again", async || {
        if told["listed"][0]["endpoint"] == endpoint {
            return Some(());
        }
        told = task.asked_to("list").await;
        None
    })
    .await;
}

#[tokio::test]
async fn clearml_1_18_0() {
    is_reached_at_the_address_that_it_lists("1.18.0", "", Waits::ForTheGateway).await;
}

#[tokio::test]
async fn clearml_2_0_2() {
    is_reached_at_the_address_that_it_lists("2.0.2", "", Waits::ForTheGateway).await;
}

#[tokio::test]
async fn clearml_2_1_12() {
    is_reached_at_the_address_that_it_lists("2.1.12", "", Waits::ForNobody).await;
}

#[tokio::test]
async fn clearml_2_1_12_with_a_name() {
    is_reached_at_the_address_that_it_lists("2.1.12", "shell", Waits::ForNobody).await;
}

/// The default HTTP and the default TCP endpoint share the key `_SERVICE`, so that one of them has lost its own.
#[tokio::test]
async fn a_task_with_both_default_endpoints_gets_both_addresses() {
    let clearml = Clearml::start();
    let (gateway, ports) = gateway(&clearml).await;
    for (task, service) in [("t1", "EXTERNAL"), ("t2", "EXTERNAL_TCP")] {
        let runtime = json!({
            "_SERVICE": service, "_ADDRESS": TASKS_ADDRESS, "_PORT": 8888,
            "external_address": TASKS_ADDRESS, "external_tcp_port": 2222,
        });
        clearml.add_session(task, "alice", runtime);
        assert_eq!(published(&clearml, ports, task, "").await.own_port, 2222);
        let endpoint = eventually("an HTTP endpoint", async || clearml.runtime(task, "endpoint")).await;
        assert_eq!(endpoint, Value::from(gateway.at(&format!("/service/{task}/"))));
    }
}
