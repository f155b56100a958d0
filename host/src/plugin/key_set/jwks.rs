//! JSON Web Key Sets from a file or URL, kept fresh on the control thread. A set that can't be loaded keeps its last keys.

use std::{sync::Arc, time::Duration};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse},
};
use tokio::time::{Instant, sleep_until, timeout};

use super::{Key, KeySet};
use crate::config::JwksSource;

/// A key set over this size isn't taken, in bytes.
const LARGEST_SET: usize = 1 << 20;
/// A token can name any `kid`: unknown ones ask for a refresh no more often than this.
const UNKNOWN_KEY_PAUSE: Duration = Duration::from_secs(10);
const LOAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a set couldn't be loaded.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    #[error("{0}: {1}")]
    Unreadable(String, String),
    #[error("{0}: not a JSON Web Key Set: {1}")]
    Malformed(String, String),
    #[error("{0}: no key in it can be used with the allowed algorithms {1:?}")]
    NoUsableKey(String, Vec<Algorithm>),
}

/// Loads the set now and again: every so often, and when a token names a key that isn't in it. Never returns.
pub async fn keep_fresh(set: Arc<KeySet>, client: reqwest::Client) {
    let Some(refresh) = set.refresh() else { return };
    let mut last: Option<Vec<u8>> = None;
    loop {
        let began = Instant::now();
        match timeout(LOAD_TIMEOUT, read(&refresh.source, &client)).await {
            Ok(Ok(text)) if last.as_ref() == Some(&text) => {}
            Ok(Ok(text)) => match parse(&refresh.source, &text, &refresh.algorithms) {
                Ok(keys) => {
                    tracing::info!(key_set = set.name(), keys = keys.len(), "key set loaded");
                    set.replace(keys);
                    last = Some(text);
                }
                Err(error) => tracing::error!(key_set = set.name(), %error, "key set kept as it was"),
            },
            Ok(Err(error)) => tracing::error!(key_set = set.name(), %error, "key set kept as it was"),
            Err(_) => tracing::error!(key_set = set.name(), timeout = ?LOAD_TIMEOUT, "key set kept as it was: no answer in time"),
        }
        // A set that never loaded is tried again soon: until then nobody whose token needs it gets in.
        let pause = if set.is_loaded() { refresh.every.max(Duration::from_secs(1)) } else { Duration::from_secs(2) };
        tokio::select! {
            () = sleep_until(began + pause) => {}
            () = refresh.unknown_key.notified() => sleep_until(began + UNKNOWN_KEY_PAUSE.min(pause)).await,
        }
    }
}

async fn read(source: &JwksSource, client: &reqwest::Client) -> Result<Vec<u8>, JwksError> {
    let unreadable = |error: &dyn std::fmt::Display| JwksError::Unreadable(place(source), error.to_string());
    let text = match source {
        JwksSource::File(path) => tokio::fs::read(path).await.map_err(|error| unreadable(&error))?,
        JwksSource::Url(url) => {
            let mut response = client.get(url.clone()).send().await.map_err(|error| unreadable(&error))?;
            if !response.status().is_success() {
                return Err(unreadable(&format!("status {}", response.status())));
            }
            let mut text = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|error| unreadable(&error))? {
                text.extend_from_slice(&chunk);
                if text.len() > LARGEST_SET {
                    break;
                }
            }
            text
        }
    };
    if text.len() > LARGEST_SET {
        return Err(unreadable(&format!("over {LARGEST_SET} bytes")));
    }
    Ok(text)
}

fn parse(source: &JwksSource, text: &[u8], allowed: &[Algorithm]) -> Result<Vec<Key>, JwksError> {
    let set: JwkSet = serde_json::from_slice(text).map_err(|error| JwksError::Malformed(place(source), error.to_string()))?;
    let keys: Vec<Key> = set.keys.iter().filter_map(|jwk| usable(jwk, allowed)).collect();
    if keys.is_empty() {
        return Err(JwksError::NoUsableKey(place(source), allowed.to_vec()));
    }
    Ok(keys)
}

/// A key for signatures, with the one algorithm that its type allows: a token can't choose another.
fn usable(jwk: &Jwk, allowed: &[Algorithm]) -> Option<Key> {
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::OctetKeyPair(_) => Algorithm::EdDSA,
        _ => return None,
    };
    let for_signatures = jwk.common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature);
    if !for_signatures || !allowed.contains(&algorithm) {
        return None;
    }
    let key = DecodingKey::from_jwk(jwk).ok()?;
    Some(Key { id: jwk.common.key_id.clone(), algorithms: vec![algorithm], key })
}

fn place(source: &JwksSource) -> String {
    match source {
        JwksSource::File(path) => path.display().to_string(),
        JwksSource::Url(url) => url.to_string(),
    }
}
