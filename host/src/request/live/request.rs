//! Deciding again about a request whose answer hasn't ended: it's kept as it came, credentials included, for as long as that
//! takes.

use std::{rc::Rc, sync::Arc};

use http::{Extensions, HeaderMap, Method, Uri, request::Parts};

use super::{Again, Held};
use crate::{
    domain::Endpoint,
    plugin::Connection,
    request::{
        DecisionSet, Decisions, Worker,
        consulted::Consulted,
        decisions::{self, Permit, Ruling},
        pipeline::{self, Key},
        wellformed::Survey,
    },
};

/// A request that was let in.
pub struct LiveRequest<D> {
    worker: Rc<Worker<D>>,
    parts: Parts,
    survey: Survey,
    connection: Connection,
    named: Named,
    /// Where it went.
    led_to: Arc<Endpoint>,
}

/// How its session was named, apart from the request's own text.
enum Named {
    Segment { segment: String, rest_at: usize },
    Label(String),
}

// === impl LiveRequest ===

impl<D: Decisions> LiveRequest<D> {
    /// None where no session was named.
    pub fn new(
        worker: &Rc<Worker<D>>,
        parts: &Parts,
        survey: &Survey,
        connection: &Connection,
        key: Key<'_>,
        permit: &Permit,
    ) -> Option<Self> {
        let named = match key {
            Key::Segment { segment, rest_at } => Named::Segment { segment: segment.to_owned(), rest_at },
            Key::Label(label) => Named::Label(label.to_owned()),
            Key::Nothing => return None,
        };
        Some(Self {
            worker: Rc::clone(worker),
            parts: as_it_came(&parts.method, &parts.uri, &parts.headers),
            survey: survey.clone(),
            connection: connection.clone(),
            named,
            led_to: Arc::clone(&permit.route().endpoint),
        })
    }

    fn leads_there(&self, endpoint: &Arc<Endpoint>) -> bool {
        endpoint.id == self.led_to.id && endpoint.upstream == self.led_to.upstream
    }
}

impl<D: Decisions> Held for LiveRequest<D> {
    async fn again(&self) -> Again {
        let Some(set) = self.worker.decisions.current() else { return Again::Undecided("nothing decides yet".into()) };
        let key = match &self.named {
            Named::Segment { segment, rest_at } => Key::Segment { segment, rest_at: *rest_at },
            Named::Label(label) => Key::Label(label),
        };
        let Some(route) = key.find(set.routes()) else { return Again::Gone };
        let path = &self.parts.uri.path()[key.rest_at()..];
        let subject = pipeline::subject(&self.parts, &self.survey, &self.connection, path);
        match decisions::decide(&set, &subject, Some(route), &mut None, &mut Consulted::default()).await {
            Ok(Ruling::Permit(permit)) if self.leads_there(&permit.route().endpoint) => {
                Again::Holds(permit.lifetime(), Arc::clone(&permit.route().endpoint))
            }
            Ok(Ruling::Permit(_)) => Again::Gone,
            Ok(Ruling::Challenge(_) | Ruling::Redirect(_)) => Again::Denied,
            // The route is there, so that it's the visitor who isn't found worthy of it.
            Err(error) => match Again::of(&error) {
                Again::Gone => Again::Denied,
                again => again,
            },
        }
    }

    fn is_routed(&self, endpoint: &Arc<Endpoint>) -> bool {
        self.worker.decisions.current().is_some_and(|set| set.routes().holds(endpoint))
    }
}

fn as_it_came(method: &Method, uri: &Uri, headers: &HeaderMap) -> Parts {
    let (mut parts, ()) = http::Request::new(()).into_parts();
    (parts.method, parts.uri, parts.headers, parts.extensions) = (method.clone(), uri.clone(), headers.clone(), Extensions::new());
    parts
}
