//! `discovery`: sources besides ClearML, and which addresses may be dialled at all.

use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Discovery {
    /// A YAML file with a list of sessions; watched.
    pub file: Option<PathBuf>,
    pub dial: Dial,
}

/// What a task declares as its address is hostile input: only these networks are dialled.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dial {
    /// Networks where sessions run. Loopback, link-local, metadata addresses, the gateway's own and the API server's are
    /// refused unless one of these lies wholly within them. None: private networks; with `kubernetes` the pods alone.
    pub networks: Option<Vec<IpNet>>,
}

// === impl Dial ===

impl Dial {
    /// RFC 1918, RFC 6598 and RFC 4193.
    pub fn private_networks() -> Vec<IpNet> {
        let private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"];
        private.iter().filter_map(|text| text.parse().ok()).collect()
    }
}
