//! One token against keys: RFC 7515 and 7519, with the algorithm pinned by the key and never chosen by the token.
//!
//! The library checks the signature; the claims are checked here, because its defaults (60 s of leeway, `nbf` off, `crit`
//! unchecked, required `exp`) are not what a contract with named requirements can promise.

use std::borrow::Cow;

use base64::Engine as _;
use jsonwebtoken::{Algorithm, crypto};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Key, LONGEST_TOKEN,
    claims::{ClaimPath, Claims},
};
use crate::domain::Timestamp;

/// What a token must fulfil beside its signature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    /// `aud` must hold one of these; empty: `aud` isn't looked at.
    pub audiences: Vec<String>,
    /// `iss` must be one of these; empty: `iss` isn't looked at.
    pub issuers: Vec<String>,
    pub leeway_s: u32,
    /// Which claims to answer.
    pub claims: Vec<ClaimPath>,
}

/// A token that verified: the claims asked for, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    pub claims: Vec<Option<Value>>,
    pub valid_until: Option<Timestamp>,
}

/// Why a token isn't accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("malformed: {0}")]
    Malformed(String),
    #[error("algorithm {0} is not allowed")]
    Algorithm(String),
    #[error("no key with this kid")]
    UnknownKey,
    #[error("the signature doesn't verify")]
    Signature,
    #[error("expired")]
    Expired,
    #[error("not yet valid")]
    NotYetValid,
    #[error("audience")]
    Audience,
    #[error("issuer")]
    Issuer,
    #[error("a critical header that isn't understood")]
    CriticalHeader,
    #[error("refused by the server: {0}")]
    Refused(String),
    #[error("unavailable: {0}")]
    Unavailable(String),
}

#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    #[serde(borrow, default)]
    kid: Option<Cow<'a, str>>,
    #[serde(default)]
    crit: Option<serde::de::IgnoredAny>,
}

/// Whether a text could be a token in compact form at all: asked before the server is bothered with it.
pub fn is_token_shaped(text: &str) -> bool {
    let base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.len() <= LONGEST_TOKEN
        && text.split('.').count() == 3
        && text.split('.').all(|part| !part.is_empty() && part.bytes().all(base64url))
}

/// Verifies signature, times, audience and issuer.
pub fn verify(token: &str, keys: &[Key], requirements: &Requirements, now: Timestamp) -> Result<Verified, Refusal> {
    if token.len() > LONGEST_TOKEN {
        return Err(Refusal::Malformed(format!("{} bytes, at most {LONGEST_TOKEN}", token.len())));
    }
    let parts = || Refusal::Malformed("three parts with dots between are expected".into());
    let (message, signature) = token.rsplit_once('.').ok_or_else(parts)?;
    let (header, payload) = message.split_once('.').ok_or_else(parts)?;
    if payload.contains('.') {
        return Err(parts());
    }
    let header = decode(header)?;
    let header: Header<'_> = serde_json::from_slice(&header).map_err(|error| Refusal::Malformed(format!("header: {error}")))?;
    if header.crit.is_some() {
        return Err(Refusal::CriticalHeader);
    }
    check_signature(&header, message, signature, keys)?;
    let claims =
        Claims::read(&decode(payload)?, &requirements.claims).map_err(|error| Refusal::Malformed(format!("claims: {error}")))?;
    let valid_until = check_claims(&claims, requirements, now)?;
    Ok(Verified { claims: claims.asked, valid_until })
}

/// Checks what a token says of itself, for one whose signature the server judges. Answers its end. One that can't be read
/// says nothing: then the server's word is all there is.
pub fn check_unsigned(token: &str, requirements: &Requirements, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
    let payload = token.split('.').nth(1).and_then(|payload| decode(payload).ok()).unwrap_or_default();
    check_claims(&Claims::read(&payload, &[]).unwrap_or_default(), requirements, now)
}

/// All claims of a token, unchecked: nothing for one that can't be read.
pub fn claims_of(token: &str) -> serde_json::Map<String, Value> {
    let payload = token.split('.').nth(1).and_then(|payload| decode(payload).ok()).unwrap_or_default();
    serde_json::from_slice(&payload).unwrap_or_default()
}

/// Checks the claims of a token whose signature was good when they were recorded. Answers its end.
pub fn check_recorded(claims: &Value, requirements: &Requirements, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
    check_claims(&Claims::of(claims), requirements, now)
}

fn check_signature(header: &Header<'_>, message: &str, signature: &str, keys: &[Key]) -> Result<(), Refusal> {
    let algorithm: Algorithm = header.alg.parse().map_err(|_| Refusal::Algorithm(printable(&header.alg)))?;
    if !keys.iter().any(|key| key.algorithms.contains(&algorithm)) {
        return Err(Refusal::Algorithm(printable(&header.alg)));
    }
    let mut known = false;
    for key in keys.iter().filter(|key| key.algorithms.contains(&algorithm)) {
        // A key without an id is tried for every token; a token without `kid` is tried with every key.
        if let (Some(id), Some(kid)) = (&key.id, &header.kid)
            && id != kid
        {
            continue;
        }
        known = true;
        match crypto::verify(signature, message.as_bytes(), &key.key, algorithm) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) => return Err(Refusal::Malformed(format!("signature: {error}"))),
        }
    }
    Err(if known { Refusal::Signature } else { Refusal::UnknownKey })
}

/// Answers the token's `exp` with the leeway added.
fn check_claims(claims: &Claims, requirements: &Requirements, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
    let leeway_ms = u64::from(requirements.leeway_s) * 1000;
    let valid_until = instant(claims.exp.as_ref(), "exp")?.map(|Timestamp(ms)| Timestamp(ms.saturating_add(leeway_ms)));
    if valid_until.is_some_and(|until| until <= now) {
        return Err(Refusal::Expired);
    }
    if instant(claims.nbf.as_ref(), "nbf")?.is_some_and(|Timestamp(from)| from > now.0.saturating_add(leeway_ms)) {
        return Err(Refusal::NotYetValid);
    }
    let one_of = |value: Option<&Value>, allowed: &[String]| match value {
        Some(Value::String(text)) => allowed.contains(text),
        Some(Value::Array(texts)) => texts.iter().filter_map(Value::as_str).any(|text| allowed.iter().any(|known| known == text)),
        _ => false,
    };
    if !requirements.audiences.is_empty() && !one_of(claims.aud.as_ref(), &requirements.audiences) {
        return Err(Refusal::Audience);
    }
    let issuer = claims.iss.as_ref().filter(|value| value.is_string());
    if !requirements.issuers.is_empty() && !one_of(issuer, &requirements.issuers) {
        return Err(Refusal::Issuer);
    }
    Ok(valid_until)
}

/// A NumericDate (RFC 7519, section 2), which may have a fraction.
fn instant(value: Option<&Value>, name: &str) -> Result<Option<Timestamp>, Refusal> {
    match value {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(seconds) if seconds.is_finite() && seconds >= 0.0 => Ok(Some(Timestamp((seconds * 1000.0) as u64))),
            _ => Err(Refusal::Malformed(format!("{name}: a number of seconds is expected"))),
        },
    }
}

fn decode(part: &str) -> Result<Vec<u8>, Refusal> {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).map_err(|error| Refusal::Malformed(format!("base64url: {error}")))
}

/// What a stranger wrote, short and without control characters, for the log.
fn printable(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(32).collect()
}
