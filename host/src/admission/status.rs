//! What admission did, for operators: the set that runs, what is on its way, how it compares, what became of earlier ones. The same
//! as metrics.

mod metrics;
mod shown;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;

pub use self::metrics::Metrics;
use super::{
    activation::{Activation, Mode, Rollback},
    probation::Numbers,
    replay::Comparison,
    saved::Rejected,
};
use crate::{domain::Timestamp, plugin::PluginSet};

/// Events of the past that are shown.
const MOST_EVENTS: usize = 50;

/// Shared between admission, which writes it, and the admin listener.
#[derive(Clone, Default)]
pub struct AdmissionStatus(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    source: String,
    active: Option<Active>,
    refused: Option<Refused>,
    rejected: Option<Rejected>,
    candidate: Option<Candidate>,
    comparison: Option<Compared>,
    watch: Option<Watched>,
    history: VecDeque<Event>,
}

struct Active {
    set: Arc<PluginSet>,
    since: Timestamp,
    mode: Mode,
    /// It's the saved set that serves, not what stands in the directory.
    is_saved: bool,
}

#[derive(Clone, Serialize)]
struct Refused {
    why: String,
    at_ms: Timestamp,
}

/// A set on its way.
#[derive(Clone, Serialize)]
struct Candidate {
    digest: String,
    stage: Stage,
    since_ms: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
}

/// How far a set is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Format, contract and grants are looked at; compiled and configured.
    Loading,
    /// Its own cases are run, and whether it keeps state is looked at.
    Trying,
    /// Recorded decisions are run through it.
    Replaying,
    /// What the active set decides is run through it.
    InShadow,
    /// Workers and discovery take it.
    Activating,
}

#[derive(Clone, Serialize)]
struct Compared {
    /// The set that was compared with the one that decided.
    digest: String,
    #[serde(flatten)]
    comparison: Comparison,
    /// Decisions that were left out because too many came at a time.
    left_out: u64,
}

/// A set that was activated a short while ago.
#[derive(Clone, Serialize)]
struct Watched {
    generation: u64,
    until_ms: Timestamp,
    rollback: Rollback,
    people: Numbers,
    owners: Numbers,
    left_out: u64,
    /// The plugins of the set before, with what they had done.
    #[serde(skip)]
    before: Arc<PluginSet>,
}

/// What happened to a set.
#[derive(Clone, Serialize)]
struct Event {
    at_ms: Timestamp,
    what: What,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// It happened so often one after the other, last at `at_ms`.
    times: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    Activated,
    /// Its watch ended well.
    FoundGood,
    Refused,
    InShadow,
    /// A shadow that was over a bound.
    Dropped,
    RolledBack,
}

// === impl Stage ===

impl Stage {
    pub const ALL: [Self; 5] = [Self::Loading, Self::Trying, Self::Replaying, Self::InShadow, Self::Activating];

    /// As everywhere outside.
    pub fn word(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Trying => "trying",
            Self::Replaying => "replaying",
            Self::InShadow => "in-shadow",
            Self::Activating => "activating",
        }
    }
}

// === impl AdmissionStatus ===

impl AdmissionStatus {
    pub fn active(&self) -> Option<Arc<PluginSet>> {
        self.lock().active.as_ref().map(|active| Arc::clone(&active.set))
    }

    /// Why what was found last isn't used, if so.
    pub fn refusal(&self) -> Option<String> {
        self.lock().refused.as_ref().map(|refused| refused.why.clone())
    }

    /// How far the set is that's on its way.
    pub fn candidate_stage(&self) -> Option<Stage> {
        self.lock().candidate.as_ref().map(|candidate| candidate.stage)
    }

    /// What became of people since the last swap, while that is watched.
    pub fn watched_people(&self) -> Option<Numbers> {
        self.lock().watch.as_ref().map(|watch| watch.people.clone())
    }

    pub(super) fn starts(&self, source: String) {
        self.lock().source = source;
    }

    pub(super) fn stage(&self, digest: &str, stage: Stage, mode: Option<Mode>) {
        tracing::info!(digest = short(digest), ?stage, "plugin set");
        let mut state = self.lock();
        if stage == Stage::InShadow {
            state.remember(What::InShadow, digest, None, None);
        }
        state.candidate = Some(Candidate { digest: digest.to_owned(), stage, since_ms: Timestamp::now(), mode });
    }

    /// Nothing is on its way any more.
    pub(super) fn rests(&self) {
        self.lock().candidate = None;
    }

    pub(super) fn starts_comparison(&self, digest: &str, comparison: &Comparison) {
        let (digest, comparison) = (digest.to_owned(), comparison.clone());
        self.lock().comparison = Some(Compared { digest, comparison, left_out: 0 });
    }

    pub(super) fn compared(&self, comparison: &Comparison, left_out: u64) {
        if let Some(compared) = &mut self.lock().comparison {
            compared.comparison.clone_from(comparison);
            compared.left_out = left_out;
        }
    }

    pub(super) fn starts_watch(&self, set: &PluginSet, before: &Arc<PluginSet>, activation: &Activation) {
        self.lock().watch = Some(Watched {
            generation: set.generation().0,
            until_ms: Timestamp::now().plus(activation.watch()),
            rollback: activation.rollback,
            people: Numbers::default(),
            owners: Numbers::default(),
            left_out: 0,
            before: Arc::clone(before),
        });
    }

    /// Nobody came so far.
    pub(super) fn goes_on_watching(&self, longer: Duration) {
        if let Some(watch) = &mut self.lock().watch {
            watch.until_ms = Timestamp::now().plus(longer);
        }
    }

    pub(super) fn watched(&self, (people, owners): (Numbers, Numbers), left_out: u64) {
        if let Some(watch) = &mut self.lock().watch {
            (watch.people, watch.owners, watch.left_out) = (people, owners, left_out);
        }
    }

    pub(super) fn activated(&self, set: Arc<PluginSet>, mode: Mode, is_saved: bool) {
        let mut state = self.lock();
        let since = Timestamp::now();
        state.remember(What::Activated, &set.digest, Some(&set), is_saved.then(|| "the saved set".to_owned()));
        state.active = Some(Active { set, since, mode, is_saved });
        (state.candidate, state.watch) = (None, None);
        if !is_saved {
            (state.refused, state.rejected) = (None, None);
        }
    }

    /// The watch ended well.
    pub(super) fn found_good(&self) {
        let mut state = self.lock();
        state.watch = None;
        if let Some(set) = state.active.as_ref().map(|active| Arc::clone(&active.set)) {
            state.remember(What::FoundGood, &set.digest, Some(&set), None);
        }
    }

    pub(super) fn refused(&self, digest: Option<&str>, what: What, why: &str) {
        let mut state = self.lock();
        state.remember(what, digest.unwrap_or_default(), None, Some(why.to_owned()));
        state.candidate = None;
        state.refused = Some(Refused { why: why.to_owned(), at_ms: Timestamp::now() });
    }

    /// What stands in the directory was taken back, and isn't tried again.
    pub(super) fn rejects(&self, rejected: Rejected) {
        let mut state = self.lock();
        state.refused = Some(Refused { why: rejected.in_words(), at_ms: Timestamp::now() });
        state.rejected = Some(rejected);
    }

    /// Something else stands in the directory.
    pub(super) fn forgets_rejected(&self) {
        self.lock().rejected = None;
    }

    /// The directory is back at the set that decides.
    pub(super) fn settles(&self) {
        let mut state = self.lock();
        (state.refused, state.rejected, state.candidate) = (None, None, None);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn remember(&mut self, what: What, digest: &str, set: Option<&PluginSet>, why: Option<String>) {
        let is_again = |last: &&mut Event| last.what == what && last.digest == digest && last.why == why && set.is_none();
        if let Some(last) = self.history.back_mut().filter(is_again) {
            (last.at_ms, last.times) = (Timestamp::now(), last.times + 1);
            return;
        }
        if self.history.len() >= MOST_EVENTS {
            self.history.pop_front();
        }
        let generation = set.map(|set| set.generation().0);
        self.history.push_back(Event { at_ms: Timestamp::now(), what, generation, digest: digest.to_owned(), why, times: 1 });
    }
}

/// Enough of a digest to tell sets apart.
fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
