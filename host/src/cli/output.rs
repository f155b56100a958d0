//! What commands say and how: text for people, with colours on a terminal alone; JSON for programs; progress on standard error.

use std::{
    fmt,
    io::{IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::{FAILED, run::complain};
use crate::config::Environment;

/// What was named can't be used: no such file, not JSON, no such plugin in it. The same as for an unreadable command line.
pub const USAGE: u8 = 2;

/// Why a command ended without its answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Failed(String),
}

/// How a command's answer is good or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Good,
    Bad,
}

/// Colours, where there's a terminal that shows them.
#[derive(Clone, Copy, Debug)]
pub struct Paint(bool);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    Good,
    Bad,
    Warning,
    Strong,
    Faint,
}

// === impl Stop ===

impl Stop {
    pub fn usage(why: impl fmt::Display) -> Self {
        Self::Usage(why.to_string())
    }

    pub fn failed(why: impl fmt::Display) -> Self {
        Self::Failed(why.to_string())
    }
}

/// The exit code of a command, with its error on standard error.
pub fn finish(result: Result<Verdict, Stop>) -> ExitCode {
    match result {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Bad) => ExitCode::from(FAILED),
        Err(stop @ Stop::Usage(_)) => complain(USAGE, &stop),
        Err(stop @ Stop::Failed(_)) => complain(FAILED, &stop),
    }
}

/// Writes an answer to standard output. A reader that went away, such as `head`, is no failure.
pub fn say(text: &str) -> Result<(), Stop> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Stop::failed(format!("standard output: {error}"))),
        _ => Ok(()),
    }
}

/// The same as JSON.
pub fn say_json(value: &impl Serialize) -> Result<(), Stop> {
    let mut text = serde_json::to_string_pretty(value).map_err(Stop::failed)?;
    text.push('\n');
    say(&text)
}

/// What isn't the answer itself.
pub fn remark(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Shows that something is under way, if somebody watches. It's gone when it's dropped.
pub fn progress(what: &str, steps: usize) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = if steps == 0 { ProgressBar::no_length() } else { ProgressBar::new(steps as u64) };
    bar.set_draw_target(target);
    let form = if steps == 0 { "{spinner} {msg} {elapsed}" } else { "{msg} {wide_bar} {pos}/{len}" };
    if let Ok(style) = ProgressStyle::with_template(form) {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    if steps == 0 {
        bar.enable_steady_tick(Duration::from_millis(120));
    }
    bar
}

// === impl Paint ===

impl Paint {
    pub fn of_stdout() -> Self {
        Self(std::io::stdout().is_terminal() && !Environment::of_process().is_without_colour())
    }

    #[cfg(test)]
    pub fn none() -> Self {
        Self(false)
    }

    pub fn paint(self, colour: Colour, text: &str) -> String {
        if !self.0 {
            return text.to_owned();
        }
        let code = match colour {
            Colour::Good => "32",
            Colour::Bad => "1;31",
            Colour::Warning => "33",
            Colour::Strong => "1",
            Colour::Faint => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Rows under each other: each column as wide as its widest cell, the last one as it comes. Colours go around the padding.
pub fn table(rows: &[Vec<String>], paint: impl Fn(usize, &str) -> String) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let is_last = column + 1 == row.len();
            let fill = if is_last { 0 } else { widths[column] - cell.chars().count() + 2 };
            line += &paint(column, cell);
            line += &" ".repeat(fill);
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// `1,234,567`.
pub fn grouped(number: impl Into<u128>) -> String {
    let digits = number.into().to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 case`, `2 cases`.
pub fn counted(number: usize, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number as u128), if number == 1 { "" } else { "s" })
}

/// A size as people say it, exact below a KiB.
pub fn size(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.2} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// Somebody else's text on one line of a terminal: nothing in it moves the cursor or turns the line round, and it's cut.
pub fn plain(text: &str, most: usize) -> String {
    let mut shown = String::new();
    for char in text.chars().take(most) {
        let turns = matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if char.is_control() || turns {
            shown.extend(char.escape_unicode());
        } else {
            shown.push(char);
        }
    }
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let rows =
            [vec!["ok".to_owned(), "format".into(), "a component".into()], vec!["FAILED".into(), "size".into(), String::new()]];
        assert_eq!(table(&rows, |_, cell| cell.to_owned()), "ok      format  a component\nFAILED  size\n");
        assert_eq!(table(&[], |_, cell| cell.to_owned()), "");
    }

    #[test]
    fn numbers_are_read_by_people() {
        let table = [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")];
        table.into_iter().for_each(|(number, text)| assert_eq!(grouped(number as u32), text));
        assert_eq!((counted(1, "case"), counted(1_000, "case")), ("1 case".into(), "1,000 cases".into()));
        assert_eq!([size(5), size(2_048), size(3 << 20)], ["5 bytes", "2.0 KiB", "3.00 MiB"]);
    }

    #[test]
    fn nothing_that_somebody_else_wrote_moves_the_cursor() {
        assert_eq!(plain("a\u{1b}[2Jb\r\n\u{202e}c'\"ä", 99), "a\\u{1b}[2Jb\\u{d}\\u{a}\\u{202e}c'\"ä");
        assert_eq!(plain("abcdef", 3), "abc…");
        assert_eq!(plain("abc", 3), "abc");
    }
}
