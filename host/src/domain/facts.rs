//! Facts: what needs I/O before a decision can be made. Asked for by the plugin room, answered by the API client; neither
//! knows the other.

use std::{future::Future, pin::Pin};

use super::{Credential, SessionId};

/// What the server says of a token.
#[derive(Clone, Debug, PartialEq)]
pub enum Introspection {
    /// Claims in the shape of the server's own tokens (`identity.user`, `identity.company`, `identity.role`, …).
    Accepted(serde_json::Value),
    /// The server doesn't accept it, and why.
    Refused(String),
}

/// A question on its way. The error says for the operator why there's no answer.
pub type Asked<T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send>>;

/// Somebody who can answer: each call is one question to the server, without cache or limit of its own.
pub trait FactSource: Send + Sync {
    /// Who this token is.
    fn introspect(&self, token: Credential) -> Asked<Introspection>;

    /// Whether the person behind this token may read this session.
    fn may_read_session(&self, token: Credential, session: SessionId) -> Asked<bool>;
}
