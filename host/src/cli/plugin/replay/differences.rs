//! What became of each record, put together.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    admission::replay::about,
    cli::output::{self, Colour, Paint, counted, plain},
    domain::record::{Outcome, Record},
};

/// Bad lines that are shown.
const UNREADABLE_SHOWN: usize = 3;
const SUBJECT_SHOWN: usize = 70;
const OUTCOME_SHOWN: usize = 160;

/// What became of one record.
pub(super) enum Found {
    Same,
    /// The record, and what it comes to now.
    Difference(Box<(Record, Outcome)>),
    /// Something that it would have read isn't in the record.
    NotRecorded(String),
    /// Nobody of its kind is tried.
    OtherKind,
    /// The plugin that is asked about had no part in it.
    NotAsked,
    Unreadable(String),
}

/// What became of all.
pub(super) struct Report {
    show: usize,
    same: usize,
    differences: usize,
    /// Those of the differences by which somebody gets in who didn't, or doesn't who did.
    admitted: usize,
    turned_away: usize,
    not_recorded: BTreeMap<String, usize>,
    other_kind: usize,
    not_asked: usize,
    unreadable: usize,
    shown: Vec<Difference>,
    unreadable_shown: Vec<String>,
}

struct Difference {
    id: String,
    subject: String,
    before: String,
    after: String,
    effect: &'static str,
}

// === impl Report ===

impl Report {
    pub fn new(show: usize) -> Self {
        Self {
            show,
            same: 0,
            differences: 0,
            admitted: 0,
            turned_away: 0,
            not_recorded: BTreeMap::new(),
            other_kind: 0,
            not_asked: 0,
            unreadable: 0,
            shown: Vec::new(),
            unreadable_shown: Vec::new(),
        }
    }

    pub fn add(&mut self, found: Found) {
        match found {
            Found::Same => self.same += 1,
            Found::Difference(difference) => {
                let (record, after) = *difference;
                self.differences += 1;
                let effect = match (record.outcome.admits(), after.admits()) {
                    (false, true) => {
                        self.admitted += 1;
                        "lets in"
                    }
                    (true, false) => {
                        self.turned_away += 1;
                        "turns away"
                    }
                    _ => "",
                };
                if self.shown.len() < self.show {
                    self.shown.push(Difference::new(&record, &after, effect));
                }
            }
            Found::NotRecorded(what) => *self.not_recorded.entry(what).or_default() += 1,
            Found::OtherKind => self.other_kind += 1,
            Found::NotAsked => self.not_asked += 1,
            Found::Unreadable(why) => {
                self.unreadable += 1;
                if self.unreadable_shown.len() < UNREADABLE_SHOWN {
                    self.unreadable_shown.push(why);
                }
            }
        }
    }

    fn replayed(&self) -> usize {
        self.same + self.differences
    }

    /// Of the records that are of this kind and these plugins; lines that can't be read may be.
    fn due(&self) -> usize {
        self.replayed() + self.not_recorded.values().sum::<usize>() + self.unreadable
    }

    /// What is against it; nothing if all is well.
    pub fn judge(&self, most_differences: usize, least_replayed_percent: u8) -> Vec<String> {
        let mut against = Vec::new();
        if self.differences > most_differences {
            against.push(format!(
                "{}, at most {most_differences} may be (--most-differences)",
                counted(self.differences, "difference")
            ));
        }
        if self.replayed() == 0 {
            against.push("no record could be run again: this says nothing".to_owned());
        } else if self.replayed() * 100 < self.due() * usize::from(least_replayed_percent) {
            let percent = self.replayed() * 100 / self.due();
            against.push(format!(
                "only {percent} % of the records could be run again, at least {least_replayed_percent} % must (--least-replayed-percent)"
            ));
        }
        against
    }

    pub fn to_json(&self, against: &[String]) -> Value {
        let difference = |difference: &Difference| {
            json!({
                "id": difference.id,
                "subject": difference.subject,
                "before": difference.before,
                "after": difference.after,
                "effect": difference.effect,
            })
        };
        json!({
            "ok": against.is_empty(),
            "against": against,
            "replayed": self.replayed(),
            "same": self.same,
            "differences": self.differences,
            "admitted": self.admitted,
            "turned_away": self.turned_away,
            "not_recorded": self.not_recorded,
            "other_kind": self.other_kind,
            "not_asked": self.not_asked,
            "unreadable": self.unreadable,
            "unreadable_lines": self.unreadable_shown,
            "shown": self.shown.iter().map(difference).collect::<Vec<_>>(),
        })
    }

    pub fn in_words(&self, against: &[String], paint: Paint) -> String {
        let row = |difference: &Difference| {
            let Difference { id, subject, before, after, effect } = difference;
            vec![id.clone(), subject.clone(), before.clone(), format!("-> {after}"), (*effect).to_owned()]
        };
        let rows: Vec<Vec<String>> = self.shown.iter().map(row).collect();
        let mut text = output::table(&rows, |column, cell| match (column, cell) {
            (4, "lets in") => paint.paint(Colour::Bad, cell),
            (4, "turns away") => paint.paint(Colour::Warning, cell),
            (0, _) => paint.paint(Colour::Faint, cell),
            _ => cell.to_owned(),
        });
        if self.differences > self.shown.len() {
            text += &format!("and {} more\n", self.differences - self.shown.len());
        }
        text += &format!(
            "{} run again: {} the same, {} ({} let in that weren't, {} turned away that weren't)\n",
            counted(self.replayed(), "record"),
            self.same,
            counted(self.differences, "difference"),
            self.admitted,
            self.turned_away
        );
        for (what, count) in &self.not_recorded {
            text += &format!("{} not run: {} isn't recorded\n", counted(*count, "record"), plain(what, OUTCOME_SHOWN));
        }
        for (count, why) in [(self.other_kind, "of other kinds"), (self.not_asked, "in which it wasn't asked")] {
            if count > 0 {
                text += &format!("{} left out: {why}\n", counted(count, "record"));
            }
        }
        if self.unreadable > 0 {
            text += &format!("{} no record:\n", counted(self.unreadable, "line"));
            self.unreadable_shown.iter().for_each(|why| text += &format!("  {}\n", plain(why, OUTCOME_SHOWN)));
        }
        against.iter().for_each(|why| text += &format!("{} {why}\n", paint.paint(Colour::Bad, "FAILED")));
        text
    }
}

// === impl Difference ===

impl Difference {
    fn new(record: &Record, after: &Outcome, effect: &'static str) -> Self {
        let (mut before_words, mut after_words) = (in_words(&record.outcome), in_words(after));
        if before_words == after_words {
            // The word is the same, what goes with it isn't.
            (before_words, after_words) = (whole(&record.outcome), whole(after));
        }
        Self {
            id: record.id.to_string(),
            subject: plain(&about(&record.inputs), SUBJECT_SHOWN),
            before: plain(&before_words, OUTCOME_SHOWN),
            after: plain(&after_words, OUTCOME_SHOWN),
            effect,
        }
    }
}

fn in_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Decided(_) => outcome.summary(),
        Outcome::Failed(failed) => format!("fails ({}: {})", failed.fault, failed.message),
    }
}

fn whole(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Decided(decided) => serde_json::to_string(&decided.decision).unwrap_or_default(),
        Outcome::Failed(_) => in_words(outcome),
    }
}

#[cfg(test)]
mod tests;
