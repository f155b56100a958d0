//! The gateway's end, when it's asked for: nothing new is taken, what is under way may finish, and who has to go is told.

use http::Method;
use tokio::io::AsyncWriteExt;
use wicketgate_tests::{Client, PATIENCE, eventually, greeting, tcp::head};

use crate::{
    open::{Open, Place},
    site::{person, readiness},
};

/// So long that nothing ends by it.
const LONG: &str = "shutdown: {drain_s: 86400}\n";

const AWAY: u16 = 1001;

/// Waits until the gateway says that it was asked to stop.
async fn is_draining(place: &Place) {
    eventually("not ready any more", async || (readiness(&place.gateway).await == 503).then_some(())).await;
}

/// Waits until nobody can connect, for HTTP or TCP.
async fn takes_nobody(place: &Place) {
    for port in [place.gateway.port, place.port] {
        eventually("nobody listens", async || {
            let refused = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err();
            refused.then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn with_nothing_open_it_ends_at_once() {
    for signal in ["TERM", "INT"] {
        let mut place = Place::start(LONG).await;
        place.gateway.signal(signal);
        assert_eq!(place.gateway.exit().await.code(), Some(0), "after SIG{signal}");
    }
}

#[tokio::test]
async fn a_request_that_is_under_way_is_answered() {
    let mut place = Place::start(LONG).await;
    let (alice, url) = (person("alice"), place.gateway.at("/service/s1/slow"));
    let asked = tokio::spawn(async move { alice.send(Method::POST, &url, "what".into()).await });
    let mut session = place.sockets.accept().await;
    head(&mut session).await;
    place.gateway.signal("TERM");
    is_draining(&place).await;
    takes_nobody(&place).await;
    session.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nat last").await.unwrap();
    let reply = tokio::time::timeout(PATIENCE, asked).await.expect("no answer").unwrap();
    assert_eq!((reply.status.as_u16(), reply.text().as_str()), (200, "at last"));
    assert_eq!(place.gateway.exit().await.code(), Some(0));
}

#[tokio::test]
async fn what_is_open_goes_on_while_nothing_new_is_taken_until_a_second_signal() {
    let mut place = Place::start(LONG).await;
    let mut open = place.open(&person("alice")).await;
    open.goes_on().await;
    place.gateway.signal("TERM");
    is_draining(&place).await;
    takes_nobody(&place).await;
    open.goes_on().await;
    place.gateway.signal("TERM");
    is_told(open).await;
    assert_eq!(place.gateway.exit().await.code(), Some(0));
}

/// Each ends in order, and the WebSocket is told why.
async fn is_told(open: Open) {
    open.socket.is_closed_with(AWAY).await;
    open.stream.is_ended().await;
    open.raw.is_ended().await;
}

#[tokio::test]
async fn at_the_end_of_the_drain_what_is_open_is_told_so() {
    let mut place = Place::start("shutdown: {drain_s: 1}\n").await;
    let open = place.open(&person("alice")).await;
    place.gateway.signal("TERM");
    is_told(open).await;
    assert_eq!(place.gateway.exit().await.code(), Some(0));
}

#[tokio::test]
async fn it_takes_connections_while_load_balancers_have_not_noticed() {
    let mut place = Place::start("shutdown: {delay_s: 86400, drain_s: 0}\n").await;
    place.gateway.signal("TERM");
    is_draining(&place).await;
    let mut open = place.open(&person("alice")).await;
    open.goes_on().await;
    assert_eq!(Client::default().get(&place.gateway.at("/service/s1/")).await.status, 401);
    place.gateway.signal("TERM");
    is_told(open).await;
    assert_eq!(place.gateway.exit().await.code(), Some(0));
    assert_eq!(greeting(place.port).await, None);
}
