//! The cluster that the tests stand on does what they take for granted.

use serde_json::json;
use wicketgate_tests::{Cluster, cluster::Patch, eventually};

/// Without it a test on rights could never fail.
#[tokio::test]
async fn an_account_may_do_what_its_role_says_and_nothing_else() {
    let namespace = Cluster::shared().await.namespace("rights").await;
    namespace.create_account("reader").await;
    namespace.allow("reader", "reading", &json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}])).await;
    let pod = namespace.pod("one", &json!({})).await;

    let reader = namespace.account("reader").await;
    // The server learns of a changed right a moment after it has taken it.
    let granted = async || {
        (reader.call(http::Method::GET, &namespace.core("pods"), "application/json", "").await.status == 200).then_some(())
    };
    eventually("the right to list", granted).await;
    let pods = reader.get(&namespace.core("pods")).await;
    assert_eq!(pods["items"][0]["metadata"]["name"], "one");
    let refused = reader.patch(&pod.path(), Patch::Merge, &json!({"metadata": {"annotations": {"a": "b"}}})).await;
    assert_eq!(refused.status, 403, "{}", refused.message());

    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "patch"]}]);
    namespace.change_role("reading", &rules).await;
    eventually("the right to patch", async || {
        let patched = reader.patch(&pod.path(), Patch::Merge, &json!({"metadata": {"annotations": {"a": "b"}}})).await;
        (patched.status == 200).then_some(())
    })
    .await;
    assert_eq!(pod.annotation("a").await.as_deref(), Some("b"));
}

#[tokio::test]
async fn a_pod_ends_as_on_a_machine() {
    let namespace = Cluster::shared().await.namespace("ends").await;
    let pod = namespace.running_pod("one", &json!({"labels": {"a": "b"}}), [10, 1, 2, 3].into()).await;
    assert_eq!(pod.get().await["status"]["podIP"], "10.1.2.3");
    pod.terminates().await;
    let marked = pod.get().await;
    assert!(marked["metadata"]["deletionTimestamp"].is_string(), "{marked}");
    pod.vanishes().await;
    assert!(namespace.api.find(&pod.path()).await.is_none());
}

/// What etcd has outlives the server, and tokens and clients are good for the next one.
#[tokio::test]
async fn a_server_that_was_killed_comes_back_with_everything() {
    let cluster = Cluster::start().await;
    let namespace = cluster.namespace("lost").await;
    namespace.create_account("reader").await;
    namespace.allow("reader", "reading", &json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}])).await;
    let reader = namespace.account("reader").await;
    namespace.pod("one", &json!({})).await;

    cluster.kill_server();
    let asked = reader.try_call(http::Method::GET, &namespace.core("pods"), "application/json", bytes::Bytes::new()).await;
    assert!(asked.is_err(), "{asked:?}");

    cluster.start_server().await;
    assert_eq!(reader.get(&namespace.core("pods")).await["items"][0]["metadata"]["name"], "one");
}

/// Objects whose kinds a cluster gets from elsewhere are checked like any other.
#[tokio::test]
async fn defined_kinds_are_served_and_checked() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("kinds").await;
    cluster.define("httproutes").await;
    let path = namespace.group("gateway.networking.k8s.io/v1", "httproutes");
    let route = |hosts: serde_json::Value| {
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "one"},
            "spec": {"hostnames": hosts, "parentRefs": [{"name": "edge"}]},
        })
    };
    namespace.api.create(&path, &route(json!(["a.example"]))).await;
    let wrong = namespace.api.call(http::Method::POST, &path, "application/json", route(json!(["NOT A NAME"])).to_string()).await;
    assert_eq!(wrong.status, 422, "{}", wrong.message());
}
