//! Plugin sets swapped one after the other, good ones and all sorts of bad ones, under people who work meanwhile. Nobody may
//! notice but by what the good ones decide. For the command `tests/bench/soak` and, shorter, for a test.

mod application;
mod crowd;
mod driver;
mod memory;
mod reads;
mod sets;

use std::{collections::BTreeMap, fmt, time::Duration};

pub use driver::run;
pub use memory::Memory;
pub use sets::Sort;

/// How long, and how much is going on meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// All sorts come equally often: a multiple of their number.
    pub swaps: usize,
    /// Swaps until every pool, cache and allocator has what it needs.
    pub warm_up: usize,
    /// The order of the sorts follows from it.
    pub seed: u64,
    pub sockets: usize,
    pub streams: usize,
    /// Each keeps one connection and has a request at a time on it.
    pub clients: usize,
    /// Between two requests of a client.
    pub pause: Duration,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// Swaps of each sort, with what the slowest ones took from the rename of `..data` until the verdict was seen.
    pub sorts: BTreeMap<Sort, Times>,
    /// Answers to the clients and to whoever looked after each swap, by their status.
    pub answers: BTreeMap<u16, u64>,
    pub echoes: u64,
    pub events: u64,
    /// Connections that were lost and answers that weren't what they had to be, in sentences: the first of them.
    pub faults: Vec<String>,
    pub fault_count: u64,
    pub warm: Memory,
    pub end: Memory,
    pub most: Memory,
    /// The median of each tenth of the run: a leak goes on, an allocator comes to rest.
    pub tenths: Vec<Memory>,
    pub took: Duration,
}

/// Sorted.
#[derive(Debug, Default)]
pub struct Times(Vec<Duration>);

// === impl Report ===

impl Report {
    /// Resident memory at the end against after warm-up.
    pub fn growth(&self) -> f64 {
        ratio(self.end.resident_kib, self.warm.resident_kib)
    }
}

fn ratio(end: u64, warm: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "kibibytes of a process")]
    let ratio = end as f64 / warm as f64;
    ratio
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| sort | swaps | until the verdict, p50 | p99 | most |\n| --- | ---: | ---: | ---: | ---: |")?;
        for (sort, times) in &self.sorts {
            let ms = |share| times.quantile(share).as_millis();
            writeln!(f, "| {sort} | {} | {} ms | {} | {} |", times.0.len(), ms(0.5), ms(0.99), ms(1.0))?;
        }
        let answers: Vec<_> = self.answers.iter().map(|(status, count)| format!("{count} × {status}")).collect();
        writeln!(f, "\n- {} s; answers: {}", self.took.as_secs(), answers.join(", "))?;
        writeln!(f, "- {} echoes on WebSockets, {} events on streams", self.echoes, self.events)?;
        writeln!(f, "- connections lost and wrong answers: {}", self.fault_count)?;
        for fault in &self.faults {
            writeln!(f, "  - {fault}")?;
        }
        let (warm, end) = (self.warm, self.end);
        writeln!(f, "- memory after warm-up: {warm}\n- memory at the end: {end}\n- memory at most: {}", self.most)?;
        let tenths: Vec<_> = self.tenths.iter().map(|memory| (memory.resident_kib / 1024).to_string()).collect();
        writeln!(f, "- resident memory in each tenth of the run, MiB: {}", tenths.join(", "))?;
        write!(
            f,
            "- end / warm-up: resident {:.3}, anonymous {:.3}, proportional {:.3}",
            self.growth(),
            ratio(end.anonymous_kib, warm.anonymous_kib),
            ratio(end.proportional_kib, warm.proportional_kib)
        )
    }
}

// === impl Times ===

impl Times {
    fn add(&mut self, time: Duration) {
        let at = self.0.partition_point(|other| *other <= time);
        self.0.insert(at, time);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The time within which this share of them was done.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a list")]
    pub fn quantile(&self, share: f64) -> Duration {
        let at = (self.0.len() as f64 * share) as usize;
        self.0.get(at.min(self.0.len().saturating_sub(1))).copied().unwrap_or_default()
    }
}
