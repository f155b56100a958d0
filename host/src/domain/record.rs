//! A decision as data: what it was made from and what it came to. Recorded on the request path, kept in memory, exported as
//! JSON lines, written by hand as a plugin's own cases, and run again with other plugins. It holds no credential: those are
//! replaced before anything gets here.

mod bytes;
mod decision;
mod stand_in;

use std::{fmt, net::IpAddr, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

pub use self::{
    bytes::{Bytes, Field, Fields, json_bytes},
    decision::{Challenge, Decision, Edit},
    stand_in::StandIn,
};
use super::{Attributes, Identity, Timestamp, decision::Kind};

/// Names one record: unique among all replicas and restarts, as far as chance goes. Sixteen hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub u64);

/// One decision of one chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub id: RecordId,
    pub generation: u64,
    /// The digest of the plugin set.
    pub set: String,
    /// The plugins that were asked, in order, as `name@digest`.
    pub asked: Vec<String>,
    pub inputs: Inputs,
    pub outcome: Outcome,
    /// From the first plugin's call to the last one's answer, in microseconds.
    pub took_us: u64,
}

/// What a chain decides from. Whatever isn't there counts as absent if it's among the `known` inputs, and as not recorded
/// otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    pub kind: Kind,
    pub now_ms: Timestamp,
    #[serde(default, skip_serializing_if = "Known::is_everything")]
    pub known: Known,
    /// None for a discovery filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<Http>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<Tcp>,
    /// Every attribute of the session or candidate. None: there is no such session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Attributes>,
    /// For routing policies: who the authenticators said it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub may_read_session: Option<MayRead>,
    /// What the host answered about tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<Token>,
}

/// Which inputs were looked at, by the names that `/plugins` shows: `method`, `path`, `header accept`, `cookie a`, `cookie b*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<Vec<String>>", into = "Option<Vec<String>>")]
pub enum Known {
    /// Of a case that somebody wrote: what isn't there is absent.
    #[default]
    Everything,
    These(Arc<[String]>),
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_address: Option<IpAddr>,
    /// In DER.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener_port: Option<u16>,
    #[serde(skip_serializing_if = "Fields::is_empty")]
    pub cookies: Fields,
    #[serde(skip_serializing_if = "Fields::is_empty")]
    pub headers: Fields,
    /// Percent-decoded.
    #[serde(skip_serializing_if = "Fields::is_empty")]
    pub query: Fields,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tcp {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener_port: Option<u16>,
}

/// Whether the server lets somebody read the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MayRead {
    Yes,
    No,
    /// Nobody could find out, and why.
    Unavailable(String),
}

/// What one key set says of one token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// As it stands in the inputs: what replaced it, or in a case any text.
    pub token: String,
    pub key_set: String,
    #[serde(flatten)]
    pub answer: TokenAnswer,
}

/// A key set's word on a token. Times, audience and issuer are looked at anew each time, since another plugin may ask for others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenAnswer {
    /// The signature is good, or the server accepts it: all of its claims.
    Claims(serde_json::Value),
    Refused(Refused),
    Unavailable(String),
}

/// Why a token isn't one of a key set's, whatever its claims say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refused {
    Malformed,
    Algorithm,
    UnknownKey,
    Signature,
    CriticalHeader,
    /// By the server that was asked.
    ByServer,
}

/// What a chain came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Decided(Decided),
    Failed(Failed),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// The plugin's name in the manifest; none when all abstained.
    pub by: Option<String>,
    pub decision: Decision,
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds_until_ms: Option<Timestamp>,
}

/// A plugin couldn't decide, and so nobody got in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    pub by: String,
    /// `error`, `trap`, `deadline`, …: the codes of `/plugins`.
    pub fault: String,
    pub message: String,
}

// === impl Record ===

/// Of a record beside its texts: vectors, maps, lengths.
const RECORD_BYTES: usize = 1024;

impl Record {
    /// About what it takes in memory.
    pub fn bytes(&self) -> usize {
        json_bytes(self) + RECORD_BYTES
    }

    /// Whether it's about somebody whom a key set, a plugin or the server knows, so that strangers can't make such ones at will.
    pub fn is_about_somebody(&self) -> bool {
        let Inputs { kind, identity, tokens, .. } = &self.inputs;
        let is_allowed = matches!(&self.outcome, Outcome::Decided(Decided { decision: Decision::Allow { .. }, .. }));
        *kind == Kind::DiscoveryFilter
            || is_allowed
            || matches!(identity, Some(Identity::Principal(_)))
            || tokens.iter().any(|token| matches!(token.answer, TokenAnswer::Claims(_)))
    }
}

// === impl RecordId ===

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for RecordId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let digits = is_hex.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        digits.map(Self).ok_or_else(|| format!("found {text:?}, expected sixteen hexadecimal digits"))
    }
}

impl Serialize for RecordId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RecordId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

// === impl Known ===

impl Known {
    pub fn is_everything(&self) -> bool {
        *self == Self::Everything
    }
}

impl From<Option<Vec<String>>> for Known {
    fn from(names: Option<Vec<String>>) -> Self {
        names.map_or(Self::Everything, |names| Self::These(names.into()))
    }
}

impl From<Known> for Option<Vec<String>> {
    fn from(known: Known) -> Self {
        match known {
            Known::Everything => None,
            Known::These(names) => Some(names.to_vec()),
        }
    }
}

// === impl Outcome ===

impl Outcome {
    /// Whether somebody gets in, or a candidate is published, by it.
    pub fn admits(&self) -> bool {
        matches!(self, Self::Decided(decided) if decided.decision.admits())
    }

    /// Whether it has the same effect: reasons and lifetimes may differ, and which plugin it was.
    pub fn has_effect_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Decided(one), Self::Decided(other)) => one.decision.has_effect_of(&other.decision),
            (Self::Failed(_), Self::Failed(_)) => true,
            _ => false,
        }
    }

    /// In a few words, for tables: `forward (owner)`, `fails (trap)`.
    pub fn summary(&self) -> String {
        match self {
            Self::Decided(decided) => format!("{} ({})", decided.decision.word(), decided.reason),
            Self::Failed(failed) => format!("fails ({})", failed.fault),
        }
    }
}

#[cfg(test)]
mod tests;
