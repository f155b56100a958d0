//! What a watch of some kind of objects says, from one listing to the next. After a failure everything is listed anew: then what
//! was missed is known, and that the server answers again.

use std::{fmt::Debug, time::Duration};

use futures_util::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use kube::{Api, Resource, runtime::watcher};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use super::api_sentence;

#[derive(Debug)]
pub enum Heard<K> {
    /// All there are, asked for since then; others are gone.
    Listed {
        objects: Vec<K>,
        began: Instant,
    },
    Applied(K),
    Gone(K),
    /// The server can't say now what happens; it's asked again.
    Failed(String),
}

struct Watch<K> {
    api: Api<K>,
    config: watcher::Config,
    events: Option<BoxStream<'static, watcher::Result<watcher::Event<K>>>>,
    listed: Vec<K>,
    listing: Instant,
    began: Instant,
    failures: u32,
}

/// Before the first repetition; each further one waits twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A watch that has worked for so long was a good one: its end counts as the first failure.
const WORKS: Duration = Duration::from_secs(60);

/// Without an end.
pub fn watch<K>(api: Api<K>, config: watcher::Config) -> impl Stream<Item = Heard<K>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let watch =
        Watch { api, config, events: None, listed: Vec::new(), listing: Instant::now(), began: Instant::now(), failures: 0 };
    stream::unfold(watch, async |mut watch| Some((watch.hear().await, watch)))
}

// === impl Watch ===

impl<K: Resource + Clone + DeserializeOwned + Debug + Send + 'static> Watch<K> {
    async fn hear(&mut self) -> Heard<K> {
        loop {
            let events = match &mut self.events {
                Some(events) => events,
                None => {
                    sleep(pause(self.failures, fastrand::f64())).await;
                    self.began = Instant::now();
                    self.listing = self.began;
                    self.listed.clear();
                    self.events.insert(watcher(self.api.clone(), self.config.clone()).boxed())
                }
            };
            match events.next().await {
                Some(Ok(watcher::Event::Init)) => {
                    self.listed.clear();
                    self.listing = Instant::now();
                }
                Some(Ok(watcher::Event::InitApply(object))) => self.listed.push(object),
                Some(Ok(watcher::Event::InitDone)) => {
                    return Heard::Listed { objects: std::mem::take(&mut self.listed), began: self.listing };
                }
                Some(Ok(watcher::Event::Apply(object))) => return Heard::Applied(object),
                Some(Ok(watcher::Event::Delete(object))) => return Heard::Gone(object),
                Some(Err(error)) => {
                    self.end();
                    // That what is known is too old is no failure: the listing says everything again.
                    if !matches!(&error, watcher::Error::WatchError(status) if status.code == 410) {
                        return Heard::Failed(sentence(&error));
                    }
                }
                None => self.end(),
            }
        }
    }

    fn end(&mut self) {
        self.events = None;
        self.failures = if self.began.elapsed() > WORKS { 1 } else { self.failures.saturating_add(1) };
    }
}

/// `chance` is between 0 and 1: replicas that saw a server fail don't come back all at once.
fn pause(failures: u32, chance: f64) -> Duration {
    let Some(repeated) = failures.checked_sub(1) else { return Duration::ZERO };
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(repeated.min(16))).min(LONGEST_PAUSE).mul_f64(0.5 + 0.5 * chance)
}

fn sentence(error: &watcher::Error) -> String {
    use watcher::Error::{InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(error) | WatchStartFailed(error) | WatchFailed(error) => api_sentence(error),
        WatchError(status) => format!("{} ({})", status.message.trim_end_matches('.'), status.code),
        NoResourceVersion => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_bound_and_differ() {
        assert_eq!(pause(0, 1.0), Duration::ZERO);
        assert_eq!([pause(1, 1.0), pause(2, 1.0), pause(3, 0.0)].map(|pause| pause.as_millis()), [500, 1000, 1000]);
        assert_eq!(pause(u32::MAX, 1.0), LONGEST_PAUSE);
    }
}
