//! Where discovery meets plugins and the snapshot: the seam that `discovery` asks for.

use std::sync::Arc;

use crate::{
    discovery::Stage,
    domain::{Candidate, Endpoint, decision::Verdict},
    plugin::{PluginSet, Worker},
    route::RouteTable,
    snapshot::{Snapshot, Snapshots},
};

/// The control thread's own instances of the filters, and the snapshot that workers read.
pub struct ControlStage {
    pub worker: Worker,
    pub snapshots: Arc<Snapshots>,
}

impl Stage for ControlStage {
    type Plugins = PluginSet;

    async fn filter(&self, plugins: &PluginSet, candidate: &Candidate) -> Result<Verdict, String> {
        plugins.filter(&self.worker, candidate).await.map_err(|fault| fault.to_string())
    }

    fn swap(&self, plugins: &Arc<PluginSet>, endpoints: &[Arc<Endpoint>]) {
        let routes = Arc::new(RouteTable::new(endpoints.to_vec()));
        self.snapshots.swap(Snapshot { plugins: Arc::clone(plugins), routes });
    }
}
