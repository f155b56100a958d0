//! Calls on behalf of people: who a token is, what they may read, and logging in.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Authority, Client, Error, token};
use crate::domain::{
    Credential, SessionId,
    facts::{Asked, FactSource, Introspection},
};

/// Whom the server takes a token for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Person {
    pub id: String,
    pub name: Option<String>,
    pub role: Option<String>,
    pub company: Option<Company>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Company {
    pub id: String,
    pub name: Option<String>,
}

// === impl Client ===

impl Client {
    /// `users.get_current_user` with somebody's token. None: the server doesn't accept it.
    pub async fn person(&self, token: &Credential) -> Result<Result<Person, String>, Error> {
        const CALL: &str = "users.get_current_user";
        let mut answer = match self.call_as(Authority::Bearer(token.reveal()), CALL, &json!({})).await {
            Ok(answer) => answer,
            Err(Error::Refused { code: 401 | 403, message, .. }) => return Ok(Err(message)),
            Err(Error::Credentials { .. }) => return Ok(Err("not a token".into())),
            Err(error) => return Err(error),
        };
        let user = answer.get_mut("user").map(Value::take).unwrap_or_default();
        serde_json::from_value(user).map(Ok).map_err(|_| Error::foreign(CALL, "an answer without `user.id`"))
    }

    /// Whether the server lets this token's person read a task. A token that it doesn't accept may read nothing.
    pub async fn may_read(&self, token: &Credential, task: &str) -> Result<bool, Error> {
        const CALL: &str = "tasks.get_all_ex";
        let body = json!({ "id": [task], "only_fields": ["id"], "search_hidden": true, "page": 0, "page_size": 1 });
        let answer = match self.call_as(Authority::Bearer(token.reveal()), CALL, &body).await {
            Ok(answer) => answer,
            Err(Error::Refused { code: 401 | 403, .. } | Error::Credentials { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        let tasks =
            answer.get("tasks").and_then(Value::as_array).ok_or_else(|| Error::foreign(CALL, "an answer without `tasks`"))?;
        Ok(tasks.iter().any(|found| found.get("id").and_then(Value::as_str) == Some(task)))
    }

    /// A token for a user with a password, or for an access key with its secret key. None: the server doesn't accept them.
    pub async fn login_person(&self, user: &str, password: &Credential, lifetime_s: u64) -> Result<Option<Credential>, Error> {
        // RFC 7617, section 2: everything behind the first colon would be the password's.
        if user.contains(':') {
            return Ok(None);
        }
        match self.login(Authority::Basic(user, password.reveal()), lifetime_s).await {
            Ok(token) => Ok(Some(token)),
            Err(Error::Refused { code: 401 | 403, .. } | Error::Credentials { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Person {
    /// Claims as the server's own tokens have them. What the token says of its end is taken from it: the server has just
    /// accepted it.
    fn claims(&self, token: &str) -> Value {
        let mut identity = json!({ "user": self.id, "user_name": self.name, "role": self.role });
        if let Some(company) = &self.company {
            identity["company"] = json!(company.id);
            identity["company_name"] = json!(company.name);
        }
        if let Some(identity) = identity.as_object_mut() {
            identity.retain(|_, value| !value.is_null());
        }
        let mut claims = json!({ "auth_type": "Bearer", "identity": identity });
        let said = token::claims(token).unwrap_or_default();
        for name in ["iat", "exp", "session_id", "tenant"] {
            if let Some(value) = said.get(name) {
                claims[name] = value.clone();
            }
        }
        claims
    }
}

/// Facts, each by one call with the person's own token.
impl FactSource for Arc<Client> {
    fn introspect(&self, token: Credential) -> Asked<Introspection> {
        let client = Arc::clone(self);
        Box::pin(async move {
            match client.person(&token).await {
                Ok(Ok(person)) => Ok(Introspection::Accepted(person.claims(token.reveal()))),
                Ok(Err(why)) => Ok(Introspection::Refused(why)),
                Err(error) => Err(error.to_string()),
            }
        })
    }

    fn may_read_session(&self, token: Credential, session: SessionId) -> Asked<bool> {
        let client = Arc::clone(self);
        Box::pin(async move { client.may_read(&token, session.as_str()).await.map_err(|error| error.to_string()) })
    }
}
