//! Which keys a task should have. Pure: from the routed endpoints and what's there to what is to be changed.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use crate::{
    clearml::{Edition, RuntimeEdit},
    discovery::leases::record::{Read, Record, Records},
    domain::{Endpoint, EndpointId, EndpointName, Protocol, SessionId, Timestamp},
};

const ENDPOINT: &str = "endpoint";
const BROWSER_ENDPOINT: &str = "browser_endpoint";
const EXTERNAL_ADDRESS: &str = "external_address";
const EXTERNAL_PORT: &str = "external_tcp_port";
const UPSTREAM_PORT: &str = "upstream_task_port";
const LEASE: &str = "_wicketgate_lease";
/// Why an endpoint isn't served: the gateway's name and a code.
const STATUS: &str = "_wicketgate_status";

const WRITTEN: [&str; 7] = [ENDPOINT, BROWSER_ENDPOINT, EXTERNAL_ADDRESS, EXTERNAL_PORT, UPSTREAM_PORT, LEASE, STATUS];

/// What addresses are made of.
pub struct Addresses {
    /// The gateway's public URL without a slash at its end.
    pub gateway: String,
    /// The gateway's name.
    pub name: String,
    /// The API server as browsers reach it, without a slash at its end.
    pub api: String,
    /// The name or address under which clients reach leased ports.
    pub tcp_address: String,
    pub records: Arc<Records>,
}

/// What a session's keys follow from.
#[derive(Default)]
pub struct Wanted<'a> {
    pub endpoints: Vec<&'a Endpoint>,
    /// Since when each TCP endpoint has its port.
    pub since: BTreeMap<&'a EndpointId, Timestamp>,
    /// TCP endpoints that have no port, with a code that says why.
    pub refused: Vec<(&'a EndpointId, &'static str)>,
}

/// The keys of a runtime that a gateway writes, with their values. Nothing else of it is looked at.
pub fn written(runtime: &Map<String, Value>) -> BTreeMap<String, String> {
    let written = runtime.iter().filter(|(key, _)| {
        WRITTEN.iter().any(|ours| {
            key.strip_prefix(ours)
                .is_some_and(|rest| rest.is_empty() || rest.strip_prefix("__").is_some_and(|name| !name.is_empty()))
        })
    });
    // A value of another type isn't ours; it's shown as its JSON, which differs from any address.
    written.map(|(key, value)| (key.clone(), text(value))).collect()
}

// === impl Addresses ===

impl Addresses {
    /// What to change in a task that has `there`. Keys that stayed behind go only where this gateway wrote them; a TCP endpoint
    /// that's no longer routed gets its own address back.
    pub fn plan(
        &self,
        edition: Edition,
        session: &SessionId,
        wanted: &Wanted<'_>,
        there: &BTreeMap<String, String>,
    ) -> RuntimeEdit {
        let mut keys: BTreeMap<String, Value> = BTreeMap::new();
        for endpoint in &wanted.endpoints {
            match (endpoint.protocol, wanted.since.get(&endpoint.id)) {
                (Protocol::Http, _) => keys.extend(self.http_keys(edition, &endpoint.id)),
                (Protocol::Tcp, Some(since)) => keys.extend(self.tcp_keys(endpoint, *since)),
                (Protocol::Tcp, None) => {}
            }
        }
        for (id, code) in &wanted.refused {
            keys.insert(key(STATUS, &id.name), format!("{}: {code}", self.name).into());
        }
        let mut edit = RuntimeEdit::default();
        for (key, value) in there.iter().filter(|(key, _)| !keys.contains_key(*key)) {
            match key.strip_prefix(LEASE) {
                Some(rest) => self.give_back(session, rest, value, there, &mut edit),
                None if self.wrote(session, key, value) => drop(edit.remove.insert(key.clone())),
                None => {}
            }
        }
        edit.set.extend(keys.into_iter().filter(|(key, value)| there.get(key).is_none_or(|there| *there != text(value))));
        edit
    }

    fn http_keys(&self, edition: Edition, id: &EndpointId) -> [(String, Value); 2] {
        let path = id.path();
        let browser = match edition {
            Edition::Open => format!("{}/login?return={}", self.gateway, encode(&path)),
            Edition::Enterprise => format!(
                "{}/auth.redirect_to_router?router={}&task={}&path={}",
                self.api,
                encode(&self.name),
                id.session,
                encode(path.trim_matches('/'))
            ),
        };
        [(key(ENDPOINT, &id.name), format!("{}{path}", self.gateway).into()), (key(BROWSER_ENDPOINT, &id.name), browser.into())]
    }

    /// A task's own port as a number, as clients write it; present, it tells them that the endpoint is ready.
    fn tcp_keys(&self, endpoint: &Endpoint, since: Timestamp) -> Vec<(String, Value)> {
        let Some(port) = endpoint.listener_port else { return Vec::new() };
        let name = &endpoint.id.name;
        let (host, upstream_port) = (endpoint.upstream_name.to_string(), endpoint.upstream.port());
        let record = self.records.write(&endpoint.id, &Record { port, since, host, upstream_port });
        vec![
            (key(EXTERNAL_ADDRESS, name), self.tcp_address.clone().into()),
            (key(EXTERNAL_PORT, name), port.into()),
            (key(UPSTREAM_PORT, name), upstream_port.into()),
            (key(LEASE, name), record.into()),
        ]
    }

    /// Undoes what was written for a lease that this gateway recorded. `rest` is what stands behind the key's beginning.
    fn give_back(&self, session: &SessionId, rest: &str, value: &str, there: &BTreeMap<String, String>, edit: &mut RuntimeEdit) {
        let Some(name) = EndpointName::parse(rest.strip_prefix("__").unwrap_or(rest)) else { return };
        let id = EndpointId { session: session.clone(), name };
        let Read::Ours(record) = self.records.read(&id, value) else { return };
        edit.remove.insert(key(LEASE, &id.name));
        if there.get(&key(EXTERNAL_ADDRESS, &id.name)).is_some_and(|address| address.eq_ignore_ascii_case(&self.tcp_address)) {
            edit.set.insert(key(EXTERNAL_ADDRESS, &id.name), record.host.into());
            edit.set.insert(key(EXTERNAL_PORT, &id.name), record.upstream_port.into());
            // Its presence says that a gateway leads there.
            edit.remove.insert(key(UPSTREAM_PORT, &id.name));
        }
    }

    /// Whether a value is one that this gateway writes for this session.
    fn wrote(&self, session: &SessionId, key: &str, value: &str) -> bool {
        if key.starts_with(STATUS) {
            return value.strip_prefix(&self.name).is_some_and(|rest| rest.starts_with(": "));
        }
        if !key.starts_with(ENDPOINT) && !key.starts_with(BROWSER_ENDPOINT) {
            return false;
        }
        let after =
            |prefix: String| value.strip_prefix(&prefix).is_some_and(|rest| rest.starts_with(['/', '.', '%']) || rest.is_empty());
        after(format!("{}/service/{session}", self.gateway))
            || after(format!("{}/login?return=%2Fservice%2F{session}", self.gateway))
            || value.starts_with(&format!("{}/auth.redirect_to_router?router={}&task={session}&", self.api, encode(&self.name)))
    }
}

fn key(key: &str, name: &EndpointName) -> String {
    if name.is_default() { key.to_owned() } else { format!("{key}__{}", name.as_str()) }
}

/// As `written` shows it: clients write numbers as texts, too.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// One query value.
fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
