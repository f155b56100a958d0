//! What a task's runtime asks for. Any user can write it: names, ports and addresses are hostile, and whatever else is in it
//! (passwords, tokens) isn't looked at.
//!
//! An endpoint is recognised by its port's key; `_SERVICE` says little, because the default HTTP and the default TCP endpoint
//! share it. The default endpoint has bare keys, others `<key>__<name>`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{
    clearml::Task,
    discovery::{
        candidates::{Found, Rejection, describe, is_host_label},
        leases::{
            Claim,
            record::{Read, Records},
        },
    },
    domain::{Attributes, Candidate, EndpointId, EndpointName, Protocol, SessionId, SourceKind, Transport, UpstreamPath},
};

/// Keys of ours, for what ClearML has no key for; with `__<name>` for a named endpoint.
mod ours {
    /// `keep` or `strip`.
    pub const UPSTREAM_PATH: &str = "_wicketgate_upstream_path";
    /// A label under the base domain.
    pub const HOST_LABEL: &str = "_wicketgate_host_label";
    /// For routing policies: `public`, `company`, ….
    pub const ACCESS: &str = "_wicketgate_access";
    /// `verify` or `insecure`: the upstream speaks TLS.
    pub const UPSTREAM_TLS: &str = "_wicketgate_upstream_tls";
    /// `http1` or `http2`.
    pub const UPSTREAM_HTTP: &str = "_wicketgate_upstream_http";
    /// `v1` or `v2`: the upstream wants the PROXY protocol.
    pub const PROXY_PROTOCOL: &str = "_wicketgate_proxy_protocol";
    /// `terminate`: clients of a TCP endpoint speak TLS with the gateway.
    pub const TLS: &str = "_wicketgate_tls";
    /// A TCP endpoint's port at the gateway.
    pub const LISTEN_PORT: &str = "_wicketgate_listen_port";
    /// Written by a gateway: the record of the endpoint's lease.
    pub const LEASE: &str = "_wicketgate_lease";
}

/// Of one session.
const MOST_ENDPOINTS: usize = 64;
const MOST_TAGS: usize = 64;

/// Of names and tags, in characters.
const LONGEST_TEXT: usize = 200;

/// What the gateway itself has to do with a task.
pub struct Gateway {
    /// The name under which it publishes TCP endpoints, in lower case.
    pub tcp_address: String,
    /// Ports by the names of static routes.
    pub static_ports: BTreeMap<String, u16>,
    pub records: Arc<Records>,
}

/// Adds what a task asks for.
pub fn candidates(task: &Task, queues: &[String], gateway: &Gateway, found: &mut Found) {
    let Some(session) = SessionId::parse(&task.id) else {
        found.rejected.push(rejection(&task.id, "", "the task's id isn't 1 to 128 letters, digits, `_` and `-`"));
        return;
    };
    let asked = Asked { task, session, attributes: attributes(task, queues), gateway };
    let endpoints = names(&task.runtime);
    for (taken, (protocol, name)) in endpoints.iter().enumerate() {
        let candidate =
            if taken < MOST_ENDPOINTS { asked.candidate(*protocol, name) } else { Err("too many endpoints".to_owned()) };
        match candidate {
            Ok((candidate, claim)) => {
                found.claims.extend(claim.map(|claim| (candidate.id.clone(), claim)));
                found.candidates.push(candidate.into());
            }
            Err(reason) => found.rejected.push(rejection(&task.id, name, &reason)),
        }
        if taken == MOST_ENDPOINTS {
            break;
        }
    }
    if endpoints.is_empty() {
        // The tag comes in a call of its own, before or after the keys.
        found.rejected.push(rejection(&task.id, "", "no port in the runtime yet"));
    }
}

/// One task and what is the same for all its endpoints.
struct Asked<'a> {
    task: &'a Task,
    session: SessionId,
    attributes: Attributes,
    gateway: &'a Gateway,
}

/// Where a TCP endpoint is, and the port that it had.
struct TcpPlace {
    host: Option<String>,
    port: u16,
    claim: Option<Claim>,
}

/// The endpoints whose port is there, HTTP first.
fn names(runtime: &Map<String, Value>) -> BTreeSet<(Protocol, &str)> {
    let of = |protocol, key: &'static str| {
        runtime.keys().filter_map(move |found| {
            let rest = found.strip_prefix(key)?;
            let name = if rest.is_empty() { "" } else { rest.strip_prefix("__")? };
            Some((protocol, name))
        })
    };
    of(Protocol::Http, "_PORT").chain(of(Protocol::Tcp, "external_tcp_port")).collect()
}

// === impl Asked ===

impl Asked<'_> {
    fn candidate(&self, protocol: Protocol, name: &str) -> Result<(Candidate, Option<Claim>), String> {
        // `_PORT__` alone would be another default endpoint.
        let well_formed = EndpointName::parse(name).filter(|_| !name.is_empty() || self.has_bare(protocol));
        let parsed = well_formed.ok_or("the endpoint's name isn't 1 to 63 letters, digits, `_` and `-`")?;
        let id = EndpointId { session: self.session.clone(), name: parsed };
        let TcpPlace { host, port, claim } = match protocol {
            Protocol::Http => {
                TcpPlace { host: self.text("_ADDRESS", name).map(str::to_owned), port: self.port("_PORT", name)?, claim: None }
            }
            Protocol::Tcp => self.tcp(&id)?,
        };
        let host = host.filter(|host| !host.is_empty()).ok_or("no address")?;
        let mut candidate = Candidate {
            source: SourceKind::Clearml,
            id,
            protocol,
            host,
            port,
            machine: self.task.runtime.get("_exec_agent_hostname").and_then(Value::as_str).map(shown),
            upstream_path: match self.text(ours::UPSTREAM_PATH, name) {
                Some("keep") => UpstreamPath::Keep,
                _ => UpstreamPath::Strip,
            },
            transport: self.transport(protocol, name)?,
            host_label: self.text(ours::HOST_LABEL, name).map(str::to_ascii_lowercase).filter(|label| is_host_label(label)),
            attributes: self.attributes.clone(),
        };
        if let Some(access) = self.text(ours::ACCESS, name).filter(|access| is_word(access)) {
            candidate.attributes.set("access", [access]);
        }
        describe(&mut candidate);
        // As far as it's shown: what's too long or odd for an address is refused by the dial rules.
        candidate.attributes.set("endpoint.address", [shown(&candidate.host)]);
        Ok((candidate, claim))
    }

    /// A gateway overwrites the address of a TCP endpoint with its own: then the task's own is in that gateway's record. A task
    /// that was given another address since (its client wrote the whole map again) keeps its port.
    fn tcp(&self, id: &EndpointId) -> Result<TcpPlace, String> {
        let name = id.name.as_str();
        let host = self.text("external_address", name);
        let port = self.port("external_tcp_port", name)?;
        let is_gateways = host.is_some_and(|host| host.eq_ignore_ascii_case(&self.gateway.tcp_address));
        let record = self.text(ours::LEASE, name).map(|text| self.gateway.records.read(id, text));
        let routed = self.port("upstream_task_port", name).is_ok_and(|own| own != port);
        match record {
            Some(Read::Ours(record)) => {
                let claim = Some(Claim { port: record.port, since: record.since });
                Ok(if is_gateways {
                    TcpPlace { host: Some(record.host), port: record.upstream_port, claim }
                } else {
                    TcpPlace { host: host.map(str::to_owned), port, claim }
                })
            }
            Some(Read::Anothers(gateway)) if is_gateways || routed => Err(format!("gateway {gateway} routes it")),
            _ if is_gateways => Err("this gateway routes it already, and the task's own address isn't known any more".into()),
            _ if routed => Err("another gateway routes it: its address isn't the task's".into()),
            _ => Ok(TcpPlace { host: host.map(str::to_owned), port, claim: None }),
        }
    }

    /// A word that isn't known refuses the endpoint: what somebody meant to be encrypted mustn't go in the clear.
    fn transport(&self, protocol: Protocol, name: &str) -> Result<Transport, String> {
        let listen_port = self.value(ours::LISTEN_PORT, name).map(|_| self.port(ours::LISTEN_PORT, name)).transpose()?;
        let static_port = if protocol == Protocol::Tcp { self.static_port(name)? } else { None };
        Ok(Transport {
            upstream_tls: self.word(ours::UPSTREAM_TLS, name, "off, verify or insecure")?.unwrap_or_default(),
            upstream_http: self.word(ours::UPSTREAM_HTTP, name, "http1 or http2")?.unwrap_or_default(),
            proxy_protocol: self.word(ours::PROXY_PROTOCOL, name, "v1 or v2")?,
            downstream_tls: self.word(ours::TLS, name, "off or terminate")?.unwrap_or_default(),
            listen_port: listen_port.or(static_port),
        })
    }

    /// A static route of a TCP endpoint is a port, by its name or its number. The default endpoints of both protocols share the
    /// key; it's the one's that `_SERVICE` names.
    fn static_port(&self, name: &str) -> Result<Option<u16>, String> {
        if self.text("_SERVICE", name) != Some("EXTERNAL_TCP") {
            return Ok(None);
        }
        let Some(route) = self.text("_ROUTER_ENDPOINT_MODE_PARAM", name).filter(|route| !route.is_empty()) else { return Ok(None) };
        let port = self.gateway.static_ports.get(route).copied().or_else(|| route.parse().ok().filter(|port| *port != 0));
        port.map(Some).ok_or_else(|| format!("the static route {} isn't one of tcp.static_ports", shown(route)))
    }

    fn word<T: DeserializeOwned>(&self, key: &str, name: &str, expected: &str) -> Result<Option<T>, String> {
        let Some(value) = self.value(key, name) else { return Ok(None) };
        let word = serde_json::from_value(value.clone());
        word.map(Some).map_err(|_| format!("{key} is {}, expected {expected}", shown(&value.to_string())))
    }

    fn has_bare(&self, protocol: Protocol) -> bool {
        self.task.runtime.contains_key(match protocol {
            Protocol::Http => "_PORT",
            Protocol::Tcp => "external_tcp_port",
        })
    }

    fn value(&self, key: &str, name: &str) -> Option<&Value> {
        if name.is_empty() { self.task.runtime.get(key) } else { self.task.runtime.get(&format!("{key}__{name}")) }
    }

    fn text(&self, key: &str, name: &str) -> Option<&str> {
        self.value(key, name)?.as_str()
    }

    /// A number, or its decimal text: clients write both.
    fn port(&self, key: &str, name: &str) -> Result<u16, String> {
        let value = self.value(key, name).ok_or("no port")?;
        let number = match value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) if (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().ok()
            }
            _ => None,
        };
        let port = number.and_then(|number| u16::try_from(number).ok()).filter(|port| *port != 0);
        port.ok_or_else(|| format!("{key} is {}, expected 1 to 65535", shown(&value.to_string())))
    }
}

fn attributes(task: &Task, queues: &[String]) -> Attributes {
    let mut attributes = Attributes::default();
    let single = [
        ("session.name", &task.name),
        ("session.created", &task.created),
        ("owner", &task.user),
        ("company", &task.company),
        ("project", &task.project),
    ];
    for (name, value) in single {
        attributes.set(name, value.as_deref().filter(|value| !value.is_empty()).map(shown));
    }
    attributes.set("queue", queues.iter().map(|queue| shown(queue)));
    attributes.set("tag", task.tags.iter().take(MOST_TAGS).map(|tag| shown(tag)));
    attributes
}

fn rejection(session: &str, endpoint: &str, reason: &str) -> Rejection {
    Rejection { session: shown(session), endpoint: shown(endpoint), reason: reason.to_owned() }
}

/// Safe to show: one line, not too long.
fn shown(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).take(LONGEST_TEXT).collect()
}

fn is_word(text: &str) -> bool {
    (1..=63).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
