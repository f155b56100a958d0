//! The one error on the path of a request: where it came from, what the client may see, what the log gets, and whether it may
//! be tried again. Made by every room that carries traffic; turned into responses by `request::respond` alone. It knows
//! nothing of connections or plugins.

use std::{borrow::Cow, fmt};

use http::StatusCode;

/// Something on the path failed.
#[derive(Clone, Debug)]
pub struct Error {
    pub origin: Origin,
    pub kind: Kind,
    pub status: ErrorStatus,
    /// What the client may see: a sentence without addresses, names of sessions, or causes.
    pub public: Cow<'static, str>,
    /// What the log gets besides; never shown to a client.
    pub detail: Option<String>,
    pub retry: Retry,
}

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Downstream,
    Upstream,
    Plugin,
    Internal,
}

/// What went wrong; few different ones, fit for a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Malformed,
    TooLarge,
    MethodRefused,
    Expectation,
    ForeignPage,
    Denied,
    TooMany,
    NotFound,
    ClientSlow,
    ClientGone,
    NotReady,
    PluginFault,
    ConnectRefused,
    ConnectTimeout,
    TlsFailed,
    Reset,
    Malfunction,
    ResponseTimeout,
    Looped,
    Internal,
}

/// Whether the same request may be sent once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    Never,
    /// On a new connection: this one was stale.
    OnNewConnection,
}

/// A status that can only be 4xx or 5xx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorStatus(StatusCode);

// === impl Error ===

impl Error {
    /// The client's request isn't well-formed: 400. The text says what was expected.
    pub fn malformed(public: &'static str) -> Self {
        Self::new(Origin::Downstream, Kind::Malformed, StatusCode::BAD_REQUEST, public)
    }

    /// The client's body or target is over a limit: 413 or 414.
    pub fn too_large(status: StatusCode, public: &'static str) -> Self {
        Self::new(Origin::Downstream, Kind::TooLarge, status, public)
    }

    pub fn method_refused(public: &'static str) -> Self {
        Self::new(Origin::Downstream, Kind::MethodRefused, StatusCode::METHOD_NOT_ALLOWED, public)
    }

    pub fn not_implemented(public: &'static str) -> Self {
        Self::new(Origin::Downstream, Kind::MethodRefused, StatusCode::NOT_IMPLEMENTED, public)
    }

    pub fn expectation() -> Self {
        let public = "The only expectation that is understood is 100-continue.";
        Self::new(Origin::Downstream, Kind::Expectation, StatusCode::EXPECTATION_FAILED, public)
    }

    /// A page other than the session's own sent this request: 403.
    pub fn foreign_page(public: &'static str) -> Self {
        Self::new(Origin::Downstream, Kind::ForeignPage, StatusCode::FORBIDDEN, public)
    }

    /// A decision that was made against the client: 403 with a text of the policy's.
    pub fn denied(public: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Origin::Downstream, Kind::Denied, StatusCode::FORBIDDEN, public)
    }

    /// A limit of open connections: 503.
    pub fn too_many(detail: impl fmt::Display) -> Self {
        let public = "Too many connections are open.";
        Self::new(Origin::Downstream, Kind::TooMany, StatusCode::SERVICE_UNAVAILABLE, public).detail(detail)
    }

    /// No such session, or not one that this client may know of: always the same answer.
    pub fn not_found() -> Self {
        Self::new(Origin::Downstream, Kind::NotFound, StatusCode::NOT_FOUND, "There is nothing here that you may see.")
    }

    pub fn client_slow() -> Self {
        let public = "The request's body stopped before its end.";
        Self::new(Origin::Downstream, Kind::ClientSlow, StatusCode::REQUEST_TIMEOUT, public)
    }

    /// The client's body broke off; nobody is there to read the answer.
    pub fn client_gone() -> Self {
        Self::new(Origin::Downstream, Kind::ClientGone, StatusCode::BAD_REQUEST, "The request's body broke off.")
    }

    /// Neither plugins nor routes yet: 503.
    pub fn not_ready() -> Self {
        Self::new(Origin::Internal, Kind::NotReady, StatusCode::SERVICE_UNAVAILABLE, "The gateway is starting. Try again soon.")
    }

    /// A plugin could not decide: 503, and nothing goes upstream.
    pub fn plugin_fault(detail: impl fmt::Display) -> Self {
        let public = "The gateway could not decide about this request.";
        Self::new(Origin::Plugin, Kind::PluginFault, StatusCode::SERVICE_UNAVAILABLE, public).detail(detail)
    }

    pub fn connect_refused(detail: impl fmt::Display) -> Self {
        let public = "The session doesn't accept connections (yet).";
        Self::new(Origin::Upstream, Kind::ConnectRefused, StatusCode::BAD_GATEWAY, public).detail(detail)
    }

    pub fn connect_timeout() -> Self {
        let public = "The session could not be reached in time.";
        Self::new(Origin::Upstream, Kind::ConnectTimeout, StatusCode::GATEWAY_TIMEOUT, public)
    }

    /// The upstream's certificate isn't good, or it doesn't speak TLS.
    pub fn tls_failed(detail: impl fmt::Display) -> Self {
        let public = "The session could not be reached by TLS.";
        Self::new(Origin::Upstream, Kind::TlsFailed, StatusCode::BAD_GATEWAY, public).detail(detail)
    }

    pub fn reset(detail: impl fmt::Display) -> Self {
        let public = "The session closed the connection without an answer.";
        Self::new(Origin::Upstream, Kind::Reset, StatusCode::BAD_GATEWAY, public).detail(detail)
    }

    /// The upstream answered something that isn't HTTP, or not as it announced.
    pub fn malfunction(detail: impl fmt::Display) -> Self {
        let public = "The session's answer could not be understood.";
        Self::new(Origin::Upstream, Kind::Malfunction, StatusCode::BAD_GATEWAY, public).detail(detail)
    }

    pub fn response_timeout() -> Self {
        let public = "The session did not answer in time.";
        Self::new(Origin::Upstream, Kind::ResponseTimeout, StatusCode::GATEWAY_TIMEOUT, public)
    }

    /// The request has passed more gateways than makes sense: 508.
    pub fn looped() -> Self {
        let public = "The session's address leads back to the gateway.";
        Self::new(Origin::Upstream, Kind::Looped, StatusCode::LOOP_DETECTED, public)
    }

    pub fn internal(detail: impl fmt::Display) -> Self {
        let public = "Something went wrong in the gateway.";
        Self::new(Origin::Internal, Kind::Internal, StatusCode::INTERNAL_SERVER_ERROR, public).detail(detail)
    }

    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    fn detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    fn new(origin: Origin, kind: Kind, status: StatusCode, public: impl Into<Cow<'static, str>>) -> Self {
        let status = ErrorStatus::new(status).unwrap_or(ErrorStatus::INTERNAL);
        Self { origin, kind, status, public: public.into(), detail: None, retry: Retry::Never }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin.code(), self.kind.code())?;
        match &self.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

// === impl Origin ===

impl Origin {
    pub fn code(self) -> &'static str {
        match self {
            Self::Downstream => "downstream",
            Self::Upstream => "upstream",
            Self::Plugin => "plugin",
            Self::Internal => "internal",
        }
    }
}

// === impl Kind ===

impl Kind {
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too-large",
            Self::MethodRefused => "method-refused",
            Self::Expectation => "expectation",
            Self::ForeignPage => "foreign-page",
            Self::Denied => "denied",
            Self::TooMany => "too-many",
            Self::NotFound => "not-found",
            Self::ClientSlow => "client-slow",
            Self::ClientGone => "client-gone",
            Self::NotReady => "not-ready",
            Self::PluginFault => "plugin-fault",
            Self::ConnectRefused => "connect-refused",
            Self::ConnectTimeout => "connect-timeout",
            Self::TlsFailed => "tls-failed",
            Self::Reset => "reset",
            Self::Malfunction => "malfunction",
            Self::ResponseTimeout => "response-timeout",
            Self::Looped => "looped",
            Self::Internal => "internal",
        }
    }
}

// === impl ErrorStatus ===

impl ErrorStatus {
    const INTERNAL: Self = Self(StatusCode::INTERNAL_SERVER_ERROR);

    /// None for anything but 4xx and 5xx.
    pub fn new(status: StatusCode) -> Option<Self> {
        (status.is_client_error() || status.is_server_error()).then_some(Self(status))
    }

    pub fn code(self) -> StatusCode {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_are_an_error_status() {
        assert!(ErrorStatus::new(StatusCode::OK).is_none());
        assert!(ErrorStatus::new(StatusCode::FOUND).is_none());
        assert!(ErrorStatus::new(StatusCode::NOT_FOUND).is_some());
    }

    #[test]
    fn the_cause_is_for_the_log_only() {
        let error = Error::connect_refused("10.1.2.3:8888: connection refused");
        assert!(!error.public.contains("10.1.2.3"));
        assert!(error.to_string().contains("10.1.2.3"));
    }
}
