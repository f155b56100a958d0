//! `config check`: whether a configuration can be used, and what it comes to under the environment.

use std::{error::Error, io::Write, path::Path, process::ExitCode};

use serde_json::Value;
use url::Url;

use super::{BAD_CONFIGURATION, FAILED, run::complain};
use crate::config::{self, Environment, Loaded};

pub(super) fn check(file: Option<&Path>) -> ExitCode {
    let loaded = match config::load(file, &Environment::of_process()) {
        Ok(loaded) => loaded,
        Err(error) => return complain(BAD_CONFIGURATION, &error),
    };
    let missing = match crate::run::check(&loaded.config) {
        Ok(missing) => missing,
        Err(error) => return complain(BAD_CONFIGURATION, error.as_ref()),
    };
    let shown = match effective(&loaded) {
        Ok(shown) => shown,
        Err(error) => return complain(FAILED, error.as_ref()),
    };
    let mut stderr = std::io::stderr().lock();
    for notice in loaded.notices.iter().chain(&missing) {
        let _ = writeln!(stderr, "note: {notice}");
    }
    match std::io::stdout().lock().write_all(shown.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(FAILED, &error),
    }
}

/// The configuration in force as YAML; a secret is `…`.
fn effective(loaded: &Loaded) -> Result<String, Box<dyn Error>> {
    let mut shown = serde_saphyr::to_string(&loaded.config)?;
    for url in urls_with_password(&serde_json::to_value(&loaded.config)?) {
        let mut hidden = url.clone();
        // A URL that has a password can have another one.
        let _ = hidden.set_password(Some("hidden"));
        shown = shown.replace(url.as_str(), hidden.as_str());
    }
    Ok(shown)
}

/// A password in a URL (a proxy's, a key set's) is a secret too.
fn urls_with_password(value: &Value) -> Vec<Url> {
    match value {
        Value::Object(map) => map.values().flat_map(urls_with_password).collect(),
        Value::Array(items) => items.iter().flat_map(urls_with_password).collect(),
        Value::String(text) => Url::parse(text).ok().filter(|url| url.password().is_some()).into_iter().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        let loaded = config::parse(
            "admin: {token: hush-admin}\n\
             clearml: {api_url: 'http://api:8008', access_key: hush-access, secret_key: hush-secret, token_secret: hush-token}\n\
             login: {secret: hush-login-of-at-least-32-characters, users: [{id: ada, password: hush-password}]}\n\
             key_sets: {sso: {kind: secret, secret: hush-set}}\n",
        )
        .unwrap();
        let shown = effective(&loaded).unwrap();
        assert!(!shown.contains("hush"), "{shown}");
        assert_eq!(shown.matches('…').count(), 7, "{shown}");
        assert!(!format!("{loaded:?}").contains("hush"));
    }

    #[test]
    fn no_password_in_a_url_is_shown() {
        let loaded = config::parse("key_sets: {sso: {kind: jwks, url: 'https://gate:hush@sso/keys'}}").unwrap();
        let shown = effective(&loaded).unwrap();
        assert!(!shown.contains("hush") && shown.contains("https://gate:hidden@sso/keys"), "{shown}");
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        let shown = effective(&config::parse("http: {workers: 3}").unwrap()).unwrap();
        let again = config::parse(&shown).unwrap_or_else(|error| panic!("{error}\n{shown}"));
        assert_eq!(effective(&again).unwrap(), shown);
        assert!(shown.contains("workers: 3"), "{shown}");
    }
}
