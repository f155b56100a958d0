//! The records that are kept, by kind. Of each kind the denials have a place of their own, half as large as all: strangers can
//! make any number of them, of any size, and mustn't push out what people did.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crate::domain::{
    decision::Kind,
    record::{Record, RecordId},
};

pub struct Rings {
    keep: usize,
    /// Of one kind.
    most_bytes: usize,
    kinds: [Ring; 3],
    by_id: HashMap<RecordId, Arc<Record>>,
}

#[derive(Default)]
struct Ring {
    admissions: Queue,
    denials: Queue,
}

#[derive(Default)]
struct Queue {
    records: VecDeque<Weighed>,
    bytes: usize,
}

/// A record with its size, which is looked at once.
pub struct Weighed {
    pub record: Arc<Record>,
    pub bytes: usize,
}

// === impl Rings ===

impl Rings {
    /// So many records of each kind, and so many bytes of all.
    pub fn new(keep: usize, bytes: usize) -> Self {
        let kinds: [Ring; 3] = Default::default();
        Self { keep, most_bytes: bytes / kinds.len(), kinds, by_id: HashMap::new() }
    }

    pub fn keep(&mut self, new: Weighed) {
        let (denials, denial_bytes) = (self.keep / 2, self.most_bytes / 2);
        let ring = &mut self.kinds[place(new.record.inputs.kind)];
        let (queue, most, most_bytes) = if new.record.outcome.admits() {
            (&mut ring.admissions, self.keep - denials, self.most_bytes - denial_bytes)
        } else {
            (&mut ring.denials, denials, denial_bytes)
        };
        if most == 0 || new.bytes > most_bytes {
            return;
        }
        while queue.records.len() >= most || queue.bytes + new.bytes > most_bytes {
            let Some(oldest) = queue.records.pop_front() else { break };
            queue.bytes -= oldest.bytes;
            self.by_id.remove(&oldest.record.id);
        }
        self.by_id.insert(new.record.id, Arc::clone(&new.record));
        queue.bytes += new.bytes;
        queue.records.push_back(new);
    }

    pub fn find(&self, id: RecordId) -> Option<&Arc<Record>> {
        self.by_id.get(&id)
    }

    /// Oldest first. When there are more, half of the answer at most are denials.
    pub fn last(&self, kind: Kind, most: usize) -> Vec<Arc<Record>> {
        let Ring { admissions, denials } = &self.kinds[place(kind)];
        let (admissions, denials) = (&admissions.records, &denials.records);
        let most_denials = denials.len().min((most / 2).max(most.saturating_sub(admissions.len())));
        let most_admissions = admissions.len().min(most - most_denials);
        let newest = |queue: &VecDeque<Weighed>, count: usize| {
            queue.range(queue.len() - count..).map(|kept| Arc::clone(&kept.record)).collect::<Vec<_>>()
        };
        let mut last = newest(admissions, most_admissions);
        last.extend(newest(denials, most_denials));
        last.sort_by_key(|record| record.id);
        last
    }
}

fn place(kind: Kind) -> usize {
    match kind {
        Kind::DiscoveryFilter => 0,
        Kind::Authenticator => 1,
        Kind::RoutingPolicy => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Timestamp,
        record::{Decided, Decision, Inputs, Known, Outcome},
    };

    fn record(id: u64, admits: bool) -> Weighed {
        let decision = if admits {
            Decision::Keep { name: None, access: None, upstream_path: None, labels: Default::default() }
        } else {
            Decision::Reject { message: None }
        };
        let record = Record {
            id: RecordId(id),
            generation: 1,
            set: String::new(),
            asked: Vec::new(),
            inputs: Inputs {
                kind: Kind::RoutingPolicy,
                now_ms: Timestamp(id),
                known: Known::Everything,
                http: None,
                tcp: None,
                session: None,
                identity: None,
                may_read_session: None,
                tokens: Vec::new(),
            },
            outcome: Outcome::Decided(Decided { by: None, decision, reason: "x".into(), detail: None, holds_until_ms: None }),
            took_us: 0,
        };
        Weighed { record: Arc::new(record), bytes: 100 }
    }

    fn ids(rings: &Rings, most: usize) -> Vec<u64> {
        rings.last(Kind::RoutingPolicy, most).iter().map(|record| record.id.0).collect()
    }

    #[test]
    fn strangers_push_out_nobody() {
        let mut rings = Rings::new(4, usize::MAX);
        (1..=3).for_each(|id| rings.keep(record(id, true)));
        (10..20).for_each(|id| rings.keep(record(id, false)));
        assert_eq!(ids(&rings, 100), [2, 3, 18, 19]);
        assert_eq!(ids(&rings, 2), [3, 19]);
        assert_eq!(ids(&rings, 3), [2, 3, 19]);
        assert_eq!(ids(&rings, 0), [0; 0]);
        assert!(rings.find(RecordId(3)).is_some() && rings.find(RecordId(1)).is_none() && rings.find(RecordId(10)).is_none());
        assert_eq!(rings.by_id.len(), 4);
        assert!(rings.last(Kind::Authenticator, 9).is_empty());
    }

    #[test]
    fn where_there_are_few_denials_people_fill_the_answer() {
        let mut rings = Rings::new(8, usize::MAX);
        (1..=4).for_each(|id| rings.keep(record(id, true)));
        rings.keep(record(5, false));
        assert_eq!(ids(&rings, 4), [2, 3, 4, 5]);
        assert_eq!(ids(&rings, 5), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn large_records_take_the_place_of_several() {
        let mut rings = Rings::new(100, 3 * 800);
        (1..=9).for_each(|id| rings.keep(record(id, true)));
        (11..=19).for_each(|id| rings.keep(record(id, false)));
        assert_eq!(ids(&rings, 100), [6, 7, 8, 9, 16, 17, 18, 19]);
        rings.keep(Weighed { bytes: 250, ..record(20, false) });
        assert_eq!(ids(&rings, 100), [6, 7, 8, 9, 19, 20]);
        rings.keep(Weighed { bytes: 401, ..record(21, false) });
        assert_eq!(ids(&rings, 100), [6, 7, 8, 9, 19, 20], "one that is larger than the place isn't kept");
        assert_eq!((rings.by_id.len(), rings.kinds[2].denials.bytes), (6, 350));
    }

    #[test]
    fn keeping_none_keeps_none() {
        for keep in [0, 1] {
            let mut rings = Rings::new(keep, usize::MAX);
            rings.keep(record(1, false));
            assert!(rings.find(RecordId(1)).is_none());
        }
    }
}
