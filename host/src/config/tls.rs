//! `tls`: the HTTPS listener, its certificates, and the authorities that are trusted besides the system's.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// None: no HTTPS listener. TCP ports that end TLS use the certificates all the same.
    pub listen: Option<SocketAddr>,
    /// The first serves clients that name no host, or one that no certificate is for.
    pub certificates: Vec<CertificateFiles>,
    /// Authorities of clients' certificates, as PEM. None: clients aren't asked for one.
    pub client_ca: Option<PathBuf>,
    pub client_certificates: ClientCertificates,
    /// Files of authorities that are trusted besides the system's: of sessions, the API server and
    /// key sets.
    pub extra_ca: Vec<PathBuf>,
    /// From a connection's first byte to the handshake's end: a client holds a connection for no longer without having said
    /// who it's asking for.
    pub handshake_ms: u64,
    /// How often the files are read even when no change was notified.
    pub poll_s: u64,
}

/// A certificate with its chain and its key, both as PEM.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Whether a client may come without a certificate. One that isn't good is refused either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificates {
    #[default]
    Optional,
    Required,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            listen: None,
            certificates: Vec::new(),
            client_ca: None,
            client_certificates: ClientCertificates::default(),
            extra_ca: Vec::new(),
            handshake_ms: 10_000,
            poll_s: 10,
        }
    }
}
