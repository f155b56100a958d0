//! How many downstream connections may be open: each holds a place, and what it was upgraded to goes on holding it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Downstream connections that may be open, shared by all workers.
#[derive(Clone, Debug)]
pub struct Slots {
    open: Arc<AtomicUsize>,
    most: usize,
}

/// One connection's place.
pub struct Slot(Arc<AtomicUsize>);

// === impl Slots ===

impl Slots {
    pub fn new(most: usize) -> Self {
        Self { open: Arc::default(), most }
    }

    /// None when all are taken.
    pub fn take(&self) -> Option<Slot> {
        let slot = Slot(self.open.clone());
        let before = self.open.fetch_add(1, Relaxed);
        (before < self.most).then_some(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
