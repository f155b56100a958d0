//! What a source found, before any filter has seen it. Everything in it may be written by the session's owner.

use super::{Attributes, EndpointId, Protocol, SourceKind, Transport, UpstreamPath};

/// One endpoint that a session asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub source: SourceKind,
    pub id: EndpointId,
    pub protocol: Protocol,
    /// The host as declared: a name or an address in any spelling. It's dialled only after the dial rules took it.
    pub host: String,
    pub port: u16,
    /// The name of the machine on which the session says that it runs: a hint to its pod, and no more.
    pub machine: Option<String>,
    pub upstream_path: UpstreamPath,
    pub transport: Transport,
    /// A label under the base domain that the session asks for.
    pub host_label: Option<String>,
    /// Everything that plugins may read of it, under the names of the contract (`session.name`, `owner`, `tag`, …).
    pub attributes: Attributes,
}

impl Candidate {
    /// The owner's id, under which an address and port are held.
    pub fn owner(&self) -> Option<&str> {
        self.attributes.first("owner")
    }
}
