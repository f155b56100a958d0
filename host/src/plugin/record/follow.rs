//! Whoever gets new records as they are made: the watch over a set that was just activated, and the comparison with one in its
//! shadow.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use tokio::sync::mpsc;

use super::ring::Weighed;
use crate::{
    domain::record::Record,
    plugin::{inputs::Inputs, loaded::Plugin},
};

/// Records that wait for one who follows: so many bytes at most.
const MOST_WAITING_BYTES: usize = 8 << 20;

/// All who follow.
#[derive(Default)]
pub struct Followers {
    list: Mutex<Vec<Follower>>,
    count: AtomicUsize,
}

/// Somebody who gets each new record until he lets go.
struct Follower {
    records: mpsc::Sender<Waiting>,
    bytes: Arc<AtomicUsize>,
    lost: Arc<AtomicU64>,
    judge: Arc<Judge>,
}

/// New records as they are made. What isn't taken in time is lost, and counted.
pub struct Following {
    records: mpsc::Receiver<Waiting>,
    lost: Arc<AtomicU64>,
}

/// A record that waits, with its share of the bytes that may.
struct Waiting {
    record: Arc<Record>,
    share: Share,
}

struct Share {
    bytes: usize,
    of: Arc<AtomicUsize>,
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
        list.push(Follower { records, bytes: Arc::default(), lost: Arc::clone(&lost), judge: Arc::new(judge) });
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

    pub fn tell(&self, record: &Weighed) {
        if !self.are_there() {
            return;
        }
        let mut list = self.list();
        list.retain(|follower| follower.tell(record));
        self.count.store(list.len(), Ordering::Relaxed);
    }

    fn list(&self) -> MutexGuard<'_, Vec<Follower>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Follower ===

impl Follower {
    /// Whether he still follows. Strangers' records get half of the room at most: a flood of them must not hide what becomes of people.
    fn tell(&self, new: &Weighed) -> bool {
        let (room, bytes) = (self.records.capacity(), self.bytes.load(Ordering::Relaxed) + new.bytes);
        let (least_room, most_bytes) = if new.record.is_about_somebody() {
            (1, MOST_WAITING_BYTES)
        } else {
            (self.records.max_capacity() / 2 + 1, MOST_WAITING_BYTES / 2)
        };
        if self.records.is_closed() {
            return false;
        }
        if room < least_room || bytes > most_bytes {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        self.bytes.fetch_add(new.bytes, Ordering::Relaxed);
        let share = Share { bytes: new.bytes, of: Arc::clone(&self.bytes) };
        // Nobody else sends, and there is room.
        self.records.try_send(Waiting { record: Arc::clone(&new.record), share }).is_ok()
    }
}

// === impl Waiting ===

impl Waiting {
    fn take(self) -> Arc<Record> {
        drop(self.share);
        self.record
    }
}

// === impl Share ===

impl Drop for Share {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

// === impl Following ===

impl Following {
    /// The next record; None when there will be none.
    pub async fn next(&mut self) -> Option<Arc<Record>> {
        self.records.recv().await.map(Waiting::take)
    }

    /// The next one that is there already.
    pub fn try_next(&mut self) -> Option<Arc<Record>> {
        self.records.try_recv().ok().map(Waiting::take)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(person: Option<&str>, bytes: usize) -> Weighed {
        let tokens = person.map(|person| json!({"token": "t", "key_set": "k", "claims": {"sub": person}}));
        let record = json!({
            "id": "0000000000000001", "generation": 1, "set": "", "asked": [], "took_us": 0,
            "inputs": {"kind": "authenticator", "now_ms": 1, "tokens": Vec::from_iter(tokens)},
            "outcome": {"failed": {"by": "p", "fault": "error", "message": ""}},
        });
        Weighed { record: Arc::new(serde_json::from_value(record).unwrap()), bytes }
    }

    fn follow(followers: &Followers, room: usize) -> Following {
        let judge = Judge { generation: 1, inputs: Inputs::NOTHING, authenticators: Vec::new(), may_read_session: false };
        followers.add(judge, room)
    }

    fn taken(following: &mut Following) -> usize {
        std::iter::from_fn(|| following.try_next()).count()
    }

    #[test]
    fn a_flood_of_strangers_leaves_room_for_people() {
        let followers = Followers::default();
        let mut following = follow(&followers, 8);
        (0..100).for_each(|_| followers.tell(&record(None, 1)));
        (0..5).for_each(|_| followers.tell(&record(Some("ada"), 1)));
        let taken: Vec<_> = std::iter::from_fn(|| following.try_next()).collect();
        assert_eq!(taken.iter().filter(|record| record.is_about_somebody()).count(), 4);
        assert_eq!((taken.len(), following.lost()), (8, 97));
    }

    #[test]
    fn what_waits_is_bounded_in_bytes() {
        let followers = Followers::default();
        let mut following = follow(&followers, 1000);
        let large = MOST_WAITING_BYTES / 8;
        for _ in 0..2 {
            (0..10).for_each(|_| followers.tell(&record(None, large)));
            (0..10).for_each(|_| followers.tell(&record(Some("ada"), large)));
            assert_eq!(taken(&mut following), 8, "what was taken makes room");
        }
        assert_eq!(following.lost(), 24);
    }

    #[test]
    fn who_lets_go_is_told_nothing_more() {
        let followers = Followers::default();
        let following = follow(&followers, 1);
        assert_eq!((followers.judges(1).len(), followers.judges(2).len()), (1, 0));
        drop(following);
        assert!(followers.judges(1).is_empty());
        followers.tell(&record(None, 1));
        assert!(!followers.are_there());
    }
}
