//! Whose page sent a request that enters by a cookie. Browsers add cookies to whatever any page makes them send, and under one
//! host name the pages of all sessions share an origin: so the request itself must show that it comes from this session's
//! pages. A token in `Authorization` shows that by itself.

use http::{HeaderMap, HeaderName, Method, header};

use super::Settings;
use crate::{error::Error, route::path};

const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A request that came with a cookie of ours.
pub struct Visit<'a> {
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
    /// As sent, in lower case.
    pub authority: &'a str,
    pub is_upgrade: bool,
    pub way: Way<'a>,
}

/// How the session was named.
#[derive(Clone, Copy)]
pub enum Way<'a> {
    /// By a path under the host that all sessions share: the segment.
    Path(&'a str),
    /// By a host of its own.
    Host,
}

// === impl Visit ===

impl Visit<'_> {
    /// The error is 403 for a page that isn't the session's own.
    pub fn check(&self, settings: &Settings) -> Result<(), Error> {
        if let Some(origin) = self.headers.get(header::ORIGIN) {
            let is_ours = origin.to_str().is_ok_and(|origin| self.is_ours(origin, settings));
            if !is_ours {
                return Err(Error::foreign_page("Requests from pages of another origin are refused."));
            }
        }
        // A WebSocket handshake names no page.
        if self.is_upgrade || self.is_navigation() {
            return Ok(());
        }
        match self.way {
            Way::Path(segment) if !self.is_referred(segment, settings) => Err(Error::foreign_page(
                "A request that enters by a cookie and isn't a navigation needs a Referer inside the same session. Programs \
                 should send a token in Authorization.",
            )),
            Way::Host if self.is_of_another_site() => {
                Err(Error::foreign_page("Requests from another session's pages are refused."))
            }
            _ => Ok(()),
        }
    }

    fn is_navigation(&self) -> bool {
        is_safe(self.method) && is_navigation(self.headers)
    }

    /// Whether a `Referer` is inside the session.
    fn is_referred(&self, segment: &str, settings: &Settings) -> bool {
        let Some(referer) = self.headers.get(header::REFERER).and_then(|referer| referer.to_str().ok()) else { return false };
        let Some(path_at) = referer.find("://").and_then(|at| Some(at + 3 + referer[at + 3..].find('/')?)) else { return false };
        let (origin, path) = referer.split_at(path_at);
        if path::is_ambiguous(path.split(['?', '#']).next().unwrap_or(path)) || !self.is_ours(origin, settings) {
            return false;
        }
        let behind = path.strip_prefix("/service/").and_then(|behind| behind.strip_prefix(path::session_of(segment)));
        behind.is_some_and(|behind| behind.starts_with(['/', '.']))
    }

    fn is_of_another_site(&self) -> bool {
        self.headers.get(FETCH_SITE).is_some_and(|site| matches!(site.as_bytes(), b"same-site" | b"cross-site"))
    }

    /// Whether an origin is the one that the client asked. Behind a proxy that changes `Host` it's the public one. The
    /// scheme must be the public one's, which a page of plain HTTP under the same name can't have.
    fn is_ours(&self, origin: &str, settings: &Settings) -> bool {
        let Some((scheme, authority)) = origin.split_once("://") else { return false };
        let (is_http, is_https) = (scheme.eq_ignore_ascii_case("http"), scheme.eq_ignore_ascii_case("https"));
        if !(is_https || is_http && !settings.is_https) {
            return false;
        }
        let port = if is_https { ":443" } else { ":80" };
        let same = |ours: &str| {
            let ours = ours.strip_suffix(port).unwrap_or(ours);
            authority.strip_suffix(port).unwrap_or(authority).eq_ignore_ascii_case(ours)
        };
        same(self.authority) || matches!(self.way, Way::Path(_)) && same(&settings.public_authority)
    }
}

/// Whether a browser shows the answer as a page: by what it says itself, and by what it accepts where it doesn't.
pub fn is_navigation(headers: &HeaderMap) -> bool {
    match headers.get(FETCH_MODE) {
        Some(mode) => mode.as_bytes() == b"navigate",
        None => accepts_html(headers),
    }
}

pub fn accepts_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).map_or(&b""[..], |accept| accept.as_bytes());
    memchr::memmem::find(accept, b"text/html").is_some()
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}
