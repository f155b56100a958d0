//! A set's first time after it was activated. What it refuses is run through the set before it: only people whom that one lets in on
//! the same inputs count, each once. So strangers force nothing, however many requests they send, and whoever was locked out on
//! purpose can't undo it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::Serialize;
use tokio::time::Instant;

use super::{
    activation::{Activation, Rollback},
    pace::Pace,
    shadow::batch,
    status::AdmissionStatus,
};
use crate::{
    domain::record::{Outcome, Record},
    plugin::{Engine, Following, PluginSet, Worker},
};

/// So many people must be hit, unless there are fewer.
const LEAST_PEOPLE: usize = 3;
/// And so many of their requests must have failed: one fault is an accident.
const LEAST_FAULTS: u64 = 3;
/// People that are told apart at most.
const MOST_PEOPLE: usize = 100_000;

/// What is known of the people whom the set before lets in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Those whom the new set lets in, too.
    admitted: BTreeSet<String>,
    /// Those for whom a plugin failed, with how often.
    failing: BTreeMap<String, u64>,
    denied: BTreeSet<String>,
    /// The last fault and the last denial of one of them, in words.
    last_fault: Option<String>,
    last_denial: Option<String>,
}

/// The findings in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Numbers {
    pub people: usize,
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

/// Watches until the time is over or a bound is broken. `following` began when the new set was activated; `admitted` are those whom
/// both sets let in by what was recorded before.
pub async fn follow(
    engine: Arc<Engine>,
    before: Arc<PluginSet>,
    new_generation: u64,
    activation: Activation,
    mut following: Following,
    admitted: BTreeSet<String>,
    status: AdmissionStatus,
) -> Verdict {
    let ends = Instant::now() + activation.watch();
    let mut worker = Worker::for_replay(engine);
    let mut findings = Findings { admitted, ..Findings::default() };
    while Instant::now() < ends {
        let records = batch(&mut following, ends).await;
        if records.is_empty() {
            continue;
        }
        let before = Arc::clone(&before);
        let judge = move || {
            let mut pace = Pace::start();
            for record in records.iter().filter(|record| record.generation == new_generation) {
                findings.judge(&worker, &before, record);
                pace.keep();
            }
            (worker, findings)
        };
        let Ok(judged) = tokio::task::spawn_blocking(judge).await else { return Verdict::Keep };
        (worker, findings) = judged;
        status.watched(findings.numbers(), following.lost());
        if let Some(why) = findings.breaks(&activation) {
            return Verdict::RollBack(why);
        }
    }
    Verdict::Keep
}

// === impl Findings ===

impl Findings {
    fn judge(&mut self, worker: &Worker, before: &PluginSet, record: &Record) {
        if self.admitted.len() + self.denied.len() + self.failing.len() >= MOST_PEOPLE {
            return;
        }
        // An authenticator's word alone lets nobody in; a policy's or a filter's does.
        let enters = record.outcome.admits();
        let is_step = matches!(&record.outcome, Outcome::Decided(decided) if decided.decision.is_step());
        if is_step && enters {
            return;
        }
        let Some(person) = before.admits(worker, &record.inputs) else { return };
        match &record.outcome {
            Outcome::Decided(_) if enters => drop(self.admitted.insert(person)),
            Outcome::Decided(_) => {
                self.last_denial = Some(record.outcome.summary());
                self.denied.insert(person);
            }
            Outcome::Failed(failed) => {
                let message: String = failed.message.chars().take(200).collect();
                self.last_fault = Some(format!("plugin '{}' {} ({message})", failed.by, failed.fault));
                *self.failing.entry(person).or_default() += 1;
            }
        }
    }

    pub fn numbers(&self) -> Numbers {
        let people: BTreeSet<&String> = self.admitted.iter().chain(self.failing.keys()).chain(&self.denied).collect();
        Numbers {
            people: people.len(),
            admitted: self.admitted.len(),
            failing: self.failing.len(),
            denied: self.denied.difference(&self.admitted).count(),
        }
    }

    fn breaks(&self, activation: &Activation) -> Option<String> {
        let Numbers { people, failing, denied, .. } = self.numbers();
        let is_over = |hit: usize, percent: u8| hit >= LEAST_PEOPLE.min(people) && hit * 100 > people * usize::from(percent);
        let faults: u64 = self.failing.values().sum();
        if activation.rollback != Rollback::Off
            && failing > 0
            && faults >= LEAST_FAULTS
            && is_over(failing, activation.most_failing_percent)
        {
            let last = self.last_fault.as_deref().unwrap_or_default();
            return Some(format!(
                "plugins failed for {failing} of {people} people whom the set before lets in, at most {} % may \
                 (activation.most_failing_percent); the last: {last}",
                activation.most_failing_percent
            ));
        }
        if activation.rollback == Rollback::ErrorsAndDenials && denied > 0 && is_over(denied, activation.most_denied_percent) {
            let last = self.last_denial.as_deref().unwrap_or_default();
            return Some(format!(
                "{denied} of {people} people whom the set before lets in are turned away, at most {} % may \
                 (activation.most_denied_percent); the last: {last}",
                activation.most_denied_percent
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(admitted: usize, failing: usize, denied: usize) -> Findings {
        let people = |what: &str, count: usize| (0..count).map(|number| format!("{what}{number}")).collect::<Vec<_>>();
        Findings {
            admitted: people("admitted", admitted).into_iter().collect(),
            failing: people("failing", failing).into_iter().map(|person| (person, 1)).collect(),
            denied: people("denied", denied).into_iter().collect(),
            ..Findings::default()
        }
    }

    fn breaks(findings: &Findings, rollback: Rollback) -> bool {
        findings.breaks(&Activation { rollback, ..Activation::default() }).is_some()
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
            (0, 0, 1, ErrorsAndDenials, true),
            (1, 0, 2, ErrorsAndDenials, false),
            (2, 0, 3, ErrorsAndDenials, true),
            (80, 0, 20, ErrorsAndDenials, false),
        ] {
            let case = (admitted, failing, denied, rollback);
            assert_eq!(breaks(&findings(admitted, failing, denied), rollback), expected, "{case:?}");
        }
    }

    #[test]
    fn one_person_needs_more_than_one_fault() {
        let mut findings = findings(0, 1, 0);
        assert!(!breaks(&findings, Rollback::Errors));
        findings.failing.insert("failing0".into(), 3);
        assert!(breaks(&findings, Rollback::Errors));
    }

    #[test]
    fn who_gets_in_elsewhere_is_not_locked_out() {
        let mut findings = findings(0, 0, 4);
        assert!(breaks(&findings, Rollback::ErrorsAndDenials));
        findings.admitted.extend(findings.denied.clone());
        assert_eq!(findings.numbers().denied, 0);
        assert!(!breaks(&findings, Rollback::ErrorsAndDenials));
    }
}
