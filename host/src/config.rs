//! The gateway's configuration: one YAML file under environment variables. Parsed whole before any port is bound; the only
//! room that reads the environment.

mod admin;
mod clearml;
mod discovery;
mod http;
mod key_sets;
mod log;
mod login;
mod plugins;

use serde::Deserialize;

pub use self::{
    admin::Admin,
    clearml::Clearml,
    discovery::{Dial, Discovery},
    http::{Http, Limits, Timeouts},
    key_sets::{Algorithm, JwksSource, KeySet, SecretEncoding},
    log::{Log, LogFormat},
    login::{Login, User},
    plugins::{DecisionCache, Plugins},
};
use crate::domain::Credential;

/// Everything that can be configured. Each section documents its own keys.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The gateway's name, as the API server and its users see it.
    pub name: String,
    /// How people reach the gateway: scheme, host and port, without a path. Default: `http://<http.listen>`.
    pub public_url: Option<url::Url>,
    /// Sessions get host routes `<label>.<base domain>`. Recommended: without it all sessions share one origin.
    pub base_domain: Option<String>,
    pub http: Http,
    pub admin: Admin,
    pub log: Log,
    pub plugins: Plugins,
    /// Keys for verifying tokens, by the name under which plugins ask for them. `gateway` (the gateway's own logins) is
    /// always there; `clearml` is filled from the section `clearml` unless it's named here.
    pub key_sets: std::collections::BTreeMap<String, KeySet>,
    pub clearml: Option<Clearml>,
    pub discovery: Discovery,
    pub login: Login,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "wicketgate".into(),
            public_url: None,
            base_domain: None,
            http: Http::default(),
            admin: Admin::default(),
            log: Log::default(),
            plugins: Plugins::default(),
            key_sets: Default::default(),
            clearml: None,
            discovery: Discovery::default(),
            login: Login::default(),
        }
    }
}

impl Config {
    /// The public URL without a slash at its end.
    pub fn public_origin(&self) -> String {
        match &self.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("http://{}", self.http.listen),
        }
    }
}

/// A secret in the configuration: the text itself, or where it is found. Files and variables are read when the
/// configuration is loaded.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Secret {
    Text(Credential),
    Found(Place),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Place {
    /// A file; white space at its end is left out.
    File(std::path::PathBuf),
    /// An environment variable.
    Env(String),
}
