//! Credentials of the fake server: HTTP Basic, tokens with sessions, and roles.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderMap;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};

use super::{
    Refusal,
    state::{SECRET, State, User},
};

impl State {
    /// Who calls. The words `Basic` and `Bearer` are case-sensitive, and the cookie counts only without the header.
    pub fn caller(&self, headers: &HeaderMap) -> Result<User, Refusal> {
        let authorization = headers.get("authorization").and_then(|value| value.to_str().ok());
        let cookie = || {
            let cookies = headers.get("cookie")?.to_str().ok()?;
            cookies.split("; ").find_map(|cookie| cookie.strip_prefix("clearml_token_basic="))
        };
        let user = match authorization.map(|text| text.split_once(' ').unwrap_or((text, ""))) {
            Some(("Basic", pair)) => self.basic(pair),
            Some(("Bearer", token)) => self.bearer(token),
            Some(_) => None,
            None => match cookie() {
                Some(token) => self.bearer(token),
                None => return Err(Refusal(401, 20, "Unauthorized (missing credentials)".into())),
            },
        };
        user.cloned().ok_or_else(|| Refusal(401, 30, "Unauthorized (invalid credentials)".into()))
    }

    /// A person with a password, or an access key with its secret key.
    fn basic(&self, pair: &str) -> Option<&User> {
        let pair = String::from_utf8(STANDARD.decode(pair).ok()?).ok()?;
        let (name, secret) = pair.split_once(':')?;
        let user = self.users.get(name.strip_suffix("-key").unwrap_or(name))?;
        (secret == format!("{}-secret", user.id)).then_some(user)
    }

    fn bearer(&self, token: &str) -> Option<&User> {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.leeway = 0;
        let key = DecodingKey::from_secret(SECRET.as_bytes());
        let claims = jsonwebtoken::decode::<Value>(token, &key, &rules).ok()?.claims;
        if self.revoked.contains(claims.get("session_id")?.as_str()?) {
            return None;
        }
        self.users.get(claims.get("identity")?.get("user")?.as_str()?)
    }

    /// A token of a new session.
    pub fn issue(&mut self, user: &str, lifetime_s: u64) -> String {
        let session = self.new_id();
        let user = &self.users[user];
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({
            "auth_type": "Bearer", "env": "<unknown>", "iat": now, "exp": now + lifetime_s, "session_id": session,
            "identity": {
                "user": user.id, "company": user.company, "role": user.role,
                "user_name": user.id, "company_name": user.company,
            },
            "api_version": "2.34", "server_version": "2.3.0", "server_build": "1", "feature_set": self.options.feature_set,
        });
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
    }

    pub fn revoke(&mut self, token: &str) {
        let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(token).unwrap().claims;
        self.revoked.insert(claims["session_id"].as_str().unwrap().to_owned());
    }
}
