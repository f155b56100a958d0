//! What can go wrong with a call: which call, what was found.

/// A call that has no answer. It's shown to operators: never a credential, never more than a line of what a server wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the API client can't be set up: {0}")]
    Setup(String),
    #[error("{call}: the API server can't be reached: {why}")]
    Unreachable { call: &'static str, why: String },
    /// The server's own answer: `meta.result_code`, `result_subcode` and `result_msg`.
    #[error("{call}: the API server refused with {code}/{subcode}: {message}")]
    Refused { call: &'static str, code: u16, subcode: u32, message: String },
    #[error("{call}: expected an answer of a ClearML API server, found {found}")]
    Foreign { call: &'static str, found: String },
    #[error("{call}: the answer is over {limit} bytes (clearml.answer_mib)")]
    TooLarge { call: &'static str, limit: usize },
    #[error("{call}: no credentials: set clearml.access_key and clearml.secret_key")]
    NoKeys { call: &'static str },
    #[error("{call}: the credentials hold characters that no header may have")]
    Credentials { call: &'static str },
}

/// So much of what a server says is kept.
const LONGEST_MESSAGE: usize = 300;

impl Error {
    pub(super) fn setup(error: &reqwest::Error) -> Self {
        Self::Setup(causes(error))
    }

    pub(super) fn unreachable(call: &'static str, error: &reqwest::Error) -> Self {
        Self::Unreachable { call, why: causes(error) }
    }

    pub(super) fn foreign(call: &'static str, found: impl Into<String>) -> Self {
        Self::Foreign { call, found: found.into() }
    }

    pub(super) fn refused(call: &'static str, code: u16, subcode: u32, message: &str) -> Self {
        Self::Refused { call, code, subcode, message: line(message) }
    }

    /// The token or password isn't accepted.
    pub fn is_unauthorised(&self) -> bool {
        matches!(self, Self::Refused { code: 401, .. })
    }

    /// The server doesn't have this call: it's of another edition or older.
    pub fn is_unknown_call(&self) -> bool {
        matches!(self, Self::Refused { code: 404, subcode: 0, .. })
    }

    /// The call itself isn't possible as things are: asking again won't help.
    pub fn is_request(&self) -> bool {
        matches!(self, Self::Refused { code: 400..=499, .. })
    }
}

/// One line without control characters.
fn line(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).take(LONGEST_MESSAGE).collect()
}

/// An error with what caused it; without the URL, which the configuration says already.
fn causes(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time (clearml.timeout_ms)".into();
    }
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    // Without a source it's the error itself, which would show its URL.
    if last.source().is_none() && std::ptr::addr_eq(last, error) { "the request failed".into() } else { line(&last.to_string()) }
}
