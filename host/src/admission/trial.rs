//! What a loaded set must show before it's compared with the one that decides: its plugins' own cases come out as written, and
//! nothing comes out otherwise in another order or on fresh instances.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    cases::Case,
    pace::{Pace, aside},
};
use crate::{
    domain::record::{Inputs, Outcome, Record},
    plugin::{Engine, NotRecorded, Plugin, PluginSet, Worker},
};

/// Inputs that are run again on fresh instances: enough to find state, and quick with an interpreter.
const MOST_RERUN: usize = 64;
/// For all plugins of a set together: a fixed set mustn't wait for one that makes use of its whole budget each time.
const LONGEST: Duration = Duration::from_secs(60);
/// Failed cases that are told.
const MOST_TOLD: usize = 3;

/// Why a set isn't taken, in one sentence.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrialError {
    #[error("plugin '{plugin}': {failed} of {all} cases come out otherwise: {examples}")]
    Cases { plugin: String, failed: usize, all: usize, examples: String },
    #[error(
        "plugin '{plugin}': keeps state between calls: '{inputs}' came to {first}, and to {again} on a fresh instance; a decision is a \
         function of its inputs"
    )]
    State { plugin: String, inputs: String, first: String, again: String },
    #[error("plugin '{plugin}': its cases and the recorded decisions weren't done in {} s", LONGEST.as_secs())]
    TooSlow { plugin: String },
    #[error("the trial was stopped")]
    Stopped,
}

/// A plugin with the cases that its entry names.
pub struct Tried {
    pub plugin: Arc<Plugin>,
    pub cases: Vec<Case>,
}

/// The time that all of it may take, and how much of the processor.
struct Turn<'a> {
    pace: &'a mut Pace,
    ends: Instant,
}

/// Tries every plugin of a set `aside`: its cases, and the records of its kind.
///
/// # Errors
/// The first plugin that doesn't pass.
pub async fn run(engine: Arc<Engine>, set: Arc<PluginSet>, tried: Vec<Tried>, records: Vec<Arc<Record>>) -> Result<(), TrialError> {
    let run = move |pace: &mut Pace| {
        let mut turn = Turn { pace, ends: Instant::now() + LONGEST };
        for Tried { plugin, cases } in tried {
            let alone = set.alone(&plugin);
            try_cases(&engine, &alone, &plugin, &cases, &mut turn)?;
            let of_kind = records.iter().filter(|record| record.inputs.kind == plugin.spec.kind).take(MOST_RERUN);
            let inputs = cases.iter().map(|case| (case.name.clone(), &case.inputs));
            let recorded = of_kind.map(|record| (record.id.to_string(), &record.inputs));
            try_state(&engine, &alone, &plugin, inputs.chain(recorded).take(MOST_RERUN).collect(), &mut turn)?;
        }
        Ok(())
    };
    aside(run).await.unwrap_or(Err(TrialError::Stopped))
}

fn try_cases(
    engine: &Arc<Engine>,
    alone: &PluginSet,
    plugin: &Plugin,
    cases: &[Case],
    turn: &mut Turn<'_>,
) -> Result<(), TrialError> {
    let worker = Worker::for_replay(Arc::clone(engine));
    let mut failed = Vec::new();
    for case in cases {
        let mismatches = match alone.replay(&worker, &case.inputs) {
            Ok(outcome) => case.expect.compare(&outcome).into_iter().map(|one| one.to_string()).collect(),
            Err(NotRecorded(what)) => vec![format!("isn't written: {what}")],
        };
        if let Some(first) = mismatches.first() {
            failed.push(format!("'{}': {first}", case.name));
        }
        turn.keep(plugin)?;
    }
    if failed.is_empty() {
        return Ok(());
    }
    let (number, all) = (failed.len(), cases.len());
    failed.truncate(MOST_TOLD);
    Err(TrialError::Cases { plugin: plugin.name.name.clone(), failed: number, all, examples: failed.join("; ") })
}

/// Once one after the other on one instance, once each on a fresh one, in the other order.
fn try_state(
    engine: &Arc<Engine>,
    alone: &PluginSet,
    plugin: &Plugin,
    inputs: Vec<(String, &Inputs)>,
    turn: &mut Turn<'_>,
) -> Result<(), TrialError> {
    let worker = Worker::for_replay(Arc::clone(engine));
    let mut first = Vec::new();
    for (_, inputs) in &inputs {
        first.push(alone.replay(&worker, inputs));
        turn.keep(plugin)?;
    }
    let fresh = Worker::for_replay_on_fresh_instances(Arc::clone(engine));
    for ((name, inputs), first) in inputs.iter().zip(&first).rev() {
        let again = alone.replay(&fresh, inputs);
        turn.keep(plugin)?;
        if !is_same(first, &again) {
            let summary = |replayed: &Result<Outcome, NotRecorded>| match replayed {
                Ok(outcome) => outcome.summary(),
                Err(NotRecorded(what)) => format!("nothing without {what}"),
            };
            let (first, again) = (summary(first), summary(&again));
            return Err(TrialError::State { plugin: plugin.name.name.clone(), inputs: name.clone(), first, again });
        }
    }
    Ok(())
}

// === impl Turn ===

impl Turn<'_> {
    fn keep(&mut self, plugin: &Plugin) -> Result<(), TrialError> {
        self.pace.keep();
        if Instant::now() < self.ends { Ok(()) } else { Err(TrialError::TooSlow { plugin: plugin.name.name.clone() }) }
    }
}

/// Budgets are of time: who misses one now and not then shows no state.
fn is_same(first: &Result<Outcome, NotRecorded>, again: &Result<Outcome, NotRecorded>) -> bool {
    match (first, again) {
        (Ok(Outcome::Failed(missed)), _) | (_, Ok(Outcome::Failed(missed))) if missed.fault == "deadline" => true,
        (Ok(Outcome::Failed(first)), Ok(Outcome::Failed(again))) => first.fault == again.fault,
        (first, again) => first == again,
    }
}
