//! Whether a plugin keeps the contract in what the contract can't say by types: that its answers follow from its inputs alone, that
//! no input makes it fail, and that it doesn't grow. Run on a thread of its own, never on one that decides.

mod inputs;
mod tokens;
mod values;

use std::time::{Duration, Instant};

pub use self::inputs::{Trial, trials};
use crate::{
    domain::record::Outcome,
    plugin::{NotRecorded, PluginSet, Worker},
};

/// Faults that an input must not bring about: the plugin didn't return by itself, or what it answered is no answer.
const BREAKS: [&str; 5] = ["trap", "deadline", "memory", "output", "instance"];
/// A call that missed its deadline is made again so often: a budget is of time, of which a busy machine may have none.
const TRIES: usize = 3;
/// Before growth is looked at: allocators take their first pages, tables get their size.
const WARM_UP: usize = 1_000;

/// An input that a plugin failed on.
#[derive(Clone, Debug, PartialEq)]
pub struct Broken {
    pub what: String,
    pub outcome: Outcome,
}

/// The same inputs came out in two ways.
#[derive(Clone, Debug, PartialEq)]
pub struct Unsteady {
    pub what: String,
    /// In which run it came out otherwise than at first.
    pub when: &'static str,
    pub first: Outcome,
    pub then: Outcome,
}

/// What an instance held of memory over many calls.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Growth {
    pub calls: usize,
    /// After the first calls.
    pub before_bytes: usize,
    pub halfway_bytes: usize,
    pub after_bytes: usize,
}

/// Runs one trial.
pub fn run(set: &PluginSet, worker: &Worker, trial: &Trial) -> Outcome {
    let missed = |outcome: &Outcome| matches!(outcome, Outcome::Failed(failed) if failed.fault == "deadline");
    let again = (1..TRIES).map(|_| ());
    again.fold(run_once(set, worker, trial), |outcome, ()| if missed(&outcome) { run_once(set, worker, trial) } else { outcome })
}

/// What can't be run again doesn't occur, since trials leave nothing out.
fn run_once(set: &PluginSet, worker: &Worker, trial: &Trial) -> Outcome {
    set.replay(worker, &trial.inputs).unwrap_or_else(|NotRecorded(what)| {
        Outcome::Failed(crate::domain::record::Failed {
            by: String::new(),
            fault: "instance".into(),
            message: format!("not recorded: {what}"),
        })
    })
}

/// Whether the outcome is a failure of the plugin itself. `error` and `unavailable` are answers.
pub fn is_broken(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed(failed) if BREAKS.contains(&failed.fault.as_str()))
}

/// What each trial comes to at first, on one instance, and which of them the plugin fails on. `ran` is told of each.
pub fn first_run(set: &PluginSet, worker: &Worker, trials: &[Trial], mut ran: impl FnMut()) -> (Vec<Outcome>, Vec<Broken>) {
    let mut broken = Vec::new();
    let mut outcomes = Vec::with_capacity(trials.len());
    for trial in trials {
        let outcome = run(set, worker, trial);
        if is_broken(&outcome) {
            broken.push(Broken { what: trial.what.clone(), outcome: outcome.clone() });
        }
        outcomes.push(outcome);
        ran();
    }
    (outcomes, broken)
}

/// Runs the same trials in other orders, each on an instance of its own, and each twice. Those that the plugin fails on are run, too,
/// so that what follows comes after a trap; they aren't compared, since a trap says where it was.
pub fn compare_runs(
    set: &PluginSet,
    kept: &Worker,
    fresh: &Worker,
    trials: &[Trial],
    first: &[Outcome],
    mut ran: impl FnMut(),
) -> Vec<Unsteady> {
    let mut unsteady: Vec<Unsteady> = Vec::new();
    let mut compare = |worker: &Worker, at: usize, when| {
        let then = run(set, worker, &trials[at]);
        let known = unsteady.iter().any(|earlier| earlier.what == trials[at].what);
        if !known && !is_broken(&first[at]) && then != first[at] {
            unsteady.push(Unsteady { what: trials[at].what.clone(), when, first: first[at].clone(), then });
        }
        ran();
    };
    (0..trials.len()).rev().for_each(|at| compare(kept, at, "in the reverse order"));
    let mut shuffled: Vec<usize> = (0..trials.len()).collect();
    fastrand::Rng::with_seed(trials.len() as u64).shuffle(&mut shuffled);
    shuffled.iter().for_each(|at| compare(kept, *at, "in a mixed order"));
    (0..trials.len()).for_each(|at| compare(fresh, at, "on a fresh instance"));
    // Twice in a row: what a first call leaves behind shows in the second.
    (0..trials.len()).flat_map(|at| [at, at]).for_each(|at| compare(kept, at, "a second time"));
    unsteady
}

/// Calls one instance many times, for at most so long, and looks at its memory. None where no instance is to be seen: a plugin that
/// runs elsewhere, or fails on everything.
pub fn growth(
    set: &PluginSet,
    worker: &Worker,
    trials: &[Trial],
    first: &[Outcome],
    calls: usize,
    longest: Duration,
) -> Option<Growth> {
    let plugin = set.plugins().next()?;
    let sound: Vec<&Trial> = trials.iter().zip(first).filter(|(_, outcome)| !is_broken(outcome)).map(|(trial, _)| trial).collect();
    let mut next = sound.iter().cycle();
    let mut call = |times: usize, until: Instant| -> usize {
        let asked = next.by_ref().take(times).take_while(|trial| {
            run(set, worker, trial);
            Instant::now() < until
        });
        asked.count()
    };
    let began = Instant::now();
    call(WARM_UP.min(calls), began + longest / 4);
    let before_bytes = worker.memory_bytes(plugin)?;
    let half = began + longest / 4 + longest * 3 / 8;
    let first_half = call(calls / 2, half);
    let halfway_bytes = worker.memory_bytes(plugin)?;
    // As many again, so that both halves can be compared.
    let second_half = call(first_half, began + longest * 2);
    let after_bytes = worker.memory_bytes(plugin)?;
    Some(Growth { calls: first_half + second_half, before_bytes, halfway_bytes, after_bytes })
}

// === impl Growth ===

impl Growth {
    pub fn bytes_per_call(&self) -> f64 {
        (self.after_bytes.saturating_sub(self.before_bytes)) as f64 / self.calls.max(1) as f64
    }

    /// It grew in the second half as in the first.
    pub fn goes_on(&self) -> bool {
        self.halfway_bytes > self.before_bytes && self.after_bytes > self.halfway_bytes
    }

    /// How many calls it takes until a limit is reached, where it goes on growing.
    pub fn calls_until(&self, limit_bytes: usize) -> Option<u64> {
        let left = limit_bytes.saturating_sub(self.after_bytes) as f64;
        self.goes_on().then(|| (left / self.bytes_per_call()) as u64)
    }
}

#[cfg(test)]
mod tests;
