//! Sessions whose owners wrote into their tasks what they shouldn't.

use serde_json::{Value, json};
use wicketgate_tests::{Clearml, Client, Gateway, Upstream, eventually};

/// The one endpoint of a session, as the status shows it.
fn endpoint<'a>(status: &'a Value, id: &str) -> Option<&'a Value> {
    status["sessions"].as_array()?.iter().find(|session| session["id"] == id)?["endpoints"].as_array()?.first()
}

/// What is on this machine, beside it, or nowhere, in every way of writing it.
const FORBIDDEN: &[&str] = &[
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "017700000001",
    "0177.0.0.1",
    "0x7f.1",
    "127.0.0.1.",
    "localhost",
    "LOCALHOST.",
    "a.localhost",
    "::1",
    "[::1]",
    "0:0:0:0:0:0:0:1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "fd00::5efe:10.0.0.1",
    "0",
    "0.0.0.0",
    "::",
    "::ffff:0.0.0.0",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "fd00:ec2::254",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
    "4294967295",
    "240.0.0.1",
    " 10.0.0.1",
    "10.0.0.1:80",
    "10.0.0.1/",
    "10.0.0.1#",
    "10.0.0.256",
    "http://10.0.0.1",
    "user@10.0.0.1",
    "10.0.0.1@127.0.0.1",
    "8.8.8.8",
    "2606:4700:4700::1111",
];

#[tokio::test]
async fn no_spelling_of_a_forbidden_address_is_dialled() {
    let (clearml, canary) = (Clearml::start(), Upstream::start());
    for (number, address) in FORBIDDEN.iter().enumerate() {
        let runtime = json!({"_SERVICE": "EXTERNAL", "_ADDRESS": address, "_PORT": canary.port()});
        clearml.add_session(&format!("h{number}"), "alice", runtime);
    }
    // As an operator has it who allows the cluster's networks, and nothing of this machine.
    let gateway = Gateway::start(&clearml.config().replace("127.0.0.0/8", "10.0.0.0/8, 'fd00::/8'")).await;
    let alice = Client::default().bearer(&clearml.token("alice"));
    let status = gateway.status("/sessions").await;
    for (number, address) in FORBIDDEN.iter().enumerate() {
        let id = format!("h{number}");
        // What isn't an address at all never becomes a session; both ways the operator sees why.
        let reason = match endpoint(&status, &id) {
            Some(endpoint) => {
                assert_eq!(endpoint["state"], "refused", "{address}: {endpoint}");
                endpoint["reason"].to_string()
            }
            None => status["rejected"].as_array().unwrap().iter().find(|it| it.to_string().contains(&id)).unwrap().to_string(),
        };
        assert!(reason.len() > 10, "{address}: no reason: {reason}");
        assert_eq!(alice.get(&gateway.at(&format!("/service/{id}/"))).await.status, 404, "{address}");
    }
    assert!(canary.seen().is_empty(), "{:?}", canary.seen());
}

#[tokio::test]
async fn a_name_is_text_on_the_page_and_in_the_status() {
    let (clearml, upstream) = (Clearml::start(), Upstream::start());
    let runtime = json!({"_SERVICE": "EXTERNAL", "_ADDRESS": "127.0.0.1", "_PORT": upstream.port()});
    clearml.add_session("s1", "alice", runtime);
    clearml.change("s1", |task| {
        task.insert("name".into(), json!("<script>alert(1)</script>\"'&\u{0}\n\u{202e}"));
    });
    let gateway = Gateway::start(&clearml.config()).await;
    let alice = Client::default().bearer(&clearml.token("alice")).with("accept", "text/html");
    let page = eventually("the session is listed", async || {
        let page = alice.get(&gateway.at("/")).await.text();
        page.contains("/service/s1/").then_some(page)
    })
    .await;
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"), "{page}");
    assert!(!gateway.log().contains('\u{202e}'), "the log can be made to read backwards");
}
