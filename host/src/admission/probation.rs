//! A set's first time after it was activated. What it refuses is run through the set before it: only people whom that one lets in on
//! the same inputs count, each once. So strangers force nothing, however many requests they send, and whoever was locked out on
//! purpose can't undo it: there must be three of them, more than half of all, and where too few are known who were let in before
//! (after a restart, say), whoever comes first isn't taken for all.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use serde::Serialize;
use tokio::time::Instant;

use super::{
    activation::{Activation, Rollback},
    pace::{Pace, aside},
    replay::{Known, MOST_PEOPLE},
    shadow::batch,
    status::AdmissionStatus,
};
use crate::{
    domain::{
        decision::Kind,
        record::{Inputs, Outcome, Record},
    },
    plugin::{Engine, Following, PluginSet, Worker},
};

/// So many people must be hit; by faults all, where there are fewer.
const LEAST_PEOPLE: usize = 3;
/// And so many of their requests must have failed: one fault is an accident.
const LEAST_FAULTS: u64 = 3;
/// Between two tries to judge, where the first couldn't be done.
const AGAIN: Duration = Duration::from_secs(1);

/// What is known of the people whom the set before lets in, and of the owners whose sessions it publishes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    people: Group,
    owners: Group,
}

/// People told apart by what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Group {
    /// Those whom the new set lets in, too.
    admitted: BTreeSet<String>,
    /// Those whom the new set's authenticators know. A decision from the cache leaves no record: they may be in all the same.
    known: BTreeSet<String>,
    /// Those for whom a plugin failed, with how often.
    failing: BTreeMap<String, u64>,
    denied: BTreeSet<String>,
    /// The last fault and the last denial of one of them, in words.
    last_fault: Option<String>,
    last_denial: Option<String>,
    /// Somebody is let in who isn't known.
    is_open: bool,
    /// The records say of enough people that the set before let them in.
    is_known_before: bool,
}

/// The findings in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Numbers {
    pub all: usize,
    pub admitted: usize,
    pub failing: usize,
    /// Turned away, and never let in since.
    pub denied: usize,
}

/// Whether the set may stay.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Keep,
    /// Why it's taken back.
    RollBack(String),
}

/// Watches until the time is over or a bound is broken, and on while nobody was let in. `following` began when the new set was activated;
/// `known` is who was let in by what was recorded before.
pub async fn follow(
    engine: Arc<Engine>,
    before: Arc<PluginSet>,
    new_generation: u64,
    activation: Activation,
    mut following: Following,
    known: Known,
    status: AdmissionStatus,
) -> Verdict {
    let mut ends = Instant::now() + activation.watch();
    let mut worker = Worker::for_replay(Arc::clone(&engine));
    let mut findings = Findings::new(known);
    loop {
        let records = batch(&mut following, ends).await;
        let is_over = Instant::now() >= ends;
        let before = Arc::clone(&before);
        let judge = move |pace: &mut Pace| {
            for record in records.iter().filter(|record| record.generation == new_generation) {
                findings.judge(&worker, &before, record);
                pace.keep();
            }
            (worker, findings)
        };
        let Some(judged) = aside(judge).await else {
            tracing::error!("what the new plugin set did can't be judged; its watch begins anew");
            (worker, findings) = (Worker::for_replay(Arc::clone(&engine)), Findings::default());
            // What holds now may hold for a while, and nothing else waits when the watch's time is over.
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        (worker, findings) = judged;
        status.watched(findings.numbers(), following.lost());
        if let Some(why) = findings.breaks(&activation, is_over) {
            return Verdict::RollBack(why);
        }
        if is_over && findings.people.is_proven() {
            return Verdict::Keep;
        }
        if is_over {
            // Nobody came, or nobody got in: a set isn't found good by that, and too few may be hit to take it back.
            let Numbers { failing, denied, .. } = findings.people.numbers();
            tracing::warn!(failing, denied, "nobody whom the set before lets in was let in yet: the plugin set is watched on");
            ends = Instant::now() + activation.watch();
            status.goes_on_watching(activation.watch());
        }
    }
}

// === impl Findings ===

impl Findings {
    fn new(known: Known) -> Self {
        let is_known_before = known.before.len() >= LEAST_PEOPLE;
        let people = Group { admitted: known.people, is_known_before, ..Group::default() };
        // Every candidate is judged anew at the swap.
        let owners = Group { admitted: known.owners, is_known_before: true, ..Group::default() };
        Self { people, owners }
    }

    fn judge(&mut self, worker: &Worker, before: &PluginSet, record: &Record) {
        let group = if record.inputs.kind == Kind::DiscoveryFilter { &mut self.owners } else { &mut self.people };
        // An authenticator's word alone lets nobody in; a policy's or a filter's does.
        let enters = record.outcome.admits();
        let is_step = matches!(&record.outcome, Outcome::Decided(decided) if decided.decision.is_step());
        if group.is_full() {
            return;
        }
        group.is_open |= enters && !is_step && is_anonymous(&record.inputs);
        let Some(person) = before.admits(worker, &record.inputs) else { return };
        match &record.outcome {
            Outcome::Decided(_) if is_step && enters => drop(group.known.insert(person)),
            Outcome::Decided(_) if enters => drop(group.admitted.insert(person)),
            Outcome::Decided(_) => {
                group.last_denial = Some(record.outcome.summary());
                group.denied.insert(person);
            }
            Outcome::Failed(failed) => {
                let message: String = failed.message.chars().take(200).collect();
                group.last_fault = Some(format!("plugin '{}' {} ({message})", failed.by, failed.fault));
                *group.failing.entry(person).or_default() += 1;
            }
        }
    }

    pub fn numbers(&self) -> (Numbers, Numbers) {
        (self.people.numbers(), self.owners.numbers())
    }

    fn breaks(&self, activation: &Activation, at_the_end: bool) -> Option<String> {
        let people = self.people.breaks(activation, at_the_end, "people whom the set before lets in", "turned away");
        let owners = || self.owners.breaks(activation, at_the_end, "owners whose sessions the set before publishes", "left out");
        people.or_else(owners)
    }
}

// === impl Group ===

impl Group {
    fn is_full(&self) -> bool {
        self.admitted.len() + self.known.len() + self.denied.len() + self.failing.len() >= MOST_PEOPLE
    }

    /// People get in; or those do whom nobody knows, where that's all who come.
    fn is_proven(&self) -> bool {
        let gets_in = !self.admitted.is_empty() || self.known.iter().any(|person| !self.denied.contains(person));
        gets_in || (self.is_open && self.denied.is_empty() && self.failing.is_empty())
    }

    fn numbers(&self) -> Numbers {
        Numbers {
            all: self.judged().chain(&self.known).collect::<BTreeSet<_>>().len(),
            admitted: self.admitted.len(),
            failing: self.failing.len(),
            denied: self.denied.difference(&self.admitted).count(),
        }
    }

    fn judged(&self) -> impl Iterator<Item = &String> {
        self.admitted.iter().chain(self.failing.keys()).chain(&self.denied)
    }

    fn breaks(&self, activation: &Activation, at_the_end: bool, who: &str, denied_in_words: &str) -> Option<String> {
        let Numbers { all, failing, denied, .. } = self.numbers();
        // Faults are never cached, so each is seen; denials are, as admissions are.
        let judged = self.judged().collect::<BTreeSet<_>>().len();
        let is_over = |hit: usize, of: usize, percent: u8| hit * 100 > of * usize::from(percent);
        let faults: u64 = self.failing.values().sum();
        let Activation { rollback, most_failing_percent, most_denied_percent, .. } = activation;
        let fails = failing > 0 && failing >= LEAST_PEOPLE.min(all) && faults >= LEAST_FAULTS;
        if *rollback != Rollback::Off && fails && is_over(failing, all, *most_failing_percent) {
            let last = self.last_fault.as_deref().unwrap_or_default();
            return Some(format!(
                "plugins failed for {failing} of {all} {who}, at most {most_failing_percent} % may \
                 (activation.most_failing_percent); the last: {last}"
            ));
        }
        let denies = denied >= LEAST_PEOPLE && (self.is_known_before || at_the_end);
        if *rollback == Rollback::ErrorsAndDenials && denies && is_over(denied, judged, *most_denied_percent) {
            let last = self.last_denial.as_deref().unwrap_or_default();
            return Some(format!(
                "{denied} of {judged} {who} are {denied_in_words}, at most {most_denied_percent} % may \
                 (activation.most_denied_percent); the last: {last}"
            ));
        }
        None
    }
}

fn is_anonymous(inputs: &Inputs) -> bool {
    inputs.identity.as_ref().is_none_or(|identity| identity.principal().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(admitted: usize, failing: usize, denied: usize) -> Group {
        let people = |what: &str, count: usize| (0..count).map(|number| format!("{what}{number}")).collect::<Vec<_>>();
        Group {
            admitted: people("admitted", admitted).into_iter().collect(),
            failing: people("failing", failing).into_iter().map(|person| (person, 1)).collect(),
            denied: people("denied", denied).into_iter().collect(),
            is_known_before: true,
            ..Group::default()
        }
    }

    fn breaks(group: &Group, rollback: Rollback) -> bool {
        group.breaks(&Activation { rollback, ..Activation::default() }, false, "people", "turned away").is_some()
    }

    #[test]
    fn a_share_of_people_takes_a_set_back() {
        use Rollback::{Errors, ErrorsAndDenials, Off};
        for (admitted, failing, denied, rollback, expected) in [
            (0, 0, 0, ErrorsAndDenials, false),
            (17, 3, 0, Errors, true),
            (17, 3, 0, Off, false),
            (97, 3, 0, Errors, false),
            (2, 2, 0, Errors, false),
            (0, 3, 0, Errors, true),
            (0, 0, 30, Errors, false),
            (0, 0, 2, ErrorsAndDenials, false),
            (0, 0, 3, ErrorsAndDenials, true),
            (1, 0, 2, ErrorsAndDenials, false),
            (2, 0, 3, ErrorsAndDenials, true),
            (80, 0, 20, ErrorsAndDenials, false),
        ] {
            let case = (admitted, failing, denied, rollback);
            assert_eq!(breaks(&group(admitted, failing, denied), rollback), expected, "{case:?}");
        }
    }

    #[test]
    fn one_person_needs_more_than_one_fault() {
        let mut group = group(0, 1, 0);
        assert!(!breaks(&group, Rollback::Errors));
        group.failing.insert("failing0".into(), 3);
        assert!(breaks(&group, Rollback::Errors));
    }

    #[test]
    fn who_gets_in_elsewhere_is_not_locked_out() {
        let mut group = group(0, 0, 4);
        assert!(breaks(&group, Rollback::ErrorsAndDenials));
        group.admitted.extend(group.denied.clone());
        assert_eq!(group.numbers().denied, 0);
        assert!(!breaks(&group, Rollback::ErrorsAndDenials));
    }

    #[test]
    fn whoever_comes_first_is_not_taken_for_all() {
        let activation = Activation { rollback: Rollback::ErrorsAndDenials, ..Activation::default() };
        let group = Group { is_known_before: false, ..group(0, 0, 3) };
        assert!(group.breaks(&activation, false, "people", "turned away").is_none());
        assert!(group.breaks(&activation, true, "people", "turned away").is_some());
    }

    #[test]
    fn a_set_is_found_good_by_somebody_who_gets_in() {
        assert!(!group(0, 0, 0).is_proven(), "nobody came");
        assert!(!group(0, 0, 2).is_proven(), "too few to take it back, and nobody got in");
        assert!(group(1, 0, 2).is_proven());
        let known = |name: &str, group: Group| Group { known: [name.to_owned()].into(), ..group };
        assert!(!known("denied0", group(0, 0, 1)).is_proven(), "known, and turned away after that");
        assert!(known("other", group(0, 0, 1)).is_proven(), "in by the cache");
        assert!(Group { is_open: true, ..Group::default() }.is_proven(), "a public session");
        assert!(!Group { is_open: true, ..group(0, 0, 1) }.is_proven(), "and the people are locked out");
    }
}
