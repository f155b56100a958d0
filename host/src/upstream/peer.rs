//! Whom a connection is with. Two requests share a connection only where all of this is the same: a connection whose
//! certificate was checked for one name, or not at all, is never used for another.

use std::{net::SocketAddr, sync::Arc};

use crate::domain::{Endpoint, UpstreamHttp, UpstreamTls};

/// An upstream, and how it's spoken with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    pub address: SocketAddr,
    /// None without TLS: what is spoken then depends on no name.
    pub tls: Option<Secured>,
    pub http: UpstreamHttp,
}

/// How TLS is spoken.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Secured {
    pub check: Check,
    /// The host as declared, a DNS name or an address.
    pub name: Arc<str>,
}

/// Which certificates will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Check {
    /// For the name, and from an authority that is trusted.
    Verify,
    Any,
}

// === impl Peer ===

impl Peer {
    pub fn of(endpoint: &Endpoint) -> Self {
        let secured = |check| Secured { check, name: endpoint.upstream_name.clone() };
        let tls = match endpoint.transport.upstream_tls {
            UpstreamTls::Off => None,
            UpstreamTls::Verify => Some(secured(Check::Verify)),
            UpstreamTls::Insecure => Some(secured(Check::Any)),
        };
        Self { address: endpoint.upstream, tls, http: endpoint.transport.upstream_http }
    }
}
