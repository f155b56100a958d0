//! Named key sets: the keys under which tokens verify. They never leave the host; the `jwt` import and the introspection of
//! facts come here.

mod claims;
mod jwks;
mod token;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use base64::Engine as _;
use jsonwebtoken::{Algorithm, DecodingKey};
use tokio::sync::Notify;

pub use self::{
    claims::{ClaimPath, select as select_claims},
    jwks::{JwksError, keep_fresh},
    token::{Refusal, Requirements, Verified, check_recorded, check_unsigned, claims_of, is_token_shaped},
};
use crate::config::{JwksSource, SecretEncoding};

/// A token over this size isn't looked at, in bytes.
pub const LONGEST_TOKEN: usize = 16 * 1024;

/// Every key set of the configuration, by name.
#[derive(Default)]
pub struct KeySets(BTreeMap<String, Arc<KeySet>>);

/// One named key set.
pub struct KeySet {
    name: String,
    kind: Kind,
    /// Counts the changes of the keys: part of the cache key of every decision that used them.
    revision: AtomicU64,
}

enum Kind {
    /// Keys that are here. None: not loaded yet.
    Keys(ArcSwapOption<Vec<Key>>, Option<Refresh>),
    /// The API server is asked; an answer may be used for so long.
    Introspect(Duration),
}

/// How a set from elsewhere is kept fresh.
pub struct Refresh {
    pub source: JwksSource,
    pub algorithms: Vec<Algorithm>,
    pub every: Duration,
    /// Rung when a token names a key that isn't in the set.
    pub unknown_key: Notify,
}

/// One key with the algorithms that it may be used with.
pub struct Key {
    pub id: Option<String>,
    pub algorithms: Vec<Algorithm>,
    pub key: DecodingKey,
}

// === impl KeySets ===

impl KeySets {
    pub fn insert(&mut self, set: KeySet) {
        self.0.insert(set.name.clone(), Arc::new(set));
    }

    pub fn named(&self, name: &str) -> Option<&Arc<KeySet>> {
        self.0.get(name)
    }

    /// The names, for an error message that says what there is.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<KeySet>> {
        self.0.values()
    }
}

// === impl KeySet ===

impl KeySet {
    /// A shared secret for HS256. With `auto`, every reading that the text allows becomes a key: raw bytes as the open server
    /// uses them, base64 and base64url as the documents of the commercial gateway suggest.
    pub fn secret(name: &str, text: &str, encoding: SecretEncoding) -> Result<Self, String> {
        let base64 = || base64::engine::general_purpose::STANDARD_NO_PAD.decode(text.trim_end_matches('='));
        let base64url = || base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
        let mut secrets = match encoding {
            SecretEncoding::Raw => vec![text.as_bytes().to_vec()],
            SecretEncoding::Base64 => vec![base64().map_err(|error| format!("is not base64: {error}"))?],
            SecretEncoding::Base64url => vec![base64url().map_err(|error| format!("is not base64url: {error}"))?],
            SecretEncoding::Auto => {
                let mut all = vec![text.as_bytes().to_vec()];
                all.extend(base64());
                all.extend(base64url());
                all
            }
        };
        secrets.retain(|secret| !secret.is_empty());
        secrets.dedup();
        if secrets.is_empty() {
            return Err("is empty".into());
        }
        let keys: Vec<Key> = secrets
            .iter()
            .map(|secret| Key { id: None, algorithms: vec![Algorithm::HS256], key: DecodingKey::from_secret(secret) })
            .collect();
        Ok(Self::new(name, Kind::Keys(ArcSwapOption::from_pointee(keys), None)))
    }

    /// A key set from a file or URL; empty until `keep_fresh` has loaded it.
    pub fn jwks(name: &str, source: JwksSource, algorithms: &[crate::config::Algorithm], every: Duration) -> Self {
        use crate::config::Algorithm as Configured;
        let algorithms = algorithms
            .iter()
            .map(|algorithm| match algorithm {
                Configured::RS256 => Algorithm::RS256,
                Configured::ES256 => Algorithm::ES256,
                Configured::EdDsa => Algorithm::EdDSA,
            })
            .collect();
        let refresh = Refresh { source, algorithms, every, unknown_key: Notify::new() };
        Self::new(name, Kind::Keys(ArcSwapOption::empty(), Some(refresh)))
    }

    pub fn introspect(name: &str, answers_hold: Duration) -> Self {
        Self::new(name, Kind::Introspect(answers_hold))
    }

    fn new(name: &str, kind: Kind) -> Self {
        Self { name: name.to_owned(), kind, revision: AtomicU64::new(1) }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Changes whenever the keys do.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// How long an answer of the server may be used, when this is a set whose tokens the server is asked about.
    pub fn introspection(&self) -> Option<Duration> {
        match self.kind {
            Kind::Introspect(answers_hold) => Some(answers_hold),
            Kind::Keys(..) => None,
        }
    }

    pub fn refresh(&self) -> Option<&Refresh> {
        match &self.kind {
            Kind::Keys(_, refresh) => refresh.as_ref(),
            Kind::Introspect(_) => None,
        }
    }

    /// Whether tokens can be verified at all.
    pub fn is_loaded(&self) -> bool {
        match &self.kind {
            Kind::Keys(keys, _) => keys.load().is_some(),
            Kind::Introspect(_) => true,
        }
    }

    /// Takes new keys whole.
    pub fn replace(&self, next: Vec<Key>) {
        if let Kind::Keys(keys, _) = &self.kind {
            keys.store(Some(Arc::new(next)));
            self.revision.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Verifies a token with the keys that are here.
    ///
    /// # Errors
    /// Why the token isn't accepted; `Unavailable` when the set was never loaded or holds no keys of its own.
    pub fn verify(&self, token: &str, requirements: &Requirements, now: crate::domain::Timestamp) -> Result<Verified, Refusal> {
        let Kind::Keys(keys, refresh) = &self.kind else {
            return Err(Refusal::Unavailable(format!("key set '{}' has no keys: its tokens are asked about", self.name)));
        };
        let keys = keys.load();
        let Some(keys) = keys.as_ref() else {
            return Err(Refusal::Unavailable(format!("key set '{}' was never loaded", self.name)));
        };
        let verified = token::verify(token, keys, requirements, now);
        if let (Err(Refusal::UnknownKey), Some(refresh)) = (&verified, refresh) {
            refresh.unknown_key.notify_one();
        }
        verified
    }
}

#[cfg(test)]
mod tests;
