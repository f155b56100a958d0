//! Why a request got in or didn't: its decisions are recorded, found by their ids, and hold no credential.

use serde_json::{Value, json};
use wicketgate_tests::{Client, Gateway};

use crate::site::{SESSION, Site, defaults, only, token};

async fn decision(gateway: &Gateway, id: &str) -> Value {
    gateway.status(&format!("/decisions/{id}")).await
}

fn ids(header: Option<&str>) -> Vec<String> {
    header.unwrap_or_default().split(',').map(str::to_owned).collect()
}

#[tokio::test]
async fn an_administrator_is_told_which_decisions_they_were() {
    let site = Site::new(&only(defaults()));
    let gateway = Gateway::start(&site.config()).await;
    let secret = token(&json!({"sub": "root", "role": "admin"}));
    let admin = Client::default().bearer(&secret);
    let first = admin.get(&gateway.at(SESSION)).await;
    assert_eq!(first.status, 200);
    let told = ids(first.header("x-wicketgate-decision"));
    assert_eq!(told.len(), 2, "{told:?}");
    // The access log has them, and a decision from the cache has the id of the one that it repeats.
    gateway.logs(&format!("decisions=\"{}\"", told.join(","))).await;
    let authentication = decision(&gateway, &told[0]).await;
    let routing = decision(&gateway, &told[1]).await;
    assert_eq!(authentication["outcome"]["decided"]["decision"]["allow"]["principal"]["id"], "root", "{authentication}");
    assert_eq!(routing["outcome"]["decided"]["by"], "policy", "{routing}");
    assert_eq!(routing["inputs"]["http"]["path"], "/echo");
    assert_eq!(routing["inputs"]["session"]["owner"], json!(["alice"]));
    assert_eq!(authentication["inputs"]["tokens"][0]["claims"]["role"], "admin");
    for record in [&authentication, &routing] {
        let text = record.to_string();
        assert!(secret.split('.').skip(1).all(|part| !text.contains(part)), "{text}");
    }
    let forged = admin.with("x-wicketgate-decision", "0000000000000000").get(&gateway.at(SESSION)).await;
    assert_ne!(forged.header("x-wicketgate-decision"), Some("0000000000000000"));
}

#[tokio::test]
async fn others_are_not_told() {
    let site = Site::new(&only(defaults()));
    let gateway = Gateway::start(&site.config()).await;
    for client in [Client::default(), Client::default().bearer(&token(&json!({"sub": "alice"})))] {
        assert_eq!(client.get(&gateway.at(SESSION)).await.header("x-wicketgate-decision"), None);
    }
    let lines = Client::default().get(&format!("{}/decisions?kind=authenticator", gateway.admin)).await.text();
    let records: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let words: Vec<&str> = records
        .iter()
        .map(|record| {
            let decision = &record["outcome"]["decided"]["decision"];
            decision.as_object().unwrap().keys().next().unwrap().as_str()
        })
        .collect();
    assert_eq!(words, ["abstain", "allow"], "{lines}");
    let unknown = Client::default().get(&format!("{}/decisions/0000000000000000", gateway.admin)).await;
    assert_eq!(unknown.status, 404);
}
