//! A few threads that stay, for work that would hold up the thread which runs discovery and admission.
//!
//! Few, since the allocator lets each thread keep what it freed, and what others freed of its memory, until it allocates again: with
//! the runtime's own blocking threads, of which there are as many as ever worked at a time, a gateway whose plugins changed often
//! held up to half as much memory more. They stay, since what a thread leaves behind at its end isn't all taken up by others. They
//! belong to no runtime: what asks on them whether there's one to tell the time would find one that nobody drives.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread::Builder,
};

use tokio::sync::oneshot;

/// Reads, checks, links and keeps one plugin set after the other.
pub static PLUGINS: LazyLock<Background> = LazyLock::new(|| Background::new("plugins", 1, || ()));

type Work = Box<dyn FnOnce() + Send>;

/// Threads that wait for work, in the order in which it came. They start with the first of it and last as long as the process: for
/// statics.
pub struct Background {
    name: &'static str,
    most: usize,
    begin: fn(),
    started: Mutex<usize>,
    work: Sender<Work>,
    waiting: Arc<Mutex<Receiver<Work>>>,
}

/// The work wasn't done, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    #[error("no thread can be had: {0}")]
    NoThread(io::Error),
    #[error("it panicked")]
    Panicked,
}

// === impl Background ===

impl Background {
    /// `most` threads, each of which begins with `begin`.
    pub fn new(name: &'static str, most: usize, begin: fn()) -> Self {
        let (work, waiting) = channel();
        Self { name, most, begin, started: Mutex::new(0), work, waiting: Arc::new(Mutex::new(waiting)) }
    }

    /// What the work comes to, when its turn has come. It goes on when nobody waits for it any more.
    ///
    /// # Errors
    /// There is no thread, or the work panicked.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Stopped> {
        self.start().map_err(Stopped::NoThread)?;
        let (done, result) = oneshot::channel();
        let work = move || {
            // Nobody waits for it any more: then it was for nothing.
            let _ = done.send(work());
        };
        // The receiver is this value's own: it isn't gone.
        let _ = self.work.send(Box::new(work));
        result.await.map_err(|_| Stopped::Panicked)
    }

    /// One thread is enough; those that couldn't be had are tried again with the next work.
    fn start(&self) -> io::Result<()> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        while *started < self.most {
            let (begin, waiting) = (self.begin, Arc::clone(&self.waiting));
            let thread = move || {
                begin();
                loop {
                    let work = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(work) = work else { return };
                    // The hook has told it; who waits hears of it, too.
                    let _ = catch_unwind(AssertUnwindSafe(work));
                }
            };
            match Builder::new().name(self.name.to_owned()).spawn(thread) {
                Ok(_) => *started += 1,
                Err(error) if *started == 0 => return Err(error),
                Err(_) => return Ok(()),
            }
        }
        Ok(())
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
    async fn no_runtime_is_found_there() {
        assert!(ONE.run(|| tokio::runtime::Handle::try_current().is_err()).await.unwrap());
    }

    #[tokio::test]
    async fn work_that_panics_is_told_and_the_next_is_done() {
        let stopped = ONE.run(|| -> u8 { panic!("a test") }).await.unwrap_err();
        assert_eq!(stopped.to_string(), "it panicked");
        assert_eq!(ONE.run(|| 1).await.unwrap(), 1);
    }
}
