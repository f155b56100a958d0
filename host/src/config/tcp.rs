//! `tcp`: ports for sessions that speak something other than HTTP, leased to endpoints for as long as they are there.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tcp {
    /// The name or address under which clients reach the ports, as it's published. Default: the host of `public_url`.
    pub address: Option<String>,
    /// The address to listen on. Default: that of `http.listen`.
    pub listen: Option<IpAddr>,
    /// Ports that are leased to endpoints. None: TCP endpoints aren't served.
    pub ports: Option<PortRange>,
    /// Static ports that administrators name: a session asks for one by its name. They're leased to nobody else.
    pub static_ports: BTreeMap<String, u16>,
    /// For so long a port whose endpoint ended is given to no other one: clients may still have its address.
    pub quarantine_s: u64,
    /// Networks whose connections begin with a header of the PROXY protocol (versions 1 and 2): required from these, never
    /// looked for from others.
    pub proxy_protocol_from: Vec<IpNet>,
    pub timeouts: TcpTimeouts,
    pub limits: TcpLimits,
}

/// Ports that are leased to endpoints, both ends included.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PortRange {
    pub start: u16,
    pub end: u16,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TcpTimeouts {
    /// For everything that a client must say before its bytes count: the PROXY header and the TLS handshake.
    pub handshake_ms: u64,
    /// Neither direction moved a byte. Long: people leave a shell open overnight.
    pub idle_ms: u64,
}

/// Open connections.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TcpLimits {
    pub connections: usize,
    pub connections_per_session: usize,
    /// By client address, over all ports.
    pub connections_per_client: usize,
}

// === impl PortRange ===

impl PortRange {
    pub fn holds(self, port: u16) -> bool {
        (self.start..=self.end).contains(&port)
    }

    /// How many ports it has.
    pub fn size(self) -> usize {
        usize::from(self.end.saturating_sub(self.start)) + 1
    }
}

impl Default for Tcp {
    fn default() -> Self {
        Self {
            address: None,
            listen: None,
            ports: None,
            static_ports: BTreeMap::new(),
            quarantine_s: 300,
            proxy_protocol_from: Vec::new(),
            timeouts: TcpTimeouts::default(),
            limits: TcpLimits::default(),
        }
    }
}

impl Default for TcpTimeouts {
    fn default() -> Self {
        Self { handshake_ms: 10_000, idle_ms: 86_400_000 }
    }
}

impl Default for TcpLimits {
    fn default() -> Self {
        Self { connections: 10_000, connections_per_session: 1_000, connections_per_client: 1_000 }
    }
}
