//! `login`: the gateway's own login page.

use serde::Deserialize;

use super::Secret;

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Login {
    /// The name of the gateway's own cookie.
    pub cookie: String,
    /// The cookie is sent over TLS only. Default: whether the public URL is `https`.
    pub secure: Option<bool>,
    /// Signs the cookies of local users; the same on all replicas. Default: made anew at each start.
    pub secret: Option<Secret>,
    pub session_hours: u64,
    /// Attempts per client address and minute.
    pub attempts_per_minute: u32,
    /// Local users, for demonstration and for gateways without an API server.
    pub users: Vec<User>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    pub id: String,
    pub password: Secret,
    pub name: Option<String>,
    pub company: Option<String>,
    pub role: Option<String>,
    #[serde(default)]
    pub groups: Vec<String>,
}

impl Default for Login {
    fn default() -> Self {
        Self {
            cookie: "wicketgate_session".into(),
            secure: None,
            secret: None,
            session_hours: 12,
            attempts_per_minute: 10,
            users: Vec::new(),
        }
    }
}
