//! Facts: answers that need I/O, found out before a plugin is called. Asked once for all who wait, bounded in number and
//! time, and remembered for a short while; an answer that isn't there is never taken for a yes.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{OnceCell, Semaphore},
    task::{JoinError, JoinHandle},
};

use crate::domain::{
    Credential, SessionId, Timestamp,
    facts::{Asked, FactSource, Introspection},
};

/// Answers remembered at most, over all kinds.
const MOST_ANSWERS: usize = 10_000;
/// Questions on their way at most: strangers' tokens must not flood the server.
const MOST_QUESTIONS: usize = 32;
/// Questions that wait for their turn at most; one more is answered "unavailable" at once.
const MOST_WAITING: usize = 256;
const QUESTION_TIMEOUT: Duration = Duration::from_secs(5);
/// No answer is remembered for so long: a server that is down isn't asked for each request.
const SILENCE_HOLDS: Duration = Duration::from_secs(1);
/// How long it's believed that somebody may or may not read a session.
const MAY_READ_HOLDS: Duration = Duration::from_secs(10);

/// Asks and remembers.
pub struct Facts {
    source: Option<Arc<dyn FactSource>>,
    /// Questions run on the control thread, so that a worker's end or a client's doesn't cut them off for others.
    control: Handle,
    /// Turns at asking: about those who were recognised, now or the last time, and about everybody else. Whatever strangers
    /// send, who was let in yesterday is asked about today.
    accepted: Arc<Turns>,
    strangers: Arc<Turns>,
    introspections: Answers<Introspection>,
    may_read: Answers<bool>,
}

/// What became of a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<T> {
    /// The error says why there is none.
    pub value: Result<T, String>,
    pub holds_until: Timestamp,
    /// Another number for each answer: part of the cache key of decisions that used it.
    pub revision: u64,
    /// The last answer that there was let somebody in.
    pub was_good: bool,
}

/// How many may ask, and how many may wait to.
struct Turns {
    asking: Semaphore,
    waiting: Semaphore,
}

/// A question on the control thread that ends when nobody waits for it any more.
struct Question<T>(JoinHandle<T>);

struct Answers<T> {
    known: quick_cache::sync::Cache<u128, Arc<OnceCell<Answer<T>>>>,
    /// Tokens aren't kept: they're known by two keyed hashes.
    keys: [RandomState; 2],
    next_revision: AtomicU64,
}

// === impl Facts ===

impl Facts {
    /// Without a source every answer is "unavailable".
    pub fn new(source: Option<Arc<dyn FactSource>>, control: Handle) -> Self {
        Self {
            source,
            control,
            accepted: Arc::new(Turns::new()),
            strangers: Arc::new(Turns::new()),
            introspections: Answers::new(),
            may_read: Answers::new(),
        }
    }

    /// Who a token is, by the server's word, which may be used for `holds`.
    pub async fn introspect(&self, token: &str, holds: Duration) -> Answer<Introspection> {
        let is_accepted = |answer: &Introspection| matches!(answer, Introspection::Accepted(_));
        self.introspections
            .answer(&token, holds, is_accepted, |was_accepted| {
                let turns = if was_accepted { &self.accepted } else { &self.strangers };
                self.ask(turns, |source| source.introspect(Credential::new(token)))
            })
            .await
    }

    /// Whether the person behind a token may read a session.
    pub async fn may_read_session(&self, token: &Credential, session: &SessionId) -> Answer<bool> {
        self.may_read
            .answer(
                &(token.reveal(), session.as_str()),
                MAY_READ_HOLDS,
                |_| true,
                // Only somebody whose token was accepted comes this far.
                |_| self.ask(&self.accepted, |source| source.may_read_session(token.clone(), session.clone())),
            )
            .await
    }

    async fn ask<T: Send + 'static>(
        &self,
        turns: &Arc<Turns>,
        question: impl FnOnce(&dyn FactSource) -> Asked<T>,
    ) -> Result<T, String> {
        let Some(source) = &self.source else {
            return Err("no API server is configured (clearml.api_url)".into());
        };
        let question = question(source.as_ref());
        let turns = Arc::clone(turns);
        let asked = Question(self.control.spawn(async move {
            let waiting = turns.waiting.try_acquire().map_err(|_| format!("{MOST_WAITING} questions wait for the API server"))?;
            let _turn = turns.asking.acquire().await.map_err(|_| "shutting down".to_owned())?;
            drop(waiting);
            question.await
        }));
        match tokio::time::timeout(QUESTION_TIMEOUT, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err("the question was cut off".into()),
            Err(_) => Err(format!("no answer within {} s", QUESTION_TIMEOUT.as_secs())),
        }
    }
}

// === impl Turns ===

impl Turns {
    fn new() -> Self {
        Self { asking: Semaphore::new(MOST_QUESTIONS), waiting: Semaphore::new(MOST_WAITING) }
    }
}

// === impl Question ===

impl<T> Future for Question<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> Drop for Question<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

// === impl Answers ===

impl<T: Clone> Answers<T> {
    fn new() -> Self {
        Self {
            known: quick_cache::sync::Cache::new(MOST_ANSWERS),
            keys: [RandomState::new(), RandomState::new()],
            next_revision: AtomicU64::new(1),
        }
    }

    /// `ask` is told whether the answer was a good one the last time.
    async fn answer<F>(
        &self,
        about: &impl std::hash::Hash,
        holds: Duration,
        is_good: impl Fn(&T) -> bool,
        ask: impl FnOnce(bool) -> F,
    ) -> Answer<T>
    where
        F: Future<Output = Result<T, String>>,
    {
        let [high, low] = &self.keys;
        let key = u128::from(high.hash_one(about)) << 64 | u128::from(low.hash_one(about));
        let known = self.known.get(&key);
        let was_good = known.as_ref().and_then(|cell| cell.get()).is_some_and(|answer| answer.was_good);
        let cell = match known {
            Some(cell) if cell.get().is_none_or(|answer| answer.holds_until > Timestamp::now()) => cell,
            _ => {
                // Two workers may both find it missing and ask twice; each waits for an answer of its own.
                let cell = Arc::new(OnceCell::new());
                self.known.insert(key, Arc::clone(&cell));
                cell
            }
        };
        let answer = cell.get_or_init(|| async {
            let value = ask(was_good).await;
            // A silence says nothing about who asks.
            let was_good = value.as_ref().map_or(was_good, is_good);
            let holds = if value.is_ok() { holds } else { SILENCE_HOLDS.min(holds) };
            let revision = self.next_revision.fetch_add(1, Ordering::Relaxed);
            Answer { value, holds_until: Timestamp::now().plus(holds), revision, was_good }
        });
        answer.await.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures_util::future::join_all;
    use tokio::sync::Notify;

    use super::*;

    /// Accepts `good`, and answers when it's told to.
    #[derive(Default)]
    struct Slow {
        asked: AtomicUsize,
        go_on: Notify,
        is_open: std::sync::atomic::AtomicBool,
    }

    struct Server(Arc<Slow>);

    impl FactSource for Server {
        fn introspect(&self, token: Credential) -> Asked<Introspection> {
            let slow = Arc::clone(&self.0);
            Box::pin(async move {
                slow.asked.fetch_add(1, Ordering::Relaxed);
                if !slow.is_open.load(Ordering::Relaxed) {
                    slow.go_on.notified().await;
                }
                Ok(match token.reveal() {
                    "good" => Introspection::Accepted(serde_json::json!({})),
                    _ => Introspection::Refused("no".into()),
                })
            })
        }

        fn may_read_session(&self, _: Credential, _: SessionId) -> Asked<bool> {
            Box::pin(async { Ok(false) })
        }
    }

    #[tokio::test]
    async fn strangers_do_not_keep_out_whom_the_server_accepted_before() {
        let slow = Arc::new(Slow::default());
        slow.is_open.store(true, Ordering::Relaxed);
        let facts = Facts::new(Some(Arc::new(Server(Arc::clone(&slow)))), Handle::current());
        assert!(matches!(facts.introspect("good", Duration::ZERO).await.value, Ok(Introspection::Accepted(_))));

        slow.is_open.store(false, Ordering::Relaxed);
        let junk: Vec<String> = (0..1_000).map(|number| format!("junk{number}")).collect();
        let mut flood = Box::pin(join_all(junk.iter().map(|token| facts.introspect(token, Duration::ZERO))));
        let good = async {
            while slow.asked.load(Ordering::Relaxed) < 1 + MOST_QUESTIONS {
                tokio::task::yield_now().await;
            }
            slow.is_open.store(true, Ordering::Relaxed);
            facts.introspect("good", Duration::ZERO).await
        };
        let answer = tokio::select! {
            _ = &mut flood => unreachable!("nobody lets them go on"),
            answer = good => answer,
        };
        assert!(matches!(answer.value, Ok(Introspection::Accepted(_))), "{answer:?}");
        // Those who left aren't asked about any more.
        let asked = slow.asked.load(Ordering::Relaxed);
        drop(flood);
        slow.go_on.notify_waiters();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(slow.asked.load(Ordering::Relaxed), asked);
    }
}
