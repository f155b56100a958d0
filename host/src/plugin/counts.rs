//! What each plugin did, counted over all workers, for status and metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use super::fault::{Fault, FaultKind};

/// Counters of one plugin since it was loaded.
#[derive(Debug, Default)]
pub struct Counts {
    pub calls: AtomicU64,
    pub cache_hits: AtomicU64,
    faults: [AtomicU64; FAULTS.len()],
}

const FAULTS: [FaultKind; 7] = [
    FaultKind::Error,
    FaultKind::Unavailable,
    FaultKind::Trap,
    FaultKind::Deadline,
    FaultKind::Memory,
    FaultKind::Output,
    FaultKind::Instance,
];

// === impl Counts ===

impl Counts {
    pub(super) fn count<T>(&self, outcome: &Result<T, Fault>) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if let Err(fault) = outcome
            && let Some(at) = FAULTS.iter().position(|kind| *kind == fault.kind)
        {
            self.faults[at].fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn hit(&self) {
        self.cache_hits.fetch_add(1, Ordering::Relaxed);
    }

    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    pub fn cache_hits(&self) -> u64 {
        self.cache_hits.load(Ordering::Relaxed)
    }

    /// Every kind of fault with its count.
    pub fn faults(&self) -> impl Iterator<Item = (FaultKind, u64)> {
        FAULTS.iter().zip(&self.faults).map(|(kind, count)| (*kind, count.load(Ordering::Relaxed)))
    }
}
