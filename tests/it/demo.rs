//! `wicketgate demo` as somebody tries it who has only its introduction to go by.

mod run;

use std::{net::TcpListener, path::Path};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::BodyExt;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};
use wicketgate_tests::{Browser, Client, PATIENCE, eventually};

use self::run::{Demo, refused};

type Socket = WebSocketStream<TokioIo<Upgraded>>;

const LOCK_OUT: &str = "sed -i 's/deny_users: \\[\\]/";
const LET_IN: &str = "sed -i 's/deny_users: \\[alice\\]/";

/// Opens the socket of a session's page.
async fn open_socket(client: &Client, page: &str) -> Socket {
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    let client = client.clone().with("connection", "Upgrade").with("upgrade", "websocket");
    let client = client.with("sec-websocket-version", "13").with("sec-websocket-key", key);
    let response = client.open(http::Method::GET, &format!("{page}socket"), Bytes::new()).await.unwrap();
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers()["sec-websocket-accept"], derive_accept_key(key.as_bytes()).as_str());
    let upgraded = hyper::upgrade::on(response).await.unwrap();
    WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await
}

async fn echoes(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.unwrap();
    let answer = timeout(PATIENCE, socket.next()).await.expect("no echo").expect("the socket is closed").unwrap();
    assert_eq!(answer, Message::text(text));
}

#[tokio::test]
async fn alice_sees_her_page_socket_and_events_and_nobody_elses() {
    let demo = Demo::start().await;
    let (hers, bobs) = (demo.link("Alice"), demo.link("Bob"));
    let reply = Client::default().with("accept", "text/html").get(&hers).await;
    assert_eq!((reply.status.as_u16(), reply.header("location")), (302, Some("/login?return=%2Fservice%2Falice-notebook%2F")));

    let alice = demo.logged_in("alice").await;
    let list = alice.get(&demo.link("Open")).await.text();
    assert!(list.contains("/service/alice-notebook/") && list.contains("/service/open-page/"), "{list}");
    assert!(!list.contains("bob-notebook"), "the list has only what she may enter: {list}");

    let page = alice.get(&hers).await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("<dd>alice</dd>"), "the session is told who is there: {}", page.text());
    assert!(!page.text().contains("wicketgate_session"), "the session doesn't see the gateway's cookie");
    let mut socket = open_socket(&alice, &hers).await;
    echoes(&mut socket, "1").await;
    let calls = alice.clone().with("referer", &hers);
    let mut events = calls.open(http::Method::GET, &format!("{hers}events"), Bytes::new()).await.unwrap();
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    for tick in 0..2 {
        // The stream has no end, so each event comes by itself.
        let frame = timeout(PATIENCE, events.body_mut().frame()).await.expect("no event").unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), format!("data: tick {tick}\n\n"));
    }

    assert_eq!(alice.get(&bobs).await.status, 404);
    assert_eq!(demo.logged_in("bob").await.get(&bobs).await.status, 200);
}

#[tokio::test]
async fn the_open_page_needs_no_login() {
    let demo = Demo::start().await;
    let anybody = Client::default().with("accept", "text/html");
    assert_eq!(anybody.get(&demo.link("All")).await.status, 200);
    let list = anybody.get(&demo.link("Open")).await.text();
    assert!(list.contains("open-page") && !list.contains("alice-notebook"), "{list}");
}

#[tokio::test]
async fn the_printed_command_locks_alice_out_while_her_socket_goes_on() {
    let demo = Demo::start().await;
    let (alice, bob, hers) = (demo.logged_in("alice").await, demo.logged_in("bob").await, demo.link("Alice"));
    assert_eq!(alice.get(&hers).await.status, 200);
    let mut socket = open_socket(&alice, &hers).await;
    echoes(&mut socket, "before").await;

    demo.paste(LOCK_OUT).await;
    eventually("Alice is refused", async || (alice.get(&hers).await.status == 404).then_some(())).await;
    echoes(&mut socket, "locked out").await;
    assert_eq!(bob.get(&demo.link("Bob")).await.status, 200);

    demo.paste(LET_IN).await;
    eventually("Alice may enter again", async || (alice.get(&hers).await.status == 200).then_some(())).await;
    echoes(&mut socket, "let in").await;
}

#[tokio::test]
async fn in_a_browser_the_page_counts_on_while_its_person_is_locked_out() {
    let demo = Demo::start().await;
    let (browser, alice, hers) = (Browser::start().await, demo.logged_in("alice").await, demo.link("Alice"));
    let picture = |name: &str| Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    browser.open(&demo.link("Open")).await;
    browser.picture(&picture("demo-index.png")).await;
    browser.click("a[href='/login']").await;
    browser.write("#user", "alice").await;
    browser.picture(&picture("demo-login.png")).await;
    browser.write("#password", "alice").await;
    browser.click("form button").await;
    browser.sees("a[href='/service/alice-notebook/']").await;
    browser.picture(&picture("demo-list.png")).await;
    browser.click("a[href='/service/alice-notebook/']").await;

    // `echoed 3`
    let echoed = async || browser.text("#socket").await?.strip_prefix("echoed ")?.parse::<u64>().ok();
    let before = eventually("an echo", echoed).await;
    eventually("a tick", async || browser.text("#events").await.filter(|text| text.starts_with("tick "))).await;
    browser.picture(&picture("demo-alice.png")).await;
    demo.paste(LOCK_OUT).await;
    eventually("Alice is refused", async || (alice.get(&hers).await.status == 404).then_some(())).await;
    let then = eventually("another echo", async || echoed().await.filter(|count| *count > before)).await;
    eventually("one more", async || echoed().await.filter(|count| *count > then)).await;

    browser.open(&hers).await;
    assert_eq!(browser.text("#socket").await, None, "the page is still there");
    browser.picture(&picture("demo-refused.png")).await;
}

#[tokio::test]
async fn a_busy_port_ends_it_with_1_and_spoils_nothing() {
    let demo = Demo::start().await;
    let sessions = demo.directory.path().join("sessions.yaml");
    let before = std::fs::read(&sessions).unwrap();
    let holder = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let busy = holder.local_addr().unwrap().to_string();
    for (arguments, option) in
        [(["--listen", &busy, "--admin", "127.0.0.1:0"], "--listen"), (["--listen", "127.0.0.1:0", "--admin", &busy], "--admin")]
    {
        let ended = refused(&arguments, demo.directory.path()).await;
        assert_eq!(ended.status.code(), Some(1), "{}", ended.errors);
        assert!(ended.errors.contains(&busy) && ended.errors.contains(option), "{}", ended.errors);
        assert_eq!(ended.output, "", "it says that it's there when it isn't");
    }
    assert_eq!(std::fs::read(&sessions).unwrap(), before, "the running demonstration's sessions were overwritten");
    assert_eq!(demo.logged_in("alice").await.get(&demo.link("Alice")).await.status, 200);
}

#[tokio::test]
async fn it_is_on_port_8080_unless_told_otherwise() {
    // Whoever has it, this test or somebody else: it's busy.
    let _holder = TcpListener::bind(("127.0.0.1", 8080));
    let directory = tempfile::tempdir().unwrap();
    let ended = refused(&[], directory.path()).await;
    assert_eq!(ended.status.code(), Some(1), "{}", ended.errors);
    assert!(ended.errors.contains("127.0.0.1:8080"), "{}", ended.errors);
}

#[tokio::test]
async fn it_stays_on_this_machine() {
    let directory = tempfile::tempdir().unwrap();
    for option in ["--listen", "--admin"] {
        let ended = refused(&[option, "0.0.0.0:0"], directory.path()).await;
        assert_eq!(ended.status.code(), Some(2), "{}", ended.errors);
    }
}

#[tokio::test]
async fn ctrl_c_ends_it_well() {
    assert!(Demo::start().await.interrupt().await.success());
}
