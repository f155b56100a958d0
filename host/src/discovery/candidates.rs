//! What all sources have in common: how a candidate describes itself to plugins, and what a source hands over.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;

use super::{book::Book, leases::Claim};
use crate::domain::{Candidate, EndpointId, Protocol, SourceKind};

/// The attributes of the contract, in the order of `wit/README.md`. `label.<name>` comes on top.
pub const KNOWN_ATTRIBUTES: &[&str] = &[
    "source",
    "session.id",
    "session.name",
    "session.created",
    "status",
    "owner",
    "company",
    "project",
    "queue",
    "tag",
    "endpoint.name",
    "endpoint.protocol",
    "endpoint.address",
    "endpoint.port",
    "access",
];

/// All that one source has at one time. It replaces what the source had before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    pub candidates: Vec<Arc<Candidate>>,
    /// Ports that TCP endpoints had before this gateway was started, by its own records.
    pub claims: BTreeMap<EndpointId, Claim>,
    /// What was declared and is no candidate; for the status only.
    pub rejected: Vec<Rejection>,
    /// Of source `kubernetes`: which pod has which address.
    pub pods: Option<Arc<Book>>,
}

/// Something that a session declared and that can't be an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejection {
    /// As far as it could be read; safe to show.
    pub session: String,
    pub endpoint: String,
    pub reason: String,
}

/// Sets the attributes that follow from the candidate's other fields.
pub fn describe(candidate: &mut Candidate) {
    let Candidate { source, id, protocol, host, port, attributes, .. } = candidate;
    attributes.set("source", [source_name(*source)]);
    attributes.set("session.id", [id.session.as_str()]);
    // Sources hand over nothing but running sessions.
    attributes.set("status", ["running"]);
    attributes.set("endpoint.name", [id.name.as_str()]);
    attributes.set("endpoint.protocol", [protocol_name(*protocol)]);
    attributes.set("endpoint.address", [host.as_str()]);
    attributes.set("endpoint.port", [port.to_string()]);
}

/// A source as plugins, metrics and logs call it.
pub fn source_name(source: SourceKind) -> &'static str {
    match source {
        SourceKind::Clearml => "clearml",
        SourceKind::Kubernetes => "kubernetes",
        SourceKind::File => "file",
    }
}

/// A protocol as plugins call it.
pub fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http => "http",
        Protocol::Tcp => "tcp",
    }
}

/// One DNS label in lower case (RFC 1123, section 2.1).
pub fn is_host_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
