//! The decision cache of one worker. A hit is a decision under exactly the same inputs that still holds; it costs a look-up
//! and no Wasm.

use std::sync::Arc;

use quick_cache::{Weighter, unsync};

use super::record::Said;
use crate::{
    config,
    domain::{
        Timestamp,
        decision::{Authentication, Routing},
        record::{RecordId, json_bytes},
    },
};

/// Decisions by the inputs that they were made from. Denials live apart, so that strangers can't push out people.
pub struct DecisionCache {
    grants: unsync::Cache<Box<[u8]>, Entry, ByBytes>,
    denials: unsync::Cache<Box<[u8]>, Entry, ByBytes>,
}

#[derive(Clone)]
pub struct Entry {
    pub decision: Decision,
    pub holds_until: Timestamp,
    /// Where the decision was recorded when it was made.
    pub record: Option<RecordId>,
}

/// What one plugin decided.
#[derive(Clone)]
pub enum Decision {
    Authentication {
        decision: Arc<Authentication>,
        /// The `Authorization` header holds a token of ours.
        authorization_is_ours: bool,
        said: Said,
    },
    /// None is an abstention.
    Routing(Option<Arc<Routing>>),
}

#[derive(Clone)]
struct ByBytes;

/// A rough size of an entry beside its key, in bytes: principals and header edits are small.
const ENTRY_BYTES: u64 = 512;
/// For sizing the caches' tables: a token with a few attributes.
const USUAL_KEY_BYTES: u64 = 1024;

impl Weighter<Box<[u8]>, Entry> for ByBytes {
    fn weight(&self, key: &Box<[u8]>, entry: &Entry) -> u64 {
        let said = match &entry.decision {
            Decision::Authentication { said: Some(said), .. } => said.iter().map(|token| json_bytes(token) as u64).sum(),
            _ => 0,
        };
        key.len() as u64 + ENTRY_BYTES + said
    }
}

// === impl DecisionCache ===

impl DecisionCache {
    pub fn new(limits: &config::DecisionCache) -> Self {
        let cache = |bytes: u64| {
            let items = usize::try_from(bytes / USUAL_KEY_BYTES).unwrap_or(usize::MAX);
            unsync::Cache::with_weighter(items.max(1), bytes, ByBytes)
        };
        Self { grants: cache(limits.bytes), denials: cache(limits.denial_bytes) }
    }

    pub fn find(&self, key: &[u8], now: Timestamp) -> Option<&Entry> {
        let entry = self.grants.get(key).or_else(|| self.denials.get(key))?;
        (entry.holds_until > now).then_some(entry)
    }

    /// Forgets what was decided by plugins that are gone: nothing asks for it any more, and it would fill the cache with each
    /// change of plugins.
    pub fn forget_all_but(&mut self, live: impl Fn(u64) -> bool) {
        let is_live = |key: &[u8]| key.first_chunk().is_some_and(|plugin| live(u64::from_be_bytes(*plugin)));
        self.grants.retain(|key, _| is_live(key));
        self.denials.retain(|key, _| is_live(key));
    }

    pub fn remember(&mut self, key: Box<[u8]>, entry: Entry) {
        let cache = if entry.decision.lets_in() { &mut self.grants } else { &mut self.denials };
        cache.insert(key, entry);
    }
}

// === impl Decision ===

impl Decision {
    /// Whether it's a decision for somebody who is known and may enter; abstentions count as denials, since strangers make them.
    pub fn lets_in(&self) -> bool {
        match self {
            Self::Authentication { decision, .. } => matches!(**decision, Authentication::Allow(_)),
            Self::Routing(decision) => {
                matches!(decision.as_deref(), Some(Routing::Forward(_) | Routing::Redirect { .. }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_cannot_push_out_people() {
        let limits = config::DecisionCache { bytes: 64 << 10, denial_bytes: 16 << 10, ..Default::default() };
        let mut cache = DecisionCache::new(&limits);
        let later = Timestamp(10);
        let entry = |decision| Entry { decision: Decision::Routing(decision), holds_until: later, record: None };
        let location = http::HeaderValue::from_static("/");
        let reason = crate::domain::decision::Reason { code: "x".into(), detail: None };
        let grant = Some(Arc::new(Routing::Redirect { reason, location }));
        cache.remember((*b"person").into(), entry(grant));
        for stranger in 0..10_000_u32 {
            cache.remember(stranger.to_be_bytes().into(), entry(None));
        }
        assert!(cache.find(b"person", Timestamp(9)).is_some());
        assert!(cache.find(b"person", later).is_none(), "an entry must not be used from its end on");
        assert!(cache.denials.weight() <= 16 << 10);
    }

    #[test]
    fn what_a_plugin_decided_that_is_gone_is_forgotten() {
        let mut cache = DecisionCache::new(&config::DecisionCache::default());
        let entry = Entry { decision: Decision::Routing(None), holds_until: Timestamp(10), record: None };
        for plugin in [1_u64, 2] {
            cache.remember(plugin.to_be_bytes().into(), entry.clone());
        }
        cache.forget_all_but(|plugin| plugin == 2);
        assert!(cache.find(&1_u64.to_be_bytes(), Timestamp(1)).is_none());
        assert!(cache.find(&2_u64.to_be_bytes(), Timestamp(1)).is_some());
    }

    #[test]
    fn a_cache_without_room_remembers_nothing() {
        let limits = config::DecisionCache { bytes: 0, denial_bytes: 0, ..Default::default() };
        let mut cache = DecisionCache::new(&limits);
        cache.remember((*b"key").into(), Entry { decision: Decision::Routing(None), holds_until: Timestamp(10), record: None });
        assert!(cache.find(b"key", Timestamp(1)).is_none());
    }
}
