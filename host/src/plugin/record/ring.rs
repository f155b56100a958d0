//! The records that are kept, by kind. Of each kind the denials have a place of their own, half as large as all: strangers can
//! make any number of them, and mustn't push out what people did.

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
    kinds: [Ring; 3],
    by_id: HashMap<RecordId, Arc<Record>>,
}

#[derive(Default)]
struct Ring {
    admissions: VecDeque<Arc<Record>>,
    denials: VecDeque<Arc<Record>>,
}

// === impl Rings ===

impl Rings {
    pub fn new(keep: usize) -> Self {
        Self { keep, kinds: Default::default(), by_id: HashMap::new() }
    }

    pub fn keep(&mut self, record: Arc<Record>) {
        let denials = self.keep / 2;
        let ring = &mut self.kinds[place(record.inputs.kind)];
        let (ring, most) =
            if record.outcome.admits() { (&mut ring.admissions, self.keep - denials) } else { (&mut ring.denials, denials) };
        if most == 0 {
            return;
        }
        if ring.len() >= most
            && let Some(oldest) = ring.pop_front()
        {
            self.by_id.remove(&oldest.id);
        }
        self.by_id.insert(record.id, Arc::clone(&record));
        ring.push_back(record);
    }

    pub fn find(&self, id: RecordId) -> Option<&Arc<Record>> {
        self.by_id.get(&id)
    }

    /// Oldest first. When there are more, half of the answer at most are denials.
    pub fn last(&self, kind: Kind, most: usize) -> Vec<Arc<Record>> {
        let ring = &self.kinds[place(kind)];
        let denials = ring.denials.len().min((most / 2).max(most.saturating_sub(ring.admissions.len())));
        let admissions = ring.admissions.len().min(most - denials);
        let newest = |ring: &VecDeque<Arc<Record>>, count: usize| ring.range(ring.len() - count..).cloned().collect::<Vec<_>>();
        let mut last = newest(&ring.admissions, admissions);
        last.extend(newest(&ring.denials, denials));
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

    fn record(id: u64, admits: bool) -> Arc<Record> {
        let decision = if admits {
            Decision::Keep { name: None, access: None, upstream_path: None, labels: Default::default() }
        } else {
            Decision::Reject { message: None }
        };
        Arc::new(Record {
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
        })
    }

    fn ids(rings: &Rings, most: usize) -> Vec<u64> {
        rings.last(Kind::RoutingPolicy, most).iter().map(|record| record.id.0).collect()
    }

    #[test]
    fn strangers_push_out_nobody() {
        let mut rings = Rings::new(4);
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
        let mut rings = Rings::new(8);
        (1..=4).for_each(|id| rings.keep(record(id, true)));
        rings.keep(record(5, false));
        assert_eq!(ids(&rings, 4), [2, 3, 4, 5]);
        assert_eq!(ids(&rings, 5), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn keeping_none_keeps_none() {
        for keep in [0, 1] {
            let mut rings = Rings::new(keep);
            rings.keep(record(1, false));
            assert!(rings.find(RecordId(1)).is_none());
        }
    }
}
