//! Source `file`: a YAML list of sessions, written by the operator and watched. The demo hands over the same text embedded.
//!
//! `run` is started by the wiring for `discovery.file`; `parse` reads the text. A broken file keeps the last good list.

mod watch;

use serde::Deserialize;

use super::{
    candidates::{Found, KNOWN_ATTRIBUTES},
    declared::{Endpoint, Misfit},
};
use crate::domain::{Attributes, Candidate, SessionId, SourceKind};

pub use watch::run;

/// A larger file is refused: it would be a mistake, and it's read into memory.
pub const LARGEST_FILE: u64 = 8 << 20;

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sessions {
    sessions: Vec<Session>,
}

/// One running workload.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Session {
    id: String,
    name: Option<String>,
    owner: Option<String>,
    company: Option<String>,
    project: Option<String>,
    queue: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    /// For routing policies: `public`, `company`, …
    access: Option<String>,
    /// Further attributes, one value or several each; plugins read them as `label.<name>`.
    #[serde(default)]
    attributes: std::collections::BTreeMap<String, Values>,
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Several(Vec<String>),
}

/// What is wrong with the text of a list.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("not YAML: {0}")]
    Yaml(String),
    #[error("{key}: {problem}")]
    Shape { key: String, problem: String },
    #[error("{key}: found {found}, expected {expected}")]
    Value { key: String, found: String, expected: &'static str },
}

/// Reads a list. Everything in it must be right: a list that is wrong somewhere is refused whole.
pub fn parse(text: &str) -> Result<Found, Error> {
    // An empty document is YAML's null, which would say "expected struct" to somebody who emptied the file.
    let value: serde_json::Value = serde_saphyr::from_str(text).map_err(|error| Error::Yaml(one_line(&error.to_string())))?;
    let list: Sessions = serde_path_to_error::deserialize(value)
        .map_err(|error| Error::Shape { key: error.path().to_string(), problem: one_line(&error.inner().to_string()) })?;
    let mut candidates = Vec::new();
    let mut ids = std::collections::HashSet::new();
    for (at, session) in list.sessions.iter().enumerate() {
        for candidate in session.candidates(&format!("sessions[{at}]"))? {
            if !ids.insert((candidate.id.clone(), candidate.protocol)) {
                return Err(Error::Value {
                    key: format!("sessions[{at}]"),
                    found: format!("endpoint `{}` twice", candidate.id),
                    expected: "different ids and endpoint names",
                });
            }
            candidates.push(candidate.into());
        }
    }
    Ok(Found { candidates, ..Found::default() })
}

// === impl Session ===

impl Session {
    fn candidates(&self, key: &str) -> Result<Vec<Candidate>, Error> {
        let wrong =
            |part: &str, found: &str, expected| Error::Value { key: format!("{key}{part}"), found: format!("`{found}`"), expected };
        let session = SessionId::parse(&self.id).ok_or_else(|| wrong(".id", &self.id, "1 to 128 letters, digits, `_` and `-`"))?;
        let attributes = self.attributes(key)?;
        let mut candidates = Vec::with_capacity(self.endpoints.len());
        for (at, endpoint) in self.endpoints.iter().enumerate() {
            let misfit = |misfit: Misfit| Error::Value {
                key: format!("{key}.endpoints[{at}].{}", misfit.key),
                found: misfit.found,
                expected: misfit.expected,
            };
            let missing = || Misfit { key: "address", found: "none".into(), expected: "an IP address or a DNS name" };
            let host = endpoint.address.as_deref().ok_or_else(missing).map_err(misfit)?;
            candidates.push(endpoint.candidate(SourceKind::File, &session, host, &attributes).map_err(misfit)?);
        }
        Ok(candidates)
    }

    fn attributes(&self, key: &str) -> Result<Attributes, Error> {
        let mut attributes = Attributes::default();
        let single = [
            ("session.name", &self.name),
            ("owner", &self.owner),
            ("company", &self.company),
            ("project", &self.project),
            ("queue", &self.queue),
            ("access", &self.access),
        ];
        for (name, value) in single {
            attributes.set(name, value.as_deref());
        }
        attributes.set("tag", self.tags.iter().map(String::as_str));
        for (name, values) in &self.attributes {
            if name.is_empty() || KNOWN_ATTRIBUTES.contains(&name.as_str()) {
                return Err(Error::Value {
                    key: format!("{key}.attributes"),
                    found: format!("`{name}`"),
                    expected: "names other than those that sessions and endpoints have anyway",
                });
            }
            let values: Vec<&str> = match values {
                Values::One(value) => vec![value],
                Values::Several(values) => values.iter().map(String::as_str).collect(),
            };
            attributes.set(&format!("label.{name}"), values);
        }
        Ok(attributes)
    }
}

fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
