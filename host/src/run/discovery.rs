//! Discovery on the control thread: sources, assembler, and what writes addresses back.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use prometheus_client::registry::Registry;
use tokio::sync::mpsc;

use super::{
    clearml::{self, ApiServer},
    keys::{self, KeySetError},
    stage::ControlStage,
};
use crate::{
    config::Config,
    discovery::{
        self, Assembler, Board, Leases, NewPlugins,
        dial::{DialRules, Resolver},
    },
    domain::SourceKind,
    plugin::PluginSet,
};

/// Names that are resolved at a time, and how long one may take.
const RESOLUTIONS: usize = 16;
pub const RESOLUTION_TIMEOUT: Duration = Duration::from_secs(3);
/// How often the file of sessions is read even when no change was notified.
const FILE_POLL: Duration = Duration::from_secs(10);

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
    api: Option<&ApiServer>,
    registry: &mut Registry,
) -> Result<(Arc<Board>, mpsc::Sender<NewPlugins<PluginSet>>), KeySetError> {
    let sources =
        api.iter().map(|_| SourceKind::Clearml).chain(config.discovery.file.iter().map(|_| SourceKind::File)).collect::<Vec<_>>();
    let rules = Arc::new(DialRules::new(config.discovery.dial.networks.clone(), own_ports, clearml::addresses(config).await));
    let resolver = Resolver::new(RESOLUTIONS, RESOLUTION_TIMEOUT);
    let metrics = discovery::Metrics::register(registry);
    let (assembler, inbox) = Assembler::new(stage, rules, resolver, leases, sources, metrics.clone());
    let board = assembler.board();
    if let Some(api) = api {
        let records = Arc::new(keys::records(config)?);
        api.start(config, records, inbox.reports.clone(), assembler.assembled(), metrics);
    }
    tokio::task::spawn_local(assembler.run());
    if let Some(path) = &config.discovery.file {
        tokio::task::spawn_local(discovery::file::run(path.clone(), FILE_POLL, inbox.reports.clone()));
    }
    Ok((board, inbox.plugins))
}
