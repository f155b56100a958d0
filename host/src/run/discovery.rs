//! Discovery on the control thread: sources, assembler, and what writes addresses back.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, watch};

use super::{
    clearml::{self, ApiServer},
    keys::{self, KeySetError},
    kubernetes::Kubernetes,
    stage::ControlStage,
};
use crate::{
    config::Config,
    discovery::{
        self, Assembled, Assembler, Board, Leases, NewPlugins, Records, Report,
        dial::{DialRules, Resolver},
    },
    domain::SourceKind,
    kubernetes::election::Leader,
    plugin::PluginSet,
};

/// Names that are resolved at a time, and how long one may take.
const RESOLUTIONS: usize = 16;
const RESOLUTION_TIMEOUT: Duration = Duration::from_secs(3);
/// How often the file of sessions is read even when no change was notified.
const FILE_POLL: Duration = Duration::from_secs(10);

/// What the sources ask, and whether this replica writes there.
pub struct Servers<'a> {
    pub api: Option<&'a ApiServer>,
    pub kubernetes: Option<&'a Kubernetes>,
    pub leader: Leader,
}

/// What a source and its publisher are connected to.
#[derive(Clone)]
pub struct Ends {
    pub records: Arc<Records>,
    pub reports: mpsc::Sender<Report>,
    pub assembled: watch::Receiver<Assembled>,
    pub metrics: discovery::Metrics,
    pub leader: Leader,
}

/// Where API servers are: no session is dialled there. A name that doesn't resolve now protects nothing, and is said.
async fn addresses(config: &Config, kubernetes: Option<&Kubernetes>) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for (host, port) in clearml::server(config).into_iter().chain(kubernetes.map(Kubernetes::server)) {
        let addresses = tokio::time::timeout(RESOLUTION_TIMEOUT, tokio::net::lookup_host((host, port)));
        match addresses.await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())) {
            Ok(addresses) => found.extend(addresses),
            Err(error) => {
                tracing::warn!(host, %error, "an API server's name doesn't resolve: its address isn't kept from being dialled");
            }
        }
    }
    found
}

/// The gateway's own listeners: no session is dialled there.
pub fn own_ports(config: &Config, address: SocketAddr, secure: Option<SocketAddr>) -> Vec<u16> {
    let listeners = [Some(address), Some(config.admin.listen), secure].into_iter().flatten().map(|address| address.port());
    let leased = config.tcp.ports.map(|range| range.start..=range.end).into_iter().flatten();
    listeners.chain(leased).chain(config.tcp.static_ports.values().copied()).collect()
}

/// Starts the sources and the assembler. Answers its board, and where plugin sets are handed in.
pub async fn start(
    config: &Config,
    own_ports: Vec<u16>,
    stage: ControlStage,
    leases: Leases,
    servers: Servers<'_>,
    registry: &mut Registry,
) -> Result<(Arc<Board>, mpsc::Sender<NewPlugins<PluginSet>>), KeySetError> {
    let Servers { api, kubernetes, leader } = servers;
    let configured = [
        (SourceKind::Clearml, api.is_some()),
        (SourceKind::Kubernetes, kubernetes.is_some_and(Kubernetes::looks_at_pods)),
        (SourceKind::File, config.discovery.file.is_some()),
    ];
    let sources = configured.into_iter().filter_map(|(source, is_there)| is_there.then_some(source));
    let rules = Arc::new(DialRules::new(config.dial_networks(), own_ports, addresses(config, kubernetes).await));
    let resolver = Resolver::new(RESOLUTIONS, RESOLUTION_TIMEOUT);
    let metrics = discovery::Metrics::register(registry);
    let (assembler, inbox) = Assembler::new(stage, rules, resolver, leases, leader.clone(), sources, metrics.clone());
    let board = assembler.board();
    let ends = Ends {
        records: Arc::new(keys::records(config)?),
        reports: inbox.reports.clone(),
        assembled: assembler.assembled(),
        metrics,
        leader,
    };
    if let Some(api) = api {
        api.start(config, ends.clone());
    }
    if let Some(kubernetes) = kubernetes.filter(|kubernetes| kubernetes.looks_at_pods()) {
        kubernetes.start(config, ends);
    }
    tokio::task::spawn_local(assembler.run());
    if let Some(path) = &config.discovery.file {
        tokio::task::spawn_local(discovery::file::run(path.clone(), FILE_POLL, inbox.reports.clone()));
    }
    Ok((board, inbox.plugins))
}
