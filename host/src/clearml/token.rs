//! The gateway's own token: fetched with its keys, renewed before it ends, fetched anew when the server no longer takes it.

use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::{Value, json};

use super::{Authority, Client, Error, Keys};
use crate::domain::{Credential, Timestamp};

/// Asked of the server; it may give less.
const LIFETIME_S: u64 = 24 * 60 * 60;

/// Of a token that doesn't say when it ends.
const UNKNOWN_LIFETIME: Duration = Duration::from_secs(30 * 60);

/// The token, if there is one. One task at a time fetches it; the others wait for the result.
#[derive(Default)]
pub struct Cell(tokio::sync::Mutex<Option<Token>>);

struct Token {
    text: Credential,
    renew: Instant,
    end: Instant,
}

// === impl Client ===

impl Client {
    /// The token for the gateway's own calls. `refused` is one that the server didn't take: then it's another one.
    pub(super) async fn own_token(&self, refused: Option<&Credential>) -> Result<Credential, Error> {
        let keys = self.keys.as_ref().ok_or(Error::NoKeys { call: "auth.login" })?;
        let mut token = self.token.0.lock().await;
        let now = Instant::now();
        let usable = token.as_ref().filter(|token| token.end > now && Some(&token.text) != refused);
        if let Some(token) = usable.filter(|token| token.renew > now) {
            return Ok(token.text.clone());
        }
        match self.fetch_token(keys).await {
            Ok(fresh) => {
                let text = fresh.text.clone();
                *token = Some(fresh);
                Ok(text)
            }
            // Renewal has time: it's tried again with the next call.
            Err(error) => usable.map(|token| token.text.clone()).ok_or(error),
        }
    }

    async fn fetch_token(&self, keys: &Keys) -> Result<Token, Error> {
        let text = self.login(Authority::Basic(keys.access.reveal(), keys.secret.reveal()), LIFETIME_S).await?;
        let lives = lifetime(text.reveal()).unwrap_or(UNKNOWN_LIFETIME);
        let now = Instant::now();
        Ok(Token { text, renew: now + lives.mul_f64(0.8), end: now + lives })
    }

    /// `auth.login`: a token for somebody.
    pub(super) async fn login(&self, authority: Authority<'_>, lifetime_s: u64) -> Result<Credential, Error> {
        const CALL: &str = "auth.login";
        let answer = self.call_as(authority, CALL, &json!({ "expiration_sec": lifetime_s })).await?;
        let token = answer.get("token").and_then(Value::as_str).filter(|token| !token.is_empty());
        token.map(Credential::new).ok_or_else(|| Error::foreign(CALL, "an answer without `token`"))
    }
}

/// How long a token has left by its own word. Nothing is decided on it but when to ask for another one.
fn lifetime(token: &str) -> Option<Duration> {
    let end = claims(token)?.get("exp")?.as_u64()?;
    Some(Timestamp(end.checked_mul(1000)?).since(Timestamp::now()))
}

/// The claims of a token whose signature isn't looked at: only for tokens that the server itself has just given or accepted.
pub fn claims(token: &str) -> Option<Value> {
    let payload = token.split('.').nth(1)?;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).ok()?;
    serde_json::from_slice(&bytes).ok()
}
