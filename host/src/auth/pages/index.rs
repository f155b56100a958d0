//! The list of sessions: exactly those that the plugins in force let this visitor enter, because they are asked about each.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Response, StatusCode};

use super::{
    Asked, Pages,
    html::{IndexPage, Listed},
    query,
};
use crate::{
    config::Config,
    domain::Endpoint,
    request::Visitor,
    route::{Route, RouteTable},
};

/// Sessions on one page.
const LISTED: usize = 50;

/// Endpoints that the plugins are asked about for one page. Each may cost a call, or a question to the API server.
const CONSIDERED: usize = 200;

/// How long a person waits for the page.
const PATIENCE: Duration = Duration::from_secs(10);

/// After so many decisions the worker's other requests get their turn.
const AT_A_TIME: usize = 16;

/// Where sessions have hosts of their own.
pub(super) struct Hosts {
    /// Scheme, and what follows a label: `https`, `.apps.example.org:8443`.
    own: Option<(&'static str, String)>,
}

/// What was found for one page.
struct Found {
    sessions: Vec<Listed>,
    /// The segment of the last endpoint that was considered, when there are more.
    more_after: Option<String>,
}

impl Pages {
    pub(super) async fn index(&self, asked: &Asked<'_>, visitor: Option<&dyn Visitor>) -> Response<Bytes> {
        let page = |person, sessions, more, problem| IndexPage { gateway: &self.name, person, sessions, more, problem }.render();
        let Some(visitor) = visitor else {
            let problem = Some("The gateway is starting. Try again soon.");
            return self.html(StatusCode::SERVICE_UNAVAILABLE, &page(None, &[], None, problem));
        };
        let identity = match visitor.identity().await {
            Ok(identity) => identity,
            Err(fault) => {
                tracing::warn!(%fault, "the list of sessions can't be made");
                let problem = Some("The gateway could not decide who you are. Try again soon.");
                return self.html(StatusCode::SERVICE_UNAVAILABLE, &page(None, &[], None, problem));
            }
        };
        let person = identity.principal().map(|person| person.name.as_deref().unwrap_or(&person.id));
        let after = query(asked.parts, "after");
        // A policy that asks the server takes its time for each session.
        let Ok(found) = tokio::time::timeout(PATIENCE, self.hosts.find(visitor, after.as_deref())).await else {
            let problem = Some("It took too long to find out what you may enter. Try again soon.");
            return self.html(StatusCode::SERVICE_UNAVAILABLE, &page(person, &[], None, problem));
        };
        let more = found.more_after.map(|segment| format!("/?after={segment}"));
        self.html(StatusCode::OK, &page(person, &found.sessions, more.as_deref(), None))
    }
}

// === impl Hosts ===

impl Hosts {
    pub fn new(config: &Config) -> Self {
        Self { own: config.shared_session_hosts() }
    }

    async fn find(&self, visitor: &dyn Visitor, after: Option<&str>) -> Found {
        let routes = in_order(visitor.routes());
        // A cursor that is gone begins anew.
        let start = after.and_then(|after| routes.iter().position(|route| segment(route) == after)).map_or(0, |at| at + 1);
        let mut found = Found { sessions: Vec::new(), more_after: None };
        let rest = routes.get(start..).unwrap_or_default();
        for (count, route) in rest.iter().enumerate() {
            if visitor.may_enter(&route.endpoint).await {
                found.sessions.push(self.listed(route));
            }
            let is_last = count + 1 == rest.len();
            if !is_last && (found.sessions.len() == LISTED || count + 1 == CONSIDERED) {
                found.more_after = Some(segment(route));
                break;
            }
            if count % AT_A_TIME == AT_A_TIME - 1 {
                tokio::task::yield_now().await;
            }
        }
        found
    }

    fn listed(&self, route: &Route) -> Listed {
        let link = match (&self.own, &route.label) {
            (Some((scheme, behind)), Some(label)) => format!("{scheme}://{label}{behind}/"),
            _ => route.endpoint.id.path(),
        };
        let name = name(&route.endpoint);
        let project = route.endpoint.attributes.first("project").map(str::to_owned);
        Listed { link, name, segment: segment(route), project }
    }
}

/// By name, then by id: people look for names.
fn in_order(routes: &RouteTable) -> Vec<Arc<Route>> {
    let found = routes.endpoints().filter_map(|endpoint| routes.by_segment(&endpoint.id.segment()).cloned());
    let mut found: Vec<Arc<Route>> = found.collect();
    found.sort_by_cached_key(|route| (name(&route.endpoint).to_lowercase(), segment(route)));
    found.dedup_by(|one, other| Arc::ptr_eq(one, other));
    found
}

fn name(endpoint: &Endpoint) -> String {
    let id = &endpoint.id;
    let display = if endpoint.display_name.trim().is_empty() { id.session.as_str() } else { endpoint.display_name.trim() };
    if id.name.is_default() { display.to_owned() } else { format!("{display} · {}", id.name.as_str()) }
}

fn segment(route: &Route) -> String {
    route.endpoint.id.segment()
}
