//! The one value that a request reads: routes and plugins that belong together. A request takes an `Arc` of it at its start
//! and keeps it, so it never sees a mixture of two; writers build a whole new one and swap it.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;

use crate::{plugin::PluginSet, route::RouteTable};

/// Routes with the plugins whose filters made them.
pub struct Snapshot {
    pub plugins: Arc<PluginSet>,
    pub routes: Arc<RouteTable>,
}

/// Holds the current snapshot. Empty until plugins are loaded and a first discovery came in: then requests get 503.
#[derive(Default)]
pub struct Snapshots {
    current: ArcSwapOption<Snapshot>,
    /// Counts swaps.
    swaps: watch::Sender<u64>,
}

impl Snapshots {
    pub fn current(&self) -> Option<Arc<Snapshot>> {
        self.current.load_full()
    }

    /// Changes with each swap.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.swaps.subscribe()
    }

    pub fn swap(&self, next: Snapshot) {
        self.current.store(Some(Arc::new(next)));
        self.swaps.send_modify(|swaps| *swaps += 1);
    }
}
