//! From the configuration's keys to key sets, and the tasks that keep them fresh.

use std::{sync::Arc, time::Duration};

use rustls::pki_types::CertificateDer;

use crate::{
    config::{Config, KeySet as Configured},
    discovery::Records,
    plugin::key_set::{KeySet, KeySets, keep_fresh},
};

/// A key set can't be made: which, and why.
#[derive(Debug, thiserror::Error)]
#[error("key_sets.{name}: {why}")]
pub struct KeySetError {
    name: String,
    why: String,
}

/// The answers of introspection hold for so long where nothing else is configured: a logout is seen after this time.
const INTROSPECTION_HOLDS: Duration = Duration::from_secs(10);

/// All key sets: `gateway` for the gateway's own logins, `clearml` for the API server, and the configured ones.
pub fn key_sets(config: &Config, gateway: KeySet) -> Result<KeySets, KeySetError> {
    let mut sets = KeySets::default();
    sets.insert(gateway);
    if let Some(clearml) = &config.clearml {
        sets.insert(match &clearml.token_secret {
            None => KeySet::introspect("clearml", INTROSPECTION_HOLDS),
            Some(secret) => KeySet::secret("clearml", secret.reveal(), clearml.token_secret_encoding)
                .map_err(|why| KeySetError { name: "clearml".into(), why })?,
        });
    }
    for (name, set) in &config.key_sets {
        sets.insert(match set {
            Configured::Secret { secret, encoding } => {
                KeySet::secret(name, secret.reveal(), *encoding).map_err(|why| KeySetError { name: name.clone(), why })?
            }
            Configured::Jwks { source, algorithms, refresh_s } => {
                KeySet::jwks(name, source.clone(), algorithms, Duration::from_secs(*refresh_s))
            }
            Configured::Introspect { cache_s } => KeySet::introspect(name, Duration::from_secs(*cache_s)),
        });
    }
    Ok(sets)
}

/// Starts a task for each set that comes from elsewhere, from servers that these authorities vouch for or the system's.
///
/// # Errors
/// When TLS can't be set up.
pub fn keep_all_fresh(sets: &KeySets, authorities: &[CertificateDer<'_>]) -> Result<(), reqwest::Error> {
    let authorities = authorities.iter().map(|authority| reqwest::Certificate::from_der(authority));
    let client = reqwest::Client::builder().tls_certs_merge(authorities.collect::<Result<Vec<_>, _>>()?).build()?;
    for set in sets.iter().filter(|set| set.refresh().is_some()) {
        tokio::spawn(keep_fresh(Arc::clone(set), client.clone()));
    }
    Ok(())
}

/// The key of the records of leases: made of `login.secret`, or else of the gateway's secret key at the API server, which all
/// replicas have and which outlives a restart. With neither, leases are forgotten at a restart.
///
/// # Errors
/// When there's no randomness for a secret.
pub fn records(config: &Config) -> Result<Records, KeySetError> {
    let clearml = || config.clearml.as_ref()?.secret_key.as_ref();
    let secret = match config.login.secret.as_ref().or_else(clearml) {
        Some(secret) => secret.reveal().as_bytes().to_vec(),
        None => {
            let mut random = [0; 32];
            let failed = |_| KeySetError { name: "gateway".into(), why: "the system has no random numbers".into() };
            aws_lc_rs::rand::fill(&mut random).map_err(failed)?;
            random.to_vec()
        }
    };
    Ok(Records::new(&config.name, &secret))
}
