//! A few threads that stay, for work that would hold up the thread which runs discovery and admission.
//!
//! Few, since the allocator lets each thread keep what it freed, and what others freed of its memory, until it allocates again: with
//! the runtime's own blocking threads, of which there are as many as ever worked at a time, a gateway whose plugins changed often
//! held up to half as much memory more. They stay, since what a thread leaves behind at its end isn't all taken up by others.

use std::{io, sync::LazyLock, time::Duration};

use tokio::runtime::{Builder, Runtime};

/// Reads, checks, links and keeps one plugin set after the other.
pub static PLUGINS: LazyLock<Background> = LazyLock::new(|| Background::new("plugins", 1, || ()));

/// Without work a thread ends after this time.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Threads that wait for work, which start with the first of it. For statics: a runtime isn't dropped where others run.
pub struct Background(io::Result<Runtime>);

/// The work wasn't done, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    #[error("no thread can be had: {0}")]
    NoThread(String),
    #[error("it panicked")]
    Panicked,
}

// === impl Background ===

impl Background {
    /// At most `most` threads, each of which begins with `begin`.
    pub fn new(name: &'static str, most: usize, begin: impl Fn() + Send + Sync + 'static) -> Self {
        let mut builder = Builder::new_current_thread();
        builder.thread_name(name).thread_keep_alive(KEEP_ALIVE).max_blocking_threads(most).on_thread_start(begin);
        Self(builder.build())
    }

    /// What the work comes to, when its turn has come. It goes on when nobody waits for it any more.
    ///
    /// # Errors
    /// There is no thread, or the work panicked.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Stopped> {
        let threads = self.0.as_ref().map_err(|error| Stopped::NoThread(error.to_string()))?;
        threads.spawn_blocking(work).await.map_err(|_| Stopped::Panicked)
    }
}

impl From<Stopped> for io::Error {
    fn from(stopped: Stopped) -> Self {
        Self::other(stopped)
    }
}

#[cfg(test)]
mod tests {
    use std::thread::{ThreadId, current};

    use super::*;

    static ONE: LazyLock<Background> = LazyLock::new(|| Background::new("a test", 1, || ()));

    #[tokio::test]
    async fn one_thread_does_one_thing_after_the_other() {
        let on = async || ONE.run(|| (current().name().map(str::to_owned), current().id())).await.unwrap();
        let (first, second): ((Option<String>, ThreadId), _) = tokio::join!(on(), on());
        assert_eq!(first, second);
        assert_eq!(first.0.as_deref(), Some("a test"));
    }

    #[tokio::test]
    async fn work_that_panics_is_told_and_the_next_is_done() {
        let stopped = ONE.run(|| -> u8 { panic!("a test") }).await.unwrap_err();
        assert_eq!(stopped.to_string(), "it panicked");
        assert_eq!(ONE.run(|| 1).await.unwrap(), 1);
    }
}
