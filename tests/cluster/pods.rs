//! Pods with annotations are sessions, from their start to their end.

use std::net::SocketAddr;

use serde_json::json;
use wicketgate_tests::{Client, Listener, Upstream, eventually, tcp::rest};

use crate::stage::{PUBLIC, Stage, annotated, annotation, answers, at, person};

#[tokio::test]
async fn an_annotated_pod_is_a_session_while_it_runs() {
    let stage = Stage::new("pods").await;
    let gateway = stage.gateway().await;
    let stranger = Client::default();
    answers(&gateway, &person("alice"), "notebook", 404).await;

    let notebook = stage.pod("notebook", &[("port", "{port}"), ("owner", "alice")]).await;
    answers(&gateway, &person("alice"), "notebook", 200).await;
    // Who may enter is decided as for any session.
    answers(&gateway, &person("bob"), "notebook", 404).await;
    answers(&gateway, &stranger, "notebook", 401).await;

    let url = annotation(&notebook.pod, "endpoint").await;
    assert_eq!(url, format!("{PUBLIC}/service/notebook/"));
    assert_eq!(annotation(&notebook.pod, "published-by").await, "gate");
    let note = eventually("an Event", async || stage.told(&notebook.pod, "Published").await).await;
    assert!(note.contains(&url), "{note}");

    // What its owner takes back is taken back.
    notebook.pod.annotate(&json!({"wicketgate.io/owner": "bob"})).await;
    answers(&gateway, &person("bob"), "notebook", 200).await;
    answers(&gateway, &person("alice"), "notebook", 404).await;

    notebook.pod.vanishes().await;
    answers(&gateway, &person("bob"), "notebook", 404).await;
}

/// Each way in which a pod ends is the session's end.
#[tokio::test]
async fn a_pod_that_ends_or_is_marked_is_no_session_any_more() {
    let stage = Stage::new("ends").await;
    let gateway = stage.gateway().await;
    let anybody = person("anybody");
    let pods = [stage.public("done").await, stage.public("marked").await, stage.public("gone").await];
    for name in ["done", "marked", "gone"] {
        answers(&gateway, &anybody, name, 200).await;
    }
    pods[0].pod.succeeds().await;
    answers(&gateway, &anybody, "done", 404).await;
    // It's still there, and its process, too: it only was asked to end.
    pods[1].pod.terminates().await;
    answers(&gateway, &anybody, "marked", 404).await;
    pods[2].pod.vanishes().await;
    answers(&gateway, &anybody, "gone", 404).await;
}

/// A pod comes before its address, and a restarted one may have another.
#[tokio::test]
async fn the_pods_address_is_followed() {
    let stage = Stage::new("follow").await;
    let gateway = stage.gateway().await;
    let [first, second] = [(); 2].map(|()| Upstream::start_at(stage.network.server()));
    let annotations = annotated(&[("access", "public"), ("port", "{port}")], first.port());
    let pod = stage.namespace.pod("late", &annotations).await;
    pod.runs_at(first.address().ip()).await;
    answers(&gateway, &Client::default(), "late", 200).await;

    pod.annotate(&json!({"wicketgate.io/port": second.port().to_string()})).await;
    pod.runs_at(second.address().ip()).await;
    eventually("the new address", async || {
        Client::default().get(&gateway.at("/service/late/echo")).await;
        (!second.seen().is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_tcp_endpoint_has_its_port_until_the_end_and_over_restarts() {
    let stage = Stage::new("tcp").await;
    let mut gateway = stage.gateway().await;
    let server = Listener::at(stage.network.server()).await;
    let endpoints = "[{name: ssh, protocol: tcp, port: {port}}]";
    let annotations = annotated(&[("endpoints", endpoints), ("access", "public")], server.port());
    let pod = stage.namespace.running_pod("shell", &annotations, server.address().ip()).await;
    let published = annotation(&pod, "external-address.ssh").await;
    let address = at(&gateway, &published);
    assert_eq!(greet(address, &server).await, "hello");

    // Somebody's own update wipes what was written: it's written again.
    pod.annotate(&json!({"wicketgate.io/external-address.ssh": null})).await;
    assert_eq!(annotation(&pod, "external-address.ssh").await, published);

    gateway.kill();
    gateway.start_again().await;
    eventually("the port is open again", async || tokio::net::TcpStream::connect(address).await.ok().map(drop)).await;
    assert_eq!(annotation(&pod, "external-address.ssh").await, published);
}

/// Connects and reads what the server of the test says.
async fn greet(address: SocketAddr, server: &Listener) -> String {
    use tokio::io::AsyncWriteExt;
    let client = eventually("the port", async || tokio::net::TcpStream::connect(address).await.ok()).await;
    let mut session = server.accept().await;
    session.write_all(b"hello").await.unwrap();
    drop(session);
    String::from_utf8(rest(client).await.0).unwrap()
}

#[tokio::test]
async fn two_gateways_in_one_namespace_keep_apart() {
    let stage = Stage::new("two").await;
    let first = stage.gateway().await;
    let second = stage.other_gateway("other").await;
    let only = stage.pod("only", &[("port", "{port}"), ("access", "public"), ("gateway", "other")]).await;
    let both = stage.public("both").await;
    let anybody = person("anybody");
    answers(&second, &anybody, "only", 200).await;
    answers(&second, &anybody, "both", 200).await;
    answers(&first, &anybody, "both", 200).await;
    answers(&first, &anybody, "only", 404).await;
    assert_eq!(annotation(&only.pod, "published-by").await, "other");
    let by = annotation(&both.pod, "published-by").await;
    assert!(by == "gate" || by == "other", "{by}");
}

#[tokio::test]
async fn a_pod_with_a_leased_port_changes_as_any_other() {
    let stage = Stage::new("changes").await;
    let gateway = stage.gateway().await;
    let endpoints = "[{port: {port}}, {name: ssh, protocol: tcp, port: 22}]";
    let notebook = stage.pod("notebook", &[("endpoints", endpoints), ("owner", "alice")]).await;
    answers(&gateway, &person("alice"), "notebook", 200).await;
    annotation(&notebook.pod, "external-address.ssh").await;
    notebook.pod.annotate(&json!({"wicketgate.io/owner": "bob"})).await;
    answers(&gateway, &person("bob"), "notebook", 200).await;
    answers(&gateway, &person("alice"), "notebook", 404).await;
}

#[tokio::test]
async fn a_pod_is_handed_over_and_left_clean() {
    let stage = Stage::new("handover").await;
    let first = stage.gateway().await;
    let pod = stage.pod("moves", &[("port", "{port}"), ("access", "public")]).await;
    assert_eq!(annotation(&pod.pod, "published-by").await, "gate");
    let second = stage.other_gateway("other").await;
    pod.pod.annotate(&json!({"wicketgate.io/gateway": "other"})).await;
    let by = async || (pod.pod.annotation("wicketgate.io/published-by").await.as_deref() == Some("other")).then_some(());
    eventually("the other gateway publishes it", by).await;
    answers(&second, &person("anybody"), "moves", 200).await;
    answers(&first, &person("anybody"), "moves", 404).await;

    pod.pod.annotate(&json!({"wicketgate.io/port": null})).await;
    for name in ["wicketgate.io/endpoint", "wicketgate.io/published-by"] {
        eventually(&format!("{name} is gone"), async || pod.pod.annotation(name).await.is_none().then_some(())).await;
    }
    let note = eventually("an Event", async || stage.told(&pod.pod, "Withdrawn").await).await;
    assert!(note.contains("not reached"), "{note}");
}
