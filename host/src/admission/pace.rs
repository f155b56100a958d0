//! The pace of work that can wait: trying and comparing sets takes tens of milliseconds of a processor that requests want now.
//!
//! A low priority wouldn't do: on a busy machine it may mean no time at all, and whoever changes a policy waits for this.

use std::{thread, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// It works for so long at a time: about what a request takes, so that none waits for much longer than for another one.
const TURN: Duration = Duration::from_micros(100);
/// And rests for so many times as long.
const RESTS: u32 = 3;

/// Of one thread that may block.
pub struct Pace {
    /// Processor time of this thread when it began its turn.
    began: Duration,
}

// === impl Pace ===

impl Pace {
    pub fn start() -> Self {
        Self { began: processor_time() }
    }

    /// Between two steps of the work: rests, when it's time to.
    pub fn keep(&mut self) {
        let worked = processor_time().saturating_sub(self.began);
        if worked >= TURN {
            thread::sleep(worked * RESTS);
            self.began = processor_time();
        }
    }
}

/// Of this thread, so far.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_most_of_the_time_at_rest() {
        let (mut pace, mut rested) = (Pace::start(), 0);
        for _ in 0..10 {
            let before = pace.began;
            while processor_time() < before + TURN {}
            pace.keep();
            rested += u32::from(pace.began > before);
        }
        assert_eq!(rested, 10);
        // Between two short steps there's nothing to rest from.
        let before = pace.began;
        pace.keep();
        assert_eq!(pace.began, before);
    }
}
