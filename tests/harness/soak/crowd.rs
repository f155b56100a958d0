//! The people: WebSockets, streams and clients with a kept connection each, on a thread of their own. What they meet that isn't as
//! it must be goes into the ledger.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    rc::Rc,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    sync::{Semaphore, mpsc, watch},
    task::{JoinSet, LocalSet},
    time::{sleep, timeout},
};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

use super::{Scale, sets::Mark};
use crate::PATIENCE;

/// Between two messages of a WebSocket.
const MESSAGE: Duration = Duration::from_secs(1);
/// So many open their connections at a time.
const OPENING: usize = 16;
const MOST_FAULTS_KEPT: usize = 20;

/// A path of the session, one of which there is no session, and what is there.
const SESSION: &str = "/service/s1/page";
const NOWHERE: &str = "/service/s2/page";

type Failure = Box<dyn std::error::Error>;

/// Who asks: tokens, as the header has them.
#[derive(Clone)]
pub struct People {
    pub alice: String,
    /// Known, and not in the session's group.
    pub bob: String,
}

/// What happened, as everybody tells it.
#[derive(Default)]
pub struct Ledger {
    /// The number of the swap under way, with its sort.
    now: Mutex<String>,
    pub echoes: AtomicU64,
    pub events: AtomicU64,
    pub fault_count: AtomicU64,
    answers: Mutex<BTreeMap<u16, u64>>,
    faults: Mutex<Vec<String>>,
}

/// All of them. They go on until they're told to stop.
pub struct Crowd {
    stop: watch::Sender<bool>,
    thread: std::thread::JoinHandle<()>,
}

/// A kept connection.
pub struct Connection {
    sender: http1::SendRequest<Empty<Bytes>>,
    host: String,
}

/// One of the crowd, while it works.
struct Member {
    address: SocketAddr,
    people: People,
    ledger: Arc<Ledger>,
    stop: watch::Receiver<bool>,
    opening: Rc<Semaphore>,
    opened: mpsc::Sender<()>,
}

// === impl Ledger ===

impl Ledger {
    pub fn swaps(&self, what: String) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    pub fn fault(&self, what: &str) {
        self.fault_count.fetch_add(1, Ordering::Relaxed);
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.len() < MOST_FAULTS_KEPT {
            faults.push(format!("{now}: {what}"));
        }
    }

    pub fn answered(&self, status: StatusCode) {
        *self.answers.lock().unwrap_or_else(PoisonError::into_inner).entry(status.as_u16()).or_default() += 1;
    }

    pub fn answers(&self) -> BTreeMap<u16, u64> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn faults(&self) -> Vec<String> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

// === impl Crowd ===

impl Crowd {
    /// Answers when every connection is open and was used.
    pub async fn start(scale: Scale, address: SocketAddr, people: People, ledger: Arc<Ledger>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (opened, mut all_open) = mpsc::channel(OPENING);
        let told = Arc::clone(&ledger);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            LocalSet::new().block_on(&runtime, async move {
                let opening = Rc::new(Semaphore::new(OPENING));
                let member = || {
                    let (people, ledger, opening) = (people.clone(), Arc::clone(&ledger), Rc::clone(&opening));
                    Member { address, people, ledger, stop: stopped.clone(), opening, opened: opened.clone() }
                };
                let mut work = JoinSet::new();
                (0..scale.sockets).for_each(|_| drop(work.spawn_local(member().sends_messages())));
                (0..scale.streams).for_each(|_| drop(work.spawn_local(member().reads_events())));
                (0..scale.clients).for_each(|number| drop(work.spawn_local(member().asks(number, scale.pause))));
                drop(opened);
                while let Some(ended) = work.join_next().await {
                    ended.unwrap();
                }
            });
        });
        for _ in 0..scale.sockets + scale.streams + scale.clients {
            let opened = timeout(PATIENCE, all_open.recv()).await;
            assert!(matches!(opened, Ok(Some(()))), "not everybody could connect: {:?}", told.faults());
        }
        Self { stop, thread }
    }

    pub async fn end(self) {
        self.stop.send_replace(true);
        tokio::task::spawn_blocking(move || self.thread.join().unwrap()).await.unwrap();
    }
}

// === impl Member ===

impl Member {
    async fn sends_messages(self) {
        self.told("a WebSocket", self.socket().await);
    }

    async fn reads_events(self) {
        self.told("a stream", self.stream().await);
    }

    async fn asks(self, number: usize, pause: Duration) {
        let mut seen = 0;
        // One that lost its connection is a fault and goes on with another.
        loop {
            let asked = self.requests(number, pause, &mut seen).await;
            let ended = asked.is_ok();
            self.told("a client", asked);
            if ended {
                return;
            }
            sleep(MESSAGE).await;
        }
    }

    fn told(&self, who: &str, outcome: Result<(), Failure>) {
        if let Err(failure) = outcome {
            self.ledger.fault(&format!("{who}: {failure}"));
        }
    }

    /// Whether it's time to stop, after a pause at most.
    async fn stops(&self, pause: Duration) -> bool {
        timeout(pause, self.stop.clone().wait_for(|stop| *stop)).await.is_ok()
    }

    /// What goes in comes back, in order and nothing else.
    async fn socket(&self) -> Result<(), Failure> {
        let mut request = format!("ws://{}/service/s1/socket", self.address).into_client_request()?;
        request.headers_mut().insert(header::AUTHORIZATION, self.people.alice.parse()?);
        let turn = self.opening.acquire().await?;
        let stream = TcpStream::connect(self.address).await?;
        let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await?;
        drop(turn);
        let mut sent = 0_u64;
        loop {
            let last = *self.stop.borrow();
            let message = Message::text(sent.to_string());
            socket.send(message.clone()).await?;
            match timeout(PATIENCE, socket.next()).await {
                Ok(Some(Ok(back))) if back == message => {}
                other => return Err(format!("message {sent} came back as {other:?}").into()),
            }
            self.ledger.echoes.fetch_add(1, Ordering::Relaxed);
            if sent == 0 {
                self.opened.send(()).await?;
            }
            if last {
                return Ok(socket.close(None).await?);
            }
            sent += 1;
            self.stops(MESSAGE).await;
        }
    }

    async fn stream(&self) -> Result<(), Failure> {
        let turn = self.opening.acquire().await?;
        let mut connection = Connection::open(self.address).await?;
        let response = connection.ask("/service/s1/events", Some(&self.people.alice)).await?;
        drop(turn);
        if response.status() != StatusCode::OK {
            return Err(format!("found {}, expected 200", response.status()).into());
        }
        let (mut body, mut text, mut count) = (response.into_body(), String::new(), 0_u64);
        while !*self.stop.borrow() {
            let frame = timeout(PATIENCE, body.frame()).await.map_err(|_| format!("no event after {count}"))?;
            let frame = frame.ok_or_else(|| format!("it ended after {count} events"))??;
            text += std::str::from_utf8(frame.data_ref().ok_or("a trailer")?)?;
            while let Some((event, rest)) = text.split_once("\n\n") {
                if event != format!("data: {count}") {
                    return Err(format!("found {event:?}, expected event {count}").into());
                }
                count += 1;
                self.ledger.events.fetch_add(1, Ordering::Relaxed);
                if count == 1 {
                    self.opened.send(()).await?;
                }
                text = rest.to_owned();
            }
        }
        Ok(())
    }

    /// Asks as several people in turn on one connection. `seen` is the newest set that answered.
    async fn requests(&self, number: usize, pause: Duration, seen: &mut u64) -> Result<(), Failure> {
        let turn = self.opening.acquire().await?;
        let mut connection = Connection::open(self.address).await?;
        drop(turn);
        let (alice, bob) = (Some(self.people.alice.as_str()), Some(self.people.bob.as_str()));
        let cases =
            [(SESSION, alice, 200), (SESSION, None, 401), (SESSION, alice, 200), (SESSION, bob, 404), (NOWHERE, alice, 404)];
        for (count, (path, who, expected)) in cases.into_iter().cycle().skip(number % cases.len()).enumerate() {
            let answer = connection.ask(path, who).await?;
            let status = answer.status();
            self.ledger.answered(status);
            let text = timeout(PATIENCE, answer.into_body().collect()).await??.to_bytes();
            let text = String::from_utf8_lossy(&text);
            if status != expected {
                self.ledger.fault(&format!("an answer: found {status} ({text}), expected {expected}"));
            } else if expected == 200 {
                match Mark::of_page(&text) {
                    Some(mark) if mark.number >= *seen => *seen = mark.number,
                    Some(mark) => self.ledger.fault(&format!("{mark} decided after number {seen} had")),
                    None => self.ledger.fault(&format!("answered by a mixture: {text}")),
                }
            }
            if count == 0 {
                // Of a client that connects again nobody waits for it: that is an error at once.
                let _ = self.opened.send(()).await;
            }
            if self.stops(pause).await {
                return Ok(());
            }
        }
        Ok(())
    }
}

// === impl Connection ===

impl Connection {
    pub async fn open(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, host: address.to_string() })
    }

    /// The next request on it. An error means that it's lost.
    pub async fn ask(&mut self, path: &str, token: Option<&str>) -> Result<http::Response<Incoming>, Failure> {
        let mut request = Request::get(path).header(header::HOST, &self.host);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, token);
        }
        let request = request.body(Empty::new())?;
        timeout(PATIENCE, self.sender.ready()).await.map_err(|_| "the connection isn't ready")??;
        Ok(timeout(PATIENCE, self.sender.send_request(request)).await.map_err(|_| "no answer")??)
    }

    /// A whole answer.
    pub async fn get(&mut self, path: &str, token: Option<&str>) -> Result<(StatusCode, Bytes), Failure> {
        let answer = self.ask(path, token).await?;
        Ok((answer.status(), timeout(PATIENCE, answer.into_body().collect()).await??.to_bytes()))
    }
}
