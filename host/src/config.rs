//! The gateway's configuration: one YAML file under environment variables. Parsed whole before any port is bound; the only
//! room that reads the environment.

mod activity;
mod address;
mod admin;
mod clearml;
mod discovery;
mod environment;
mod error;
mod http;
mod key_sets;
mod kubernetes;
mod legacy;
mod live;
mod load;
mod log;
mod login;
mod pem;
mod plugins;
mod registries;
mod rules;
mod secret;
mod shutdown;
mod tcp;
mod tls;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use self::{
    activity::{Activity, Poll},
    address::{BaseDomain, PublicUrl},
    admin::Admin,
    clearml::Clearml,
    discovery::{Dial, Discovery},
    environment::Environment,
    error::{ConfigError, Origin},
    http::{Http, Http2, Limits, Timeouts},
    key_sets::{Algorithm, JwksSource, KeySet, SecretEncoding},
    kubernetes::{Election, Kubernetes, Pods},
    live::Live,
    load::{Loaded, load, parse},
    log::{Log, LogFormat},
    login::{Login, SameSite, User},
    pem::{FileError, PemFile},
    plugins::{DecisionCache, Plugins, Records},
    registries::{Registry, SignatureKey, Signatures, is_registry},
    secret::Secret,
    shutdown::Shutdown,
    tcp::{PortRange, Tcp, TcpLimits, TcpTimeouts},
    tls::{CertificateFiles, ClientCertificates, Tls},
};

/// Everything that can be configured. Each section documents its own keys; `host/README.md` lists them all.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The gateway's name, as the API server and its users see it.
    pub name: String,
    /// How people reach the gateway: scheme, host and port, without a path. Default: `http://<http.listen>`.
    pub public_url: Option<PublicUrl>,
    /// Sessions get host routes `<label>.<base domain>`. Recommended: without it all sessions share one origin.
    pub base_domain: Option<BaseDomain>,
    pub http: Http,
    pub admin: Admin,
    pub log: Log,
    pub plugins: Plugins,
    /// Keys for verifying tokens, by the name under which plugins ask for them. `gateway` (the gateway's own logins) is
    /// always there; `clearml` is filled from the section `clearml` unless it's named here.
    pub key_sets: std::collections::BTreeMap<String, KeySet>,
    pub clearml: Option<Clearml>,
    pub kubernetes: Option<Kubernetes>,
    pub discovery: Discovery,
    pub login: Login,
    pub tcp: Tcp,
    pub live: Live,
    pub activity: Activity,
    pub shutdown: Shutdown,
    pub tls: Tls,
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
            kubernetes: None,
            discovery: Discovery::default(),
            login: Login::default(),
            tcp: Tcp::default(),
            live: Live::default(),
            activity: Activity::default(),
            shutdown: Shutdown::default(),
            tls: Tls::default(),
        }
    }
}

impl Config {
    /// The public URL without a slash at its end.
    pub fn public_origin(&self) -> String {
        match &self.public_url {
            Some(url) => url.origin().to_owned(),
            None => format!("http://{}", self.http.listen),
        }
    }

    /// Whether browsers reach the gateway over TLS.
    pub fn is_https(&self) -> bool {
        self.public_url.as_ref().is_some_and(PublicUrl::is_https)
    }

    /// The domain under which the gateway's cookies must be visible: the base domain, when people log in on a host within
    /// it. None: cookies stay with the host that set them.
    pub fn cookie_domain(&self) -> Option<&BaseDomain> {
        let domain = self.base_domain.as_ref()?;
        domain.holds(self.public_url.as_ref()?.host()).then_some(domain)
    }

    /// The networks that are dialled. In a cluster the pods of the namespace are known one by one: there nothing else is dialled
    /// unless somebody asks for it.
    pub fn dial_networks(&self) -> Vec<ipnet::IpNet> {
        match (&self.discovery.dial.networks, &self.kubernetes) {
            (Some(networks), _) => networks.clone(),
            (None, Some(_)) => Vec::new(),
            (None, None) => Dial::private_networks(),
        }
    }

    /// The name or address under which clients reach leased ports.
    pub fn tcp_address(&self) -> String {
        let host = || self.public_url.as_ref().map(|url| url.host().to_owned());
        self.tcp.address.clone().or_else(host).unwrap_or_else(|| self.http.listen.ip().to_string())
    }

    /// Where sessions have hosts of their own that see the gateway's login.
    pub fn shared_session_hosts(&self) -> Option<(&'static str, String)> {
        self.cookie_domain().and_then(|_| self.session_hosts())
    }

    /// Where sessions have hosts of their own: the scheme, and what follows a label (`.apps.example.org:8443`).
    pub fn session_hosts(&self) -> Option<(&'static str, String)> {
        let domain = self.base_domain.as_ref()?;
        let port = match &self.public_url {
            Some(url) => url.port(),
            None => Some(self.http.listen.port()),
        };
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        Some((if self.is_https() { "https" } else { "http" }, format!(".{domain}{port}")))
    }
}
