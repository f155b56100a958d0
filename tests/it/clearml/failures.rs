//! A server that fails, and sessions that lie.

use serde_json::json;
use wicketgate_tests::{
    Clearml, Client, Gateway, Upstream,
    clearml::{Failure, SECRET},
    eventually,
};

use super::{reaches, runtime};

#[tokio::test]
async fn a_failing_server_keeps_its_sessions_and_the_gateway_says_so() {
    let (clearml, upstream) = (Clearml::start(), Upstream::start());
    clearml.add_session("s1", "alice", runtime(upstream.port()));
    // With the secret people come in while the server is away.
    let config = clearml.config_with(&format!("timeout_ms: 500, token_secret: '{SECRET}'"));
    let gateway = Gateway::start(&config).await;
    let alice = Client::default().bearer(&clearml.token("alice"));
    reaches(&gateway, &alice, "/service/s1/echo", 200).await;

    for failure in [Failure::Status500, Failure::Garbage, Failure::Nonsense, Failure::Hang, Failure::Close] {
        clearml.fail(Some(failure));
        let error = eventually("the failure is shown", async || {
            let status = gateway.status("/sessions").await;
            let source = &status["sources"]["clearml"];
            (source["failing"] == json!(true)).then(|| source["last_error"].to_string())
        })
        .await;
        assert!(error.contains("tasks.get_all_ex"), "{failure:?}: {error}");
        assert_eq!(alice.get(&gateway.at("/service/s1/echo")).await.status, 200, "{failure:?}");
        clearml.fail(None);
        eventually("the server is back", async || {
            (gateway.status("/sessions").await["sources"]["clearml"]["failing"] == json!(false)).then_some(())
        })
        .await;
    }
    clearml.add_session("s2", "alice", runtime(upstream.port()));
    reaches(&gateway, &alice, "/service/s2/echo", 200).await;
    for secret in ["root-secret", "root-key", &clearml.token("alice")[..20]] {
        assert!(!gateway.log().contains(secret), "a credential is in the log");
    }
}

#[tokio::test]
async fn a_gateway_that_never_saw_its_server_is_not_ready() {
    let clearml = Clearml::start();
    clearml.fail(Some(Failure::Status500));
    let gateway = Gateway::start_unready(&clearml.config()).await;
    let ready = async || Client::default().get(&format!("{}/readyz", gateway.admin)).await.status.as_u16();
    gateway.logs("the source failed").await;
    assert_eq!(ready().await, 503);
    assert_eq!(Client::default().get(&gateway.at("/service/s1/")).await.status, 503);
    clearml.fail(None);
    eventually("readiness", async || (ready().await == 200).then_some(())).await;
}

#[tokio::test]
async fn a_session_that_lies_reaches_nothing_and_harms_nobody() {
    let (clearml, upstream) = (Clearml::start(), Upstream::start());
    let gateway = Gateway::start(&clearml.config()).await;
    let alice = Client::default().bearer(&clearml.token("alice"));
    let bob = Client::default().bearer(&clearml.token("bob"));
    clearml.add_session("good", "alice", runtime(upstream.port()));
    reaches(&gateway, &alice, "/service/good/echo", 200).await;

    let admin: u16 = gateway.admin.rsplit(':').next().unwrap().parse().unwrap();
    let api: u16 = clearml.url().rsplit(':').next().unwrap().parse().unwrap();
    let lies = [
        json!({"_ADDRESS": "127.0.0.1", "_PORT": gateway.port}),
        json!({"_ADDRESS": "127.1", "_PORT": admin}),
        json!({"_ADDRESS": "::ffff:127.0.0.1", "_PORT": api}),
        json!({"_ADDRESS": "0x7f000001", "_PORT": upstream.port()}),
        json!({"_ADDRESS": "169.254.169.254", "_PORT": 80}),
        json!({"_ADDRESS": "user@127.0.0.1", "_PORT": 80}),
        json!({"_ADDRESS": "127.0.0.1", "_PORT": "99999999999"}),
        json!({"_ADDRESS": ["127.0.0.1"], "_PORT": 80}),
        json!({"_PORT__\u{0}": 80, "_PORT__../x": 80, "_PORT__": 80}),
        json!("not a map"),
    ];
    for (number, lie) in lies.iter().enumerate() {
        clearml.add_session(&format!("lie{number}"), "bob", lie.clone());
    }
    clearml.add_session("bobs", "bob", runtime(Upstream::start().port()));
    eventually("bob's own session", async || {
        let sessions = gateway.status("/sessions").await["sessions"].to_string();
        sessions.contains("\"bobs\"").then_some(())
    })
    .await;
    for (number, lie) in lies.iter().enumerate() {
        assert_eq!(bob.get(&gateway.at(&format!("/service/lie{number}/echo"))).await.status, 404, "{lie}");
    }
    assert_eq!(alice.get(&gateway.at("/service/good/echo")).await.status, 200);
    let status = gateway.status("/sessions").await.to_string();
    for reason in ["is a port of this gateway", "is the API server's", "is held by session good", "169.254.169.254 is link-local"] {
        assert!(status.contains(reason), "{reason}: {status}");
    }
}

#[tokio::test]
async fn a_server_whose_pages_never_end_has_failed() {
    let (clearml, upstream) = (Clearml::start(), Upstream::start());
    for number in 0..600 {
        clearml.add_session(&format!("s{number:03}"), "alice", runtime(upstream.port()));
    }
    let gateway = Gateway::start(&clearml.config_with("publish: false")).await;
    clearml.fail(Some(Failure::FirstPage));
    gateway.logs("a full page of tasks that an earlier page had").await;
    let alice = Client::default().bearer(&clearml.token("alice"));
    assert_eq!(alice.get(&gateway.at("/service/s599/echo")).await.status, 200, "what it had before stays");
}
