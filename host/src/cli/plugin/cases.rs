//! `plugin test`: a plugin's own cases, run on it.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use serde::Serialize;

use super::workshop::{Subject, Workshop};
use crate::{
    admission::cases::{self, Case, Mismatch},
    cli::output::{self, Colour, Paint, Stop, Verdict, counted, plain},
    domain::decision::Kind,
    plugin::{NotRecorded, PluginSet, Worker},
};

/// Of a text that a plugin or case holds, on one line.
const SHOWN: usize = 300;

#[derive(Args, Debug)]
pub(in crate::cli) struct Test {
    #[command(flatten)]
    subject: Subject,
    /// A YAML list of cases; may be given more than once.
    #[arg(long, value_name = "FILE", required = true)]
    cases: Vec<PathBuf>,
    /// For programs.
    #[arg(long)]
    json: bool,
}

/// What became of one case.
#[derive(Debug, Serialize)]
pub(super) struct Ran {
    pub name: String,
    pub passed: bool,
    /// What it came to, in short.
    pub found: String,
    pub mismatches: Vec<Mismatch>,
}

#[derive(Serialize)]
struct Report<'a> {
    plugin: &'a str,
    sha256: &'a str,
    passed: usize,
    failed: usize,
    cases: &'a [Ran],
}

// === impl Test ===

impl Test {
    pub(super) fn run(self) -> ExitCode {
        output::finish(self.test())
    }

    fn test(self) -> Result<Verdict, Stop> {
        let workshop = Workshop::open(&self.subject.with)?;
        let (blank, plugin) = workshop.load(&self.subject)?;
        let cases = read(&self.cases, plugin.spec.kind)?;
        let set = workshop.alone(&plugin);
        let worker = workshop.worker();
        let ran: Vec<Ran> = cases.iter().map(|case| run(&set, &worker, case)).collect();
        let failed = ran.iter().filter(|ran| !ran.passed).count();
        if self.json {
            let passed = ran.len() - failed;
            output::say_json(&Report { plugin: &blank.name, sha256: &plugin.sha256, passed, failed, cases: &ran })?;
        } else {
            output::say(&in_words(&ran, Paint::of_stdout()))?;
        }

        Ok(if failed == 0 { Verdict::Good } else { Verdict::Bad })
    }
}

/// Reads files of cases, one after the other.
pub(super) fn read(files: &[PathBuf], kind: Kind) -> Result<Vec<Case>, Stop> {
    let mut all = Vec::new();
    for file in files {
        let place = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|error| Stop::usage(format!("{place}: {error}")))?;
        all.extend(cases::parse(&place, &text, kind).map_err(Stop::usage)?);
    }
    Ok(all)
}

/// Runs one case on a set.
pub(super) fn run(set: &PluginSet, worker: &Worker, case: &Case) -> Ran {
    let (found, mismatches) = match set.replay(worker, &case.inputs) {
        Ok(outcome) => (outcome.summary(), case.expect.compare(&outcome)),
        Err(NotRecorded(what)) => {
            let missing = Mismatch { key: "known".into(), expected: what, found: "nothing".into() };
            ("not run".to_owned(), vec![missing])
        }
    };
    Ran { name: case.name.clone(), passed: mismatches.is_empty(), found, mismatches }
}

fn in_words(ran: &[Ran], paint: Paint) -> String {
    let mut text = String::new();
    for ran in ran {
        let (word, colour) = if ran.passed { ("ok    ", Colour::Good) } else { ("FAILED", Colour::Bad) };
        let found = paint.paint(Colour::Faint, &format!("-> {}", plain(&ran.found, SHOWN)));
        text += &format!("{}  {}  {found}\n", paint.paint(colour, word), plain(&ran.name, SHOWN));
        for mismatch in &ran.mismatches {
            text += &format!("          {}\n", plain(&mismatch.to_string(), 2 * SHOWN));
        }
    }
    let failed = ran.iter().filter(|ran| !ran.passed).count();
    text + &format!("{}, {failed} failed\n", counted(ran.len(), "case"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_is_shown_with_what_was_expected_and_found() {
        let mismatch = |found: &str| Mismatch { key: "decision".into(), expected: "reject".into(), found: found.into() };
        let of = |name: &str, mismatches: Vec<Mismatch>| Ran {
            name: name.into(),
            passed: mismatches.is_empty(),
            found: "forward (owner)".into(),
            mismatches,
        };
        let ran = [of("the owner enters", Vec::new()), of("a stranger\u{1b}[2J", vec![mismatch("forward (\u{7}x)")])];
        assert_eq!(
            in_words(&ran, Paint::none()),
            "ok      the owner enters  -> forward (owner)\n\
             FAILED  a stranger\\u{1b}[2J  -> forward (owner)\n          \
             decision: expected reject, found forward (\\u{7}x)\n\
             2 cases, 1 failed\n"
        );
    }
}
