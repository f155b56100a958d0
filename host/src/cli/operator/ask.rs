//! One question to an admin listener.

use std::{error::Error, time::Duration};

use serde_json::Value;
use url::Url;

use super::Listener;
use crate::{
    cli::output::{Stop, plain},
    config::Environment,
};

const TIMEOUT: Duration = Duration::from_secs(30);
const USUAL_PORT: u16 = 9090;
/// Of an answer that isn't the one that was asked for.
const SHOWN: usize = 500;

/// Asks one gateway.
pub(super) struct Ask {
    base: Url,
    token: Option<String>,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
}

// === impl Ask ===

impl Ask {
    pub fn new(listener: &Listener) -> Result<Self, Stop> {
        let environment = Environment::of_process();
        let here = || format!("http://127.0.0.1:{}", environment.admin_port().unwrap_or(USUAL_PORT));
        let text = listener.admin.clone().unwrap_or_else(here);
        let base = parse(&text)?;
        let token = listener.token.clone().or_else(|| environment.admin_token().map(str::to_owned));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Stop::failed)?;
        let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build().map_err(Stop::failed)?;
        Ok(Self { base, token, runtime, client })
    }

    /// Whether it's ready, or what is missing.
    pub fn readiness(&self) -> Result<Result<(), Vec<String>>, Stop> {
        let (status, text) = self.get("/readyz")?;
        match status {
            200 => Ok(Ok(())),
            503 => Ok(Err(text.lines().map(str::to_owned).collect())),
            _ => Err(self.unexpected("/readyz", status, &text)),
        }
    }

    pub fn json(&self, path: &str) -> Result<Value, Stop> {
        let text = self.text(path)?;
        serde_json::from_str(&text).map_err(|error| Stop::failed(format!("{}: no JSON: {error}", self.place(path))))
    }

    pub fn text(&self, path: &str) -> Result<String, Stop> {
        match self.get(path)? {
            (200, text) => Ok(text),
            (status, text) => Err(self.unexpected(path, status, &text)),
        }
    }

    fn get(&self, path: &str) -> Result<(u16, String), Stop> {
        let place = self.place(path);
        let mut request = self.client.get(&place);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let asked = async {
            let answer = request.send().await?;
            let status = answer.status().as_u16();
            Ok::<_, reqwest::Error>((status, answer.text().await?))
        };
        self.runtime.block_on(asked).map_err(|error| Stop::failed(format!("{place}: {}", innermost(&error))))
    }

    /// Where it asks.
    pub fn place(&self, path: &str) -> String {
        format!("{}{path}", self.base.as_str().trim_end_matches('/'))
    }

    fn unexpected(&self, path: &str, status: u16, text: &str) -> Stop {
        let remedy = match (status, &self.token) {
            (401, None) => " (--token, or the variable WICKETGATE_ADMIN__TOKEN)",
            (401, Some(_)) => " (another token than the one that was sent)",
            _ => "",
        };
        Stop::failed(format!("{}: {status}: {}{remedy}", self.place(path), plain(text.trim_end(), SHOWN)))
    }
}

fn parse(text: &str) -> Result<Url, Stop> {
    let wrong = |why: &str| Stop::usage(format!("--admin: found '{text}', expected a URL as http://127.0.0.1:9090: {why}"));
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(wrong("neither http nor https"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it has a query"));
    }
    Ok(url)
}

/// The cause says what happened.
fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_a_url_of_http() {
        for good in ["http://127.0.0.1:9090", "https://gate.example/admin/"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in ["127.0.0.1:9090", "gate", "file:///x", "http://gate/?a", ""] {
            let Err(Stop::Usage(why)) = parse(bad) else { panic!("{bad}") };
            assert!(why.starts_with(&format!("--admin: found '{bad}', expected a URL")), "{why}");
        }
    }
}
