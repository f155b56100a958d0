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
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dial {
    /// Networks where sessions run. Loopback, link-local, metadata addresses, the gateway's own and the API server's are
    /// refused unless one of these lies wholly within them.
    pub networks: Vec<IpNet>,
}

impl Default for Dial {
    fn default() -> Self {
        let private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"];
        Self { networks: private.iter().filter_map(|text| text.parse().ok()).collect() }
    }
}
