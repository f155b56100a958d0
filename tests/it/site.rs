//! What tests of plugins and of the protocol begin with: a gateway with a plugin directory, one session from a file, and people
//! whose tokens a configured secret signs.

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use tempfile::TempDir;
use wicketgate_tests::{Client, ConfigMap, Gateway, Upstream, eventually};

/// Signs the tokens of the key set `people`.
pub const SECRET: &str = "a secret that is only known to these tests";

/// A plugin directory that can be changed, before a gateway uses it.
pub struct Site {
    pub upstream: Upstream,
    pub plugins: ConfigMap,
    files: TempDir,
}

/// Three default plugins.
pub const DEFAULTS: [&str; 3] = [
    "{name: filter, kind: discovery-filter, builtin: discovery-filter}",
    "{name: auth, kind: authenticator, builtin: cookie-auth, grants: {log: true, key_sets: [people]}, \
     config: {key_sets: [people]}}",
    "{name: policy, kind: routing-policy, builtin: routing-policy}",
];

/// A path of the session, which answers what it got.
pub const SESSION: &str = "/service/s1/echo";

/// A manifest of these entries.
pub fn manifest<S: AsRef<str>>(entries: &[S]) -> String {
    entries.iter().fold("version: 1\nplugins:\n".to_owned(), |text, entry| text + "  - " + entry.as_ref() + "\n")
}

/// The defaults as they are.
pub fn defaults() -> String {
    manifest(&DEFAULTS)
}

/// The defaults with one in another's place: `kind` names which.
pub fn defaults_with(kind: &str, entry: &str) -> String {
    let wanted = format!("kind: {kind},");
    manifest(&DEFAULTS.map(|default| if default.contains(&wanted) { entry } else { default }))
}

/// The defaults with a policy of this configuration, and this section `activation`.
pub fn activated(activation: &str, policy: &str) -> String {
    let policy = format!("{{name: policy, kind: routing-policy, builtin: routing-policy, config: {{{policy}}}}}");
    with_activation(activation, &defaults_with("routing-policy", &policy))
}

/// A manifest with this section `activation`.
pub fn with_activation(activation: &str, manifest: &str) -> String {
    manifest.replacen("version: 1\n", &format!("version: 1\nactivation: {{{activation}}}\n"), 1)
}

/// A token with these claims, which doesn't end unless they say so.
pub fn token(claims: &Value) -> String {
    jsonwebtoken::encode(&Header::default(), claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

/// Somebody by name.
pub fn person(name: &str) -> Client {
    Client::default().bearer(&token(&json!({"sub": name})))
}

/// Somebody who wasn't here before: no decision about him is remembered.
pub fn newcomer() -> Client {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    person(&format!("newcomer{}", NEXT.fetch_add(1, Ordering::Relaxed)))
}

// === impl Site ===

impl Site {
    /// A session `s1` that belongs to alice and says of itself that it's public.
    pub fn new<C: AsRef<[u8]>>(plugins: &[(&str, C)]) -> Self {
        let (upstream, files) = (Upstream::start(), tempfile::tempdir().unwrap());
        let endpoints = format!("[{{address: 127.0.0.1, port: {}}}]", upstream.port());
        let sessions = format!("sessions: [{{id: s1, owner: alice, access: public, endpoints: {endpoints}}}]\n");
        std::fs::write(files.path().join("sessions.yaml"), sessions).unwrap();
        Self { upstream, plugins: ConfigMap::new(plugins), files }
    }

    /// The configuration of a gateway at this site.
    pub fn config(&self) -> String {
        self.config_with("")
    }

    /// The same with further keys in its section `plugins`: `, key: value`.
    pub fn config_with(&self, keys: &str) -> String {
        let directory = self.plugins.path().display();
        self.config_without_directory() + &format!("plugins: {{directory: '{directory}', poll_s: 1{keys}}}\n")
    }

    /// Puts other sessions in the place of `s1`.
    pub fn write_sessions(&self, text: &str) {
        std::fs::write(self.files.path().join("sessions.yaml"), text).unwrap();
    }

    pub fn config_without_directory(&self) -> String {
        let sessions = self.files.path().join("sessions.yaml");
        format!(
            "key_sets: {{people: {{kind: secret, secret: '{SECRET}', encoding: raw}}}}\n\
             discovery: {{file: '{}', dial: {{networks: [127.0.0.0/8]}}}}\n",
            sessions.display()
        )
    }

    /// Mounts a manifest alone.
    pub fn mount(&mut self, manifest: &str) {
        self.mount_files(&only(manifest.to_owned()));
    }

    pub fn mount_files<C: AsRef<[u8]>>(&mut self, files: &[(&str, C)]) {
        self.plugins.replace(files);
    }
}

/// A directory with nothing but a manifest.
pub fn only(manifest: String) -> [(&'static str, String); 1] {
    [("plugins.yaml", manifest)]
}

/// The generation that decides.
pub async fn generation(gateway: &Gateway) -> Option<u64> {
    gateway.status("/plugins").await["generation"].as_u64()
}

/// Waits until a set other than this one decides.
pub async fn swapped(gateway: &Gateway, before: u64) -> u64 {
    eventually("another plugin set", async || {
        let status = gateway.status("/plugins").await;
        assert_eq!(status["refused"], Value::Null);
        status["generation"].as_u64().filter(|generation| *generation != before)
    })
    .await
}

/// The same where what was there before was refused.
pub async fn recovered(gateway: &Gateway, before: u64) -> u64 {
    let decides = async || generation(gateway).await.filter(|generation| *generation != before);
    eventually("another plugin set", decides).await
}

/// Waits until what's mounted is refused, and answers why.
pub async fn refused(gateway: &Gateway, earlier: Option<&str>) -> String {
    eventually("a refusal", async || {
        let why = gateway.status("/plugins").await["refused"]["why"].as_str()?.to_owned();
        (Some(why.as_str()) != earlier).then_some(why)
    })
    .await
}

/// Waits until what's mounted is what decides.
pub async fn settled(gateway: &Gateway) {
    eventually("the directory's set decides", async || (gateway.status("/plugins").await["refused"] == Value::Null).then_some(()))
        .await;
}

/// The gateway's status for `/readyz`.
pub async fn readiness(gateway: &Gateway) -> u16 {
    Client::default().get(&format!("{}/readyz", gateway.admin)).await.status.as_u16()
}

/// The directory that `..data` leads to now.
pub fn mounted(directory: &Path) -> std::path::PathBuf {
    directory.join("..data").canonicalize().unwrap()
}
