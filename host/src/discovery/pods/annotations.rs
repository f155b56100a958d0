//! What a pod's annotations ask for. Whoever may create pods in the namespace writes them; who may enter is decided by the filters
//! and policies, as for any session.

use std::{collections::BTreeMap, sync::Arc};

use super::Gateway;
use crate::{
    discovery::{
        candidates::Rejection,
        declared::Endpoint,
        leases::{Claim, record::Read},
    },
    domain::{Attributes, Candidate, EndpointId, EndpointName, Protocol, SessionId, SourceKind},
    kubernetes::pods::{ANNOTATIONS, Life, Pod},
};

/// Without the prefix.
mod asked {
    /// The port of one HTTP endpoint: short for a list with it alone.
    pub const PORT: &str = "port";
    pub const ENDPOINTS: &str = "endpoints";
    pub const SESSION: &str = "session";
    /// The one gateway that is meant.
    pub const GATEWAY: &str = "gateway";
    pub const GROUPS: &str = "groups";
    pub const TAGS: &str = "tags";
    pub const LABEL: &str = "label.";
    /// Those that are attributes, by the names of the contract.
    pub const ATTRIBUTES: [(&str, &str); 6] = [
        ("name", "session.name"),
        ("owner", "owner"),
        ("company", "company"),
        ("project", "project"),
        ("queue", "queue"),
        ("access", "access"),
    ];
}

/// Written by a gateway; without the prefix. An endpoint's own have `.<name>` behind.
pub mod written {
    pub const ENDPOINT: &str = "endpoint";
    pub const EXTERNAL_ADDRESS: &str = "external-address";
    pub const STATUS: &str = "status";
    /// A map of records by endpoint name, as JSON.
    pub const LEASES: &str = "leases";
    /// The name of the gateway that writes here.
    pub const BY: &str = "published-by";

    /// Whether an annotation is one that gateways write; without the prefix.
    pub fn is(name: &str) -> bool {
        let of_endpoint = [ENDPOINT, EXTERNAL_ADDRESS, STATUS];
        [LEASES, BY].contains(&name)
            || of_endpoint.iter().any(|key| name.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    }
}

/// What one pod declares.
#[derive(Debug, Default, PartialEq)]
pub struct Declared {
    /// None where it can't be one, or not now.
    pub session: Option<SessionId>,
    pub candidates: Vec<Arc<Candidate>>,
    pub claims: Vec<(EndpointId, Claim)>,
    pub rejected: Vec<Rejection>,
}

const MOST_ENDPOINTS: usize = 64;
/// With `external-address.` in front an annotation's name has at most 63 characters.
const LONGEST_NAME: usize = 46;
const MOST_VALUES: usize = 64;
/// Unknown annotations of a pod that are shown.
const MOST_SHOWN: usize = 4;

/// None when the pod doesn't want to be a session, or not one of this gateway's.
pub fn declared(pod: &Pod, gateway: &Gateway) -> Option<Declared> {
    let annotation = |name: &str| pod.annotations.get(&format!("{ANNOTATIONS}{name}")).map(|text| text.trim());
    let endpoints = match (annotation(asked::ENDPOINTS), annotation(asked::PORT)) {
        (None, None) => return None,
        (Some(list), None) => parse(list),
        (None, Some(port)) => parse(&format!("[{{port: {port}}}]")),
        (Some(_), Some(_)) => Err("found both wicketgate.io/port and wicketgate.io/endpoints, expected one of them".into()),
    };
    if annotation(asked::GATEWAY).is_some_and(|name| name != gateway.name) || pod.life == Life::Ended {
        return None;
    }
    let id = annotation(asked::SESSION).unwrap_or(&pod.name);
    let mut declared = Declared::default();
    let mut reject = |endpoint: &str, reason: String| {
        declared.rejected.push(Rejection { session: shown(id), endpoint: shown(endpoint), reason });
    };
    for name in
        pod.annotations.keys().filter_map(|name| name.strip_prefix(ANNOTATIONS)).filter(|name| !is_known(name)).take(MOST_SHOWN)
    {
        reject("", format!("pod {} has the unknown annotation {ANNOTATIONS}{}: it means nothing", pod.name, shown(name)));
    }
    let Some(session) = SessionId::parse(id) else {
        let expected = "expected 1 to 128 letters, digits, `_` and `-` in wicketgate.io/session, or in the pod's name without it";
        reject("", format!("pod {}: found `{}`, {expected}", pod.name, shown(id)));
        return Some(declared);
    };
    let endpoints = match endpoints {
        Ok(endpoints) => endpoints,
        Err(reason) => {
            reject("", format!("pod {}: {reason}", pod.name));
            return Some(declared);
        }
    };
    let Some(address) = pod.addresses.first().filter(|_| pod.life == Life::Running) else {
        reject("", format!("pod {} isn't running yet", pod.name));
        return Some(declared);
    };
    let attributes = attributes(pod, &annotation);
    let host = address.to_string();
    let publishes = published_by(pod).is_none_or(|name| name == gateway.name) || annotation(asked::GATEWAY).is_some();
    let mut candidates: Vec<Arc<Candidate>> = Vec::with_capacity(endpoints.len());
    for endpoint in &endpoints {
        if endpoint.protocol == Protocol::Tcp && !publishes {
            let by = shown(published_by(pod).unwrap_or_default());
            reject(&endpoint.name, format!("pod {} is published by gateway {by}: its TCP endpoints are at that gateway", pod.name));
            continue;
        }
        match candidate(endpoint, &session, &host, &attributes) {
            Ok(candidate) if candidates.iter().any(|other| (&other.id, other.protocol) == (&candidate.id, candidate.protocol)) => {
                reject(&endpoint.name, format!("pod {} has another endpoint of this name", pod.name));
            }
            Ok(candidate) => candidates.push(Arc::new(candidate)),
            Err(reason) => reject(&endpoint.name, format!("pod {}: {reason}", pod.name)),
        }
    }
    declared.claims = claims(&candidates, annotation(written::LEASES).filter(|_| publishes), gateway);
    declared.candidates = candidates;
    declared.session = Some(session);
    Some(declared)
}

/// The gateway that writes into a pod.
pub fn published_by(pod: &Pod) -> Option<&str> {
    pod.annotations.get(&format!("{ANNOTATIONS}{}", written::BY)).map(String::as_str)
}

/// Whether the pod names this one gateway as its own.
pub fn is_for(pod: &Pod, gateway: &str) -> bool {
    pod.annotations.get(&format!("{ANNOTATIONS}{}", asked::GATEWAY)).is_some_and(|name| name.trim() == gateway)
}

fn parse(list: &str) -> Result<Vec<Endpoint>, String> {
    let endpoints: Vec<Endpoint> = serde_saphyr::from_str(list).map_err(|error| {
        let why = error.without_snippet().to_string();
        format!("wicketgate.io/endpoints or wicketgate.io/port: {}", shown(why.lines().next().unwrap_or_default()))
    })?;
    if endpoints.is_empty() || endpoints.len() > MOST_ENDPOINTS {
        return Err(format!("wicketgate.io/endpoints: found {} endpoints, expected 1 to {MOST_ENDPOINTS}", endpoints.len()));
    }
    Ok(endpoints)
}

fn candidate(endpoint: &Endpoint, session: &SessionId, host: &str, attributes: &Attributes) -> Result<Candidate, String> {
    if endpoint.address.is_some() {
        return Err("address: found one, expected none: a pod's endpoints are at the pod's own".into());
    }
    if endpoint.name.len() > LONGEST_NAME {
        return Err(format!("name: found {} characters, expected at most {LONGEST_NAME} in a pod", endpoint.name.len()));
    }
    let candidate = endpoint.candidate(SourceKind::Kubernetes, session, host, attributes);
    candidate.map_err(|misfit| format!("{}: found {}, expected {}", misfit.key, shown(&misfit.found), misfit.expected))
}

fn attributes<'a>(pod: &Pod, annotation: &impl Fn(&str) -> Option<&'a str>) -> Attributes {
    let mut attributes = Attributes::default();
    attributes.set("session.created", [pod.created.as_str()]);
    for (name, attribute) in asked::ATTRIBUTES {
        attributes.set(attribute, annotation(name).filter(|value| !value.is_empty()).map(shown));
    }
    attributes.set("tag", list(annotation(asked::TAGS).unwrap_or_default()));
    let labels = pod.annotations.iter().filter_map(|(name, value)| {
        let label = name.strip_prefix(ANNOTATIONS)?.strip_prefix(asked::LABEL)?;
        Some((label, value))
    });
    for (label, value) in labels {
        attributes.set(&format!("label.{label}"), list(value));
    }
    // What the default policy reads.
    if let Some(groups) = annotation(asked::GROUPS) {
        attributes.set("label.group", list(groups));
    }
    attributes
}

/// Values with commas between.
fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|value| !value.is_empty()).take(MOST_VALUES).map(shown).collect()
}

/// The ports that TCP endpoints had, by this gateway's own records.
fn claims(candidates: &[Arc<Candidate>], leases: Option<&str>, gateway: &Gateway) -> Vec<(EndpointId, Claim)> {
    let records: BTreeMap<String, String> = leases.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let claim = |candidate: &Arc<Candidate>| {
        let text = records.get(candidate.id.name.as_str()).filter(|_| candidate.protocol == Protocol::Tcp)?;
        let Read::Ours(record) = gateway.records.read(&candidate.id, text) else { return None };
        Some((candidate.id.clone(), Claim { port: record.port, since: record.since }))
    };
    candidates.iter().filter_map(claim).collect()
}

/// Without the prefix.
fn is_known(name: &str) -> bool {
    [asked::PORT, asked::ENDPOINTS, asked::SESSION, asked::GATEWAY, asked::GROUPS, asked::TAGS].contains(&name)
        || name.starts_with(asked::LABEL)
        || asked::ATTRIBUTES.iter().any(|(asked, _)| *asked == name)
        || written::is(name)
}

/// The name of an annotation of ours about one endpoint.
pub fn key(key: &str, name: &EndpointName) -> String {
    if name.is_default() { format!("{ANNOTATIONS}{key}") } else { format!("{ANNOTATIONS}{key}.{}", name.as_str()) }
}

/// One line, not too long.
fn shown(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).take(200).collect()
}
