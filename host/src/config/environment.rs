//! Environment variables over the file: `WICKETGATE_<SECTION>__<KEY>` for every key, two underscores between the steps of
//! its path. A variable wins over the file, because it's nearer to the one process that it was set for.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

const PREFIX: &str = "WICKETGATE_";

/// Keys that stand outside a section.
const TOP: [&str; 3] = ["name", "public_url", "base_domain"];

/// In either case, as clients of HTTP read them; certificates as OpenSSL does.
const NETWORK: [&str; 6] = ["ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_DIR", "SSL_CERT_FILE"];

/// The variables that a configuration is read under; not the process's own in tests.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

/// One key that a variable set, with the ways in which its text may still be read.
pub(super) struct Setting {
    pub variable: String,
    pub path: Vec<String>,
    /// Tried in order until one fits the key's type; the last one first.
    readings: Vec<Value>,
}

// === impl Environment ===

impl Environment {
    /// The process's variables. Those that aren't UTF-8 are left out.
    pub fn of_process() -> Self {
        Self(std::env::vars_os().filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?))).collect())
    }

    /// The token of the admin listener, as a gateway takes it and as its operators' commands send it.
    pub fn admin_token(&self) -> Option<&str> {
        self.variable("WICKETGATE_ADMIN__TOKEN").filter(|token| !token.is_empty())
    }

    /// The port of the admin listener of a gateway that runs under the same variables.
    pub fn admin_port(&self) -> Option<u16> {
        let listen = self.variable("WICKETGATE_ADMIN__LISTEN")?;
        listen.parse::<std::net::SocketAddr>().ok().map(|listen| listen.port())
    }

    /// What a process that speaks with registries needs to know: the way out, and whom to trust. Nothing else is handed on, because the
    /// gateway's secrets may stand in its variables.
    pub fn of_network(&self) -> impl Iterator<Item = (&str, &str)> {
        let is_ours = |name: &str| NETWORK.contains(&name) || NETWORK.iter().any(|one| one.to_ascii_lowercase() == name);
        self.0.iter().filter(move |(name, _)| is_ours(name)).map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// Whether somebody wants no colours on any terminal (no-color.org).
    pub fn is_without_colour(&self) -> bool {
        self.variable("NO_COLOR").is_some_and(|value| !value.is_empty())
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The gateway's own variables as settings; those that look like ours and aren't go to the notices.
    pub(super) fn settings(&self, notices: &mut Vec<String>) -> Vec<Setting> {
        let mut settings = Vec::new();
        for (variable, text) in &self.0 {
            let Some(rest) = variable.strip_prefix(PREFIX) else { continue };
            let name = rest.to_ascii_lowercase();
            if name.contains("__") || TOP.contains(&name.as_str()) {
                let path = name.split("__").map(str::to_owned).collect();
                settings.push(Setting::new(variable, path, readings(text)));
            } else if !is_service_link(rest) {
                notices.push(format!(
                    "environment variable {variable} isn't known and has no effect; a key of a section is set by \
                     {PREFIX}<SECTION>__<KEY>, with two underscores"
                ));
            }
        }
        settings
    }
}

impl<N: Into<String>, T: Into<String>> FromIterator<(N, T)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, T)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, text)| (name.into(), text.into())).collect())
    }
}

// === impl Setting ===

impl Setting {
    pub fn new(variable: &str, path: Vec<String>, mut readings: Vec<Value>) -> Self {
        readings.reverse();
        Self { variable: variable.to_owned(), path, readings }
    }

    /// Puts the next reading into the configuration. False when there is none left, or when something that isn't a map
    /// stands in the way: the parser then complains about that.
    pub fn put(&mut self, configuration: &mut Value) -> bool {
        let Some((key, sections)) = self.path.split_last() else { return false };
        let Some(reading) = self.readings.pop() else { return false };
        let mut at = configuration;
        for section in sections {
            let Some(map) = as_map(at) else { return false };
            at = map.entry(section.clone()).or_insert(Value::Null);
        }
        as_map(at).map(|map| map.insert(key.clone(), reading)).is_some()
    }
}

fn as_map(value: &mut Value) -> Option<&mut Map<String, Value>> {
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut()
}

/// What a text may mean, in the order in which it's tried: what YAML says, the text as it stands, a list of its words.
/// So a password of digits stays a text, and `10.0.0.0/8, fd00::/8` is two networks.
fn readings(text: &str) -> Vec<Value> {
    let as_it_stands = Value::String(text.to_owned());
    let words = text.split([',', ' ']).filter(|word| !word.is_empty()).map(|word| Value::String(word.to_owned())).collect();
    let yaml = match serde_saphyr::from_str::<Value>(text) {
        // YAML trims, unquotes and cuts comments off: a text in a variable is meant as it stands.
        Ok(Value::String(_)) | Err(_) => None,
        // `&name` and the like are null to YAML.
        Ok(Value::Null) if !matches!(text.trim(), "" | "null" | "~") => None,
        Ok(value) => Some(value),
    };
    yaml.into_iter().chain([as_it_stands, Value::Array(words)]).collect()
}

/// Kubernetes sets such variables for each Service of the namespace, and one is likely to be called `wicketgate`.
fn is_service_link(rest: &str) -> bool {
    let ends = ["SERVICE_HOST", "SERVICE_PORT", "PORT"];
    ends.iter().any(|end| rest.ends_with(end))
        || rest.contains("SERVICE_PORT_")
        || rest.split_once("PORT_").is_some_and(|(_, port)| port.starts_with(|first: char| first.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_network_is_the_way_out_and_whom_to_trust() {
        let all = ["HTTPS_PROXY", "no_proxy", "SSL_CERT_FILE", "WICKETGATE_ADMIN__TOKEN", "Https_Proxy", "PATH", "MY_HTTP_PROXY"];
        let environment: Environment = all.into_iter().map(|name| (name, "x")).collect();
        let mut names: Vec<_> = environment.of_network().map(|(name, _)| name).collect();
        names.sort_unstable();
        assert_eq!(names, ["HTTPS_PROXY", "SSL_CERT_FILE", "no_proxy"]);
    }
}
