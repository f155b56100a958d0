//! Where requests meet plugins: the pipeline's seam, filled with the snapshot of the moment and this thread's own instances.

use std::{rc::Rc, sync::Arc};

use tokio::sync::watch;

use crate::{
    domain::Endpoint,
    plugin::{Authenticated, CredentialInputs, Fault, Routed, Subject, Worker},
    request::{DecisionSet, Decisions},
    route::RouteTable,
    snapshot::{Snapshot, Snapshots},
};

/// What one worker's pipeline decides by.
pub struct WorkerDecisions {
    pub snapshots: Arc<Snapshots>,
    pub worker: Rc<Worker>,
}

/// One snapshot, kept to a request's end.
pub struct Moment {
    snapshot: Arc<Snapshot>,
    worker: Rc<Worker>,
}

// === impl WorkerDecisions ===

impl Decisions for WorkerDecisions {
    type Set = Moment;

    fn current(&self) -> Option<Moment> {
        Some(Moment { snapshot: self.snapshots.current()?, worker: Rc::clone(&self.worker) })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.snapshots.changes()
    }
}

// === impl Moment ===

impl DecisionSet for Moment {
    fn routes(&self) -> &RouteTable {
        &self.snapshot.routes
    }

    fn generation(&self) -> u64 {
        self.snapshot.plugins.generation().0
    }

    fn credentials(&self) -> &CredentialInputs {
        self.snapshot.plugins.credentials()
    }

    async fn authenticate(&self, subject: &Subject<'_>, endpoint: Option<&Endpoint>) -> Result<Authenticated, Fault> {
        self.snapshot.plugins.authenticate(&self.worker, subject, endpoint).await
    }

    async fn route(&self, subject: &Subject<'_>, endpoint: &Endpoint, identity: &Authenticated) -> Result<Routed, Fault> {
        self.snapshot.plugins.route(&self.worker, subject, endpoint, identity).await
    }
}
