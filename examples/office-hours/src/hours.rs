//! Hours of a week, and the instants at which they begin and end. Each day's hours begin and end on that day.

use serde::Deserialize;
use wicketgate_plugin::Timestamp;

const MINUTE_MS: i64 = 60_000;
const DAY: i64 = 24 * 60;
const WEEK: i64 = 7 * DAY;
/// 1970-01-01 was a Thursday, the fourth day.
const EPOCH: i64 = 3 * DAY;

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// Minutes of the week from Monday's midnight, by a clock of this distance from UTC.
pub struct Hours {
    spans: Vec<(i64, i64)>,
    offset: i64,
}

/// Which key isn't as expected, what was found, what was expected.
type Wrong<'a> = (&'static str, &'a str, &'static str);

// === impl Hours ===

impl Hours {
    pub fn parse<'a>(days: &[Day], from: &'a str, to: &'a str, offset: i64) -> Result<Self, Wrong<'a>> {
        if days.is_empty() {
            return Err(("days", "", "at least one of mon, tue, wed, thu, fri, sat, sun"));
        }
        let begin = minute(from).filter(|minute| *minute < DAY).ok_or(("from", from, "a time as 08:30"))?;
        let end = minute(to).filter(|end| *end > begin).ok_or(("to", to, "a later time of the day, 24:00 at most"))?;
        let span = |day: &Day| (*day as i64 * DAY + begin, *day as i64 * DAY + end);
        Ok(Self { spans: days.iter().map(span).collect(), offset })
    }

    /// When these hours end; none while it's another hour.
    pub fn open_until(&self, now: Timestamp) -> Option<Timestamp> {
        let (whole_minute, of_week) = self.place(now);
        let end = self.spans.iter().filter(|(begin, end)| (*begin..*end).contains(&of_week)).map(|(_, end)| *end).max()?;
        Some(timestamp(whole_minute + end - of_week))
    }

    /// When they begin next.
    pub fn opens_after(&self, now: Timestamp) -> Timestamp {
        let (whole_minute, of_week) = self.place(now);
        let wait = |(begin, _): &(i64, i64)| match (begin - of_week).rem_euclid(WEEK) {
            0 => WEEK,
            wait => wait,
        };
        timestamp(whole_minute + self.spans.iter().map(wait).min().unwrap_or(WEEK))
    }

    /// The minute since 1970, and the minute of the week by this clock.
    fn place(&self, now: Timestamp) -> (i64, i64) {
        let minute = i64::try_from(now).unwrap_or(i64::MAX) / MINUTE_MS;
        (minute, (minute + self.offset + EPOCH).rem_euclid(WEEK))
    }
}

fn timestamp(minute: i64) -> Timestamp {
    u64::try_from(minute * MINUTE_MS).unwrap_or(0)
}

/// `08:30` as minutes of the day.
fn minute(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| (text.len() == 2).then(|| text.parse::<u8>().ok()).flatten().map(i64::from);
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= DAY).then_some(total)
}
