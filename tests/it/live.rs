//! Connections that outlast the decision by which they were let in: a WebSocket, a stream and a TCP connection go on for as long
//! as a new decision would let them in, and are ended in order by one that wouldn't.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use wicketgate_tests::{
    Clearml, Client, Gateway, Listener,
    clearml::Failure,
    eventually,
    websocket::{self, CLOSE, TEXT},
};

use crate::{
    open::{Open, Place, Socket, policy},
    plugins::HOSTILE,
    site::{DEFAULTS, manifest, person, swapped, token, with_activation},
};

/// So long that nothing is decided again unless there's a reason.
const NEVER: &str = "live: {recheck_s: 86400, undecided_s: 86400}\n";
const OFTEN: &str = "live: {recheck_s: 1, undecided_s: 86400}\n";

const DENIED: u16 = 1008;
const GONE: u16 = 1001;

/// Waits until each of three connections was decided about twice since the set was loaded.
async fn decided_again(place: &Place) {
    eventually("new decisions", async || (place.decisions().await >= 6).then_some(())).await;
}

/// All three are ended as a denial ends them.
async fn are_denied(open: Open) {
    open.socket.closes_with(DENIED).await;
    open.stream.ends().await;
    open.raw.ends().await;
}

#[tokio::test]
async fn new_plugins_that_still_let_them_in_close_nothing() {
    let mut place = Place::start(OFTEN).await;
    let mut open = place.open(&person("alice")).await;
    open.goes_on().await;
    place.plugins.replace(&policy("recheck_after_s: 3600"));
    swapped(&place.gateway, 1).await;
    open.goes_on().await;
    decided_again(&place).await;
    open.goes_on().await;
}

#[tokio::test]
async fn new_plugins_that_would_not_let_them_in_end_them() {
    let mut place = Place::start(OFTEN).await;
    let mut open = place.open(&person("alice")).await;
    open.goes_on().await;
    place.plugins.replace(&policy("closed: for maintenance"));
    are_denied(open).await;
    let sample = "wicketgate_tcp_ended_total{reason=\"denied\"}";
    eventually("it's counted", async || (place.gateway.metric(sample).await == 1).then_some(())).await;
}

#[tokio::test]
async fn a_close_waits_for_the_end_of_the_frame_that_is_under_way() {
    let mut place = Place::start(OFTEN).await;
    let Socket { mut client, mut session } = place.socket(&person("alice")).await;
    let frame = session.frame(TEXT, b"a frame that takes its time");
    let (beginning, rest) = frame.split_at(9);
    session.send_bytes(beginning).await;
    place.plugins.replace(&policy("closed: for maintenance"));
    // The other direction is between two frames, and is closed at once.
    let closing = session.next().await.unwrap();
    assert_eq!((closing.opcode, closing.is_masked), (CLOSE, true));
    session.send_bytes(rest).await;
    assert_eq!(client.next().await.unwrap().payload, b"a frame that takes its time");
    assert_eq!(client.closes().await.0, DENIED);
}

#[tokio::test]
async fn the_end_of_the_session_is_theirs_at_once() {
    let place = Place::start(NEVER).await;
    let mut open = place.open(&person("alice")).await;
    open.goes_on().await;
    place.end();
    open.socket.closes_with(GONE).await;
    open.stream.ends().await;
    open.raw.ends().await;
}

#[tokio::test]
async fn a_download_that_is_ended_does_not_pass_for_whole() {
    let place = Place::start(NEVER).await;
    let download = place.download(&person("alice"), 1_000_000).await;
    place.end();
    download.breaks_off().await;
}

#[tokio::test]
async fn a_session_that_ends_before_its_socket_is_open_ends_that_too() {
    let place = Place::start(NEVER).await;
    let ended = async {
        place.end();
        let no_route = async || place.gateway.status("/sessions").await["sessions"].as_array()?.is_empty().then_some(());
        eventually("the session's end", no_route).await;
    };
    let url = place.gateway.at("/service/s1/socket");
    let (client, session) = websocket::open_after(&person("alice"), &url, &place.sockets, ended).await;
    Socket { client, session }.closes_with(GONE).await;
}

#[tokio::test]
async fn another_owner_is_seen_at_once_by_who_entered_as_the_owner() {
    let place = Place::start(NEVER).await;
    let Open { socket, stream, mut raw } = place.open(&person("alice")).await;
    place.give_to("bob");
    socket.closes_with(DENIED).await;
    stream.ends().await;
    // Nobody was asked who it is.
    raw.goes_on().await;
    place.socket(&person("bob")).await.goes_on().await;
}

#[tokio::test]
async fn the_end_of_a_token_ends_what_it_opened() {
    let place = Place::start(NEVER).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let visitor = Client::default().bearer(&token(&json!({"sub": "alice", "exp": now + 6})));
    let Open { socket, stream, mut raw } = place.open(&visitor).await;
    let mut lasting = place.socket(&person("alice")).await;
    socket.closes_with(DENIED).await;
    stream.ends().await;
    raw.goes_on().await;
    lasting.goes_on().await;
}

/// A gateway that asks the ClearML server who a token is, and a session of alice's that is a WebSocket server.
struct Asking {
    clearml: Clearml,
    gateway: Gateway,
    session: Listener,
}

impl Asking {
    async fn start() -> Self {
        let (clearml, session) = (Clearml::start(), Listener::bind().await);
        clearml.add_session("s1", "alice", json!({"_SERVICE": "EXTERNAL", "_ADDRESS": "127.0.0.1", "_PORT": session.port()}));
        let config = clearml.config() + OFTEN + "key_sets: {clearml: {kind: introspect, cache_s: 1}}\n";
        let gateway = Gateway::start(&config).await;
        let is_routed = async || gateway.status("/sessions").await.to_string().contains("\"routed\"").then_some(());
        eventually("the session", is_routed).await;
        Self { clearml, gateway, session }
    }

    async fn open(&self, token: &str) -> Socket {
        let alice = Client::default().bearer(token);
        let (client, session) = websocket::open(&alice, &self.gateway.at("/service/s1/socket"), &self.session).await;
        Socket { client, session }
    }
}

#[tokio::test]
async fn a_logout_ends_what_its_token_opened() {
    let place = Asking::start().await;
    let (here, there) = (place.clearml.token("alice"), place.clearml.token("alice"));
    let (mut one, mut other) = (place.open(&here).await, place.open(&there).await);
    one.goes_on().await;
    place.clearml.revoke(&here);
    one.closes_with(DENIED).await;
    other.goes_on().await;
}

#[tokio::test]
async fn while_the_api_server_is_away_they_go_on() {
    let place = Asking::start().await;
    let token = place.clearml.token("alice");
    let mut socket = place.open(&token).await;
    socket.goes_on().await;
    place.clearml.fail(Some(Failure::Status500));
    eventually("nobody can say who it is", async || {
        let status = place.gateway.status("/plugins").await;
        let plugins = status["plugins"].as_array()?;
        plugins.iter().any(|plugin| plugin["faults"]["unavailable"].as_u64() >= Some(2)).then_some(())
    })
    .await;
    socket.goes_on().await;
    place.clearml.fail(None);
    place.clearml.revoke(&token);
    socket.closes_with(DENIED).await;
}

/// A set whose policy can't decide anything.
fn undecided() -> [(&'static str, Vec<u8>); 2] {
    let policy = "{name: policy, kind: routing-policy, file: hostile.wasm, grants: {log: true}, config: {behaviour: error}}";
    let (kind, component) = HOSTILE[2];
    assert_eq!(kind, "routing-policy");
    // Else the set before would soon decide again.
    let manifest = with_activation("rollback: off", &manifest(&[DEFAULTS[0], DEFAULTS[1], policy]));
    [("plugins.yaml", manifest.into_bytes()), ("hostile.wasm", component.to_vec())]
}

/// Waits until each of three connections met a policy that fails.
async fn nothing_decides(place: &Place) {
    eventually("failures of the policy", async || {
        let status = place.gateway.status("/plugins").await;
        let policy = status["plugins"].as_array()?.iter().find(|plugin| plugin["name"] == "policy")?;
        (policy["faults"]["error"].as_u64()? >= 6).then_some(())
    })
    .await;
}

#[tokio::test]
async fn while_nothing_can_decide_they_go_on() {
    let mut place = Place::start(OFTEN).await;
    let mut open = place.open(&person("alice")).await;
    place.plugins.replace(&undecided());
    nothing_decides(&place).await;
    open.goes_on().await;
    place.plugins.replace(&policy("recheck_after_s: 3600"));
    eventually("a policy that decides", async || {
        let faults = place.gateway.status("/plugins").await["plugins"][2]["faults"]["error"].as_u64()?;
        (faults == 0 && place.decisions().await >= 6).then_some(())
    })
    .await;
    open.goes_on().await;
}

#[tokio::test]
async fn where_nothing_decides_for_too_long_they_are_ended() {
    let mut place = Place::start("live: {recheck_s: 1, undecided_s: 1}\n").await;
    let mut open = place.open(&person("alice")).await;
    open.goes_on().await;
    place.plugins.replace(&undecided());
    are_denied(open).await;
    place.gateway.logs("a live connection is closed: nothing can decide about it").await;
}
