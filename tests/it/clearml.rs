//! The gateway beside a ClearML server: sessions are found, reached by who may, and told their addresses.

mod failures;
mod sdk;
mod task;
mod tcp;
mod write_back;

use serde_json::json;
use wicketgate_tests::{Clearml, Client, Gateway, Upstream, clearml::SECRET, eventually};

/// What a session with a default HTTP endpoint has in its runtime.
fn runtime(port: u16) -> serde_json::Value {
    json!({"_SERVICE": "EXTERNAL", "_ADDRESS": "127.0.0.1", "_PORT": port, "_jupyter_token": "hush"})
}

/// Waits until somebody gets this status for a path.
async fn reaches(gateway: &Gateway, client: &Client, path: &str, status: u16) {
    eventually(&format!("{status} for {path}"), async || (client.get(&gateway.at(path)).await.status == status).then_some(()))
        .await;
}

#[tokio::test]
async fn a_session_is_reached_by_its_owner_until_it_ends() {
    let (clearml, upstream) = (Clearml::start(), Upstream::start());
    let gateway = Gateway::start(&clearml.config()).await;
    let alice = Client::default().bearer(&clearml.token("alice"));
    assert_eq!(alice.get(&gateway.at("/service/s1/echo")).await.status, 404);

    clearml.add_session("s1", "alice", runtime(upstream.port()));
    reaches(&gateway, &alice, "/service/s1/echo", 200).await;
    let got = alice.get(&gateway.at("/service/s1/echo")).await.json();
    assert_eq!(got["target"], "/echo", "the prefix is stripped");
    assert_eq!(Client::default().get(&gateway.at("/service/s1/echo")).await.status, 401);
    let eve = Client::default().bearer(&clearml.token("eve"));
    let (hers, nobodys) = (eve.get(&gateway.at("/service/s1/")).await, eve.get(&gateway.at("/service/s2/")).await);
    assert_eq!((hers.status, hers.text()), (nobodys.status, nobodys.text()), "a stranger can't tell which sessions exist");

    clearml.end("s1");
    reaches(&gateway, &alice, "/service/s1/echo", 404).await;
}

#[tokio::test]
async fn a_logout_is_seen_without_a_key_of_the_tokens() {
    let (clearml, upstream) = (Clearml::start(), Upstream::start());
    clearml.add_session("s1", "alice", runtime(upstream.port()));
    // The answer about a token may be used for as long as the key set says: here not at all, so that the test needn't wait.
    let config = clearml.config() + "key_sets: {clearml: {kind: introspect, cache_s: 0}}\n";
    let gateway = Gateway::start(&config).await;
    let token = clearml.token("alice");
    let alice = Client::default().bearer(&token);
    reaches(&gateway, &alice, "/service/s1/echo", 200).await;
    for _ in 0..20 {
        let reply = alice.get(&gateway.at("/service/s1/echo")).await;
        assert_eq!(reply.status, 200, "an answer that mayn't be kept counts for the request it was asked for: {}", reply.text());
    }
    clearml.revoke(&token);
    reaches(&gateway, &alice, "/service/s1/echo", 401).await;
}

#[tokio::test]
async fn a_token_is_checked_with_the_servers_secret_where_it_is_known() {
    let (clearml, upstream) = (Clearml::start(), Upstream::start());
    clearml.add_session("s1", "alice", runtime(upstream.port()));
    let gateway = Gateway::start(&clearml.config_with(&format!("token_secret: '{SECRET}'"))).await;
    // A cookie counts for a page that somebody opens; anything else needs a page of the session behind it.
    let alice =
        Client::default().with("cookie", &format!("clearml_token_basic={}", clearml.token("alice"))).with("accept", "text/html");
    reaches(&gateway, &alice, "/service/s1/echo", 200).await;
    assert_eq!(clearml.count("users.get_current_user"), 0);
}

#[tokio::test]
async fn only_sessions_of_the_configured_queues_are_served() {
    let (clearml, upstream) = (Clearml::start(), Upstream::start());
    clearml.add_queue("q1", "gpu");
    clearml.add_queue("q2", "cpu");
    for (session, queue) in [("s1", "q1"), ("s2", "q2")] {
        clearml.add_session(session, "alice", runtime(upstream.port()));
        clearml.change(session, |task| {
            task.insert("execution".into(), json!({"queue": queue}));
        });
    }
    let config = clearml.config_with("queues: [gpu]");
    let gateway = Gateway::start(&config).await;
    let alice = Client::default().bearer(&clearml.token("alice"));
    reaches(&gateway, &alice, "/service/s1/echo", 200).await;
    let sessions = gateway.status("/sessions").await;
    assert!(sessions.to_string().contains("s1") && !sessions.to_string().contains("s2"), "{sessions}");
}

#[tokio::test]
async fn more_sessions_than_a_page_holds_are_found() {
    let (clearml, upstream) = (Clearml::start(), Upstream::start());
    for number in 0..1_100 {
        clearml.add_session(&format!("s{number:04}"), "alice", runtime(upstream.port()));
    }
    let gateway = Gateway::start(&clearml.config_with("publish: false")).await;
    let alice = Client::default().bearer(&clearml.token("alice"));
    reaches(&gateway, &alice, "/service/s0000/echo", 200).await;
    assert_eq!(alice.get(&gateway.at("/service/s1099/echo")).await.status, 200);
    assert_eq!(clearml.count("tasks.edit") + clearml.count("tasks.edit_runtime"), 0);
}
