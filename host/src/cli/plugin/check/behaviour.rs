//! The part of a check that runs the plugin: thousands of calls, on instances that nobody else has.

use std::{sync::Arc, time::Duration};

use super::{Finding, Workshop};
use crate::{
    admission::conformance::{self, Broken, Growth, Trial, Unsteady},
    cli::output::{counted, grouped, progress, size},
    domain::record::Outcome,
    plugin::{Kind, Plugin, PluginSet, Worker},
};

/// Calls that growth is looked at over, and for how long at most.
const GROWTH_CALLS: usize = 20_000;
const GROWTH_TIME: Duration = Duration::from_secs(4);
/// Every run of the trials: first, reverse, mixed, fresh, and twice.
const RUNS: usize = 6;
/// A plugin's instances are replaced after so many calls; one that reaches its limit before fails calls.
const LIFE: u64 = 1_000_000;

pub(super) fn examine(workshop: &Workshop, plugin: &Arc<Plugin>) -> Vec<Finding> {
    let (set, worker) = (workshop.alone(plugin), workshop.worker());
    let trials = conformance::trials(plugin);
    let shown = progress("calling", trials.len() * RUNS);
    let mut findings: Vec<Finding> = if plugin.wasi_imports().is_empty() { vec![instances(&set, &worker)] } else { Vec::new() };
    let (first, broken) = conformance::first_run(&set, &worker, &trials, || shown.inc(1));
    findings.push(hostile(&trials, &first, &broken));
    let unsteady = conformance::compare_runs(&set, &worker, &workshop.fresh_worker(), &trials, &first, || shown.inc(1));
    findings.push(determinism(&trials, &unsteady));
    shown.finish_and_clear();
    findings.push(memory(plugin, conformance::growth(&set, &worker, &trials, &first, GROWTH_CALLS, GROWTH_TIME)));
    findings
}

/// Each instance must declare what the first did.
fn instances(set: &PluginSet, worker: &Worker) -> Finding {
    const TIMES: usize = 8;
    for _ in 0..TIMES {
        worker.forget_instances();
        if let Err(fault) = worker.prepare(set, &[Kind::DiscoveryFilter, Kind::Authenticator, Kind::RoutingPolicy]) {
            return Finding::failed("instances", fault.to_string());
        }
    }
    Finding::ok("instances", format!("{} fresh ones declare the same", 2 * TIMES))
}

fn hostile(trials: &[Trial], outcomes: &[Outcome], broken: &[Broken]) -> Finding {
    let is_error = |outcome: &Outcome| matches!(outcome, Outcome::Failed(failed) if failed.fault == "error");
    let errors: Vec<_> = trials.iter().zip(outcomes).filter(|(_, outcome)| is_error(outcome)).collect();
    let all = grouped(trials.len() as u128);
    match (broken.first(), errors.first()) {
        (None, None) => Finding::ok("hostile inputs", format!("{all} inputs, none of which it failed on")),
        // An answer of the contract, and what a mistake comes to in a language with exceptions.
        (None, Some((trial, outcome))) => {
            let (words, count) = (in_words(outcome), errors.len());
            let says =
                format!("{all} inputs, none of which it failed on; it couldn't decide {count}, such as '{}': {words}", trial.what);
            Finding::note("hostile inputs", says)
        }
        (Some(first), _) => {
            let words = in_words(&first.outcome);
            let says = format!("{} of {} inputs made it fail, such as '{}': {words}", broken.len(), trials.len(), first.what);
            Finding::failed("hostile inputs", says)
        }
    }
}

fn determinism(trials: &[Trial], unsteady: &[Unsteady]) -> Finding {
    match unsteady.first() {
        None => {
            let says = format!("{} in other orders, on fresh instances and twice came out alike", counted(trials.len(), "input"));
            Finding::ok("determinism", says)
        }
        Some(Unsteady { what, when, first, then }) => {
            let says = format!(
                "{} came out otherwise, such as '{what}' {when}: at first {}, then {}; a decision must follow from its inputs alone",
                counted(unsteady.len(), "input"),
                in_words(first),
                in_words(then)
            );
            Finding::failed("determinism", says)
        }
    }
}

fn memory(plugin: &Plugin, growth: Option<Growth>) -> Finding {
    let Some(growth) = growth else {
        let says =
            if plugin.wasi_imports().is_empty() { "no instance of it is left" } else { "its instances are on other threads" };
        let says = format!("{says}: nothing to look at");
        return Finding { result: super::Outcome::Skipped, ..Finding::ok("memory", says) };
    };
    let limit = plugin.spec.memory_bytes;
    let held = format!("{} of {}", size(growth.after_bytes.max(growth.before_bytes)), size(limit));
    let calls = counted(growth.calls, "call");
    match growth.calls_until(limit) {
        // Less than before is another instance's: a call was cut off.
        None if growth.after_bytes <= growth.before_bytes => Finding::ok("memory", format!("{held}, and no more after {calls}")),
        None => {
            let more = size(growth.after_bytes - growth.before_bytes);
            Finding::ok("memory", format!("{held}; it took {more} more within {calls}, and not in both halves of them"))
        }
        Some(left) if left < LIFE => {
            let says = format!(
                "{held}, growing by {:.0} bytes a call over {calls}: full after {} more, before an instance is replaced ({} calls)",
                growth.bytes_per_call(),
                grouped(left),
                grouped(LIFE)
            );
            Finding::failed("memory", says)
        }
        Some(_) => {
            let says = format!("{held}, growing by {:.2} bytes a call over {calls}", growth.bytes_per_call());
            Finding::note("memory", says)
        }
    }
}

fn in_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Decided(_) => outcome.summary(),
        Outcome::Failed(failed) => format!("{} ({})", outcome.summary(), failed.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::plugin::check::Outcome as Result;

    #[test]
    fn differences_and_failures_name_one_of_them() {
        let failed = |fault: &str| {
            Outcome::Failed(crate::domain::record::Failed { by: "p".into(), fault: fault.into(), message: "why".into() })
        };
        let broken = Broken { what: "a cookie".into(), outcome: failed("trap") };
        let finding = hostile(&[], &[], &[broken]);
        assert_eq!((finding.result, finding.detail.contains("such as 'a cookie': fails (trap) (why)")), (Result::Failed, true));
        let unsteady =
            Unsteady { what: "a cookie".into(), when: "on a fresh instance", first: failed("error"), then: failed("unavailable") };
        let finding = determinism(&[], &[unsteady]);
        assert!(finding.detail.contains("'a cookie' on a fresh instance: at first fails (error) (why), then fails (unavailable)"));
    }
}
