//! Why a plugin didn't decide.

use std::{fmt, sync::Arc};

use crate::domain::record::RecordId;

/// A plugin's name in the manifest with the component that stands behind it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize)]
pub struct PluginName {
    pub name: String,
    /// The first 12 hex digits of the component's SHA-256.
    pub digest: String,
}

/// A plugin failed to decide. Never an answer: whoever gets one fails closed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("plugin {plugin}: {kind}: {message}")]
pub struct Fault {
    pub plugin: Arc<PluginName>,
    pub kind: FaultKind,
    /// For the operator's log only.
    pub message: String,
    /// Where it can be looked up.
    pub record: Option<RecordId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The plugin answered `err`.
    Error,
    /// The plugin answered that something it needs isn't there.
    Unavailable,
    Trap,
    /// The budget of the call was used up.
    Deadline,
    /// Over the memory limit.
    Memory,
    /// The answer breaks the contract, or is too large.
    Output,
    /// No instance could be made.
    Instance,
}

impl Fault {
    pub fn new(plugin: &Arc<PluginName>, kind: FaultKind, message: impl Into<String>) -> Self {
        Self { plugin: Arc::clone(plugin), kind, message: message.into(), record: None }
    }
}

impl FaultKind {
    /// For metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Unavailable => "unavailable",
            Self::Trap => "trap",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::Output => "output",
            Self::Instance => "instance",
        }
    }

    /// Whether the instance can be used again: only when the guest returned by itself.
    pub(super) fn spares_the_instance(self) -> bool {
        matches!(self, Self::Error | Self::Unavailable)
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.digest)
    }
}
