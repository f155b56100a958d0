//! Many changes of plugins in a row, while people work.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    rc::Rc,
};

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::{JoinHandle, LocalSet},
};
use wicketgate_tests::{Client, Gateway, PATIENCE, eventually};

use crate::site::{SESSION, Site, manifest, only, swapped, token};

const SWAPS: usize = 200;
/// By then every pool, cache and allocator has what it needs.
const WARM_UP: usize = 50;
/// Memory is the median of so many looks, one after each swap.
const WINDOW: usize = 20;
const SOCKETS: usize = 8;
const STREAMS: usize = 8;
const VISITORS: usize = 3;

/// A set whose three plugins belong together: the authenticator takes person and group from claims of this letter, the filter
/// labels the session with it, and the policy lets in who has the label for a group and marks the request with the letter. A
/// request that met plugins of two sets is turned away, or its marks differ.
fn set(letter: char) -> String {
    manifest(&[
        format!(
            "{{name: filter, kind: discovery-filter, builtin: discovery-filter, config: {{fixed_labels: {{letter: {letter}}}}}}}"
        ),
        format!(
            "{{name: auth, kind: authenticator, builtin: cookie-auth, grants: {{log: true, key_sets: [people]}}, \
             config: {{key_sets: [people], claims: {{id: [person.{letter}], groups: [groups.{letter}]}}}}}}"
        ),
        format!(
            "{{name: policy, kind: routing-policy, builtin: routing-policy, config: {{allow: [group], \
             group_attribute: label.letter, request_headers: {{set: {{X-Policy: {letter}}}}}}}}}"
        ),
    ])
}

/// Somebody whom both sets let in, each under another name.
fn both() -> Client {
    let claims = json!({"person": {"A": "alice-A", "B": "alice-B"}, "groups": {"A": ["A"], "B": ["B"]}});
    Client::default().bearer(&token(&claims))
}

/// The letter of whoever answered, once it's certain that one set alone did.
fn one_set_alone(echo: &Value) -> char {
    let header = |name: &str| {
        let headers = echo["headers"].as_array().unwrap();
        headers.iter().find(|pair| pair[0] == json!(name)).map(|pair| pair[1].as_str().unwrap().to_owned())
    };
    let (user, policy) = (header("x-wicketgate-user"), header("x-policy"));
    match (user.as_deref(), policy.as_deref()) {
        (Some("alice-A"), Some("A")) => 'A',
        (Some("alice-B"), Some("B")) => 'B',
        mixed => panic!("answered by a mixture: {mixed:?}"),
    }
}

/// Resident memory of a process, in KiB (proc_pid_status(5)).
fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn median(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

/// A WebSocket's worth of bytes, carried through the gateway.
struct Socket {
    stream: TokioIo<hyper::upgrade::Upgraded>,
    sent: u32,
}

impl Socket {
    async fn open(gateway: &Gateway) -> Self {
        let client = both().with("connection", "upgrade").with("upgrade", "websocket");
        let response = client.open(Method::GET, &gateway.at("/service/s1/socket"), Bytes::new()).await.unwrap();
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        Self { stream: TokioIo::new(hyper::upgrade::on(response).await.unwrap()), sent: 0 }
    }

    /// What goes in comes back, in order.
    async fn round_trip(&mut self) {
        self.sent += 1;
        let there = self.sent.to_be_bytes();
        self.stream.write_all(&there).await.unwrap();
        let mut back = [0; 4];
        tokio::time::timeout(PATIENCE, self.stream.read_exact(&mut back)).await.unwrap().unwrap();
        assert_eq!(back, there);
    }
}

/// A stream of numbered events, read as they come.
struct Events {
    count: Rc<Cell<u64>>,
    reading: JoinHandle<()>,
}

impl Events {
    async fn open(gateway: &Gateway) -> Self {
        let response = both().open(Method::GET, &gateway.at("/service/s1/events"), Bytes::new()).await.unwrap();
        assert_eq!(response.status(), 200);
        let count = Rc::new(Cell::new(0));
        let (counted, mut body) = (Rc::clone(&count), response.into_body());
        let reading = tokio::task::spawn_local(async move {
            let mut text = String::new();
            while let Some(frame) = body.frame().await {
                text += std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap();
                while let Some((event, rest)) = text.split_once("\n\n") {
                    assert_eq!(event, format!("data: {}", counted.get()), "an event was lost");
                    counted.set(counted.get() + 1);
                    text = rest.to_owned();
                }
            }
        });
        Self { count, reading }
    }

    async fn goes_on(&self) {
        let before = self.count.get();
        eventually("the next event", async || {
            assert!(!self.reading.is_finished(), "the stream ended");
            (self.count.get() > before).then_some(())
        })
        .await;
    }
}

/// Visitors who ask without a pause until they're told to stop.
struct Load {
    stop: Rc<Cell<bool>>,
    answers: Rc<RefCell<Vec<char>>>,
    visitors: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(url: &str) -> Self {
        let (stop, answers) = (Rc::new(Cell::new(false)), Rc::new(RefCell::new(Vec::new())));
        let visitor = |_| {
            let (stop, answers, url) = (Rc::clone(&stop), Rc::clone(&answers), url.to_owned());
            tokio::task::spawn_local(async move {
                while !stop.get() {
                    let reply = both().get(&url).await;
                    assert_eq!(reply.status, 200, "a request was lost: {}", reply.text());
                    answers.borrow_mut().push(one_set_alone(&reply.json()));
                }
            })
        };
        let visitors = (0..VISITORS).map(visitor).collect();
        Self { stop, answers, visitors }
    }

    async fn end(self) -> Vec<char> {
        self.stop.set(true);
        for visitor in self.visitors {
            visitor.await.unwrap();
        }
        self.answers.take()
    }
}

/// Decisions are recorded up to a bound (`plugins.records.keep`: 500 by which somebody gets in, 500 others), which is reached before
/// memory is looked at.
async fn fill_records(gateway: &Gateway) {
    for number in 0..500 {
        let claims = json!({"person": {"A": format!("person-{number}")}, "groups": {"A": ["A"]}});
        let (known, stranger) = (token(&claims), format!("stranger-{number}"));
        assert_eq!(Client::default().bearer(&known).get(&gateway.at(SESSION)).await.status, 200);
        assert_eq!(Client::default().bearer(&stranger).get(&gateway.at(SESSION)).await.status, 401);
    }
}

#[tokio::test]
async fn hundreds_of_swaps_lose_no_connection_mix_no_sets_and_keep_no_memory() {
    LocalSet::new().run_until(swap_under_load()).await;
}

async fn swap_under_load() {
    let mut site = Site::new(&only(set('A')));
    let gateway = Gateway::start(&(site.config() + "log: {level: warn}\n")).await;
    fill_records(&gateway).await;
    let mut sockets = Vec::new();
    for _ in 0..SOCKETS {
        sockets.push(Socket::open(&gateway).await);
    }
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        streams.push(Events::open(&gateway).await);
    }
    let load = Load::start(&gateway.at(SESSION));
    let (mut generation, mut memory) = (1, Vec::new());
    for swap in 1..=SWAPS {
        site.mount(&set(if swap % 2 == 0 { 'A' } else { 'B' }));
        generation = swapped(&gateway, generation).await;
        for socket in &mut sockets {
            socket.round_trip().await;
        }
        assert!(streams.iter().all(|stream| !stream.reading.is_finished()), "a stream ended at swap {swap}");
        assert!(load.visitors.iter().all(|visitor| !visitor.is_finished()), "a visitor was let down at swap {swap}");
        memory.push(resident_kib(gateway.pid()));
    }
    let (warm, end) = (median(&memory[WARM_UP - WINDOW..WARM_UP]), median(&memory[SWAPS - WINDOW..]));
    for stream in &streams {
        stream.goes_on().await;
    }
    let answers = load.end().await;
    assert_eq!(generation, SWAPS as u64 + 1);
    assert_eq!(answers.iter().copied().collect::<BTreeSet<_>>(), BTreeSet::from(['A', 'B']));
    println!("{} requests; resident {warm} KiB after {WARM_UP} swaps, {end} KiB after {SWAPS}", answers.len());
    assert!(end <= warm + warm / 10, "resident memory grew from {warm} to {end} KiB in {} swaps", SWAPS - WARM_UP);
    assert!(!gateway.log().contains("panicked"));
}
