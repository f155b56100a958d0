//! The steps of a build and the programs that do them. On a terminal the step at hand is shown with what its program says last;
//! elsewhere only what goes wrong is.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// Of a program's output, should it fail.
const MOST_LINES: usize = 200;

pub(super) struct Steps {
    bar: ProgressBar,
    started: Instant,
}

enum Said {
    /// What a program does.
    Output(String),
    /// What it complains of.
    Error(String),
}

// === impl Steps ===

impl Steps {
    pub fn begin(quiet: bool) -> Self {
        // Hidden by itself where standard error is no terminal.
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} [{elapsed}] {wide_msg:.dim}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar, started: Instant::now() }
    }

    pub fn step(&self, what: impl Into<String>) {
        self.bar.set_message("");
        self.bar.set_prefix(what.into());
    }

    /// While this runs, a program writes to the terminal by itself.
    pub fn aside<T>(&self, work: impl FnOnce() -> T) -> T {
        self.bar.suspend(work)
    }

    pub fn end(&self) {
        self.bar.finish_and_clear();
    }

    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// Runs a program to its end. `advice` is how to get it where it's missing.
    ///
    /// # Errors
    /// It isn't there, or says by its exit code that it failed; then what it said is shown.
    pub fn run(&self, command: &mut Command, advice: &str) -> Result<(), String> {
        let program = command.get_program().to_string_lossy().into_owned();
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = started.map_err(|error| match error.kind() {
            ErrorKind::NotFound => format!("{program} isn't installed: {advice}"),
            _ => format!("cannot run {program}: {error}"),
        })?;
        let (sender, said) = mpsc::channel();
        let readers = [
            child.stdout.take().map(|output| lines(output, sender.clone(), Said::Output)),
            child.stderr.take().map(|errors| lines(errors, sender, Said::Error)),
        ];
        let mut output = Vec::new();
        for said in said {
            match said {
                Said::Output(line) => {
                    self.bar.set_message(line.clone());
                    if output.len() < MOST_LINES {
                        output.push(line);
                    }
                }
                Said::Error(line) => self.tell(&line),
            }
        }
        for reader in readers.into_iter().flatten() {
            // Only a panic makes it fail, and reading lines has none.
            let _ = reader.join();
        }
        let status = child.wait().map_err(|error| format!("{program}: {error}"))?;
        if status.success() {
            return Ok(());
        }
        output.iter().for_each(|line| self.tell(line));
        self.end();
        Err(format!("{program} failed ({status}): what it said stands above"))
    }

    fn tell(&self, line: &str) {
        self.bar.suspend(|| {
            let _ = writeln!(std::io::stderr().lock(), "{line}");
        });
    }
}

fn lines(of: impl Read + Send + 'static, to: mpsc::Sender<Said>, said: fn(String) -> Said) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(of).split(b'\n').map_while(Result::ok) {
            let _ = to.send(said(String::from_utf8_lossy(&line).trim_end().to_owned()));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_the_way_to_get_it() {
        let error = Steps::begin(true).run(&mut Command::new("no-such-program"), "install it").unwrap_err();
        assert_eq!(error, "no-such-program isn't installed: install it");
    }

    #[test]
    fn a_failure_is_told_apart_from_success() {
        let steps = Steps::begin(true);
        assert_eq!(steps.run(Command::new("sh").args(["-c", "echo out; echo err >&2"]), ""), Ok(()));
        let error = steps.run(Command::new("sh").args(["-c", "exit 3"]), "").unwrap_err();
        assert!(error.starts_with("sh failed (exit status: 3)"), "{error}");
    }
}
