//! The seam to the gateway's own pages (log in, log out, the index): the pipeline hands over whatever isn't for a session.

use std::{future::Future, net::IpAddr, pin::Pin};

use http::{Response, request::Parts};
use hyper::body::Incoming;

use super::Body;
use crate::{
    domain::{Endpoint, Identity},
    plugin::Fault,
    route::RouteTable,
};

/// An answer on its way; it stays on its worker's thread.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Who answers for the gateway itself.
pub trait OwnPages: Send + Sync {
    /// The answer for a path that is the gateway's own: on the gateway's host every path but `/service/…`, on sessions' hosts
    /// those under `/_wicketgate/`. None: there's no such page. The body has not been read; reading it must have a limit and
    /// a timeout.
    fn answer<'a>(&'a self, request: PageRequest<'a>) -> Pending<'a, Option<Response<Body>>>;
}

/// A request for a page of the gateway's own.
pub struct PageRequest<'a> {
    pub parts: &'a Parts,
    pub body: Incoming,
    /// As the trusted-proxy rules see it.
    pub client: IpAddr,
    /// Whether the client came over TLS, as far as is known.
    pub is_secure: bool,
    pub request_id: &'a str,
    /// None until there are plugins and routes.
    pub visitor: Option<&'a dyn Visitor>,
}

/// Whoever asks for a page, in the eyes of the plugins.
pub trait Visitor {
    fn routes(&self) -> &RouteTable;

    /// Who it is. A challenge or denial counts as anonymous.
    fn identity(&self) -> Pending<'_, Result<Identity, Fault>>;

    /// Whether the routing policies would forward a `GET /` of this visitor to this endpoint. A fault counts as no.
    fn may_enter<'a>(&'a self, endpoint: &'a Endpoint) -> Pending<'a, bool>;
}

/// No pages at all.
pub struct NoPages;

// === impl NoPages ===

impl OwnPages for NoPages {
    fn answer<'a>(&'a self, _: PageRequest<'a>) -> Pending<'a, Option<Response<Body>>> {
        Box::pin(std::future::ready(None))
    }
}
