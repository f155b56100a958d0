//! Work that can wait, on threads that give way: trying and comparing sets takes tens of milliseconds of a processor that requests
//! want now.
//!
//! By their low priority they get what requests leave, and a little where these leave nothing. Calls of plugins have budgets of
//! processor time, and fifty times as much by the clock: on a core that requests fill, a call that needs nearly all of its budget may
//! miss that. Whoever has the processor isn't always interrupted when a request comes; hence the short turns.

use std::{sync::LazyLock, thread::sleep, time::Duration};

use rustix::{
    process::nice,
    time::{ClockId, clock_gettime},
};

use crate::background::Background;

/// It works for so long at a time: about what a request takes, so that none waits for much longer than for another one.
const TURN: Duration = Duration::from_micros(100);
/// The lowest there is (sched(7)).
const NICENESS: i32 = 19;
/// One for the set that is on its way in, one for those that are followed: what is found of these can't wait for that. A batch of
/// records that nobody waits for any more goes on to its end.
const MOST_THREADS: usize = 2;

/// Of one thread.
pub struct Pace {
    /// Its processor time when it began its turn.
    began: Duration,
}

/// Threads of their own, because a priority that was lowered can't be raised again.
static THREADS: LazyLock<Background> = LazyLock::new(|| {
    Background::new("admission", MOST_THREADS, || {
        // Of this thread alone. Where it's refused, there are the turns.
        let _ = nice(NICENESS);
    })
});

/// Does it on a thread of lowest priority. None when it couldn't be done, which is logged.
pub async fn aside<T: Send + 'static>(work: impl FnOnce(&mut Pace) -> T + Send + 'static) -> Option<T> {
    let done = THREADS.run(|| work(&mut Pace::start())).await;
    done.inspect_err(|error| tracing::error!(%error, "plugin sets can't be judged")).ok()
}

// === impl Pace ===

impl Pace {
    fn start() -> Self {
        Self { began: spent() }
    }

    /// Between two steps of the work: rests, when it's time to, for as long as it worked.
    pub fn keep(&mut self) {
        let worked = spent().saturating_sub(self.began);
        if worked >= TURN {
            sleep(worked);
            self.began = spent();
        }
    }
}

/// Processor time of this thread, so far.
fn spent() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_rest_after_each_turn() {
        let (mut pace, mut rested) = (Pace::start(), 0);
        for _ in 0..10 {
            let before = pace.began;
            while spent() < before + TURN {}
            pace.keep();
            rested += u32::from(pace.began > before);
        }
        assert_eq!(rested, 10);
        // Between two short steps there's nothing to rest from.
        let before = pace.began;
        pace.keep();
        assert_eq!(pace.began, before);
    }

    #[tokio::test]
    async fn it_has_the_lowest_priority_and_others_keep_theirs() {
        let niceness = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            // The 19th field of all; a name may hold anything, and ends with the last bracket.
            stat.rsplit_once(')').unwrap().1.split_whitespace().nth(16).unwrap().to_owned()
        };
        let before = niceness();
        assert_eq!(aside(move |_| niceness()).await, Some("19".to_owned()));
        assert_eq!(niceness(), before);
    }

    #[tokio::test]
    async fn work_that_panics_is_none() {
        assert_eq!(aside(|_| -> u8 { panic!("a test") }).await, None);
    }
}
