//! `tcp`: addresses for sessions that speak something other than HTTP. Read, so that a configuration of the commercial
//! gateway is complete, but without effect in this version: `load` says so.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tcp {
    /// The name or address under which clients reach the ports.
    pub address: Option<String>,
    pub ports: Option<PortRange>,
}

/// Ports that are leased to endpoints, both ends included.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PortRange {
    pub start: u16,
    pub end: u16,
}
