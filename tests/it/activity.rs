//! How much a session is used, and when it was last: user data alone counts, of whichever kind.

use serde_json::{Value, json};
use wicketgate_tests::{
    Client, Gateway, eventually,
    websocket::{PING, PONG, TEXT},
};

use crate::{
    open::{Place, Socket},
    site::{Site, defaults, only, person},
};

/// What the status says of the one session.
async fn used(gateway: &Gateway) -> Value {
    gateway.status("/sessions").await["sessions"][0]["activity"].take()
}

/// Waits until so much was counted, in from clients and out to them, by the status and by the metrics.
async fn adds_up(gateway: &Gateway, received: u64, sent: u64) {
    eventually(&format!("{received} bytes in, {sent} out"), async || {
        let used = used(gateway).await;
        let (so_far_in, so_far_out) = (used["received_bytes"].as_u64()?, used["sent_bytes"].as_u64()?);
        assert!(so_far_in <= received && so_far_out <= sent, "too much was counted: {used}");
        ((so_far_in, so_far_out) == (received, sent)).then_some(())
    })
    .await;
    for (direction, bytes) in [("in", received), ("out", sent)] {
        let sample = format!("wicketgate_session_bytes_total{{session=\"s1\",direction=\"{direction}\"}}");
        assert_eq!(gateway.metric(&sample).await, bytes, "{sample}");
    }
}

#[tokio::test]
async fn bodies_of_requests_and_responses_count() {
    let site = Site::new(&only(defaults()));
    let gateway = Gateway::start(&site.config()).await;
    assert_eq!(used(&gateway).await, json!({"received_bytes": 0, "sent_bytes": 0, "last_ms": null, "open_connections": 0}));
    let alice = person("alice");
    let body = "x".repeat(1000);
    assert_eq!(alice.post(&gateway.at("/service/s1/status/200"), body).await.text(), "as asked");
    adds_up(&gateway, 1000, 8).await;
    let first = used(&gateway).await["last_ms"].as_u64().unwrap();
    assert_eq!(alice.get(&gateway.at("/service/s1/bytes/5000")).await.body.len(), 5000);
    adds_up(&gateway, 1000, 5008).await;
    assert!(used(&gateway).await["last_ms"].as_u64().unwrap() >= first);
    let seconds = gateway.metric("wicketgate_session_last_activity_timestamp_seconds{session=\"s1\"}").await;
    assert!(seconds >= first / 1000, "{seconds}");
}

#[tokio::test]
async fn what_pages_ask_by_themselves_does_not_count() {
    let site = Site::new(&only(defaults()));
    // Nobody but alice is let in.
    let endpoint = format!("{{address: 127.0.0.1, port: {}}}", site.upstream.port());
    site.write_sessions(&format!("sessions: [{{id: s1, owner: alice, endpoints: [{endpoint}]}}]\n"));
    let gateway = Gateway::start(&(site.config() + "activity: {polls: ['GET */ticker', 'GET /exactly']}\n")).await;
    let alice = person("alice");
    for path in ["/service/s1/ticker", "/service/s1/deep/inside/ticker?now=1", "/service/s1/exactly"] {
        assert_eq!(alice.get(&gateway.at(path)).await.status, 200);
    }
    // Nor does what never reached the session.
    assert_eq!(Client::default().get(&gateway.at("/service/s1/status/200")).await.status, 401);
    assert_eq!(used(&gateway).await["last_ms"], Value::Null);
    // Another method, and a path that only begins so.
    let page = alice.post(&gateway.at("/service/s1/ticker"), "").await.body.len() as u64;
    adds_up(&gateway, 0, page).await;
    let page = page + alice.get(&gateway.at("/service/s1/exactly/not")).await.body.len() as u64;
    adds_up(&gateway, 0, page).await;
}

#[tokio::test]
async fn data_frames_of_websockets_count_and_pings_do_not() {
    let place = Place::start("").await;
    let gateway = &place.gateway;
    let Socket { mut client, mut session } = place.socket(&person("alice")).await;
    eventually("it's open", async || (used(gateway).await["open_connections"] == 1).then_some(())).await;
    client.send(TEXT, &[b'x'; 300]).await;
    assert_eq!(session.next().await.unwrap().payload.len(), 300);
    session.send(TEXT, &[b'y'; 70_000]).await;
    assert_eq!(client.next().await.unwrap().payload.len(), 70_000);
    adds_up(gateway, 300, 70_000).await;
    let before = used(gateway).await;
    // Both ways and back, so that whatever there is to count has been counted.
    for _ in 0..3 {
        client.send(PING, b"are you there").await;
        assert_eq!(session.next().await.unwrap().opcode, PING);
        session.send(PONG, b"are you there").await;
        assert_eq!(client.next().await.unwrap().opcode, PONG);
        session.send(PING, b"and you").await;
        assert_eq!(client.next().await.unwrap().opcode, PING);
        client.send(PONG, b"and you").await;
        assert_eq!(session.next().await.unwrap().opcode, PONG);
    }
    assert_eq!(used(gateway).await, before);
    client.send(TEXT, b"yes").await;
    assert_eq!(session.next().await.unwrap().payload, b"yes");
    adds_up(gateway, 303, 70_000).await;
    assert!(used(gateway).await["last_ms"].as_u64() >= before["last_ms"].as_u64());
    drop((client, session));
    eventually("it's closed", async || (used(gateway).await["open_connections"] == 0).then_some(())).await;
}

#[tokio::test]
async fn tcp_counts_and_all_kinds_add_up() {
    let place = Place::start("").await;
    let (mut raw, mut socket) = (place.raw().await, place.socket(&person("alice")).await);
    let open = "wicketgate_session_connections{session=\"s1\"}";
    eventually("both are open", async || (place.gateway.metric(open).await == 2).then_some(())).await;
    // Five bytes there, four back.
    raw.goes_on().await;
    adds_up(&place.gateway, 5, 4).await;
    socket.goes_on().await;
    adds_up(&place.gateway, 10, 8).await;
    drop(raw);
    eventually("one is open", async || (place.gateway.metric(open).await == 1).then_some(())).await;
    adds_up(&place.gateway, 10, 8).await;
}
