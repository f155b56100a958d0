//! Which endpoint gets which port, as long as nothing but a file says what there is.

use std::net::TcpListener;

use serde_json::{Value, json};
use wicketgate_tests::{PortRange, eventually, greeting, speaker};

use super::{Site, endpoint, leased, refused, session};

/// What the status says of a port.
async fn lease(site: &Site, port: u16) -> Value {
    let status = site.gateway.status("/sessions").await;
    status["leases"].as_array().unwrap().iter().find(|lease| lease["port"] == port).cloned().unwrap_or_default()
}

/// Waits until nobody listens on a port.
async fn is_closed(port: u16) {
    eventually(&format!("port {port} is closed"), async || greeting(port).await.is_none().then_some(())).await;
}

#[tokio::test]
async fn each_session_has_a_port_of_its_own_that_leads_to_it() {
    let (one, two, ports) = (speaker("one").await, speaker("two").await, PortRange::free(4));
    let site = Site::with(&ports.config(), &[session("s1", one, ""), session("s2", two, "")]).await;
    let (first, second) = (site.port, leased(&site.gateway, "s2").await);
    assert!(first != second && ports.contains(first) && ports.contains(second), "{first} and {second} of {ports:?}");
    assert_eq!(greeting(first).await.as_deref(), Some("one"));
    assert_eq!(greeting(second).await.as_deref(), Some("two"));
    let lease = lease(&site, first).await;
    assert_eq!((&lease["session"], &lease["endpoint"], &lease["state"]), (&json!("s1"), &json!("raw"), &json!("held")));
    assert!(lease["since_ms"].as_u64().is_some_and(|since| since > 0), "{lease}");
    let endpoint = endpoint(&site.gateway, "s1").await.unwrap();
    assert_eq!((&endpoint["protocol"], &endpoint["path"]), (&json!("tcp"), &Value::Null), "{endpoint}");
}

#[tokio::test]
async fn a_port_that_two_ask_for_is_the_firsts_until_it_ends() {
    let (one, two, ports) = (speaker("one").await, speaker("two").await, PortRange::free(4));
    let wanted = format!(", listen_port: {}", ports.end);
    let sessions = [session("s1", one, &wanted), session("s2", two, &wanted)];
    let site = Site::with(&ports.config_with("quarantine_s: 1"), &sessions).await;
    assert_eq!(site.port, ports.end);
    let why = refused(&site.gateway, "s2").await;
    assert_eq!(why, format!("port {} is leased to session s1", ports.end));
    assert_eq!(greeting(site.port).await.as_deref(), Some("one"));
    site.replace(&sessions[1..]);
    assert_eq!(leased(&site.gateway, "s2").await, ports.end);
    assert_eq!(greeting(site.port).await.as_deref(), Some("two"));
}

#[tokio::test]
async fn a_port_outside_the_range_is_refused_unless_an_administrator_named_it() {
    let (one, ports, named) = (speaker("one").await, PortRange::free(2), PortRange::free(2));
    let asking = |id: &str, port: u16| session(id, one, &format!(", listen_port: {port}"));
    let config = ports.config_with(&format!("static_ports: {{database: {}}}", named.start));
    let site = Site::with(&config, &[asking("s1", named.start), asking("s2", named.end)]).await;
    assert_eq!(site.port, named.start);
    assert_eq!(greeting(site.port).await.as_deref(), Some("one"));
    let why = refused(&site.gateway, "s2").await;
    assert_eq!(why, format!("port {} isn't one of tcp.ports ({} to {})", named.end, ports.start, ports.end));
}

#[tokio::test]
async fn who_comes_when_no_port_is_free_is_told_and_waits() {
    let (one, ports) = (speaker("one").await, PortRange::free(2));
    let sessions = ["s1", "s2", "s3"].map(|id| session(id, one, ""));
    let site = Site::with(&ports.config_with("quarantine_s: 1"), &sessions).await;
    leased(&site.gateway, "s2").await;
    let why = refused(&site.gateway, "s3").await;
    assert_eq!(why, "no port is free: of 2 in tcp.ports 2 are leased, 0 rest after their last session, 0 are other programs'");
    site.replace(&sessions[1..]);
    assert_eq!(leased(&site.gateway, "s3").await, site.port, "it gets the one that came free");
}

#[tokio::test]
async fn ports_of_other_programs_are_passed_over() {
    let (one, ports) = (speaker("one").await, PortRange::free(3));
    let others = [ports.start, ports.end].map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap());
    let site = Site::with(&ports.config(), &[session("s1", one, "")]).await;
    assert_eq!(site.port, ports.start + 1);
    assert_eq!(greeting(site.port).await.as_deref(), Some("one"));
    site.replace(&[session("s1", one, ""), session("s2", one, ""), session("s3", one, &format!(", listen_port: {}", ports.end))]);
    let why = refused(&site.gateway, "s2").await;
    assert_eq!(why, "no port is free: of 3 in tcp.ports 1 are leased, 0 rest after their last session, 2 are other programs'");
    let why = refused(&site.gateway, "s3").await;
    assert!(why.starts_with(&format!("port {}: ", ports.end)), "{why}");
    drop(others);
}

#[tokio::test]
async fn a_port_rests_before_anybody_else_gets_it_and_is_kept_for_who_had_it() {
    let (one, two, ports) = (speaker("one").await, speaker("two").await, PortRange::free(1));
    // Longer than any test.
    let config = ports.config_with("quarantine_s: 86400");
    let (first, second) = (session("s1", one, ""), session("s2", two, ""));
    let site = Site::with(&config, std::slice::from_ref(&first)).await;
    site.replace(std::slice::from_ref(&second));
    let why = refused(&site.gateway, "s2").await;
    assert_eq!(why, "no port is free: of 1 in tcp.ports 0 are leased, 1 rest after their last session, 0 are other programs'");
    let resting = lease(&site, site.port).await;
    assert_eq!((&resting["state"], &resting["session"]), (&json!("quarantined"), &json!("s1")), "{resting}");
    is_closed(site.port).await;
    site.replace(&[second, first]);
    assert_eq!(leased(&site.gateway, "s1").await, site.port);
    assert_eq!(greeting(site.port).await.as_deref(), Some("one"));
}

#[tokio::test]
async fn a_session_that_ends_takes_its_port_with_it() {
    let (one, two, ports) = (speaker("one").await, speaker("two").await, PortRange::free(2));
    let sessions = [session("s1", one, ""), session("s2", two, "")];
    let site = Site::with(&ports.config_with("quarantine_s: 0"), &sessions).await;
    let second = leased(&site.gateway, "s2").await;
    site.replace(&sessions[..1]);
    is_closed(second).await;
    assert_eq!(greeting(site.port).await.as_deref(), Some("one"), "the other one's goes on");
    assert_eq!(lease(&site, second).await, Value::Null);
}

#[tokio::test]
async fn a_port_that_has_rested_is_not_shown_any_more() {
    let (one, ports) = (speaker("one").await, PortRange::free(2));
    let sessions = [session("s1", one, ""), session("s2", one, "")];
    let site = Site::with(&ports.config_with("quarantine_s: 1"), &sessions).await;
    let second = leased(&site.gateway, "s2").await;
    site.replace(&sessions[..1]);
    eventually("it rests", async || (lease(&site, second).await["state"] == "quarantined").then_some(())).await;
    eventually("it has rested", async || lease(&site, second).await.is_null().then_some(())).await;
}
