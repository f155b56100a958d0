//! What a plugin says it will read. The host hands over exactly that: every input is part of the key under which it caches
//! decisions, so declare what the configuration needs and no more.

use crate::prelude::*;

/// What a plugin reads, as its `configure` answers it. The same configuration must always declare the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declaration {
    /// At most 64.
    pub inputs: Vec<Input>,
    /// At most 8; authenticators only.
    pub verifications: Vec<Verification>,
    pub facts: Vec<Fact>,
}

/// What an input may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sensitivity {
    /// May be shown in decision records and logs.
    Plain,
    /// Never shown, and not passed on to a workload.
    Credential,
}

/// How much of the path a plugin reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathExtent {
    /// The first so many segments: `/a/b/c` with 2 is `/a/b`.
    Segments(u32),
    /// The whole path, without the query.
    Full,
}

/// One input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Every cookie of this name.
    Cookie(String, Sensitivity),
    /// Every cookie whose name begins so.
    CookiePrefix(String, Sensitivity),
    /// Every header line of this name. Not `cookie`.
    Header(String, Sensitivity),
    /// Every query parameter of this name, percent-decoded.
    QueryParameter(String, Sensitivity),
    Method,
    /// `Host`, lower case, with the port where one was sent.
    Authority,
    /// The path behind the route's own prefix, exactly as sent.
    Path(PathExtent),
    /// The protocol that the request wants to change to, lower case (`websocket`).
    Upgrade,
    /// The server name of the TLS handshake.
    TlsName,
    /// The client's IP address in canonical text form.
    ClientAddress,
    /// The client's verified TLS certificate, in DER.
    ClientCertificate,
    ListenerPort,
    /// Who the authenticators say it is. Routing policies only.
    Identity,
    /// One attribute of the candidate or session, by name (`owner`).
    SessionAttribute(String),
}

/// One way in which the plugin asks the host to verify tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// The key set's name, from the gateway's configuration. The manifest must grant it.
    pub key_set: String,
    /// The token's `aud` must hold one of these. Empty: `aud` isn't looked at.
    pub audiences: Vec<String>,
    /// The token's `iss` must be one of these. Empty: `iss` isn't looked at.
    pub issuers: Vec<String>,
    /// How far the clocks may be apart, in seconds. At most 300.
    pub leeway_s: u32,
    /// The claims to answer, as paths of names with a dot between; a `\.` is a dot in a name.
    pub claims: Vec<String>,
}

/// Something that needs I/O, which the host finds out before the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// Whether the API server lets this identity read this session. Routing policies only.
    MayReadSession,
}

// === impl Declaration ===

impl Declaration {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an input, once.
    #[must_use]
    pub fn reads(mut self, input: Input) -> Self {
        if !self.inputs.contains(&input) {
            self.inputs.push(input);
        }
        self
    }

    /// Adds session attributes, each once.
    #[must_use]
    pub fn reads_attributes<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().fold(self, |declaration, name| declaration.reads(Input::SessionAttribute(name.to_owned())))
    }

    /// Adds a verification. Its number, for [`Jwt::verify`](crate::jwt::Jwt::verify), is how many were added before.
    #[must_use]
    pub fn verifies(mut self, verification: Verification) -> Self {
        self.verifications.push(verification);
        self
    }

    #[must_use]
    pub fn asks(mut self, fact: Fact) -> Self {
        if !self.facts.contains(&fact) {
            self.facts.push(fact);
        }
        self
    }
}
