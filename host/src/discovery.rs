//! Finds sessions: sources report what they have, filters judge it, the dial rules check where it is, and the result becomes
//! one table that requests read. Addresses are written back from here, too.
//!
//! Wired by `run`: one task per source, the assembler and the publisher, all on the control thread. Nothing here is on the
//! path of a request.

pub mod assemble;
pub mod book;
pub mod candidates;
pub mod clearml;
mod declared;
pub mod dial;
pub mod file;
pub mod leases;
pub mod pods;
pub mod publish;
pub mod status;

use tokio::time::Instant;

use crate::domain::SourceKind;

pub use assemble::{Assembled, Assembler, Inbox, NewPlugins, Stage};
pub use candidates::Found;
pub use leases::{Leases, Ports, record::Records};
pub use status::{Board, Metrics};

/// What a source says after each look.
#[derive(Clone, Debug)]
pub struct Report {
    pub source: SourceKind,
    /// Everything it has now; or why it can't say: then what it had before stays.
    pub outcome: Result<Found, String>,
    /// Counts the source's looks, so that the publisher knows which of them a table is made from. Zero where nobody asks.
    pub look: u64,
    /// When the look was begun: what was written later isn't in it.
    pub began: Instant,
}

// === impl Report ===

impl Report {
    pub fn new(source: SourceKind, outcome: Result<Found, String>) -> Self {
        Self { source, outcome, look: 0, began: Instant::now() }
    }
}
