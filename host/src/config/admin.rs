//! `admin`: the listener for operators.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Secret;

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Off loopback it shows health and metrics only, unless a token is sent.
    pub listen: SocketAddr,
    /// Bearer token for everything but health and metrics. Without one, everything is open on loopback.
    pub token: Option<Secret>,
    /// Connections at a time; more wait.
    pub connections: usize,
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9090)), token: None, connections: 32 }
    }
}
