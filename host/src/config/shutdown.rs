//! `shutdown`: how the gateway ends when it's asked to.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shutdown {
    /// After the gateway has stopped being ready, new connections are taken for so long: load balancers notice late.
    pub delay_s: u64,
    /// What is under way may go on for so long after that.
    pub drain_s: u64,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { delay_s: 0, drain_s: 30 }
    }
}
