//! The listener for operators: health, metrics, and what is going on, as JSON. `lib` starts it on the control thread and says
//! through `Status` what there is to show; this room knows nothing of plugins, sessions or requests.

mod guard;
mod listener;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use prometheus_client::registry::Registry;

use self::guard::{Guard, Refusal};
pub use self::listener::{AdminError, bind};
use crate::{config, telemetry};

/// Before the id of one decision.
const DECISION: &str = "/decisions/";

/// What operators may look at. Called on the control thread, for each request anew.
pub trait Status: Send + Sync {
    /// Whether the gateway can serve. The error holds a sentence for each thing that is still missing.
    fn readiness(&self) -> Result<(), Vec<String>>;

    /// The sessions and routes there are; without secrets.
    fn sessions(&self) -> serde_json::Value;

    /// The plugins in force and what became of the last change.
    fn plugins(&self) -> serde_json::Value;

    /// One recorded decision; none when it isn't kept any more.
    fn decision(&self, id: &str) -> Option<serde_json::Value>;

    /// The last recorded decisions, of one kind of plugin or of all, as JSON lines.
    ///
    /// # Errors
    /// A sentence, when it's no kind.
    fn decisions(&self, kind: Option<&str>, last: usize) -> Result<String, String>;
}

/// Answers operators.
pub struct Admin {
    status: Arc<dyn Status>,
    registry: Arc<Registry>,
    guard: Guard,
    connections: usize,
}

/// What a path shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    Health,
    Ready,
    Metrics,
    Sessions,
    Plugins,
    Decisions,
    Decision,
    Contents,
}

// === impl Admin ===

impl Admin {
    pub fn new(config: &config::Admin, status: Arc<dyn Status>, registry: Arc<Registry>) -> Self {
        Self { status, registry, guard: Guard::new(config), connections: config.connections }
    }

    /// The whole answer to one request; its body isn't read.
    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let Some(page) = Page::at(request.uri().path()) else { return text(StatusCode::NOT_FOUND, "not found\n".into()) };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n".into());
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match self.guard.admit(page, request) {
            Ok(()) => self.show(page, request.uri()),
            Err(Refusal::Host) => text(StatusCode::MISDIRECTED_REQUEST, "expected a Host of localhost or an IP address\n".into()),
            Err(Refusal::Token) => {
                let mut response = text(StatusCode::UNAUTHORIZED, "expected the admin token as bearer token\n".into());
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                response
            }
            Err(Refusal::NoToken) => {
                text(StatusCode::FORBIDDEN, "shown on loopback, or with a token once admin.token is configured\n".into())
            }
        }
    }

    fn show(&self, page: Page, asked: &Uri) -> Response<Full<Bytes>> {
        match page {
            Page::Health => text(StatusCode::OK, "ok\n".into()),
            Page::Ready => match self.status.readiness() {
                Ok(()) => text(StatusCode::OK, "ready\n".into()),
                Err(missing) => text(StatusCode::SERVICE_UNAVAILABLE, missing.join("\n") + "\n"),
            },
            Page::Metrics => match telemetry::encode(&self.registry) {
                Ok(metrics) => respond(StatusCode::OK, telemetry::METRICS_TYPE, metrics),
                Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the metrics can't be encoded\n".into()),
            },
            Page::Sessions => json(&self.status.sessions()),
            Page::Plugins => json(&self.status.plugins()),
            Page::Decision => match self.status.decision(asked.path().trim_start_matches(DECISION)) {
                Some(record) => json(&record),
                None => text(StatusCode::NOT_FOUND, "no such decision is kept (plugins.records.keep)\n".into()),
            },
            Page::Decisions => match decisions(asked).and_then(|(kind, last)| self.status.decisions(kind.as_deref(), last)) {
                Ok(lines) => respond(StatusCode::OK, "application/jsonl", lines),
                Err(wrong) => text(StatusCode::BAD_REQUEST, wrong + "\n"),
            },
            Page::Contents => text(StatusCode::OK, "/healthz\n/readyz\n/metrics\n/sessions\n/plugins\n/decisions\n".into()),
        }
    }
}

// === impl Page ===

impl Page {
    fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/healthz" => Self::Health,
            "/readyz" => Self::Ready,
            "/metrics" => Self::Metrics,
            "/sessions" => Self::Sessions,
            "/plugins" => Self::Plugins,
            "/decisions" => Self::Decisions,
            path if path.starts_with(DECISION) => Self::Decision,
            "/" => Self::Contents,
            _ => return None,
        })
    }

    /// What probes and Prometheus need, and names nobody.
    fn is_for_everybody(self) -> bool {
        matches!(self, Self::Health | Self::Ready | Self::Metrics)
    }
}

/// The query of `/decisions`: `kind=` and `last=`.
fn decisions(asked: &Uri) -> Result<(Option<String>, usize), String> {
    let (mut kind, mut last) = (None, usize::MAX);
    for (name, value) in url::form_urlencoded::parse(asked.query().unwrap_or_default().as_bytes()) {
        match &*name {
            "kind" => kind = Some(value.into_owned()),
            "last" => last = value.parse().map_err(|_| format!("last: found {value:?}, expected a number"))?,
            other => return Err(format!("found {other:?}, expected kind or last")),
        }
    }
    Ok((kind, last))
}

fn text(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    respond(status, "text/plain; charset=utf-8", text)
}

fn json(value: &serde_json::Value) -> Response<Full<Bytes>> {
    respond(StatusCode::OK, "application/json", format!("{value:#}\n"))
}

fn respond(status: StatusCode, media_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    response
}
