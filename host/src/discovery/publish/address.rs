//! Which keys a task should have. Pure: from the routed endpoints and what's there to what is to be changed.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    clearml::{Edition, RuntimeEdit},
    domain::{Endpoint, EndpointId, SessionId},
};

const ENDPOINT: &str = "endpoint";
const BROWSER_ENDPOINT: &str = "browser_endpoint";

/// What addresses are made of.
pub struct Addresses {
    /// The gateway's public URL without a slash at its end.
    pub gateway: String,
    /// The gateway's name.
    pub name: String,
    /// The API server as browsers reach it, without a slash at its end.
    pub api: String,
}

/// The keys of a runtime that a gateway writes for HTTP, with their values. Nothing else of it is looked at.
pub fn written(runtime: &Map<String, Value>) -> BTreeMap<String, String> {
    let written = runtime.iter().filter(|(key, _)| {
        [ENDPOINT, BROWSER_ENDPOINT].iter().any(|ours| {
            key.strip_prefix(ours)
                .is_some_and(|rest| rest.is_empty() || rest.strip_prefix("__").is_some_and(|name| !name.is_empty()))
        })
    });
    // A value of another type isn't ours; it's shown as its JSON, which differs from any address.
    written.map(|(key, value)| (key.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))).collect()
}

// === impl Addresses ===

impl Addresses {
    /// What to change in a task that has `there`. Keys that stayed behind go only where this gateway wrote them.
    pub fn plan(
        &self,
        edition: Edition,
        session: &SessionId,
        endpoints: &[&Endpoint],
        there: &BTreeMap<String, String>,
    ) -> RuntimeEdit {
        let wanted: BTreeMap<String, String> = endpoints.iter().flat_map(|endpoint| self.keys(edition, &endpoint.id)).collect();
        let behind = there.iter().filter(|(key, value)| !wanted.contains_key(*key) && self.wrote(session, value));
        RuntimeEdit {
            remove: behind.map(|(key, _)| key.clone()).collect(),
            set: wanted.into_iter().filter(|(key, value)| there.get(key) != Some(value)).collect(),
        }
    }

    fn keys(&self, edition: Edition, id: &EndpointId) -> [(String, String); 2] {
        let key = |key: &str| if id.name.is_default() { key.to_owned() } else { format!("{key}__{}", id.name.as_str()) };
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
        [(key(ENDPOINT), format!("{}{path}", self.gateway)), (key(BROWSER_ENDPOINT), browser)]
    }

    /// Whether a value is one that this gateway writes for this session.
    fn wrote(&self, session: &SessionId, value: &str) -> bool {
        let after =
            |prefix: String| value.strip_prefix(&prefix).is_some_and(|rest| rest.starts_with(['/', '.', '%']) || rest.is_empty());
        after(format!("{}/service/{session}", self.gateway))
            || after(format!("{}/login?return=%2Fservice%2F{session}", self.gateway))
            || value.starts_with(&format!("{}/auth.redirect_to_router?router={}&task={session}&", self.api, encode(&self.name)))
    }
}

/// One query value.
fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
