//! One run: the gateway, the crowd, and one swap after the other, each with its verdict.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Memory, Report, Scale, application,
    crowd::{Connection, Crowd, Ledger, People},
    reads::Reads,
    sets::{Change, Content, Deck, Expected, File, Mark, Swap},
};
use crate::{ConfigMap, Gateway, PATIENCE, server::Server};

const SECRET: &str = "a secret that is only known to these tests";
/// How often a verdict is looked for.
const LOOK: Duration = Duration::from_millis(4);
/// Memory is looked at after so many swaps each time.
const SAMPLE: usize = 5;
/// Decisions of each kind that a gateway keeps (`plugins.records.keep`), half of them denials at most.
const RECORDS: usize = 1000;
/// Swaps whose samples make one figure.
const WINDOW: usize = 100;

/// A gateway with a session behind it and a plugin directory.
struct Place {
    gateway: Gateway,
    plugins: ConfigMap,
    people: People,
    _application: Server,
    _files: TempDir,
}

/// Whoever swaps, and looks what came of it.
struct Driver {
    place: Place,
    ledger: Arc<Ledger>,
    reads: Reads,
    admin: Connection,
    person: Connection,
    /// What decides, as far as the driver knows.
    mark: Mark,
    generation: u64,
}

/// `/plugins` of the admin listener.
#[derive(Debug)]
struct Status {
    generation: u64,
    /// Why, and when that was found.
    refused: Option<(String, u64)>,
}

/// Runs `scale.swaps` swaps; `told` hears after each how many are done, with the memory of that time.
///
/// # Panics
/// When the gateway doesn't start or ends, or not everybody can connect at first.
pub async fn run(scale: Scale, mut told: impl FnMut(usize, Memory)) -> Report {
    assert!(scale.warm_up >= SAMPLE && scale.swaps >= 2 * scale.warm_up, "{scale:?}: nothing can be compared");
    let mut deck = Deck::new(scale.seed);
    let (files, mark) = deck.first();
    let place = Place::new(files).await;
    place.fill_records().await;
    let (ledger, address) = (Arc::<Ledger>::default(), place.address());
    let crowd = Crowd::start(scale, address, place.people.clone(), Arc::clone(&ledger)).await;
    let mut driver = Driver::new(place, Arc::clone(&ledger), mark).await;
    let (mut report, mut samples, began) = (Report::default(), Vec::new(), Instant::now());
    let mut verdicts = (0, 0);
    for number in 1..=scale.swaps {
        let swap = deck.deal();
        ledger.swaps(format!("swap {number} ({})", swap.sort));
        match swap.expected {
            Expected::Decides(_) => verdicts.0 += 1,
            Expected::Nothing => {}
            Expected::Refused(_) => verdicts.1 += 1,
        }
        let sort = swap.sort;
        let time = driver.swap(swap).await;
        report.sorts.entry(sort).or_default().add(time);
        if number % SAMPLE == 0 {
            samples.push(Memory::of(driver.place.gateway.pid()));
            told(number, samples.last().copied().unwrap_or_default());
        }
    }
    driver.checks_counts(verdicts, scale).await;
    crowd.end().await;
    let window = WINDOW.min(scale.warm_up) / SAMPLE;
    let warm = scale.warm_up / SAMPLE;
    report.warm = Memory::median(&samples[warm - window..warm]);
    report.end = Memory::median(&samples[samples.len() - window..]);
    report.most = Memory::most(&samples);
    report.tenths = samples.chunks(samples.len().div_ceil(10)).map(Memory::median).collect();
    report.took = began.elapsed();
    report.answers = ledger.answers();
    (report.echoes, report.events) = (ledger.echoes.load(Ordering::Relaxed), ledger.events.load(Ordering::Relaxed));
    (report.faults, report.fault_count) = (ledger.faults(), ledger.fault_count.load(Ordering::Relaxed));
    report
}

// === impl Place ===

impl Place {
    async fn new(first: &[File]) -> Self {
        let (application, files) = (application::start(), tempfile::tempdir().unwrap());
        let sessions = files.path().join("sessions.yaml");
        let endpoints = format!("[{{address: 127.0.0.1, port: {}}}]", application.address.port());
        fs::write(&sessions, format!("sessions: [{{id: s1, owner: nobody, endpoints: {endpoints}}}]\n")).unwrap();
        let mut plugins = ConfigMap::new::<&str>(&[]);
        let version = write(&plugins, first);
        plugins.mount(&version);
        // Decided about again every few seconds, connections meet every set that goes live.
        let config = format!(
            "key_sets: {{people: {{kind: secret, secret: '{SECRET}', encoding: raw}}}}\n\
             discovery: {{file: '{}', dial: {{networks: [127.0.0.0/8]}}}}\n\
             plugins: {{directory: '{}', state_directory: '{{directory}}/state'}}\n\
             live: {{recheck_s: 5}}\n\
             log: {{level: warn, access: false}}\n",
            sessions.display(),
            plugins.path().display()
        );
        let gateway = Gateway::start(&config).await;
        // Each letter has a name and a group of its own for her; bob has none of the groups.
        let alice = bearer(&json!({"person": {"A": "alice-A", "B": "alice-B"}, "groups": {"A": ["A"], "B": ["B"]}}));
        let people = People { alice, bob: bearer(&json!({"person": {"A": "bob", "B": "bob"}})) };
        Self { gateway, plugins, people, _application: application, _files: files }
    }

    /// A gateway records decisions up to a bound, which is reached before memory is looked at: what fills up to it is no growth.
    async fn fill_records(&self) {
        let mut connection = Connection::open(self.address()).await.unwrap();
        for number in 0..RECORDS / 2 {
            let person = json!({"A": format!("person-{number}"), "B": format!("person-{number}")});
            let known = bearer(&json!({"person": person, "groups": {"A": ["A"], "B": ["B"]}}));
            let stranger = format!("Bearer stranger-{number}");
            for (token, expected) in [(known, 200), (stranger, 401)] {
                let (status, page) = connection.get("/service/s1/page", Some(&token)).await.unwrap();
                assert_eq!(status, expected, "{}", String::from_utf8_lossy(&page));
            }
        }
    }

    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.gateway.port).into()
    }
}

fn bearer(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    format!("Bearer {}", jsonwebtoken::encode(&Header::default(), claims, &key).unwrap())
}

fn write(plugins: &ConfigMap, files: &[File]) -> PathBuf {
    let bytes = |file: &File| match &file.content {
        Content::Bytes(bytes) => bytes.clone(),
        Content::Hole(_) => Vec::new(),
    };
    let all: Vec<_> = files.iter().map(|file| (file.name.as_str(), bytes(file))).collect();
    let version = plugins.write(&all);
    for file in files {
        if let Content::Hole(length) = file.content {
            fs::File::options().write(true).open(version.join(&file.name)).unwrap().set_len(length).unwrap();
        }
    }
    version
}

// === impl Driver ===

impl Driver {
    async fn new(place: Place, ledger: Arc<Ledger>, mark: Mark) -> Self {
        let admin = place.gateway.admin.trim_start_matches("http://").parse().unwrap();
        let (admin, person) = (Connection::open(admin).await.unwrap(), Connection::open(place.address()).await.unwrap());
        Self { place, ledger, reads: Reads::new(), admin, person, mark, generation: 1 }
    }

    /// Answers what it took from the rename until the verdict was seen.
    async fn swap(&mut self, swap: Swap) -> Duration {
        let before = self.status().await.refused;
        let at = match &swap.change {
            Change::Tear => self.place.plugins.tear(),
            Change::Files(files) => {
                let version = write(&self.place.plugins, files);
                self.reads.watch(&version);
                self.place.plugins.mount(&version)
            }
        };
        let took = loop {
            let status = self.status().await;
            let took = at.elapsed();
            if self.is_decided(&swap.expected, before.as_ref(), &status) {
                break took;
            }
            if took > PATIENCE {
                self.ledger.fault(&format!("no verdict in {PATIENCE:?}; expected {:?}", swap.expected));
                break took;
            }
            tokio::time::sleep(LOOK).await;
        };
        self.looks().await;
        took
    }

    /// Whether the gateway has seen the change. What it made of it must be what was expected.
    fn is_decided(&mut self, expected: &Expected, before: Option<&(String, u64)>, found: &Status) -> bool {
        let news = found.refused.as_ref().filter(|refused| Some(*refused) != before);
        let moved = found.generation != self.generation;
        // Of a set that decides already nothing is said, unless it takes a refusal back.
        let read = || *expected == Expected::Nothing && found.refused.is_none() && self.reads.seen();
        if !moved && news.is_none() && !read() {
            return false;
        }
        let good = match expected {
            Expected::Decides(_) => found.generation == self.generation + 1 && found.refused.is_none(),
            Expected::Nothing => !moved && found.refused.is_none(),
            Expected::Refused(parts) => {
                !moved && news.is_some_and(|(why, _)| !why.contains('\n') && parts.iter().all(|part| why.contains(part)))
            }
        };
        if !good {
            self.ledger.fault(&format!("found {found:?} after generation {}, expected {expected:?}", self.generation));
        }
        if let (Expected::Decides(mark), true) = (expected, moved) {
            self.mark = *mark;
        }
        self.generation = found.generation;
        true
    }

    /// Looks as a person by whom a request is let in now.
    async fn looks(&mut self) {
        match self.person.get("/service/s1/page", Some(&self.place.people.alice)).await {
            Ok((status, page)) => {
                self.ledger.answered(status);
                let page = String::from_utf8_lossy(&page);
                if Mark::of_page(&page) != Some(self.mark) {
                    self.ledger.fault(&format!("found {status}, {page}, expected {}", self.mark));
                }
            }
            Err(failure) => {
                self.ledger.fault(&format!("whoever looked: {failure}"));
                self.person = Connection::open(self.place.address()).await.unwrap();
            }
        }
    }

    /// What the gateway counted must be what was done to it.
    async fn checks_counts(&mut self, (taken, refused): (u64, u64), scale: Scale) {
        let gateway = &self.place.gateway;
        for (metric, expected) in [
            ("wicketgate_plugin_swaps_total", taken + 1),
            ("wicketgate_plugin_refusals_total", refused),
            ("wicketgate_http_responses_total{class=\"5xx\"}", 0),
            ("wicketgate_upgrades", scale.sockets as u64),
        ] {
            let found = gateway.metric(metric).await;
            if found != expected {
                self.ledger.fault(&format!("{metric}: found {found}, expected {expected}"));
            }
        }
        if gateway.log().contains("panicked") {
            self.ledger.fault("the gateway panicked");
        }
    }

    async fn status(&mut self) -> Status {
        let (_, text) = self.admin.get("/plugins", None).await.unwrap();
        let status: Value = serde_json::from_slice(&text).unwrap();
        let refused = &status["refused"];
        Status {
            generation: status["generation"].as_u64().unwrap(),
            refused: refused["why"].as_str().map(|why| (why.to_owned(), refused["at_ms"].as_u64().unwrap())),
        }
    }
}
