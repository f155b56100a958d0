//! What a swap of plugins costs those who ask meanwhile, and how soon it decides; called by `tests/bench/swaps`. Prints Markdown.
//! Load, session and swaps are one thread here, and the gateway runs on the other core.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "statistics")]

#[path = "latency/load.rs"]
mod load;
#[path = "latency/machine.rs"]
mod machine;
#[path = "latency/origin.rs"]
mod origin;
#[path = "latency/sets.rs"]
mod sets;

use std::{
    cell::Cell,
    collections::VecDeque,
    net::SocketAddr,
    process::ExitCode,
    time::{Duration, Instant},
};

use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::LocalSet,
};
use wicketgate_tests::Gateway;

use load::{Latencies, Load};
use machine::Machine;
use sets::{Change, Sets, Version};

const CONNECTIONS: usize = 64;
const SECRET: &str = "a secret that is only known to these tests";
const CAPACITY: Duration = Duration::from_secs(3);
const GOAL: f64 = 1.1;
const LIVE_GOAL: Duration = Duration::from_secs(1);
/// Records of each kind that a gateway keeps, by `plugins.records.keep` as it is.
const RECORDS: usize = 1000;
/// Between two looks whether a set decides.
const LOOK: Duration = Duration::from_millis(1);
/// Until a set decides, on any machine.
const LONGEST: Duration = Duration::from_secs(60);
/// Between two swaps whose time is taken.
const REST: Duration = Duration::from_millis(300);

struct Given {
    rounds: usize,
    seconds: u64,
    every: u64,
    tries: usize,
    /// Of the requests per second that the gateway can do at most, in percent.
    load: u64,
}

/// What is running.
struct Bench {
    gateway: Gateway,
    address: SocketAddr,
    sets: Sets,
    load: Load,
    /// The share of its core that the gateway had in each turn without swaps.
    busy: Vec<f64>,
    token: String,
    /// With the list of sessions.
    _files: TempDir,
}

fn main() -> ExitCode {
    let mut given = Given { rounds: 10, seconds: 15, every: 5, tries: 30, load: 50 };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // What runs the gateway stands behind `--`.
    let (options, prefix) = match arguments.iter().position(|argument| argument == "--") {
        Some(at) => (&arguments[..at], arguments[at + 1..].to_vec()),
        None => (arguments.as_slice(), Vec::new()),
    };
    for pair in options.chunks(2) {
        match (pair[0].as_str(), pair.get(1).and_then(|text| text.parse::<usize>().ok())) {
            ("--rounds", Some(rounds @ 1..=100)) => given.rounds = rounds,
            ("--seconds", Some(seconds @ 1..=600)) => given.seconds = seconds as u64,
            ("--every", Some(every @ 1..=600)) => given.every = every as u64,
            ("--tries", Some(tries @ 1..=1000)) => given.tries = tries,
            ("--load", Some(load @ 1..=100)) => given.load = load as u64,
            _ => {
                eprintln!("found {}, expected --rounds N, --seconds N, --every N, --tries N or --load N", pair.join(" "));
                return ExitCode::from(2);
            }
        }
    }
    machine::come_first();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, measure(&given, prefix));
    ExitCode::SUCCESS
}

async fn measure(given: &Given, prefix: Vec<String>) {
    let before = machine::busy_cores(Duration::from_secs(2)).await;
    let mut bench = Bench::start(prefix).await;
    let capacity = bench.load.capacity(CAPACITY).await;
    let rate = capacity * given.load as f64 / 100.0;
    eprintln!("{capacity:.0} requests/s with all connections busy; from now on {rate:.0}");
    let machine = Machine::now(bench.gateway.pid());
    let rounds = bench.rounds(given, rate).await;
    let others = machine.others();
    println!("{}", Machine::describe());
    println!(
        "- {RECORDS} people's decisions are recorded; {CONNECTIONS} connections, {rate:.0} requests/s evenly, {} % of what the gateway can do; {} rounds of {} s each way, \
         a swap every {} s",
        given.load, given.rounds, given.seconds, given.every
    );
    println!("- without swaps the gateway has its core busy for {:.0} % of the time", median(bench.busy.clone()) * 100.0);
    println!("- others had {before:.2} cores before and {others:.2} meanwhile\n");
    println!("| | p50, µs | p99, µs | p99.9, µs | p99 × none |\n| --- | ---: | ---: | ---: | ---: |");
    for change in Change::ALL {
        let of = |share| median(rounds.iter().map(|round| round[change as usize].quantile(share)).collect());
        let ratio =
            Spread::of(rounds.iter().map(|round| round[change as usize].quantile(0.99) / round[0].quantile(0.99)).collect());
        println!("| {change} | {:.0} | {:.0} | {:.0} | {ratio} |", of(0.5), of(0.99), of(0.999));
    }
    println!("\n| from the rename to the first request that it decides, ms | p50 | most |\n| --- | ---: | ---: |");
    let mut longest = Duration::ZERO;
    for (rate, when) in [(None, "idle"), (Some(rate), "at that load")] {
        for change in [Change::Configuration, Change::Components] {
            let times = bench.times_to_live(given.tries, change, rate).await;
            let (p50, most) = (times[times.len() / 2], times[times.len() - 1]);
            println!("| {change}, {when} | {} | {} |", p50.as_millis(), most.as_millis());
            longest = longest.max(most);
        }
    }
    println!();
    for change in [Change::Configuration, Change::Components] {
        let ratio =
            Spread::of(rounds.iter().map(|round| round[change as usize].quantile(0.99) / round[0].quantile(0.99)).collect());
        println!("- p99, {change}: {ratio}, goal at most {GOAL}: {}", said(ratio.median <= GOAL));
    }
    println!(
        "- until it decides: {} ms at most, goal {} ms: {}",
        longest.as_millis(),
        LIVE_GOAL.as_millis(),
        said(longest <= LIVE_GOAL)
    );
}

fn said(met: bool) -> &'static str {
    if met { "met" } else { "**missed**" }
}

// === impl Bench ===

impl Bench {
    async fn start(prefix: Vec<String>) -> Self {
        let origin = origin::start().await;
        let sets = Sets::new();
        let files = tempfile::tempdir().unwrap();
        let sessions = files.path().join("sessions.yaml");
        let endpoints = format!("[{{address: 127.0.0.1, port: {}}}]", origin.port());
        std::fs::write(&sessions, format!("sessions: [{{id: s1, owner: alice, endpoints: {endpoints}}}]\n")).unwrap();
        let config = format!(
            "http: {{listen: '127.0.0.1:{{port}}', workers: 1}}\n\
             key_sets: {{people: {{kind: secret, secret: '{SECRET}', encoding: raw}}}}\n\
             discovery: {{file: '{}', dial: {{networks: [127.0.0.0/8]}}}}\n\
             plugins: {{directory: '{}', state_directory: '{{directory}}/state'}}\n\
             log: {{level: warn, access: false}}\n",
            sessions.display(),
            sets.path().display()
        );
        let gateway = Gateway::start_by(prefix, &config).await;
        let address = SocketAddr::from(([127, 0, 0, 1], gateway.port));
        let token = token("alice");
        let load = Load::connect(address, CONNECTIONS, &request("page", address, &token)).await;
        let bench = Self { gateway, address, sets, load, busy: Vec::new(), token, _files: files };
        bench.fill_records().await;
        bench
    }

    /// Every new set is compared by recorded decisions: as many as are kept.
    async fn fill_records(&self) {
        let mut probe = self.probe().await;
        for number in 0..RECORDS {
            probe.request = request("mark", self.address, &token(&format!("person-{number}")));
            probe.mark().await;
        }
    }

    /// In each round a turn without swaps and one of each kind, in another order each time; the first isn't counted.
    async fn rounds(&mut self, given: &Given, rate: f64) -> Vec<[Latencies; 3]> {
        let mut rounds = Vec::new();
        for round in 0..=given.rounds {
            let mut turns = [None, None, None];
            for turn in 0..Change::ALL.len() {
                let change = Change::ALL[(round + turn) % Change::ALL.len()];
                let latencies = self.turn(given, rate, change).await;
                eprintln!(
                    "{}, {change}: p50 {:.0} µs, p99 {:.0} µs, of {} requests",
                    if round == 0 { "warm-up".to_owned() } else { format!("round {round}") },
                    latencies.quantile(0.5),
                    latencies.quantile(0.99),
                    latencies.len()
                );
                turns[change as usize] = Some(latencies);
            }
            if round > 0 {
                rounds.push(turns.map(Option::unwrap));
            }
        }
        rounds
    }

    async fn turn(&mut self, given: &Given, rate: f64, change: Change) -> Latencies {
        let (every, lasting) = (Duration::from_secs(given.every), Duration::from_secs(given.seconds));
        // Written beforehand, for that is the load's own time. Without swaps the same is done to a directory that nobody watches.
        let mut ready: VecDeque<Version> = (0..given.seconds / given.every).map(|_| self.sets.write(change)).collect();
        let (sets, mut next) = (&mut self.sets, every / 2);
        let load = self.load.open_loop(rate, |elapsed| {
            if elapsed >= next
                && let Some(version) = ready.pop_front()
            {
                sets.mount(&version);
                next += every;
            }
            elapsed < lasting
        });
        let machine = Machine::now(self.gateway.pid());
        let latencies = load.await;
        if change == Change::None {
            self.busy.push(machine.gateway());
        }
        // What was swapped last has to be over before another turn.
        until_decided(&mut self.probe().await, &self.sets.mark(), &self.gateway).await;
        latencies
    }

    /// Sorted.
    async fn times_to_live(&mut self, tries: usize, change: Change, rate: Option<f64>) -> Vec<Duration> {
        let (mut times, over) = (Vec::new(), Cell::new(false));
        let mut probe = self.probe().await;
        let (sets, gateway) = (&mut self.sets, &self.gateway);
        let swaps = async {
            for _ in 0..tries {
                let version = sets.write(change);
                tokio::time::sleep(REST).await;
                let at = sets.mount(&version);
                until_decided(&mut probe, &sets.mark(), gateway).await;
                times.push(at.elapsed());
            }
            over.set(true);
        };
        match rate {
            None => swaps.await,
            Some(rate) => drop(tokio::join!(swaps, self.load.open_loop(rate, |_| !over.get()))),
        }
        times.sort_unstable();
        times
    }

    async fn probe(&self) -> Probe {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Probe { stream, request: request("mark", self.address, &self.token) }
    }
}

/// Asks by which set it's let in.
struct Probe {
    stream: TcpStream,
    request: String,
}

/// A set that is refused would never decide.
async fn until_decided(probe: &mut Probe, mark: &str, gateway: &Gateway) {
    let began = Instant::now();
    while probe.mark().await != mark {
        assert!(began.elapsed() < LONGEST, "set {mark} doesn't decide; the gateway's log:\n{}", gateway.log());
        tokio::time::sleep(LOOK).await;
    }
}

impl Probe {
    async fn mark(&mut self) -> String {
        self.stream.write_all(self.request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !load::is_whole(&answer) {
            assert!(self.stream.read_buf(&mut answer).await.unwrap() > 0, "the connection was closed");
        }
        let text = String::from_utf8(answer).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
        text.split_once("\r\n\r\n").unwrap().1.to_owned()
    }
}

/// Everybody is an administrator, whom the default policy lets into every session.
fn token(id: &str) -> String {
    let claims = json!({"sub": id, "role": "admin", "exp": 4_000_000_000_u64});
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

/// A browser's request, with a token.
fn request(page: &str, address: SocketAddr, token: &str) -> String {
    format!(
        "GET /service/s1/{page} HTTP/1.1\r\nHost: {address}\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
         Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
         Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\nCache-Control: max-age=0\r\n\
         Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    )
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Median and quartiles.
struct Spread {
    median: f64,
    low: f64,
    high: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = share * (values.len() - 1) as f64;
            let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
            below + (above - below) * place.fract()
        };
        Self { median: at(0.5), low: at(0.25), high: at(0.75) }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} ({:.2}–{:.2})", self.median, self.low, self.high)
    }
}
