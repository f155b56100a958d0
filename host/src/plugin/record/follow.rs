//! Whoever gets new records as they are made: the watch over a set that was just activated, and the comparison with one in its
//! shadow.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use tokio::sync::mpsc;

use crate::{
    domain::record::Record,
    plugin::{inputs::Inputs, loaded::Plugin},
};

/// All who follow.
#[derive(Default)]
pub struct Followers {
    list: Mutex<Vec<Follower>>,
    count: AtomicUsize,
}

/// Somebody who gets each new record until he lets go.
struct Follower {
    records: mpsc::Sender<Arc<Record>>,
    lost: Arc<AtomicU64>,
    judge: Arc<Judge>,
}

/// New records as they are made. What isn't taken in time is lost, and counted.
pub struct Following {
    records: mpsc::Receiver<Arc<Record>>,
    lost: Arc<AtomicU64>,
}

/// A set that is to decide by the records of another: what it decides from beside what is recorded anyway.
pub struct Judge {
    /// Whose records it judges.
    pub generation: u64,
    pub inputs: Inputs,
    pub authenticators: Vec<Arc<Plugin>>,
    pub may_read_session: bool,
}

// === impl Followers ===

impl Followers {
    pub fn are_there(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    pub fn add(&self, judge: Judge, room: usize) -> Following {
        let (records, receiver) = mpsc::channel(room);
        let lost = Arc::<AtomicU64>::default();
        let mut list = self.list();
        list.push(Follower { records, lost: Arc::clone(&lost), judge: Arc::new(judge) });
        self.count.store(list.len(), Ordering::Relaxed);
        Following { records: receiver, lost }
    }

    /// Those who judge the records of a generation.
    pub fn judges(&self, generation: u64) -> Vec<Arc<Judge>> {
        if !self.are_there() {
            return Vec::new();
        }
        let list = self.list();
        let judges = list.iter().filter(|follower| !follower.records.is_closed()).map(|follower| &follower.judge);
        judges.filter(|judge| judge.generation == generation).cloned().collect()
    }

    pub fn tell(&self, record: &Arc<Record>) {
        if !self.are_there() {
            return;
        }
        let mut list = self.list();
        list.retain(|follower| match follower.records.try_send(Arc::clone(record)) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                follower.lost.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        });
        self.count.store(list.len(), Ordering::Relaxed);
    }

    fn list(&self) -> MutexGuard<'_, Vec<Follower>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Following ===

impl Following {
    /// The next record; None when there will be none.
    pub async fn next(&mut self) -> Option<Arc<Record>> {
        self.records.recv().await
    }

    /// The next one that is there already.
    pub fn try_next(&mut self) -> Option<Arc<Record>> {
        self.records.try_recv().ok()
    }

    /// Whether there will be no more.
    pub fn is_over(&self) -> bool {
        self.records.is_closed()
    }

    /// How many came while there was no room.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}
