//! `plugin bench`: what a plugin's calls take. Each figure includes what the host does for a call: giving it the inputs, and
//! checking what it answers.

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use serde::Serialize;

use super::{
    cases,
    workshop::{Blank, Subject, Workshop},
};
use crate::{
    admission::conformance,
    cli::output::{self, Stop, Verdict, grouped, progress, size},
    domain::record::Inputs,
    plugin::{Kind, Plugin, PluginSet, Worker},
};

/// Before anything is measured.
const WARM_UP: usize = 500;
/// Times of single calls kept at most; what is over is measured and not kept.
const MOST_TIMES: usize = 2_000_000;
const FRESH_CALLS: usize = 200;

#[derive(Args, Debug)]
pub(in crate::cli) struct Bench {
    #[command(flatten)]
    subject: Subject,
    /// Call it with the inputs of these cases [default: one plain request].
    #[arg(long, value_name = "FILE")]
    cases: Vec<PathBuf>,
    /// How long to call it.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// For programs.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Measured {
    plugin: String,
    sha256: String,
    inputs: usize,
    calls: usize,
    calls_per_s: u64,
    call_p50_ns: u64,
    call_p99_ns: u64,
    call_max_ns: u64,
    /// Calls that came to an error of the plugin's.
    failed: usize,
    /// What a call takes more on a fresh instance: it's instantiated, configured and let go.
    fresh_instance_ns: u64,
    /// None for a plugin with WASI, whose instances are on other threads.
    instance_memory_bytes: Option<usize>,
    compile_ms: u64,
}

// === impl Bench ===

impl Bench {
    pub(super) fn run(self) -> ExitCode {
        output::finish(self.bench())
    }

    fn bench(self) -> Result<Verdict, Stop> {
        let workshop = Workshop::open(&self.subject.with)?;
        let (blank, plugin) = workshop.load(&self.subject)?;
        let inputs: Vec<Inputs> = if self.cases.is_empty() {
            conformance::trials(&plugin).into_iter().take(1).map(|trial| trial.inputs).collect()
        } else {
            cases::read(&self.cases, plugin.spec.kind)?.into_iter().map(|case| case.inputs).collect()
        };
        let measured = measure(&workshop, &blank, &plugin, &inputs, Duration::from_secs(self.seconds))?;
        if self.json {
            output::say_json(&measured)?;
        } else {
            output::say(&measured.in_words())?;
        }
        Ok(Verdict::Good)
    }
}

fn measure(
    workshop: &Workshop,
    blank: &Blank,
    plugin: &Arc<Plugin>,
    inputs: &[Inputs],
    longest: Duration,
) -> Result<Measured, Stop> {
    let (set, worker) = (workshop.alone(plugin), workshop.worker());
    worker.prepare(&set, &Kind::ALL).map_err(Stop::failed)?;
    inputs.iter().cycle().take(WARM_UP).for_each(|inputs| {
        let _ = set.replay(&worker, inputs);
    });
    let shown = progress("calling", 0);
    let (mut times, failed, took) = call(&set, &worker, inputs, longest);
    shown.finish_and_clear();
    let instance_memory_bytes = worker.memory_bytes(plugin);
    times.sort_unstable();
    let calls = times.len();
    let at = |share: f64| times.get(((calls - 1) as f64 * share) as usize).copied().unwrap_or_default();
    let on_fresh = fresh_call(&set, &workshop.fresh_worker(), inputs);
    Ok(Measured {
        plugin: blank.name.clone(),
        sha256: plugin.sha256.clone(),
        inputs: inputs.len(),
        calls,
        calls_per_s: (calls as f64 / took.as_secs_f64()) as u64,
        call_p50_ns: at(0.5),
        call_p99_ns: at(0.99),
        call_max_ns: at(1.0),
        failed,
        fresh_instance_ns: on_fresh.saturating_sub(at(0.5)),
        instance_memory_bytes,
        compile_ms: u64::try_from(blank.compiling.as_millis()).unwrap_or(u64::MAX),
    })
}

/// The times of single calls, how many failed, and the time of all.
fn call(set: &PluginSet, worker: &Worker, inputs: &[Inputs], longest: Duration) -> (Vec<u64>, usize, Duration) {
    let began = Instant::now();
    let (mut times, mut failed) = (Vec::new(), 0);
    for inputs in inputs.iter().cycle() {
        let call_began = Instant::now();
        let answer = set.replay(worker, inputs);
        let took = call_began.elapsed();
        failed += usize::from(matches!(answer, Ok(crate::domain::record::Outcome::Failed(_))));
        times.push(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        if began.elapsed() >= longest || times.len() >= MOST_TIMES {
            break;
        }
    }
    (times, failed, began.elapsed())
}

/// The median of calls that each have an instance of their own, in nanoseconds.
fn fresh_call(set: &PluginSet, worker: &Worker, inputs: &[Inputs]) -> u64 {
    let one = |inputs: &Inputs| {
        let began = Instant::now();
        let _ = set.replay(worker, inputs);
        u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    };
    let mut times: Vec<u64> = inputs.iter().cycle().take(FRESH_CALLS).map(one).collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

// === impl Measured ===

impl Measured {
    fn in_words(&self) -> String {
        let ns = |ns: u64| format!("{} ns", grouped(ns));
        let of_wasi = || "not to be seen: plugins with WASI run on threads of their own".to_owned();
        let rows = [
            ("calls", format!("{} in a row, of {} different, {} failed", grouped(self.calls as u128), self.inputs, self.failed)),
            ("per second", grouped(self.calls_per_s)),
            ("call, median", ns(self.call_p50_ns)),
            ("call, 99 of 100", ns(self.call_p99_ns)),
            ("call, longest", ns(self.call_max_ns)),
            ("fresh instance", ns(self.fresh_instance_ns)),
            ("its memory", self.instance_memory_bytes.map_or_else(of_wasi, size)),
            ("compilation", format!("{} ms", grouped(self.compile_ms))),
        ];
        let rows: Vec<Vec<String>> = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
        output::table(&rows, |_, cell| cell.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_under_each_other() {
        let measured = Measured {
            plugin: "p".into(),
            sha256: String::new(),
            inputs: 1,
            calls: 1_000,
            calls_per_s: 123_456,
            call_p50_ns: 1_500,
            call_p99_ns: 3_000,
            call_max_ns: 40_000,
            failed: 0,
            fresh_instance_ns: 5_000,
            instance_memory_bytes: None,
            compile_ms: 25,
        };
        let text = measured.in_words();
        assert!(text.contains("per second       123,456\ncall, median     1,500 ns\n"), "{text}");
        assert!(text.contains("fresh instance   5,000 ns") && text.contains("its memory       not to be seen"), "{text}");
    }
}
