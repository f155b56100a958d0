//! Where discovery meets plugins and the snapshot: the seam that `discovery` asks for.

use std::{cell::Cell, collections::HashSet, sync::Arc};

use crate::{
    discovery::Stage,
    domain::{Activities, Candidate, Endpoint, SessionId, decision::Verdict},
    plugin::{Fault, Generation, Kind, PluginSet, Worker},
    route::RouteTable,
    snapshot::{Snapshot, Snapshots},
};

/// The control thread's own instances of the filters, and the snapshot that workers read.
pub struct ControlStage {
    worker: Worker,
    snapshots: Arc<Snapshots>,
    activities: Arc<Activities>,
    /// The set whose filters have instances here.
    prepared: Cell<Option<Generation>>,
}

// === impl ControlStage ===

impl ControlStage {
    pub fn new(worker: Worker, snapshots: Arc<Snapshots>, activities: Arc<Activities>) -> Self {
        Self { worker, snapshots, activities, prepared: Cell::new(None) }
    }

    /// Makes instances of a set's filters, and lets go of those of earlier sets.
    fn prepare(&self, plugins: &PluginSet) -> Result<(), Fault> {
        if self.prepared.get() != Some(plugins.generation()) {
            self.worker.prepare(plugins, &[Kind::DiscoveryFilter])?;
            self.prepared.set(Some(plugins.generation()));
        }
        Ok(())
    }
}

impl Stage for ControlStage {
    type Plugins = PluginSet;

    async fn filter(&self, plugins: &PluginSet, candidate: &Candidate) -> Result<Verdict, String> {
        self.prepare(plugins).map_err(|fault| fault.to_string())?;
        plugins.filter(&self.worker, candidate).await.map_err(|fault| fault.to_string())
    }

    fn swap(&self, plugins: &Arc<PluginSet>, endpoints: &[Arc<Endpoint>]) {
        let sessions: HashSet<&SessionId> = endpoints.iter().map(|endpoint| &endpoint.id.session).collect();
        self.activities.keep(|session| sessions.contains(session));
        let before = self.snapshots.current();
        let before = before.as_ref().map(|snapshot| &*snapshot.routes);
        let routes = Arc::new(RouteTable::new(endpoints.to_vec(), &self.activities, before));
        self.snapshots.swap(Snapshot { plugins: Arc::clone(plugins), routes });
    }
}
