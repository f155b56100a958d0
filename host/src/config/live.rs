//! `live`: connections that outlast the decision by which they were let in (WebSockets, streams, TCP).

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Live {
    /// They are decided about again at least so often.
    pub recheck_s: u64,
    /// Where nothing can decide (a plugin fails, the API server is away), they go on for so long at most.
    pub undecided_s: u64,
}

impl Default for Live {
    fn default() -> Self {
        Self { recheck_s: 60, undecided_s: 300 }
    }
}
