//! What each plugin did, counted over all workers, for status and metrics.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::domain::Timestamp;

use super::fault::{Fault, FaultKind};

/// Counters of one plugin since it was loaded.
#[derive(Debug, Default)]
pub struct Counts {
    calls: AtomicU64,
    cache_hits: AtomicU64,
    faults: [AtomicU64; FAULTS.len()],
    decisions: [AtomicU64; WORDS.len()],
    /// Calls by their duration: those within each of `BUCKETS`, and the longer ones.
    durations: [AtomicU64; BUCKETS.len() + 1],
    duration_sum_us: AtomicU64,
    rechecks: AtomicU64,
    last_fault: Mutex<Option<LastFault>>,
}

/// The last time that a plugin couldn't decide.
#[derive(Clone, Debug)]
pub struct LastFault {
    pub at: Timestamp,
    pub kind: FaultKind,
    pub message: String,
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

/// What a plugin answers, by the contract's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    Allow,
    Challenge,
    Deny,
    Abstain,
    Forward,
    Redirect,
    Reject,
    Unauthenticated,
    Keep,
    Drop,
}

const WORDS: [Word; 10] = [
    Word::Allow,
    Word::Challenge,
    Word::Deny,
    Word::Abstain,
    Word::Forward,
    Word::Redirect,
    Word::Reject,
    Word::Unauthenticated,
    Word::Keep,
    Word::Drop,
];

/// Upper ends of the buckets of a call's duration, in microseconds: around what the three languages take, to the budget.
const BUCKETS: [u64; 12] = [2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 50_000];

/// How long calls took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durations {
    /// The upper end in microseconds, and how many calls were within it and over the one before. The last has no end.
    pub buckets: Vec<(Option<u64>, u64)>,
    pub sum_us: u64,
}

// === impl Counts ===

impl Counts {
    pub(super) fn count<T>(&self, outcome: &Result<T, Fault>, took: Duration) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.iter().position(|end| micros <= *end).unwrap_or(BUCKETS.len());
        self.durations[bucket].fetch_add(1, Ordering::Relaxed);
        self.duration_sum_us.fetch_add(micros, Ordering::Relaxed);
        if let Err(fault) = outcome
            && let Some(at) = FAULTS.iter().position(|kind| *kind == fault.kind)
        {
            self.faults[at].fetch_add(1, Ordering::Relaxed);
            let last = LastFault { at: Timestamp::now(), kind: fault.kind, message: fault.message.clone() };
            *self.last_fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
        }
    }

    pub(super) fn hit(&self, word: Word) {
        self.cache_hits.fetch_add(1, Ordering::Relaxed);
        self.decided(word);
    }

    pub(super) fn decided(&self, word: Word) {
        self.decisions[word as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn recheck(&self) {
        self.rechecks.fetch_add(1, Ordering::Relaxed);
    }

    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    pub fn cache_hits(&self) -> u64 {
        self.cache_hits.load(Ordering::Relaxed)
    }

    /// Calls that were made again on a fresh instance.
    pub fn rechecks(&self) -> u64 {
        self.rechecks.load(Ordering::Relaxed)
    }

    /// Every kind of fault with its count.
    pub fn faults(&self) -> impl Iterator<Item = (FaultKind, u64)> {
        FAULTS.iter().zip(&self.faults).map(|(kind, count)| (*kind, count.load(Ordering::Relaxed)))
    }

    pub fn last_fault(&self) -> Option<LastFault> {
        self.last_fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Each answer that was given, from the cache or not, with its count.
    pub fn decisions(&self) -> impl Iterator<Item = (Word, u64)> {
        let counts = WORDS.iter().zip(&self.decisions).map(|(word, count)| (*word, count.load(Ordering::Relaxed)));
        counts.filter(|(_, count)| *count > 0)
    }

    pub fn durations(&self) -> Durations {
        let ends = BUCKETS.iter().copied().map(Some).chain([None]);
        let counts = self.durations.iter().map(|count| count.load(Ordering::Relaxed));
        Durations { buckets: ends.zip(counts).collect(), sum_us: self.duration_sum_us.load(Ordering::Relaxed) }
    }
}

// === impl Word ===

impl Word {
    /// Whether somebody who asked doesn't get in by it.
    pub fn is_denial(self) -> bool {
        matches!(self, Self::Challenge | Self::Deny | Self::Reject | Self::Unauthenticated | Self::Drop)
    }

    pub fn code(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Challenge => "challenge",
            Self::Deny => "deny",
            Self::Abstain => "abstain",
            Self::Forward => "forward",
            Self::Redirect => "redirect",
            Self::Reject => "reject",
            Self::Unauthenticated => "unauthenticated",
            Self::Keep => "keep",
            Self::Drop => "drop",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_has_its_place() {
        for (at, word) in WORDS.iter().enumerate() {
            assert_eq!(*word as usize, at, "{word:?}");
        }
    }
}
