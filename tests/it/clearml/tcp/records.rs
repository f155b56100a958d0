//! What the gateway writes to a task about its lease: it brings the port back after a restart, and nobody else gets anything by it.

use std::net::{Ipv4Addr, TcpListener};

use serde_json::{Value, json};
use wicketgate_tests::{
    Clearml, ConfigMap, Gateway, PortRange, eventually, greeting,
    tcp::{Listener, speaker_at},
};

use super::{Published, TASKS_ADDRESS, number, published};
use crate::{clearml::write_back::two_looks, site};

const LOGIN: &str = "name: gate\nlogin: {secret: a-secret-that-stays-the-same-across-restarts}\n";

/// A task's own server, which says this.
async fn server(text: &'static str) -> u16 {
    speaker_at(TASKS_ADDRESS.parse().unwrap(), text).await
}

/// What a task says of it.
fn asked(port: u16) -> Value {
    json!({ "_SERVICE": "EXTERNAL_TCP", "external_address": TASKS_ADDRESS, "external_tcp_port": port })
}

async fn gateway(clearml: &Clearml, tcp: &str) -> Gateway {
    Gateway::start(&(clearml.config() + LOGIN + tcp)).await
}

fn wipe(clearml: &Clearml, task: &str, runtime: Value) {
    clearml.change(task, |task| drop(task.insert("runtime".into(), runtime)));
}

/// Waits until a task's own address stands in its runtime again.
async fn has_its_own_again(clearml: &Clearml, task: &str, port: u16) {
    eventually(&format!("{task}'s own address"), async || {
        let address = clearml.runtime(task, "external_address")?;
        let own = number(&clearml.runtime(task, "external_tcp_port")?)?;
        (address == TASKS_ADDRESS && own == port && clearml.runtime(task, "_wicketgate_lease").is_none()).then_some(())
    })
    .await;
}

/// Waits until nobody listens on a port.
async fn is_closed(port: u16) {
    eventually(&format!("port {port} is closed"), async || greeting(port).await.is_none().then_some(())).await;
}

#[tokio::test]
async fn a_restarted_gateway_finds_the_port_and_the_address_that_it_wrote_over() {
    let (clearml, ports, own) = (Clearml::start(), PortRange::free(2), server("s1").await);
    clearml.add_session("s1", "alice", asked(own));
    let mut gateway = gateway(&clearml, &ports.config()).await;
    let usual = published(&clearml, ports, "s1", "").await.port;
    // The port that its name leads to is taken once, so that only the record can lead to the other one.
    gateway.kill();
    wipe(&clearml, "s1", asked(own));
    let taken = TcpListener::bind(("127.0.0.1", usual)).unwrap();
    gateway.start_again().await;
    let other = published(&clearml, ports, "s1", "").await;
    assert_ne!(other.port, usual);
    assert_eq!(clearml.runtime("s1", "external_address"), Some(json!("127.0.0.1")), "its own address is written over");
    gateway.kill();
    drop(taken);
    gateway.start_again().await;
    eventually("the port", async || (greeting(other.port).await.as_deref() == Some("s1")).then_some(())).await;
    two_looks(&clearml).await;
    assert_eq!(published(&clearml, ports, "s1", "").await, other);
    assert_eq!(greeting(usual).await, None);
    let status = gateway.status("/sessions").await.to_string();
    assert!(status.contains(&format!("\"address\":\"{TASKS_ADDRESS}\"")), "{status}");
}

#[tokio::test]
async fn a_forged_copied_or_foreign_record_takes_no_port_and_reaches_nothing() {
    let (clearml, ports, own) = (Clearml::start(), PortRange::free(6), server("alice's").await);
    let inner = Listener::at(Ipv4Addr::new(127, 0, 0, 3)).await;
    clearml.add_session("s1", "alice", asked(own));
    let mut gateway = gateway(&clearml, &ports.config()).await;
    let hers = published(&clearml, ports, "s1", "").await;
    let lease = clearml.runtime("s1", "_wicketgate_lease").unwrap().as_str().unwrap().to_owned();
    assert!(lease.starts_with(&format!("v1 gate {} ", hers.port)), "{lease}");
    gateway.kill();

    // These say that they're routed already, to where only they know.
    let routed = |lease: &str| {
        json!({
            "_SERVICE": "EXTERNAL_TCP", "external_address": "127.0.0.1", "external_tcp_port": hers.port,
            "upstream_task_port": inner.port(), "_wicketgate_lease": lease,
        })
    };
    // These have an address of their own, and want alice's port for it.
    let claims = |address: &str, lease: &str| {
        json!({
            "_SERVICE": "EXTERNAL_TCP", "external_address": address, "external_tcp_port": 1022, "_wicketgate_lease": lease,
        })
    };
    let forged = format!("v1 gate {} 9999999999999 127.0.0.3 {} {}", hers.port, inner.port(), "A".repeat(43));
    for (id, runtime) in [
        ("copied", routed(&lease)),
        ("forged", routed(&forged)),
        ("changed", routed(&lease.replacen(TASKS_ADDRESS, "127.0.0.3", 1))),
        ("foreign", routed(&lease.replacen(" gate ", " elsewhere ", 1))),
        ("claims", claims("127.0.0.4", &forged)),
        ("claims2", claims("127.0.0.5", &lease)),
    ] {
        clearml.add_session(id, "bob", runtime);
    }
    gateway.start_again().await;
    // Theirs are other ports.
    eventually("both have other ports", async || {
        let others = ["claims", "claims2"].map(|id| clearml.runtime(id, "external_address"));
        others.iter().all(|address| *address == Some(json!("127.0.0.1"))).then_some(())
    })
    .await;
    two_looks(&clearml).await;
    assert_eq!(published(&clearml, ports, "s1", "").await, hers);
    assert_eq!(greeting(hers.port).await.as_deref(), Some("alice's"));
    let status = gateway.status("/sessions").await;
    let reason = |id: &str| {
        let rejected = status["rejected"].as_array().unwrap().iter().find(|rejected| rejected["session"] == id);
        rejected.unwrap_or_else(|| panic!("{id} isn't rejected: {status}"))["reason"].as_str().unwrap().to_owned()
    };
    for id in ["copied", "forged", "changed"] {
        assert_eq!(reason(id), "this gateway routes it already, and the task's own address isn't known any more", "{id}");
    }
    assert_eq!(reason("foreign"), "gateway elsewhere routes it");
    for port in ports.start..=ports.end {
        greeting(port).await;
    }
    assert!(inner.is_alone().await, "somebody was led to an address that only a lie named");
    let leases = status["leases"].as_array().unwrap();
    assert_eq!(leases.len(), 3, "{leases:?}");
    assert!(leases.iter().all(|lease| (lease["port"] == hers.port) == (lease["session"] == "s1")), "{leases:?}");
}

#[tokio::test]
async fn what_a_client_wiped_is_written_again_and_the_port_stays() {
    let (clearml, ports, own) = (Clearml::start(), PortRange::free(4), server("s1").await);
    clearml.add_session("s1", "alice", asked(own));
    let _gateway = gateway(&clearml, &ports.config()).await;
    let first = published(&clearml, ports, "s1", "").await;
    assert_eq!(first, Published { address: "127.0.0.1".into(), port: first.port, own_port: own });
    wipe(&clearml, "s1", asked(own));
    assert_eq!(published(&clearml, ports, "s1", "").await, first);
    assert!(clearml.runtime("s1", "_wicketgate_lease").is_some());
    // A client that moved its server, and knows nothing of leases.
    let moved = server("moved").await;
    wipe(&clearml, "s1", asked(moved));
    let second = published(&clearml, ports, "s1", "").await;
    assert_eq!((second.port, second.own_port), (first.port, moved));
    eventually("the other server", async || (greeting(first.port).await.as_deref() == Some("moved")).then_some(())).await;
}

#[tokio::test]
async fn a_task_without_a_port_is_told_until_it_has_one() {
    let (clearml, ports, own) = (Clearml::start(), PortRange::free(1), server("s1").await);
    clearml.add_session("s1", "alice", asked(own));
    let _gateway = gateway(&clearml, &ports.config_with("quarantine_s: 1")).await;
    let first = published(&clearml, ports, "s1", "").await;
    let late = server("s2").await;
    clearml.add_session("s2", "alice", asked(late));
    let status = eventually("a status", async || clearml.runtime("s2", "_wicketgate_status")).await;
    assert_eq!(status, "gate: no-port-free");
    assert_eq!(clearml.runtime("s2", "external_address"), Some(json!(TASKS_ADDRESS)));
    clearml.end("s1");
    assert_eq!(published(&clearml, ports, "s2", "").await.port, first.port);
    eventually("the status is taken back", async || clearml.runtime("s2", "_wicketgate_status").is_none().then_some(())).await;
    assert_eq!(greeting(first.port).await.as_deref(), Some("s2"));
}

#[tokio::test]
async fn the_end_of_a_task_closes_its_port() {
    let (clearml, ports, own) = (Clearml::start(), PortRange::free(4), server("s1").await);
    clearml.add_session("s1", "alice", asked(own));
    let gateway = gateway(&clearml, &ports.config_with("quarantine_s: 0")).await;
    let port = published(&clearml, ports, "s1", "").await.port;
    assert_eq!(greeting(port).await.as_deref(), Some("s1"));
    clearml.end("s1");
    is_closed(port).await;
    assert_eq!(gateway.status("/sessions").await["leases"], json!([]));
}

#[tokio::test]
async fn an_endpoint_that_a_new_filter_drops_gets_its_own_address_back() {
    let (clearml, ports, own) = (Clearml::start(), PortRange::free(4), server("s1").await);
    clearml.add_session("s1", "alice", asked(own));
    let filter = |config: &str| {
        site::manifest(&[
            format!("{{name: filter, kind: discovery-filter, builtin: discovery-filter, config: {config}}}"),
            "{name: auth, kind: authenticator, builtin: cookie-auth, grants: {log: true, key_sets: [clearml, gateway]}}".into(),
            "{name: policy, kind: routing-policy, builtin: routing-policy}".into(),
        ])
    };
    let mut plugins = ConfigMap::new(&site::only(filter("{}")));
    let directory = format!("plugins: {{directory: '{}', poll_s: 1}}\n", plugins.path().display());
    let gateway = gateway(&clearml, &(directory + &ports.config_with("quarantine_s: 0"))).await;
    let port = published(&clearml, ports, "s1", "").await.port;
    plugins.replace(&site::only(filter("{deny: {protocols: [tcp]}}")));
    site::swapped(&gateway, 1).await;
    has_its_own_again(&clearml, "s1", own).await;
    is_closed(port).await;
    plugins.replace(&site::only(filter("{}")));
    let again = published(&clearml, ports, "s1", "").await.port;
    eventually("the port leads there again", async || (greeting(again).await.as_deref() == Some("s1")).then_some(())).await;
}
