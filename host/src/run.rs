//! The wiring: the only place that knows all rooms. Ports are bound first, so that a busy one is an error before anything has
//! been started; then workers, discovery, admission and the admin listener run until somebody asks to stop.

mod activity_metrics;
mod clearml;
mod decisions;
mod discovery;
mod keys;
mod kubernetes;
mod plugin_metrics;
mod sockets;
mod stage;
mod state_directory;
mod status;
mod workers;

use std::{
    error::Error,
    net::SocketAddr,
    num::NonZero,
    rc::Rc,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::registry::Registry;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::pki_types::CertificateDer;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::LocalSet,
    time::Instant,
};

use self::{
    clearml::ApiServer,
    decisions::WorkerDecisions,
    kubernetes::{Kubernetes, LeaderMetric},
    sockets::Bound,
    stage::ControlStage,
    state_directory::StateDirectory,
    status::GatewayStatus,
    workers::Workers,
};
use crate::{
    admin::{self, Admin, Status},
    admission::{self, Activate, Admission, AdmissionStatus, Artifacts, Keys, Lifecycle, Loader, Saved},
    auth::{Mint, Pages},
    config::{self, Config, Loaded, SecretEncoding},
    demo,
    discovery::{Leases, NewPlugins},
    domain::Activities,
    kubernetes::{config_maps, election::Leader},
    listener::{
        self, Drain, Slots, Tls,
        ports::{LeasedPorts, OpenPorts},
        tcp::Doors,
    },
    plugin::{self, Compiler, DecisionContext, Engine, Facts, KnownHosts, PluginSet, Recorder, key_set::KeySet},
    request::{self, Gateway, Settings},
    shutdown::{self, Shutdown},
    snapshot::Snapshots,
    telemetry, upstream,
};

type Failure = Box<dyn Error>;

/// What the gateway is started as.
#[derive(Debug)]
pub enum Start {
    /// Under this configuration; its notices are in the log already.
    Configured(Box<Loaded>),
    /// The demonstration, which brings its own configuration and starts its own log.
    Demo(demo::Place),
}

/// How often to look whether everything is there, while starting.
const READY_POLL: Duration = Duration::from_millis(20);

/// Runs the gateway on this thread until it's asked to stop.
///
/// # Errors
/// Whatever keeps it from starting: a busy port, a bad key, no Wasm engine.
pub fn run(start: Start) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        match start {
            Start::Configured(loaded) => serve(&loaded.config, || Ok(())).await,
            Start::Demo(mut place) => {
                // Before it writes anything: on a busy port there may be another one, which uses the same files.
                place.gateway = demo_port(place.gateway, "--listen")?;
                place.admin = demo_port(place.admin, "--admin")?;
                let (mut loaded, _lock) = demo::prepare(&place).await?;
                loaded.config.shutdown.drain_s = 0;
                telemetry::start_log(&loaded.config.log)?;
                serve(&loaded.config, || demo::introduce(&place)).await
            }
        }
    })
}

/// Makes what a run would make of the configuration before it opens anything. Answers what isn't there yet and may come: a
/// gateway starts without, and isn't ready.
///
/// # Errors
/// A key that can't be one.
pub fn check(config: &Config) -> Result<Vec<String>, Failure> {
    let mint = Mint::new(config)?;
    keys::key_sets(config, gateway_keys(&mint)?)?;
    Keys::read(&config.plugins.signatures)?;
    let manifest = config.plugins.directory.as_ref().map(|directory| directory.join("plugins.yaml"));
    let wanted = [("plugins.directory", manifest), ("discovery.file", config.discovery.file.clone())];
    let missing = wanted.into_iter().filter_map(|(key, path)| Some((key, path.filter(|path| !path.exists())?)));
    let mut notices: Vec<_> = missing.map(|(key, path)| format!("{key}: there is no {}", path.display())).collect();
    upstream::Tls::new(config.tls.extra_authorities()?)?;
    notices.extend(Tls::check(&config.tls)?);
    Ok(notices)
}

/// Each connection takes two descriptors, and many systems let a process begin with 1,024.
fn use_all_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
    {
        tracing::warn!(%error, "the limit of open files can't be raised");
    }
}

async fn serve(config: &Config, once_ready: impl FnOnce() -> std::io::Result<()>) -> Result<(), Failure> {
    use_all_descriptors();
    let (trigger, mut stop) = shutdown::channel();
    let signals = tokio::task::spawn_local(shutdown::signals()?.advance(trigger));
    let workers = config.http.workers.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZero::get);
    let mut registry = telemetry::registry();
    let tls = sockets::tls(&config.tls, &mut registry)?;
    let address = listener::probe(config.http.listen).map_err(|error| format!("http.listen: {error}"))?;
    let secure = config.tls.listen.map(listener::probe).transpose().map_err(|error| format!("tls.listen: {error}"))?;
    let sockets = (0..workers).map(|_| Bound::new(address, secure, tls.as_ref())).collect::<Result<Vec<_>, _>>()?;
    let admin_listener = admin::bind(config.admin.listen).await?;

    let engine = Arc::new(Engine::new(&config.plugins, workers)?);
    let snapshots = Arc::new(Snapshots::default());
    let mint = Arc::new(Mint::new(config)?);
    let authorities = config.tls.extra_authorities()?;
    let api = ApiServer::new(config, &authorities)?;
    let kubernetes = Kubernetes::connect(config).await?;
    let config_maps = kubernetes.as_ref().and_then(|kubernetes| kubernetes.follow_config_maps(&config.plugins.config_maps));
    let plugins = Plugins::new(config, &engine, &mint, api.as_ref(), &authorities, config_maps)?;

    let pages = Pages::new(config, Arc::clone(&mint), api.as_ref().map(ApiServer::login));
    pages.register(&mut registry);
    let gateway = Arc::new(Gateway {
        settings: Settings::new(config),
        pages: Arc::new(pages),
        metrics: request::Metrics::register(&mut registry),
        upstream_metrics: upstream::Metrics::register(&mut registry),
        upstream_tls: Arc::new(upstream::Tls::new(authorities)?),
        tcp: request::tcp::Tcp::new(&config.tcp, request::tcp::Metrics::register(&mut registry)),
        live: config.live.clone(),
    });
    let (drain, draining) = watch::channel(Drain::default());
    let (ports, open_ports) = LeasedPorts::new(config.tcp.listen.unwrap_or(address.ip()), workers);
    let entrances = Entrances { open_ports, doors: Doors::new(&config.tcp, tls), draining };
    let workers = Arc::new(start_workers(&engine, &snapshots, gateway, sockets, entrances)?);
    let (election, leader) = kubernetes.as_ref().map(|kubernetes| kubernetes.election(&config.name)).unzip();
    let leader = leader.unwrap_or_else(Leader::alone);
    registry.register_collector(Box::new(LeaderMetric(leader.clone())));
    let leases = Leases::new(&config.tcp, Box::new(ports), leader.is_elected());
    let activities = Arc::<Activities>::default();
    if config.activity.metrics {
        registry.register_collector(Box::new(activity_metrics::ActivityMetrics(Arc::clone(&activities))));
    }
    let stage = ControlStage::new(plugin::Worker::new(Arc::clone(&engine)), Arc::clone(&snapshots), Arc::clone(&activities));
    let own_ports = discovery::own_ports(config, address, secure);
    let servers = discovery::Servers { api: api.as_ref(), kubernetes: kubernetes.as_ref(), leader: leader.clone() };
    let (board, discovery) = discovery::start(config, own_ports, stage, leases, servers, &mut registry).await?;
    let state_directory = plugins.state.to_json();
    let admission = plugins.start(Arc::clone(&workers), discovery, &mut registry);

    let shutdown = stop.clone();
    let status: Arc<dyn Status> =
        Arc::new(GatewayStatus { board, admission, state_directory, snapshots, activities, leader, shutdown });
    let admin = Arc::new(Admin::new(&config.admin, Arc::clone(&status), Arc::new(registry)));
    let admin = tokio::task::spawn_local(admin.serve(admin_listener, stop.clone()));
    let election = election.map(|election| kubernetes::stand(election, ready(Arc::clone(&status)), stop.clone()));
    tracing::info!(%address, secure = secure.map(tracing::field::display), admin = %config.admin.listen, workers = workers.count(), "listening");
    tokio::select! {
        () = ready(status) => {
            tracing::info!("ready");
            once_ready()?;
        }
        () = stop.draining() => {}
    }
    end(&config.shutdown, stop, drain, &workers).await;
    kubernetes::end(election).await;
    signals.abort();
    admin.abort();
    Ok(())
}

/// Waits to be asked, then for what is under way, as long as that may take.
async fn end(config: &config::Shutdown, mut stop: Shutdown, drain: watch::Sender<Drain>, workers: &Workers) {
    stop.draining().await;
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs(config.delay_s)) => {}
        () = stop.hurrying() => {}
    }
    let _ = drain.send(Drain::Until(Instant::now() + Duration::from_secs(config.drain_s)));
    tokio::select! {
        () = workers.ended() => {}
        () = stop.hurrying() => {
            // Goodbyes are said all the same, and nothing is waited for but them.
            let _ = drain.send(Drain::Until(Instant::now()));
            workers.ended().await;
        }
    }
}

/// Waits until there are plugins that decide and sessions from each source.
async fn ready(status: Arc<dyn Status>) {
    while status.readiness().is_err() {
        tokio::time::sleep(READY_POLL).await;
    }
}

fn demo_port(address: SocketAddr, option: &str) -> Result<SocketAddr, Failure> {
    listener::probe(address).map_err(|error| format!("{error}; choose another port with {option}").into())
}

/// Where workers let traffic in besides the HTTP listener.
#[derive(Clone)]
struct Entrances {
    open_ports: watch::Receiver<OpenPorts>,
    doors: Doors,
    draining: watch::Receiver<Drain>,
}

/// What admission needs, made before anything runs.
struct Plugins {
    loader: Loader,
    source: admission::Source,
    saved: Option<Saved>,
    state: StateDirectory,
}

// === impl Plugins ===

impl Plugins {
    fn new(
        config: &Config,
        engine: &Arc<Engine>,
        mint: &Mint,
        api: Option<&ApiServer>,
        authorities: &[CertificateDer<'_>],
        config_maps: Option<watch::Receiver<config_maps::Seen>>,
    ) -> Result<Self, Failure> {
        let plugins = &config.plugins;
        let key_sets = Arc::new(keys::key_sets(config, gateway_keys(mint)?)?);
        keys::keep_all_fresh(&key_sets, authorities)?;
        let context = DecisionContext {
            facts: Facts::new(api.map(ApiServer::facts), tokio::runtime::Handle::current()),
            hosts: known_hosts(config),
            cache: config.plugins.cache.clone(),
            recorder: Recorder::new(&config.plugins.records)?,
        };
        let state = StateDirectory::open(&config.plugins);
        let private = state.private.clone();
        let loader = Loader {
            engine: Arc::clone(engine),
            compiler: Compiler::new(std::env::current_exe()?, &config.plugins, private.as_ref()),
            key_sets,
            artifacts: Artifacts::new(std::env::current_exe()?, plugins, authorities, private.as_ref()),
            signatures: Keys::read(&plugins.signatures)?,
            context: Arc::new(context),
            limits: config.plugins.clone(),
            next_generation: AtomicU64::new(1),
            last: Default::default(),
        };
        let source = match &config.plugins.directory {
            Some(path) => {
                let poll = Duration::from_secs(config.plugins.poll_s);
                admission::Source::Directory { path: path.clone(), poll, config_maps }
            }
            None => {
                let mut cookies = vec![config.login.cookie.clone()];
                cookies.extend(config.login.accept_cookies.iter().cloned());
                admission::Source::Builtin { cookies }
            }
        };
        Ok(Self { loader, source, saved: private.map(Saved::new), state })
    }

    /// Starts admission. A set becomes the one that decides when every worker has it ready and discovery has judged all
    /// candidates by its filters.
    fn start(
        self,
        workers: Arc<Workers>,
        discovery: mpsc::Sender<NewPlugins<PluginSet>>,
        registry: &mut Registry,
    ) -> AdmissionStatus {
        let status = AdmissionStatus::default();
        registry.register_collector(Box::new(plugin_metrics::PluginMetrics(status.clone())));
        let activate: Activate = Box::new(move |set| {
            let (workers, discovery) = (Arc::clone(&workers), discovery.clone());
            Box::pin(async move {
                workers.prepare(&set).await?;
                let (taken, answer) = oneshot::channel();
                let gone = || "discovery has ended".to_owned();
                discovery.send(NewPlugins { plugins: set, taken }).await.map_err(|_| gone())?;
                answer.await.map_err(|_| gone())
            })
        });
        let metrics = admission::Metrics::register(registry);
        let lifecycle = Lifecycle::new(self.loader, activate, status.clone(), metrics, self.saved);
        let admission = Admission { lifecycle, source: self.source };
        tokio::task::spawn_local(admission.run());
        status
    }
}

fn start_workers(
    engine: &Arc<Engine>,
    snapshots: &Arc<Snapshots>,
    gateway: Arc<Gateway>,
    sockets: Vec<Bound>,
    entrances: Entrances,
) -> Result<Workers, Failure> {
    let slots = Slots::new(gateway.settings.connections);
    let snapshots = Arc::clone(snapshots);
    let serve = move |number: usize, sockets: Bound, worker: Rc<plugin::Worker>| {
        let decisions = WorkerDecisions { snapshots: Arc::clone(&snapshots), worker };
        let worker = request::Worker::new(Arc::clone(&gateway), decisions);
        let (slots, Entrances { open_ports, doors, draining }) = (slots.clone(), entrances.clone());
        async move {
            tokio::task::spawn_local(request::live::follow(Rc::clone(&worker)));
            let ports = listener::ports::serve_ports(Rc::clone(&worker), number, open_ports, Rc::new(doors), draining.clone());
            tokio::task::spawn_local(ports);
            match sockets.open() {
                Ok(sockets) => listener::serve_worker(worker, sockets, slots, draining).await,
                Err(error) => tracing::error!(%error, "a worker's listener can't be used"),
            }
        }
    };
    Ok(Workers::start(engine, sockets, serve)?)
}

/// The key set of the gateway's own logins.
fn gateway_keys(mint: &Mint) -> Result<KeySet, String> {
    KeySet::secret("gateway", mint.key().reveal(), SecretEncoding::Raw)
}

/// Hosts that people may be sent to: the gateway's, its sessions', and the API server's.
fn known_hosts(config: &Config) -> KnownHosts {
    let mut hosts = KnownHosts::default();
    hosts.names.extend(config.public_url.as_ref().map(|url| url.host().to_owned()));
    hosts.names.extend(config.clearml.as_ref().and_then(|clearml| clearml.api_url.host_str().map(str::to_owned)));
    hosts.names.extend(config.login.hosts.iter().map(|host| host.to_ascii_lowercase()));
    hosts.suffix = config.base_domain.as_ref().map(|domain| format!(".{domain}"));
    hosts
}
