//! The client of the ClearML API server: one POST per call, an envelope around each answer, and a token of the gateway's own
//! that is renewed in time.
//!
//! Used by discovery (sessions, write-back), by the plugin room through `FactSource` (who is this token, may they read this
//! session) and by the login page. It knows nothing of endpoints and routes. Credentials never get into its errors or logs.

mod answer;
mod error;
mod people;
mod task;
mod tasks;
mod token;

use std::time::Duration;

use base64::Engine as _;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use rustls::pki_types::CertificateDer;
use serde_json::Value;

use crate::{config, domain::Credential};

pub use error::Error;
pub use people::Person;
pub use task::Task;
pub use tasks::{Edition, RuntimeEdit};

/// One server. Shared in an `Arc`; used from any thread.
pub struct Client {
    http: reqwest::Client,
    /// Without a slash at its end.
    base: String,
    largest_answer: usize,
    keys: Option<Keys>,
    token: token::Cell,
}

/// The gateway's own access to the server.
struct Keys {
    access: Credential,
    secret: Credential,
}

/// As whom a call is made.
enum Authority<'a> {
    Basic(&'a str, &'a str),
    Bearer(&'a str),
}

// === impl Client ===

impl Client {
    /// Makes a client that trusts these authorities besides the system's; nothing is asked yet.
    ///
    /// # Errors
    /// When TLS or the proxy can't be set up.
    pub fn new(config: &config::Clearml, authorities: &[CertificateDer<'_>]) -> Result<Self, Error> {
        let authorities = authorities.iter().map(|authority| reqwest::Certificate::from_der(authority));
        let authorities = authorities.collect::<Result<Vec<_>, _>>().map_err(|error| Error::setup(&error))?;
        let timeout = Duration::from_millis(config.timeout_ms);
        let builder = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout / 2)
            .tls_certs_merge(authorities)
            .redirect(reqwest::redirect::Policy::none())
            .tls_danger_accept_invalid_certs(!config.ssl_verify)
            .no_proxy()
            .user_agent(concat!("wicketgate/", env!("CARGO_PKG_VERSION")));
        let builder = match &config.proxy {
            Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy.as_str()).map_err(|error| Error::setup(&error))?),
            None => builder,
        };
        let keys = config.access_key.as_ref().zip(config.secret_key.as_ref());
        Ok(Self {
            http: builder.build().map_err(|error| Error::setup(&error))?,
            base: config.api_url.as_str().trim_end_matches('/').to_owned(),
            largest_answer: config.answer_mib << 20,
            keys: keys.map(|(access, secret)| Keys { access: access.credential().clone(), secret: secret.credential().clone() }),
            token: token::Cell::default(),
        })
    }

    /// The server's URL without a slash at its end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A call as the gateway itself. A token that the server no longer takes is renewed once.
    async fn call(&self, call: &'static str, body: &Value) -> Result<Value, Error> {
        let token = self.own_token(None).await?;
        match self.call_as(Authority::Bearer(token.reveal()), call, body).await {
            Err(error) if error.is_unauthorised() => {
                let token = self.own_token(Some(&token)).await?;
                self.call_as(Authority::Bearer(token.reveal()), call, body).await
            }
            answer => answer,
        }
    }

    /// A call as somebody: the `data` of the answer.
    async fn call_as(&self, authority: Authority<'_>, call: &'static str, body: &Value) -> Result<Value, Error> {
        let authorization = authority.header().ok_or(Error::Credentials { call })?;
        let request = self.http.post(format!("{}/{call}", self.base)).header(AUTHORIZATION, authorization).json(body);
        let response = request.send().await.map_err(|error| Error::unreachable(call, &error))?;
        answer::read(call, response, self.largest_answer).await
    }
}

// === impl Authority ===

impl Authority<'_> {
    /// None when it holds characters that no header may have.
    fn header(&self) -> Option<HeaderValue> {
        let text = match self {
            Self::Basic(user, password) => {
                format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
            }
            Self::Bearer(token) => format!("Bearer {token}"),
        };
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

#[cfg(test)]
mod tests;
