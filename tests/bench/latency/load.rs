//! Requests at instants that are settled beforehand, whatever the answers take (an open loop), on kept connections. A request's
//! latency counts from its instant: one that had to wait for a connection waited because of the gateway.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{net::TcpStream, task::JoinHandle};

/// Connections that carry requests, one at a time on each.
pub struct Load {
    state: Rc<State>,
    readers: Vec<JoinHandle<()>>,
}

struct State {
    request: Vec<u8>,
    connections: Vec<Connection>,
    idle: RefCell<VecDeque<usize>>,
    /// Instants whose requests wait for a connection.
    due: RefCell<VecDeque<Instant>>,
    taken: RefCell<Vec<Duration>>,
    /// As many as the connections carry: a request follows on each answer.
    closed: Cell<bool>,
}

struct Connection {
    stream: TcpStream,
    due: Cell<Instant>,
}

/// Of one turn, sorted.
pub struct Latencies(Vec<Duration>);

// === impl Load ===

impl Load {
    pub async fn connect(address: SocketAddr, connections: usize, request: &str) -> Self {
        let mut open = Vec::new();
        for _ in 0..connections {
            let stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            open.push(Connection { stream, due: Cell::new(Instant::now()) });
        }
        let state = Rc::new(State {
            request: request.as_bytes().to_vec(),
            connections: open,
            idle: RefCell::new((0..connections).collect()),
            due: RefCell::default(),
            taken: RefCell::default(),
            closed: Cell::new(false),
        });
        let read = |at| tokio::task::spawn_local(Rc::clone(&state).read(at));
        let readers = (0..connections).map(read).collect();
        Self { state, readers }
    }

    /// Requests per second with all connections busy.
    pub async fn capacity(&self, lasting: Duration) -> f64 {
        let began = Instant::now();
        self.state.closed.set(true);
        while self.state.send_next(Instant::now()) {}
        tokio::time::sleep(lasting).await;
        self.state.closed.set(false);
        self.rest().await.0.len() as f64 / began.elapsed().as_secs_f64()
    }

    /// So many per second, evenly, for as long as `goes_on` says, which hears all the time how long it has been: it must be quick.
    pub async fn open_loop(&self, per_second: f64, mut goes_on: impl FnMut(Duration) -> bool) -> Latencies {
        let (gap, began) = (Duration::from_secs_f64(1.0 / per_second), Instant::now());
        let mut next = began;
        while goes_on(began.elapsed()) {
            let now = Instant::now();
            while next <= now {
                if !self.state.send_next(next) {
                    self.state.due.borrow_mut().push_back(next);
                }
                next += gap;
            }
            // Sleeping is for timers of a millisecond: this looks for what came, and returns at once.
            tokio::task::yield_now().await;
        }
        self.rest().await
    }

    /// Waits for what is under way.
    async fn rest(&self) -> Latencies {
        while self.state.idle.borrow().len() < self.state.connections.len() {
            assert!(self.readers.iter().all(|reader| !reader.is_finished()), "a connection was lost");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut taken = self.state.taken.take();
        taken.sort_unstable();
        Latencies(taken)
    }
}

// === impl State ===

impl State {
    /// False when every connection is busy.
    fn send_next(&self, due: Instant) -> bool {
        let Some(at) = self.idle.borrow_mut().pop_front() else { return false };
        self.send(at, due);
        true
    }

    fn send(&self, at: usize, due: Instant) {
        let connection = &self.connections[at];
        connection.due.set(due);
        let written = connection.stream.try_write(&self.request).expect("a connection that had its answer");
        assert_eq!(written, self.request.len(), "a request in parts");
    }

    /// Every answer of one connection.
    async fn read(self: Rc<Self>, at: usize) {
        let connection = &self.connections[at];
        let (mut answer, mut buffer) = (Vec::new(), [0; 8192]);
        loop {
            connection.stream.readable().await.unwrap();
            match connection.stream.try_read(&mut buffer) {
                Ok(0) => panic!("a connection was closed"),
                Ok(read) => answer.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                Err(error) => panic!("a connection was lost: {error}"),
            }
            if !is_whole(&answer) {
                continue;
            }
            assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
            answer.clear();
            self.taken.borrow_mut().push(connection.due.get().elapsed());
            let next = self.due.borrow_mut().pop_front().or_else(|| self.closed.get().then(Instant::now));
            match next {
                Some(due) => self.send(at, due),
                None => self.idle.borrow_mut().push_back(at),
            }
        }
    }
}

/// By the length that stands in the head.
pub fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
    });
    answer.len() >= end + 4 + length.expect("an answer with its length")
}

// === impl Latencies ===

impl Latencies {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// In microseconds.
    pub fn quantile(&self, share: f64) -> f64 {
        let at = (self.0.len() as f64 * share) as usize;
        self.0.get(at.min(self.0.len().saturating_sub(1))).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
    }
}
