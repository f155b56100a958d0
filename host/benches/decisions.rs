//! What one decision costs, with the default plugins: the native check of a token alone, then the same through a plugin without
//! and with the cache. `cargo bench --workspace --bench decisions` runs it; `tests/bench/README.md` holds results and method.

#![expect(clippy::expect_used, reason = "a benchmark that can't be set up has nothing to measure")]

use std::{
    hint::black_box,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;
use wicketgate::{
    admission::{Artifacts, Keys, Loader},
    config::{DecisionCache, Plugins, SecretEncoding},
    domain::{
        Attributes, Candidate, Endpoint, EndpointId, EndpointName, Protocol, SessionId, SourceKind, Timestamp, Transport,
        UpstreamPath, decision::Authentication,
    },
    plugin::{
        Authenticated, Compiler, Connection, DecisionContext, Engine, Facts, HttpSubject, Kind, KnownHosts, PluginSet, Recorder,
        Routed, Subject, Worker,
        key_set::{ClaimPath, KeySet, KeySets, Requirements, Verified},
    },
};

/// The allocator of the gateway itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Decisions in a batch, and batches, of `above_native`.
const BATCH: u32 = 20;
const BATCHES: usize = 10_000;
/// Most that an uncached decision may cost above the native check.
const GOAL_NS: f64 = 1_500.0;

const SECRET: &str = "a secret of the API server, as long as they usually are";

struct Gate {
    set: Arc<PluginSet>,
    worker: Worker,
    runtime: tokio::runtime::Runtime,
}

fn gate(cache: DecisionCache) -> Gate {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let limits = Plugins { cache, ..Plugins::default() };
    let engine = Arc::new(Engine::new(&limits, 1).expect("an engine"));
    let mut key_sets = KeySets::default();
    key_sets.insert(KeySet::secret("clearml", SECRET, SecretEncoding::Raw).expect("a key set"));
    let context = DecisionContext {
        facts: Facts::new(None, runtime.handle().clone()),
        hosts: KnownHosts::default(),
        cache: limits.cache.clone(),
        recorder: Recorder::new(&limits.records).expect("a recorder"),
    };
    let loader = Loader {
        engine: Arc::clone(&engine),
        compiler: Compiler::in_process(&limits),
        key_sets: Arc::new(key_sets),
        context: Arc::new(context),
        artifacts: Artifacts::new(std::path::PathBuf::new(), &limits, &[], None),
        signatures: Keys::default(),
        limits,
        next_generation: AtomicU64::new(1),
        last: Default::default(),
    };
    let set = runtime.block_on(loader.load_builtin(&[])).expect("the default plugins");
    let worker = Worker::new(engine);
    worker.prepare(&set, &[Kind::Authenticator, Kind::RoutingPolicy, Kind::DiscoveryFilter]).expect("instances");
    Gate { set, worker, runtime }
}

/// 460 bytes, as the open-source server makes them.
fn token() -> String {
    let exp = Timestamp::now().plus(Duration::from_secs(3600)).0 / 1000;
    let claims = json!({
        "auth_type": "Bearer", "env": "production", "exp": exp, "session_id": "0f5d1e2c3b4a59687766554433221100",
        "identity": {"user": "u1", "company": "c1", "role": "user", "user_name": "Ada", "company_name": "Engines"},
        "api_version": "2.31", "server_version": "2.3.0", "feature_set": "basic",
    });
    encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).expect("a token")
}

/// What a browser sends.
fn browser_headers(token: &str) -> HeaderMap {
    let cookie = format!("theme=dark; _ga=GA1.1.1234567890.1234567890; clearml_token_basic={token}");
    let lines = [
        ("host", "gate.example.org"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"),
        ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("accept-language", "en-US,en;q=0.9"),
        ("cache-control", "max-age=0"),
        ("sec-ch-ua", "\"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\""),
        ("sec-ch-ua-mobile", "?0"),
        ("sec-ch-ua-platform", "\"Linux\""),
        ("sec-fetch-dest", "document"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-site", "same-origin"),
        ("upgrade-insecure-requests", "1"),
        ("cookie", cookie.as_str()),
    ];
    let parse = |(name, value): (&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header value"))
    };
    lines.into_iter().map(parse).collect()
}

fn attributes() -> Attributes {
    let mut attributes = Attributes::default();
    for (name, value) in [
        ("source", "clearml"),
        ("session.id", "4b8c0a1d2e3f40516273849506172839"),
        ("session.name", "notebook"),
        ("status", "running"),
        ("owner", "u1"),
        ("company", "c1"),
        ("endpoint.protocol", "http"),
        ("endpoint.address", "10.0.0.7"),
        ("endpoint.port", "8888"),
    ] {
        attributes.set(name, [value]);
    }
    attributes
}

/// One request to one session, owned, so that each measurement borrows its subject from it.
struct Scene {
    token: String,
    headers: HeaderMap,
    connection: Connection,
    endpoint: Endpoint,
    key_set: KeySet,
    requirements: Requirements,
}

fn endpoint_id() -> EndpointId {
    let session = SessionId::parse("4b8c0a1d2e3f40516273849506172839").expect("an id");
    EndpointId { session, name: EndpointName::default() }
}

// === impl Scene ===

impl Scene {
    fn new() -> Self {
        let token = token();
        let paths = ["identity.user", "identity.user_name", "identity.company", "identity.role", "groups"];
        Self {
            headers: browser_headers(&token),
            token,
            connection: Connection { client: [10, 0, 0, 1].into(), listener_port: 8080, tls_name: None, client_certificate: None },
            endpoint: Endpoint {
                id: endpoint_id(),
                source: SourceKind::Clearml,
                protocol: Protocol::Http,
                upstream: ([10, 0, 0, 7], 8888).into(),
                upstream_name: "10.0.0.7".into(),
                upstream_path: UpstreamPath::Strip,
                transport: Transport::default(),
                listener_port: None,
                display_name: "notebook".into(),
                host_label: None,
                attributes: attributes(),
            },
            key_set: KeySet::secret("clearml", SECRET, SecretEncoding::Raw).expect("a key set"),
            requirements: Requirements { claims: paths.map(ClaimPath::parse).into(), ..Requirements::default() },
        }
    }

    fn subject(&self) -> Subject<'_> {
        Subject::Http(HttpSubject {
            method: &Method::GET,
            authority: "gate.example.org",
            path: "/lab",
            query: None,
            headers: &self.headers,
            upgrade: None,
            connection: &self.connection,
        })
    }

    fn check_natively(&self) -> Verified {
        self.key_set.verify(&self.token, &self.requirements, Timestamp::now()).expect("a good token")
    }

    /// Within a runtime, so that a batch of decisions pays for entering it once, as a worker does.
    async fn authenticate(&self, gate: &Gate) -> Authenticated {
        gate.set.authenticate(&gate.worker, &self.subject(), Some(&self.endpoint)).await.expect("a decision")
    }

    async fn route(&self, gate: &Gate, who: &Authenticated) -> Routed {
        gate.set.route(&gate.worker, &self.subject(), &self.endpoint, who).await.expect("a decision")
    }
}

fn uncached() -> Gate {
    gate(DecisionCache { bytes: 0, denial_bytes: 0, ..DecisionCache::default() })
}

fn decisions(criterion: &mut Criterion) {
    let scene = Scene::new();
    criterion.bench_function("token, native check", |bencher| bencher.iter(|| scene.check_natively()));

    let uncached = uncached();
    let cached = gate(DecisionCache::default());
    for (name, gate) in [("uncached", &uncached), ("cached", &cached)] {
        let who = gate.runtime.block_on(scene.authenticate(gate));
        assert!(matches!(*who.decision, Authentication::Allow(_)), "{:?}", who.decision);
        criterion.bench_function(&format!("authenticator, {name}"), |bencher| {
            bencher.iter(|| gate.runtime.block_on(scene.authenticate(gate)));
        });
        criterion.bench_function(&format!("routing policy, {name}"), |bencher| {
            bencher.iter(|| gate.runtime.block_on(scene.route(gate, &who)));
        });
    }
    criterion.bench_function("runtime, block_on alone", |bencher| {
        bencher.iter(|| uncached.runtime.block_on(async { black_box(1) }));
    });

    let candidate = Candidate {
        source: SourceKind::Clearml,
        id: endpoint_id(),
        protocol: Protocol::Http,
        host: "10.0.0.7".into(),
        port: 8888,
        machine: None,
        upstream_path: UpstreamPath::Strip,
        transport: Transport::default(),
        host_label: None,
        attributes: attributes(),
    };
    criterion.bench_function("discovery filter", |bencher| {
        bencher.iter(|| uncached.runtime.block_on(uncached.set.filter(&uncached.worker, &candidate)).expect("a verdict"));
    });
}

/// What the goal is about: how far an uncached decision is above the check that it can't do without. Both in short batches in
/// turn, by the median of the differences: batches are shorter than a time slice, so a busy machine disturbs few of them.
#[expect(clippy::print_stdout, reason = "a benchmark's result")]
fn above_native() {
    let (scene, gate) = (Scene::new(), uncached());
    let per_decision = |began: Instant| began.elapsed().as_nanos() as f64 / f64::from(BATCH);
    let decide = async {
        let mut pairs = Vec::with_capacity(BATCHES);
        for _ in 0..BATCHES {
            let began = Instant::now();
            (0..BATCH).for_each(|_| drop(black_box(scene.check_natively())));
            let native = per_decision(began);
            let began = Instant::now();
            for _ in 0..BATCH {
                drop(black_box(scene.authenticate(&gate).await));
            }
            pairs.push((native, per_decision(began)));
        }
        pairs
    };
    let pairs = gate.runtime.block_on(decide);
    let native = median(pairs.iter().map(|(native, _)| *native));
    let decision = median(pairs.iter().map(|(_, decision)| *decision));
    let above = median(pairs.iter().map(|(native, decision)| decision - native));
    let met = if above <= GOAL_NS { "met" } else { "missed" };
    println!(
        "authenticator, uncached: {decision:.0} ns; native check {native:.0} ns; above it {above:.0} ns, goal {GOAL_NS:.0} ns: {met}"
    );
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

criterion_group!(benches, decisions);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
    above_native();
}
