//! `plugin test`: a plugin's own cases, run on it.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::Args;
use serde::Serialize;

use super::workshop::{Subject, With, Workshop, read_directory};
use crate::{
    admission::{
        MANIFEST, Tried,
        cases::{self, Case, Mismatch},
    },
    cli::output::{self, Colour, Paint, Stop, Verdict, counted, plain},
    domain::decision::Kind,
    plugin::{NotRecorded, Plugin, PluginSet, Worker},
};

/// Of a text that a plugin or case holds, on one line.
const SHOWN: usize = 300;

#[derive(Args, Debug)]
pub(in crate::cli) struct Test {
    /// A component (.wasm or .wasm.zst), `builtin:` and a default plugin's name, or a plugin directory.
    #[arg(value_name = "FILE|DIR")]
    file: String,
    #[command(flatten)]
    with: With,
    /// A YAML list of cases; may be given more than once. A directory's manifest names them itself.
    #[arg(long, value_name = "FILE")]
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
    plugin: String,
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
        let workshop = Workshop::open(&self.with)?;
        let (is_directory, json) = (Path::new(&self.file).is_dir(), self.json);
        let tried = if is_directory { self.directory(&workshop)? } else { vec![self.component(&workshop)?] };
        let ran: Vec<(Arc<Plugin>, Vec<Ran>)> = tried
            .into_iter()
            .map(|Tried { plugin, cases }| {
                let (set, worker) = (workshop.alone(&plugin), workshop.worker());
                let ran = cases.iter().map(|case| run(&set, &worker, case)).collect();
                (plugin, ran)
            })
            .collect();
        let reports: Vec<Report<'_>> = ran.iter().map(|(plugin, ran)| Report::of(plugin, ran)).collect();
        match reports.as_slice() {
            [report] if json && !is_directory => output::say_json(report)?,
            reports if json => output::say_json(&reports)?,
            _ => output::say(&in_words(&ran.iter().flat_map(|(_, ran)| ran).collect::<Vec<_>>(), Paint::of_stdout()))?,
        }
        Ok(if reports.iter().all(|report| report.failed == 0) { Verdict::Good } else { Verdict::Bad })
    }

    fn component(self, workshop: &Workshop) -> Result<Tried, Stop> {
        if self.cases.is_empty() {
            return Err(Stop::usage(
                "--cases: found none, expected a file of cases, or a plugin directory in place of the component",
            ));
        }
        let (_, plugin) = workshop.load(&Subject { file: self.file, with: self.with })?;
        let cases = read(&self.cases, plugin.spec.kind)?;
        Ok(Tried { plugin, cases })
    }

    /// Its plugins that have cases.
    fn directory(self, workshop: &Workshop) -> Result<Vec<Tried>, Stop> {
        self.with.belongs_to_a_component(!self.cases.is_empty())?;
        let mut tried = workshop.load_directory(&read_directory(Path::new(&self.file))?)?.tried;
        tried.retain(|tried| !tried.cases.is_empty());
        if tried.is_empty() {
            return Err(Stop::usage(format!("{}: its {MANIFEST} names no cases, expected them as `cases` of a plugin", self.file)));
        }
        Ok(tried)
    }
}

// === impl Report ===

impl<'a> Report<'a> {
    fn of(plugin: &'a Plugin, ran: &'a [Ran]) -> Self {
        let failed = ran.iter().filter(|ran| !ran.passed).count();
        Self { plugin: plugin.spec.name.clone(), sha256: &plugin.sha256, passed: ran.len() - failed, failed, cases: ran }
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

fn in_words(ran: &[&Ran], paint: Paint) -> String {
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
            in_words(&ran.iter().collect::<Vec<_>>(), Paint::none()),
            "ok      the owner enters  -> forward (owner)\n\
             FAILED  a stranger\\u{1b}[2J  -> forward (owner)\n          \
             decision: expected reject, found forward (\\u{7}x)\n\
             2 cases, 1 failed\n"
        );
    }
}
