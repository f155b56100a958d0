//! `status`, `explain`, `decisions` of a running gateway, and `plugin replay` of what it recorded.

use serde_json::{Value, json};
use wicketgate_tests::{Client, Gateway};

use super::{text, wicketgate, write};
use crate::site::{SESSION, Site, defaults, defaults_with, only, person, refused, token};

/// A gateway at which alice came in and bob didn't, with its records in a file.
async fn visited() -> (Site, Gateway, tempfile::TempDir, String) {
    let site = Site::new(&only(defaults()));
    let gateway = Gateway::start(&site.config()).await;
    assert_eq!(person("alice").get(&gateway.at(SESSION)).await.status, 200);
    assert_ne!(person("bob").get(&gateway.at("/service/nowhere/")).await.status, 200);
    let exported = wicketgate(&["decisions", "--admin", &gateway.admin]).exits(0).stdout;
    let directory = tempfile::tempdir().unwrap();
    let records = write(&directory, "records.jsonl", exported);
    (site, gateway, directory, records)
}

#[tokio::test]
async fn a_status_says_what_decides_and_what_was_refused() {
    let mut site = Site::new(&only(defaults()));
    let gateway = Gateway::start(&site.config()).await;
    let status = || wicketgate(&["status", "--admin", &gateway.admin]);
    assert_eq!(person("alice").get(&gateway.at(SESSION)).await.status, 200);
    status().exits(0).says(&[
        "ready: http://",
        "\ngeneration 1 (",
        "auth  authenticator",
        "1 key set people",
        "cookie wicketgate_session (credential)",
    ]);
    site.mount("version: 2\nplugins: []\n");
    refused(&gateway, None).await;
    status().exits(0).says(&["refused: plugins.yaml, version: found 2, expected 1 ("]);
    let report = wicketgate(&["status", "--admin", &gateway.admin, "--json"]).exits(0).json();
    assert_eq!((&report["ready"], &report["plugins"]["generation"]), (&json!(true), &json!(1)));
}

#[tokio::test]
async fn a_gateway_that_is_not_ready_or_not_there_is_said() {
    let site = Site::new(&only("version: 2\nplugins: []\n".to_owned()));
    let gateway = Gateway::start_unready(&site.config()).await;
    refused(&gateway, None).await;
    wicketgate(&["status", "--admin", &gateway.admin]).exits(1).says(&["not ready: http://", "no plugin set decides"]);
    wicketgate(&["explain", "0000000000000000", "--admin", &gateway.admin]).exits(1).complains(&["404: no such decision is kept"]);
    wicketgate(&["explain", "zero"]).exits(2).complains(&["sixteen hexadecimal digits"]);
    wicketgate(&["status", "--admin", "127.0.0.1:9090"]).exits(2).complains(&["--admin: found '127.0.0.1:9090', expected a URL"]);
    let closed = format!("http://127.0.0.1:{}", wicketgate_tests::free_port());
    wicketgate(&["status", "--admin", &closed]).exits(1).complains(&["/readyz: Connection refused"]);
}

#[tokio::test]
async fn a_token_opens_the_admin_listener() {
    let site = Site::new(&only(defaults()));
    let gateway = Gateway::start(&format!("admin: {{listen: '127.0.0.1:{{admin}}', token: hush}}\n{}", site.config())).await;
    let status = |token: &[&str]| wicketgate(&[&["status", "--admin", &gateway.admin], token].concat());
    status(&[]).exits(1).complains(&["401: expected the admin token", "(--token, or the variable WICKETGATE_ADMIN__TOKEN)"]);
    status(&["--token", "other"]).exits(1).complains(&["(another token than the one that was sent)"]);
    status(&["--token", "hush"]).exits(0).says(&["ready: http://"]);
}

#[tokio::test]
async fn a_decision_is_explained_by_its_id() {
    let site = Site::new(&only(defaults()));
    let gateway = Gateway::start(&site.config()).await;
    let admin = Client::default().bearer(&token(&json!({"sub": "root", "role": "admin"})));
    let entered = admin.get(&gateway.at(SESSION)).await;
    let (authentication, routing) = entered.header("x-wicketgate-decision").unwrap().split_once(',').unwrap();
    let explain = |id: &str, more: &[&str]| wicketgate(&[&["explain", id, "--admin", &gateway.admin], more].concat());
    explain(authentication, &[]).exits(0).says(&[
        "allow (token), by plugin 'auth'\n",
        "  path                  /echo\n",
        "by key set 'people': genuine",
        "with the claims role admin, sub root",
    ]);
    explain(routing, &[]).exits(0).says(&["forward (admin), by plugin 'policy'\n", "  owner", "alice\n", "  id    root\n"]);
    assert_eq!(explain(routing, &["--json"]).exits(0).json()["id"], routing);
}

#[tokio::test]
async fn records_are_run_through_another_plugin() {
    let (_site, gateway, directory, records) = visited().await;
    let replay = |more: &[&str]| wicketgate(&[&["plugin", "replay", &records], more].concat());
    let policy = ["--plugin", "builtin:routing-policy"];
    replay(&policy).exits(0).says(&["0 differences", "left out: of other kinds"]);
    let closed = [&policy[..], &["--config", r#"{"closed": "Later."}"#]].concat();
    replay(&closed).exits(1).says(&[
        "alice GET /echo of s1  forward (owner)  -> reject (closed)  turns away",
        "FAILED 1 difference, at most 0 may be (--most-differences)",
    ]);
    replay(&[&closed[..], &["--most-differences", "1"]].concat()).exits(0);
    let report = replay(&[&closed[..], &["--json"]].concat()).exits(1).json();
    assert_eq!(
        (&report["differences"], &report["turned_away"], &report["admitted"]),
        (&json!(1), &json!(1), &json!(0)),
        "{report}"
    );
    // Only where it was asked.
    replay(&[&policy[..], &["--name", "nobody"]].concat()).exits(1).says(&["in which it wasn't asked", "this says nothing"]);
    // Not everything that a plugin may declare was recorded.
    let claims = ["--plugin", "builtin:cookie-auth", "--config", r#"{"key_sets": ["people"], "cookies": ["unheard-of"]}"#];
    replay(&claims).exits(1).says(&["not run: the input 'cookie unheard-of' isn't recorded"]);
    // What isn't a record is counted, and the rest still runs.
    let more = std::fs::read_to_string(&records).unwrap() + "{\"id\": 1}\nnonsense\n\n";
    let torn = write(&directory, "torn.jsonl", more);
    let torn = [&["plugin", "replay", &torn], &policy[..]].concat();
    let report = wicketgate(&[&torn[..], &["--json"]].concat()).exits(1).json();
    assert_eq!(report["unreadable"], 2, "{report}");
    wicketgate(&torn).exits(1).says(&["of the records could be run again, at least 90 % must"]);
    wicketgate(&[&torn[..], &["--least-replayed-percent", "10"]].concat()).exits(0);
    drop(gateway);
}

#[tokio::test]
async fn records_are_run_through_a_whole_directory() {
    let (_site, gateway, directory, records) = visited().await;
    let set = |text: String| {
        write(&directory, "plugins.yaml", text);
        super::text(directory.path())
    };
    let replay = |more: &[&str]| wicketgate(&[&["plugin", "replay", &records], more].concat());
    let same = set(defaults());
    let report = replay(&["--manifest", &same, "--json"]).exits(0).json();
    assert_eq!((&report["differences"], &report["other_kind"]), (&json!(0), &json!(0)), "{report}");
    let lines = std::fs::read_to_string(&records).unwrap().lines().count() as u64;
    assert_eq!(report["replayed"], Value::from(lines), "{report}");
    let closed = ["--config", r#"{"closed": "Later."}"#];
    let tried = ["--manifest", &same, "--plugin", "builtin:routing-policy", "--name", "policy"];
    replay(&[&tried[..], &closed].concat()).exits(1).says(&["forward (owner)", "-> reject (closed)", "turns away"]);
    replay(&["--manifest", &same, "--plugin", "builtin:routing-policy", "--name", "nobody"])
        .exits(2)
        .complains(&["found 'nobody'"]);
    let shut =
        set(defaults_with("routing-policy", "{name: policy, kind: routing-policy, builtin: routing-policy, config: {closed: no}}"));
    replay(&["--manifest", &shut]).exits(1);
    let empty = text(&directory.path().join("empty"));
    std::fs::create_dir(&empty).unwrap();
    replay(&["--manifest", &empty]).exits(1).complains(&["is empty"]);
    drop(gateway);
}
