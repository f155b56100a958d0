//! Facts: answers that need I/O, found out before a plugin is called. Asked once for all who wait, bounded in number and
//! time, and remembered for a short while; an answer that isn't there is never taken for a yes.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{OnceCell, Semaphore},
};

use crate::domain::{
    Credential, SessionId, Timestamp,
    facts::{Asked, FactSource, Introspection},
};

/// Answers remembered at most, over all kinds.
const MOST_ANSWERS: usize = 10_000;
/// Questions on their way at most: strangers' tokens must not flood the server.
const MOST_QUESTIONS: usize = 32;
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
    questions: Arc<Semaphore>,
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
}

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
            questions: Arc::new(Semaphore::new(MOST_QUESTIONS)),
            introspections: Answers::new(),
            may_read: Answers::new(),
        }
    }

    /// Who a token is, by the server's word, which may be used for `holds`.
    pub async fn introspect(&self, token: &str, holds: Duration) -> Answer<Introspection> {
        self.introspections.answer(&token, holds, || self.ask(|source| source.introspect(Credential::new(token)))).await
    }

    /// Whether the person behind a token may read a session.
    pub async fn may_read_session(&self, token: &Credential, session: &SessionId) -> Answer<bool> {
        self.may_read
            .answer(&(token.reveal(), session.as_str()), MAY_READ_HOLDS, || {
                self.ask(|source| source.may_read_session(token.clone(), session.clone()))
            })
            .await
    }

    async fn ask<T: Send + 'static>(&self, question: impl FnOnce(&dyn FactSource) -> Asked<T>) -> Result<T, String> {
        let Some(source) = &self.source else {
            return Err("no API server is configured (clearml.api_url)".into());
        };
        let question = question(source.as_ref());
        let questions = Arc::clone(&self.questions);
        let asked = self.control.spawn(async move {
            let _turn = questions.acquire().await.map_err(|_| "shutting down".to_owned())?;
            question.await
        });
        match tokio::time::timeout(QUESTION_TIMEOUT, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err("the question was cut off".into()),
            Err(_) => Err(format!("no answer within {} s", QUESTION_TIMEOUT.as_secs())),
        }
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

    async fn answer<F>(&self, about: &impl std::hash::Hash, holds: Duration, ask: impl FnOnce() -> F) -> Answer<T>
    where
        F: Future<Output = Result<T, String>>,
    {
        let [high, low] = &self.keys;
        let key = u128::from(high.hash_one(about)) << 64 | u128::from(low.hash_one(about));
        let cell = match self.known.get(&key) {
            Some(cell) if cell.get().is_none_or(|answer| answer.holds_until > Timestamp::now()) => cell,
            _ => {
                // Two workers may both find it missing and ask twice; each waits for an answer of its own.
                let cell = Arc::new(OnceCell::new());
                self.known.insert(key, Arc::clone(&cell));
                cell
            }
        };
        let answer = cell.get_or_init(|| async {
            let value = ask().await;
            let holds = if value.is_ok() { holds } else { SILENCE_HOLDS.min(holds) };
            let revision = self.next_revision.fetch_add(1, Ordering::Relaxed);
            Answer { value, holds_until: Timestamp::now().plus(holds), revision }
        });
        answer.await.clone()
    }
}
