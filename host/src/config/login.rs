//! `login`: the gateway's own login page.

use serde::{Deserialize, Serialize};

use super::Secret;

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Login {
    /// The name of the gateway's own cookie.
    pub cookie: String,
    /// Further cookies whose value is a token of the API server: they count when the gateway shares a parent domain with it.
    /// One that ends in `*` is a prefix.
    pub accept_cookies: Vec<String>,
    /// The cookie is sent over TLS only. Default: whether the public URL is `https`.
    pub secure: Option<bool>,
    /// `none` where pages of another site show sessions in a frame; it needs `secure`.
    pub same_site: SameSite,
    /// Signs the cookies of local users; the same on all replicas. Default: made anew at each start.
    pub secret: Option<Secret>,
    /// How long a login lasts.
    pub session_hours: u64,
    /// Attempts per client address and minute.
    pub attempts_per_minute: u32,
    /// Attempts in all per minute: many addresses can't guess faster together.
    pub attempts_per_minute_in_all: u32,
    /// Further hosts to which plugins may send people, as that of a single sign-on: names, without scheme or port.
    pub hosts: Vec<String>,
    /// Local users, for demonstration and for gateways without an API server.
    pub users: Vec<User>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum SameSite {
    #[default]
    Lax,
    None,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
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
            // The open-source server's, its chart's and the Enterprise server's.
            accept_cookies: ["clearml_token_basic", "clearml-token-k8s", "allegro_token*"].map(String::from).into(),
            secure: None,
            same_site: SameSite::default(),
            secret: None,
            session_hours: 12,
            attempts_per_minute: 10,
            attempts_per_minute_in_all: 300,
            hosts: Vec::new(),
            users: Vec::new(),
        }
    }
}
