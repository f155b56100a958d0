//! The gateway's own tokens, for people whom no API server knows: in the shape of the API server's, so that one
//! authenticator reads both.

use aws_lc_rs::{hmac, rand};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use crate::{
    config::{Config, User},
    domain::{Credential, Timestamp},
};

/// Keeps this use of the configured secret apart from every other: what one of them shows is no use to another.
const PURPOSE: &[u8] = b"wicketgate login token 1";

/// Makes tokens.
pub struct Mint {
    signing: EncodingKey,
    key: Credential,
    issuer: String,
    lifetime_s: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum MintError {
    #[error("no secret could be made for login tokens: the system has no random numbers")]
    Random,
    #[error("a login token could not be signed: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

// === impl Mint ===

impl Mint {
    /// Under `login.secret`, or a secret of this process: then a restart logs local users out.
    ///
    /// # Errors
    /// When there is no randomness for a secret.
    pub fn new(config: &Config) -> Result<Self, MintError> {
        let secret = match &config.login.secret {
            Some(secret) => secret.reveal().as_bytes().to_vec(),
            None => {
                let mut random = [0; 32];
                rand::fill(&mut random).map_err(|_| MintError::Random)?;
                random.to_vec()
            }
        };
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), PURPOSE);
        let key = URL_SAFE_NO_PAD.encode(derived);
        Ok(Self {
            signing: EncodingKey::from_secret(key.as_bytes()),
            key: Credential::new(key),
            issuer: config.name.clone(),
            lifetime_s: config.login.session_hours.saturating_mul(3600),
        })
    }

    /// What verifies these tokens (HS256): the text's bytes as they are (`SecretEncoding::Raw`), as the key set `gateway`.
    pub fn key(&self) -> &Credential {
        &self.key
    }

    /// A token for a local user.
    ///
    /// # Errors
    /// When it can't be signed.
    pub fn token(&self, user: &User, now: Timestamp) -> Result<Credential, MintError> {
        let issued = now.0 / 1000;
        let claims = json!({
            "iss": self.issuer,
            "iat": issued,
            "exp": issued.saturating_add(self.lifetime_s),
            "auth_type": "Bearer",
            "identity": {
                "user": user.id,
                "user_name": user.name.as_deref().unwrap_or(&user.id),
                "company": user.company,
                "role": user.role.as_deref().unwrap_or("user"),
            },
            "groups": user.groups,
        });
        Ok(Credential::new(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing)?))
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation};

    use super::*;
    use crate::config::parse;

    const CONFIG: &str = "name: gate-1\nlogin:\n  secret: a-secret-of-at-least-32-characters\n  session_hours: 2\n  users:\n  \
                          - {id: ada, password: one, name: Ada L., company: c1, groups: [ml]}\n  - {id: bob, password: two, role: admin}\n";

    fn claims(mint: &Mint, token: &Credential) -> serde_json::Value {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        let key = DecodingKey::from_secret(mint.key().reveal().as_bytes());
        jsonwebtoken::decode::<serde_json::Value>(token.reveal(), &key, &validation).unwrap().claims
    }

    #[test]
    fn a_token_has_the_shape_of_the_servers() {
        let config = parse(CONFIG).unwrap().config;
        let mint = Mint::new(&config).unwrap();
        let [ada, bob] = &config.login.users[..] else { panic!("two users") };
        let token = mint.token(ada, Timestamp(1_000_999)).unwrap();
        assert_eq!(
            claims(&mint, &token),
            json!({
                "iss": "gate-1", "iat": 1_000, "exp": 1_000 + 7_200, "auth_type": "Bearer", "groups": ["ml"],
                "identity": {"user": "ada", "user_name": "Ada L.", "company": "c1", "role": "user"},
            })
        );
        let bob = claims(&mint, &mint.token(bob, Timestamp(0)).unwrap());
        assert_eq!((&bob["identity"]["user_name"], &bob["identity"]["role"]), (&json!("bob"), &json!("admin")));
    }

    #[test]
    fn replicas_with_one_secret_know_each_others_tokens_and_others_do_not() {
        let with_secret = parse(CONFIG).unwrap().config;
        let without = parse("").unwrap().config;
        let key = |config: &Config| Mint::new(config).unwrap().key().clone();
        assert_eq!(key(&with_secret), key(&with_secret));
        assert_ne!(key(&without), key(&without), "a secret of each process");
        assert!(!key(&with_secret).reveal().contains("a-secret"));
    }
}
