//! The API server for the rooms that ask it: one client behind the seams of discovery, facts and logging in.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use super::discovery::Ends;
use crate::{
    auth::LoginServer,
    clearml::{Client, Error},
    config::Config,
    discovery::{self, clearml::Source, publish::Publisher},
    domain::{
        Credential,
        facts::{Asked, FactSource},
    },
};

/// One API server.
pub struct ApiServer {
    client: Arc<Client>,
}

/// Logging in by the client.
struct People(Arc<Client>);

// === impl ApiServer ===

impl ApiServer {
    /// None when no server is configured. Nothing is asked yet.
    ///
    /// # Errors
    /// When TLS or the proxy can't be set up.
    pub fn new(config: &Config, authorities: &[CertificateDer<'_>]) -> Result<Option<Self>, Error> {
        let client = config.clearml.as_ref().map(|clearml| Client::new(clearml, authorities)).transpose()?;
        Ok(client.map(|client| Self { client: Arc::new(client) }))
    }

    pub fn facts(&self) -> Arc<dyn FactSource> {
        Arc::new(Arc::clone(&self.client))
    }

    pub fn login(&self) -> Arc<dyn LoginServer> {
        Arc::new(People(Arc::clone(&self.client)))
    }

    /// Starts looking for sessions, and writing their addresses back.
    pub fn start(&self, config: &Config, ends: Ends) {
        let Ends { records, reports, assembled, metrics, leader } = ends;
        let Some(clearml) = &config.clearml else { return };
        let gateway = discovery::clearml::Gateway {
            tcp_address: config.tcp_address(),
            static_ports: config.tcp.static_ports.clone(),
            records: Arc::clone(&records),
        };
        let (source, observed) = Source::new(Arc::clone(&self.client), clearml, gateway, reports);
        tokio::task::spawn_local(source.run());
        if clearml.publish {
            let publisher = Publisher::new(Arc::clone(&self.client), config, records, metrics);
            tokio::task::spawn_local(publisher.run(assembled, observed, leader));
        }
    }
}

/// Host and port of the API server.
pub fn server(config: &Config) -> Option<(&str, u16)> {
    let url = &config.clearml.as_ref()?.api_url;
    Some((url.host_str()?.trim_matches(['[', ']']), url.port_or_known_default()?))
}

// === impl LoginServer ===

impl LoginServer for People {
    fn login(&self, user: String, password: Credential, lifetime_s: u64) -> Asked<Option<Credential>> {
        let client = Arc::clone(&self.0);
        Box::pin(async move { client.login_person(&user, &password, lifetime_s).await.map_err(|error| error.to_string()) })
    }

    fn check(&self, token: Credential) -> Asked<bool> {
        let client = Arc::clone(&self.0);
        Box::pin(async move { client.person(&token).await.map(|person| person.is_ok()).map_err(|error| error.to_string()) })
    }
}
