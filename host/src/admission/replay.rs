//! Recorded decisions run through another set: what would come out otherwise, what couldn't be told, and who would still get in.
//! Runs on threads of its own, so that neither requests nor discovery wait for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::pace::{Pace, aside};
use crate::{
    domain::{
        decision::Kind,
        record::{Inputs, Outcome, Record},
    },
    plugin::{Engine, NotRecorded, PluginSet, Worker},
};

/// Differences that are shown; all are counted.
const MOST_SHOWN: usize = 20;
/// Kinds of things that weren't recorded which are named.
const MOST_NAMED: usize = 20;
/// People that are told apart at most.
pub const MOST_PEOPLE: usize = 100_000;
/// Records are run for so long at most: a fixed set mustn't wait for one that makes use of its whole budget each time.
const LONGEST: Duration = Duration::from_secs(60);

/// What two sets made of the same inputs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// Decisions that were looked at.
    pub records: u64,
    /// Those that the new set could decide.
    pub replayed: u64,
    /// Those of them by which somebody known is let in now. All who aren't known count as one: there may be any number of them.
    pub admissions: u64,
    pub differences: u64,
    /// The first of them.
    pub shown: Vec<Difference>,
    /// What the sets read and wasn't recorded, with how often.
    pub not_recorded: BTreeMap<String, u64>,
    /// Decisions for which there was no time.
    pub late: u64,
    #[serde(skip)]
    pub known: Known,
    /// Somebody is let in who isn't known.
    #[serde(skip)]
    is_open: bool,
}

/// Who is let in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// By the set that decides.
    pub before: BTreeSet<String>,
    /// By both.
    pub people: BTreeSet<String>,
    /// Owners of candidates that both publish.
    pub owners: BTreeSet<String>,
}

/// One decision that comes out otherwise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Of the record.
    pub id: String,
    /// What it was about, in short.
    pub about: String,
    pub before: String,
    pub after: String,
}

/// Runs records through a new set, and through the one that decides where the record is of an earlier one.
pub struct Replayer {
    worker: Worker,
    new: Arc<PluginSet>,
    active: Arc<PluginSet>,
    /// What comes out of these is the same by construction.
    unchanged: Vec<Kind>,
}

// === impl Replayer ===

impl Replayer {
    pub fn new(engine: &Arc<Engine>, new: Arc<PluginSet>, active: Arc<PluginSet>) -> Self {
        let unchanged = Kind::ALL.into_iter().filter(|kind| new.decides_like(&active, *kind)).collect();
        Self { worker: Worker::for_replay(Arc::clone(engine)), new, active, unchanged }
    }

    /// Takes records on, on a thread that may be busy for a while.
    pub async fn compare(self, records: Vec<Arc<Record>>, mut into: Comparison) -> Option<(Self, Comparison)> {
        let run = move |pace: &mut Pace| {
            let ends = Instant::now() + LONGEST;
            for record in records {
                if Instant::now() < ends {
                    self.one(&record, &mut into);
                } else {
                    (into.records, into.late) = (into.records + 1, into.late + 1);
                }
                pace.keep();
            }
            (self, into)
        };
        aside(run).await
    }

    fn one(&self, record: &Record, into: &mut Comparison) {
        let is_unchanged = self.unchanged.contains(&record.inputs.kind);
        // What an earlier set decided is no news: the one that decides now is what is compared with.
        let before = if record.generation == self.active.generation().0 {
            record.outcome.clone()
        } else {
            match self.active.replay(&self.worker, &record.inputs) {
                Ok(outcome) => outcome,
                // Nothing is to be learned from it: not even that it can't be.
                Err(_) if is_unchanged => return,
                Err(missing) => return into.leave_out(missing),
            }
        };
        let after = if is_unchanged { Ok(before.clone()) } else { self.new.replay(&self.worker, &record.inputs) };
        into.add(&record.id.to_string(), &record.inputs, &before, after);
    }
}

// === impl Comparison ===

impl Comparison {
    /// Takes one decision on.
    pub fn add(&mut self, id: &str, inputs: &Inputs, before: &Outcome, after: Result<Outcome, NotRecorded>) {
        let after = match after {
            Ok(after) => after,
            Err(missing) => return self.leave_out(missing),
        };
        (self.records, self.replayed) = (self.records + 1, self.replayed + 1);
        if before.admits() {
            self.counts_admission(inputs);
            self.known.add(inputs, after.admits());
        }
        if after.has_effect_of(before) {
            return;
        }
        self.differences += 1;
        if self.shown.len() < MOST_SHOWN {
            let (before, after) = (before.summary(), after.summary());
            self.shown.push(Difference { id: id.to_owned(), about: about(inputs), before, after });
        }
    }

    fn leave_out(&mut self, NotRecorded(what): NotRecorded) {
        self.records += 1;
        if self.not_recorded.len() < MOST_NAMED || self.not_recorded.contains_key(&what) {
            *self.not_recorded.entry(what).or_default() += 1;
        }
    }

    fn counts_admission(&mut self, inputs: &Inputs) {
        if inputs.kind != Kind::RoutingPolicy {
            return;
        }
        let is_known = inputs.identity.as_ref().is_some_and(|identity| identity.principal().is_some());
        self.admissions += u64::from(is_known || !self.is_open);
        self.is_open |= !is_known;
    }

    /// Of what was looked at, so much could be run; all of nothing.
    pub fn replayed_percent(&self) -> u64 {
        (self.replayed * 100).checked_div(self.records).unwrap_or(100)
    }

    /// The first bound that isn't kept, in words.
    pub fn breaks(&self, most_differences: usize, least_replayed_percent: u8) -> Option<String> {
        if self.differences > most_differences as u64 {
            let first = self.shown.first();
            let example = first.map(|first| format!("; {}: {} before, {} now", first.about, first.before, first.after));
            return Some(format!(
                "{} of {} recorded decisions come out otherwise, at most {most_differences} may (activation.most_differences){}",
                self.differences,
                self.replayed,
                example.unwrap_or_default()
            ));
        }
        if self.replayed_percent() < u64::from(least_replayed_percent) {
            let why = self.not_recorded.iter().max_by_key(|(_, count)| **count);
            let why = why.map(|(what, _)| format!("; not recorded was {what} (plugins.records.inputs)"));
            let late = (self.late > 0).then(|| format!("; for {} there was no time", self.late));
            return Some(format!(
                "{} of {} recorded decisions can be run again, at least {least_replayed_percent} % must \
                 (activation.least_replayed_percent){}",
                self.replayed,
                self.records,
                why.or(late).unwrap_or_default()
            ));
        }
        None
    }
}

// === impl Known ===

impl Known {
    fn add(&mut self, inputs: &Inputs, by_both: bool) {
        let owner = inputs.session.as_ref().and_then(|session| session.first("owner"));
        let person = inputs.identity.as_ref().and_then(|identity| identity.principal());
        match inputs.kind {
            Kind::DiscoveryFilter if by_both => self.owners.extend(owner.map(str::to_owned)),
            // By an authenticator's word alone nobody gets in.
            Kind::DiscoveryFilter | Kind::Authenticator => {}
            Kind::RoutingPolicy if self.before.len() >= MOST_PEOPLE => {}
            Kind::RoutingPolicy => {
                let person = person.map(|person| person.id.clone());
                self.people.extend(person.clone().filter(|_| by_both));
                self.before.extend(person);
            }
        }
    }
}

/// What a record is about, in short: `ada GET /lab of s1`.
pub fn about(inputs: &Inputs) -> String {
    let mut words = Vec::new();
    words.extend(inputs.identity.as_ref().map(|identity| identity.principal().map_or("nobody known", |known| &known.id)));
    if let Some(http) = &inputs.http {
        words.extend(http.method.as_deref());
        words.extend(http.path.as_deref());
    }
    if inputs.tcp.is_some() {
        words.push("tcp");
    }
    let session = inputs.session.as_ref().and_then(|session| session.first("session.id"));
    if let Some(session) = session {
        words.extend(["of", session]);
    }
    let mut text: String = words.join(" ").chars().map(|char| if char.is_control() { '?' } else { char }).take(120).collect();
    if text.is_empty() {
        text.push_str("somebody");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::record::{Decided, Decision};

    fn inputs(id: &str) -> Inputs {
        serde_json::from_value(json!({
            "kind": "routing-policy", "now_ms": 1, "http": {"method": "GET", "path": "/lab\u{7}"},
            "session": {"session.id": "s1"}, "identity": {"principal": {"id": id}},
        }))
        .unwrap()
    }

    fn decided(decision: Decision) -> Outcome {
        Outcome::Decided(Decided { by: None, decision, reason: "x".into(), detail: None, holds_until_ms: None })
    }

    fn enters() -> Outcome {
        decided(Decision::Forward {
            endpoint: None,
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            request_body_bytes: None,
            response_timeout_ms: None,
        })
    }

    fn rejected() -> Outcome {
        decided(Decision::Reject { message: None })
    }

    #[test]
    fn differences_are_counted_and_some_are_shown() {
        let mut comparison = Comparison::default();
        for number in 0..30 {
            comparison.add("id", &inputs(&format!("u{number}")), &enters(), Ok(rejected()));
        }
        comparison.add("id", &inputs("ada"), &enters(), Ok(enters()));
        assert_eq!((comparison.records, comparison.replayed, comparison.differences), (31, 31, 30));
        assert_eq!(comparison.shown.len(), MOST_SHOWN);
        let expected = ["u0 GET /lab? of s1", "forward (x)", "reject (x)"];
        assert_eq!([&*comparison.shown[0].about, &comparison.shown[0].before, &comparison.shown[0].after], expected);
        assert_eq!(comparison.known.people.iter().collect::<Vec<_>>(), ["ada"]);
        assert_eq!(comparison.breaks(30, 90), None);
        let broken = comparison.breaks(29, 90).unwrap();
        assert!(broken.starts_with("30 of 31 recorded decisions come out otherwise, at most 29 may"), "{broken}");
    }

    #[test]
    fn what_was_not_recorded_is_counted_by_what_it_is() {
        let mut comparison = Comparison::default();
        for (path, number) in [("the input 'path'", 2), ("the input 'method'", 1)] {
            (0..number).for_each(|_| comparison.add("id", &inputs("ada"), &enters(), Err(NotRecorded(path.into()))));
        }
        (0..7).for_each(|_| comparison.add("id", &inputs("ada"), &enters(), Ok(enters())));
        assert_eq!(comparison.replayed_percent(), 70);
        let broken = comparison.breaks(0, 90).unwrap();
        assert!(broken.starts_with("7 of 10 recorded decisions can be run again, at least 90 % must"), "{broken}");
        assert!(broken.ends_with("not recorded was the input 'path' (plugins.records.inputs)"), "{broken}");
        assert_eq!(comparison.breaks(0, 70), None);
        assert_eq!(Comparison::default().breaks(0, 100), None, "nothing is no difference");
    }
}
