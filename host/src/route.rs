//! Which endpoint a path or host leads to. Built whole from the endpoints that discovery published and never changed; the
//! pipeline looks up, the index page lists. It knows nothing of identities: whoever finds a route here hasn't been let in.

pub mod path;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use http::HeaderValue;

use crate::domain::{Activities, Activity, Endpoint, EndpointId, EndpointName, Protocol, SessionId};

/// All routes of one moment.
#[derive(Debug, Default)]
pub struct RouteTable {
    /// By the segment behind `/service/`.
    segments: HashMap<Box<str>, Arc<Route>>,
    /// By the label under the base domain.
    labels: HashMap<Box<str>, Arc<Route>>,
    ports: HashMap<u16, Arc<PortRoute>>,
    endpoints: Vec<Arc<Endpoint>>,
}

/// The way to one TCP endpoint, by its leased port.
#[derive(Debug)]
pub struct PortRoute {
    pub endpoint: Arc<Endpoint>,
    pub activity: Arc<Activity>,
}

/// The way to one HTTP endpoint.
#[derive(Debug)]
pub struct Route {
    pub endpoint: Arc<Endpoint>,
    /// `/service/<segment>`, without a slash at its end.
    pub prefix: Box<str>,
    /// The same for `X-Forwarded-Prefix`.
    pub prefix_value: HeaderValue,
    /// Its label under the base domain. None when it has none that is its alone.
    pub label: Option<Box<str>>,
    pub activity: Arc<Activity>,
}

// === impl RouteTable ===

impl RouteTable {
    /// Builds the table. Of two endpoints of one id the first counts. An endpoint whose label another one claims keeps its
    /// path route: labels are declared by sessions, so an id's own label always goes before a declared one, and a label that
    /// two sessions declare is nobody's.
    ///
    /// Routes of `before` to endpoints that are the very same are taken over.
    pub fn new(endpoints: Vec<Arc<Endpoint>>, activities: &Activities, before: Option<&Self>) -> Self {
        let http = || endpoints.iter().filter(|endpoint| endpoint.protocol == Protocol::Http);
        let labels: Vec<[Option<String>; 2]> = http().map(|endpoint| [declared_label(endpoint), own_label(endpoint)]).collect();
        let claims = |which: usize| {
            let labels = labels.iter().map(move |labels| labels.get(which).and_then(Option::as_deref));
            labels.zip(http()).filter_map(|(label, endpoint)| Some((label?, &endpoint.id)))
        };
        let (declared, own) = (claims(0), claims(1));
        let taken: HashSet<&str> = own.clone().map(|(label, _)| label).collect();
        let declared = unambiguous(declared.filter(|(label, _)| !taken.contains(label)));
        let own = unambiguous(own);
        let mut table = Self::default();
        let mut routes: HashMap<&EndpointId, Arc<Route>> = HashMap::new();
        for (endpoint, labels) in http().zip(&labels) {
            let segment = endpoint.id.segment().into_boxed_str();
            if table.segments.contains_key(&segment) {
                continue;
            }
            let its_own = |label: &&str| [&declared, &own].iter().any(|map| map.get(label).is_some_and(|id| **id == endpoint.id));
            let label = labels.iter().flatten().map(String::as_str).find(its_own);
            let known = before.and_then(|before| before.segments.get(&segment));
            let known = known.filter(|known| Arc::ptr_eq(&known.endpoint, endpoint) && known.label.as_deref() == label).cloned();
            let Some(route) = known.or_else(|| Route::new(endpoint.clone(), label, activities).map(Arc::new)) else { continue };
            table.segments.insert(segment, Arc::clone(&route));
            routes.insert(&endpoint.id, route);
        }
        for (label, id) in own.iter().chain(&declared) {
            table.labels.extend(routes.get(id).map(|route| ((*label).into(), Arc::clone(route))));
        }
        for endpoint in endpoints.iter().filter(|endpoint| endpoint.protocol == Protocol::Tcp) {
            let activity = activities.of(&endpoint.id.session);
            let route = || Arc::new(PortRoute { endpoint: Arc::clone(endpoint), activity });
            table.ports.extend(endpoint.listener_port.map(|port| (port, route())));
        }
        table.endpoints = endpoints;
        table
    }

    /// The TCP endpoint that has a port of the gateway.
    pub fn by_port(&self, port: u16) -> Option<&Arc<PortRoute>> {
        self.ports.get(&port)
    }

    /// Another TCP endpoint of the same session.
    pub fn port_sibling(&self, session: &SessionId, name: &EndpointName) -> Option<&Arc<PortRoute>> {
        self.ports.values().find(|route| route.endpoint.id.session == *session && route.endpoint.id.name == *name)
    }

    /// Whether there's a route to this very endpoint, unchanged.
    pub fn holds(&self, endpoint: &Arc<Endpoint>) -> bool {
        let found = match endpoint.listener_port {
            Some(port) => self.by_port(port).map(|route| &route.endpoint),
            None => self.sibling(&endpoint.id.session, &endpoint.id.name).map(|route| &route.endpoint),
        };
        found.is_some_and(|found| Arc::ptr_eq(found, endpoint) || found == endpoint)
    }

    /// The route of the segment behind `/service/`, which need not be well-formed.
    pub fn by_segment(&self, segment: &str) -> Option<&Arc<Route>> {
        self.segments.get(segment)
    }

    /// The route of a label under the base domain, in lower case.
    pub fn by_label(&self, label: &str) -> Option<&Arc<Route>> {
        self.labels.get(label)
    }

    /// Another HTTP endpoint of the same session.
    pub fn sibling(&self, session: &SessionId, name: &EndpointName) -> Option<&Arc<Route>> {
        if name.is_default() {
            return self.segments.get(session.as_str());
        }
        self.segments.get(format!("{session}.{}", name.as_str()).as_str())
    }

    /// Every endpoint of every protocol, in the order given.
    pub fn endpoints(&self) -> impl ExactSizeIterator<Item = &Arc<Endpoint>> {
        self.endpoints.iter()
    }
}

impl FromIterator<Endpoint> for RouteTable {
    fn from_iter<I: IntoIterator<Item = Endpoint>>(endpoints: I) -> Self {
        Self::new(endpoints.into_iter().map(Arc::new).collect(), &Activities::default(), None)
    }
}

// === impl Route ===

impl Route {
    fn new(endpoint: Arc<Endpoint>, label: Option<&str>, activities: &Activities) -> Option<Self> {
        let prefix = endpoint.id.path().trim_end_matches('/').to_owned();
        let prefix_value = HeaderValue::from_str(&prefix).ok()?;
        let activity = activities.of(&endpoint.id.session);
        Some(Self { endpoint, activity, prefix: prefix.into(), prefix_value, label: label.map(Into::into) })
    }
}

/// The labels that one endpoint alone claims.
fn unambiguous<'a>(claims: impl Iterator<Item = (&'a str, &'a EndpointId)>) -> HashMap<&'a str, &'a EndpointId> {
    let mut claimed: HashMap<&str, Option<&EndpointId>> = HashMap::new();
    for (label, id) in claims {
        claimed.entry(label).and_modify(|claim| *claim = claim.filter(|first| *first == id)).or_insert(Some(id));
    }
    claimed.into_iter().filter_map(|(label, id)| Some((label, id?))).collect()
}

/// `<session>` or `<session>--<endpoint>`, in lower case as host names are.
fn own_label(endpoint: &Endpoint) -> Option<String> {
    let session = endpoint.id.session.as_str().to_ascii_lowercase();
    let name = endpoint.id.name.as_str().to_ascii_lowercase();
    let label = if name.is_empty() { session } else { format!("{session}--{name}") };
    path::is_label(&label).then_some(label)
}

fn declared_label(endpoint: &Endpoint) -> Option<String> {
    let label = endpoint.host_label.as_deref()?.to_ascii_lowercase();
    path::is_label(&label).then_some(label)
}

#[cfg(test)]
mod tests;
