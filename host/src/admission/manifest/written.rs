//! The manifest as it's written, key for key: what is parsed, and what the JSON Schema for editors is made of. A field's first
//! comment is what an editor shows.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::Deserialize;
use serde_json::Value;

use crate::admission::Activation;

/// Which plugins decide, in which order, with which configuration, grants and limits.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "plugins.yaml of Wicketgate")]
pub struct Written {
    /// The manifest's own version.
    #[schemars(extend("const" = 1))]
    pub version: u64,
    /// How this set goes live, and what takes it back.
    #[serde(default)]
    pub activation: Activation,
    /// In the order in which they are asked; at least one of each kind.
    #[schemars(length(min = 3, max = super::MOST_PLUGINS))]
    pub plugins: Vec<WrittenEntry>,
}

/// One plugin. Its component comes from exactly one of `file`, `oci` and `builtin`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["file"]}, {"required": ["oci"]}, {"required": ["builtin"]}]))]
#[schemars(rename = "Plugin")]
pub struct WrittenEntry {
    /// What logs, metrics and `/plugins` call it; each once.
    #[schemars(regex(pattern = "^[A-Za-z0-9_-]{1,63}$"))]
    pub name: String,
    pub kind: WrittenKind,
    /// A component beside the manifest: `name.wasm` or `name.wasm.zst`.
    #[schemars(regex(pattern = r"^[^./\\][^/\\]*\.wasm(\.zst)?$"))]
    pub file: Option<String>,
    /// A component in a registry, by its digest: `registry.example/team/policy@sha256:…`.
    #[schemars(regex(pattern = "^(oci://)?[^/@]+/[^@]+@sha256:[0-9a-f]{64}$"))]
    pub oci: Option<String>,
    /// One of the default plugins.
    #[schemars(extend("enum" = embedded()))]
    pub builtin: Option<String>,
    /// The component's digest, unpacked. Another component than this is refused.
    #[schemars(regex(pattern = "^[0-9A-Fa-f]{64}$"))]
    pub sha256: Option<String>,
    /// YAML files beside the manifest with its own cases, which must come out as written.
    #[schemars(inner(regex(pattern = r"^[^./\\][^/\\]*\.yaml$")))]
    #[serde(default)]
    pub cases: Vec<String>,
    /// What the plugin gets, as JSON text.
    #[serde(default = "nothing")]
    pub config: Value,
    #[serde(default)]
    pub grants: WrittenGrants,
    #[serde(default)]
    pub limits: WrittenLimits,
    #[serde(default)]
    pub on_error: WrittenOnError,
}

/// What it decides.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Kind")]
pub enum WrittenKind {
    /// Which discovered endpoints are published.
    DiscoveryFilter,
    /// Who a request comes from.
    Authenticator,
    /// Whether somebody may enter, and where a request goes.
    RoutingPolicy,
}

/// What of the gateway it may use.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Grants")]
pub struct WrittenGrants {
    /// Whether it may write to the gateway's log.
    pub log: bool,
    /// Key sets, by name, by which it may have tokens verified; for authenticators.
    pub key_sets: Vec<String>,
    /// For routing policies.
    pub facts: Vec<WrittenFact>,
}

/// What the gateway finds out before a call.
#[derive(Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Fact")]
pub enum WrittenFact {
    /// Whether the ClearML server lets this person read this session.
    MayReadSession,
}

/// Less than what the gateway's configuration allows.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Limits")]
pub struct WrittenLimits {
    /// Processor time of a call, in milliseconds.
    #[schemars(range(min = 1, max = 1000))]
    pub call_budget_ms: Option<u64>,
    /// The plugin's memory, in MiB.
    #[schemars(range(min = 1))]
    pub memory_mib: Option<usize>,
}

/// What it means when the plugin fails to decide.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "OnError")]
pub enum WrittenOnError {
    /// The request gets 503; of a filter, earlier verdicts stand and new sessions wait.
    #[default]
    Closed,
    /// Of a routing policy: the session's owner gets in, all others get 503.
    OwnerOnly,
}

pub fn nothing() -> Value {
    Value::Object(serde_json::Map::new())
}

fn embedded() -> Vec<&'static str> {
    crate::admission::EMBEDDED.iter().map(|(name, _)| *name).collect()
}

/// The manifest's JSON Schema, in the version that editors understand best.
pub fn schema() -> Value {
    SchemaSettings::draft07().into_generator().into_root_schema_for::<Written>().to_value()
}
