//! How many connections there may be: of one client, to one session, in all.

use std::net::Ipv4Addr;

use tokio::net::TcpStream;
use wicketgate_tests::{
    Listener, PATIENCE, PortRange, eventually,
    tcp::{connect_from, is_carried, rest},
};

use super::{Site, leased, session};

const ONE: Ipv4Addr = Ipv4Addr::LOCALHOST;
const TWO: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Two sessions, and this limit of 2.
async fn site(limit: &str) -> (Site, Listener, Listener) {
    let (first, second) = (Listener::bind().await, Listener::bind().await);
    let config = PortRange::free(4).config_with(&format!("limits: {{{limit}: 2}}"));
    let sessions = [session("s1", first.port(), ""), session("s2", second.port(), "")];
    (Site::with(&config, &sessions).await, first, second)
}

/// A client is let in, and what it says arrives.
async fn enters(client: Ipv4Addr, port: u16, session: &Listener) -> (TcpStream, TcpStream) {
    let mut client = connect_from(client, port).await;
    let mut upstream = tokio::time::timeout(PATIENCE, session.accept()).await.expect("it isn't let in");
    is_carried(&mut client, &mut upstream).await;
    (client, upstream)
}

/// A client is turned away, before anybody connects to the session; the metric counts it.
async fn is_too_many(client: Ipv4Addr, port: u16, session: &Listener, site: &Site) {
    let sample = "wicketgate_tcp_refused_total{reason=\"too-many\"}";
    let before = site.gateway.metric(sample).await;
    let (said, _) = rest(connect_from(client, port).await).await;
    assert_eq!(said, b"");
    eventually("it's counted", async || (site.gateway.metric(sample).await == before + 1).then_some(())).await;
    assert!(session.is_alone().await, "a connection too many reached the session");
}

/// Waits until no connection counts any more.
async fn is_empty(site: &Site) {
    eventually("no open connection", async || (site.gateway.metric("wicketgate_tcp_connections").await == 0).then_some(())).await;
}

#[tokio::test]
async fn a_client_may_have_so_many() {
    let (site, first, second) = site("connections_per_client").await;
    let other = leased(&site.gateway, "s2").await;
    let held = (enters(ONE, site.port, &first).await, enters(ONE, other, &second).await);
    is_too_many(ONE, site.port, &first, &site).await;
    is_too_many(ONE, other, &second, &site).await;
    enters(TWO, site.port, &first).await;
    drop(held);
    is_empty(&site).await;
    enters(ONE, site.port, &first).await;
}

#[tokio::test]
async fn a_session_may_have_so_many() {
    let (site, first, second) = site("connections_per_session").await;
    let other = leased(&site.gateway, "s2").await;
    let held = (enters(ONE, site.port, &first).await, enters(TWO, site.port, &first).await);
    is_too_many(ONE, site.port, &first, &site).await;
    enters(ONE, other, &second).await;
    drop(held);
    is_empty(&site).await;
    enters(ONE, site.port, &first).await;
}

#[tokio::test]
async fn there_may_be_so_many_in_all() {
    let (site, first, second) = site("connections").await;
    let other = leased(&site.gateway, "s2").await;
    let held = (enters(ONE, site.port, &first).await, enters(TWO, other, &second).await);
    is_too_many(ONE, site.port, &first, &site).await;
    is_too_many(TWO, other, &second, &site).await;
    drop(held);
    is_empty(&site).await;
    enters(ONE, site.port, &first).await;
}
