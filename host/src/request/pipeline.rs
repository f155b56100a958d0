//! The path of a request from its head to the response's head, step by step. There's no other way to a session, and each
//! step's failure is an `Error` or a `Ruling` that ends here in a response.

use std::{rc::Rc, sync::Arc, time::Instant};

use http::{HeaderValue, Method, Request, Response, StatusCode, Version, request::Parts};
use hyper::body::{Body as _, Incoming};

use super::{
    Body, Decisions, Downstream, Settings, Worker,
    access::{self, Record},
    body::Finish,
    consulted::{Consulted, DECISION},
    decisions::{self, DecisionSet, Ruling},
    forward,
    http2::{self, ExtendedConnect},
    live::LiveRequest,
    origin,
    pages::{PageRequest, Pending, Visitor},
    request_headers::REQUEST_ID,
    respond::{self, Reading, StandsFor},
    wellformed::Survey,
};
use crate::{
    domain::{Endpoint, Identity, decision::Challenge},
    error::Error,
    plugin::{Connection, Fault, HttpSubject, Subject},
    route::{Route, RouteTable, path},
};

/// A request that is well-formed.
pub struct Arrived<D> {
    pub parts: Parts,
    pub body: Incoming,
    pub survey: Survey,
    pub connect: Option<ExtendedConnect>,
    pub request_id: HeaderValue,
    /// For an answer that outlasts the decision.
    pub live: Option<Box<LiveRequest<D>>>,
    /// It's no sign of somebody's presence.
    pub is_poll: bool,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked<'a> {
    Own,
    /// `/service/<segment>`.
    WithoutSlash,
    Session(Key<'a>),
    /// `/_wicketgate/to/<label>/…`: the way back from the login page to a host of a session's own.
    Host {
        label: &'a str,
        rest_at: usize,
    },
}

/// How a session is named, and where the path behind its prefix begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    Segment { segment: &'a str, rest_at: usize },
    Label(&'a str),
    Nothing,
}

/// A way back to a host route after logging in, which the pipeline answers itself.
const TO_HOST: &str = "/_wicketgate/to/";

/// Answers one request. Called by a listener for each, on the worker's thread.
pub async fn answer<D: Decisions>(worker: &Rc<Worker<D>>, downstream: &Downstream, request: Request<Incoming>) -> Response<Body> {
    let started = Instant::now();
    downstream.deadline.suspend();
    let (mut parts, body) = request.into_parts();
    let translated = match parts.version {
        Version::HTTP_2 if !downstream.is_admitted => Err(Error::too_many("http.limits.connections")),
        Version::HTTP_2 => http2::translate(&mut parts, !body.is_end_stream()),
        _ => Ok(None),
    };
    let mut record = access::is_on().then(|| Box::new(Record::new(&parts, started)));
    let reading = Reading::of(&parts);
    let request_id = request_id(&parts, downstream);
    if let Some(record) = &mut record {
        text(&request_id).clone_into(&mut record.request_id);
    }
    let mut consulted = Consulted::default();
    let served = match translated {
        Ok(connect) => serve(worker, downstream, parts, body, connect, &request_id, &mut record, &mut consulted).await,
        Err(error) => Err(error),
    };
    let mut response = match served {
        Ok(response) => response,
        Err(error) => {
            worker.gateway.metrics.failed(&error);
            if error.detail.is_some() {
                tracing::warn!(request_id = request_id.to_str().unwrap_or_default(), "{error}");
            }
            if let Some(record) = &mut record {
                record.failed(&error);
            }
            respond::error(&error, reading.reader(), text(&request_id))
        }
    };
    if let Some(ids) = consulted.header(&worker.gateway.settings.told_roles) {
        response.headers_mut().insert(DECISION, ids);
    }
    let stands_for = if reading.is_grpc { response.extensions_mut().remove() } else { None };
    let status = stands_for.map_or(response.status(), |StandsFor(status)| status);
    worker.gateway.metrics.responded(status, started.elapsed());
    if let Some(record) = &mut record {
        record.answered(&consulted);
    }
    let bytes = response.body().size_hint().exact().unwrap_or(0);
    let finish = Finish::new(downstream.deadline.clone(), worker.gateway.settings.keep_alive, status, bytes, record);
    response.map(|body| body.finish(finish))
}

#[expect(clippy::too_many_arguments, reason = "what is known of one request; the last two are what is told of it")]
async fn serve<D: Decisions>(
    worker: &Rc<Worker<D>>,
    downstream: &Downstream,
    parts: Parts,
    body: Incoming,
    connect: Option<ExtendedConnect>,
    request_id: &HeaderValue,
    record: &mut Option<Box<Record>>,
    consulted: &mut Consulted,
) -> Result<Response<Body>, Error> {
    let settings = &worker.gateway.settings;
    let survey = Survey::new(&parts, !body.is_end_stream(), connect.is_some(), settings)?;
    let proxied = downstream.by_proxy(&parts.headers, settings);
    let connection = proxied.as_ref().unwrap_or(&downstream.connection);
    if let Some(record) = record {
        record.client = Some(connection.client);
    }
    let path = parts.uri.path();
    let set = worker.decisions.current();
    let key = match asked(settings, survey.authority(), path) {
        Asked::Session(key) => key,
        Asked::WithoutSlash => return with_slash(&parts, text(request_id)),
        Asked::Host { label, rest_at } => return to_host(settings, &parts, label, rest_at, text(request_id)),
        // None of them is a WebSocket, and to a client of HTTP/2 a page would mean that it's open.
        Asked::Own if connect.is_some() => return Err(Error::not_found()),
        Asked::Own => {
            let visiting = set.as_ref().map(|set| Visiting { set, parts: &parts, survey: &survey, connection });
            let page = PageRequest {
                parts: &parts,
                body,
                client: connection.client,
                is_secure: downstream.proto(&parts.headers, settings).as_bytes() == b"https",
                request_id: text(request_id),
                visitor: visiting.as_ref().map(|visiting| visiting as &dyn Visitor),
            };
            return worker.gateway.pages.answer(page).await.ok_or_else(Error::not_found);
        }
    };
    let set = set.ok_or_else(Error::not_ready)?;
    let route = key.find(set.routes());
    if let Some(record) = record {
        record.deciding(set.generation(), route.map(|route| route.endpoint.as_ref()));
    }
    let subject = subject(&parts, &survey, connection, &path[key.rest_at()..]);
    match decisions::decide(&set, &subject, route, record, consulted).await? {
        Ruling::Permit(permit) => {
            let placed = forward::Placed::new(key, &permit);
            let live = LiveRequest::new(worker, &parts, &survey, connection, key, &permit).map(Box::new);
            let is_poll = settings.polls.iter().any(|poll| poll.matches(parts.method.as_str(), &path[key.rest_at()..]));
            let arrived = Arrived { parts, body, survey, connect, request_id: request_id.clone(), live, is_poll };
            forward::forward(worker, downstream, &set, arrived, permit, placed, record).await
        }
        Ruling::Challenge(challenge) => Ok(ask(settings, &parts, key, challenge.as_ref(), text(request_id))),
        Ruling::Redirect(location) => Ok(respond::redirect(StatusCode::TEMPORARY_REDIRECT, location, text(request_id))),
    }
}

/// What a plugin may see of a request.
pub fn subject<'a>(parts: &'a Parts, survey: &'a Survey, connection: &'a Connection, rest: &'a str) -> Subject<'a> {
    Subject::Http(HttpSubject {
        method: &parts.method,
        authority: survey.authority(),
        path: rest,
        query: parts.uri.query(),
        headers: &parts.headers,
        upgrade: survey.upgrade.as_deref(),
        connection,
    })
}

fn asked<'a>(settings: &Settings, authority: &'a str, path: &'a str) -> Asked<'a> {
    if let Some(label) = settings.label(authority) {
        return if path.starts_with("/_wicketgate/") { Asked::Own } else { Asked::Session(Key::Label(label)) };
    }
    match path::place(path) {
        path::Place::Session { segment, rest_at } => Asked::Session(Key::Segment { segment, rest_at }),
        path::Place::SessionWithoutSlash { .. } => Asked::WithoutSlash,
        path::Place::NoSession => Asked::Session(Key::Nothing),
        path::Place::Own => match path.strip_prefix(TO_HOST).and_then(|label| label.split_once('/')) {
            Some((label, _)) if settings.base_domain.is_some() => Asked::Host { label, rest_at: TO_HOST.len() + label.len() },
            _ => Asked::Own,
        },
    }
}

/// The same for every well-formed segment, whether there's such a session or not.
fn with_slash(parts: &Parts, request_id: &str) -> Result<Response<Body>, Error> {
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        return Err(Error::not_found());
    }
    let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let location = HeaderValue::try_from(format!("{}/{query}", parts.uri.path())).map_err(Error::internal)?;
    Ok(respond::redirect(StatusCode::PERMANENT_REDIRECT, location, request_id))
}

/// The same for every label, whether there's such a session or not.
fn to_host(settings: &Settings, parts: &Parts, label: &str, rest_at: usize, request_id: &str) -> Result<Response<Body>, Error> {
    let origin = settings.host_origin(label).filter(|_| path::is_label(label)).ok_or_else(Error::not_found)?;
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let location = HeaderValue::try_from(format!("{origin}{}", &target[rest_at..])).map_err(Error::internal)?;
    Ok(respond::redirect(StatusCode::FOUND, location, request_id))
}

/// People are sent to log in, programs are told how to.
fn ask(settings: &Settings, parts: &Parts, key: Key<'_>, challenge: Option<&Challenge>, request_id: &str) -> Response<Body> {
    let is_page = parts.method == Method::GET && origin::accepts_html(&parts.headers) && origin::is_navigation(&parts.headers);
    let location = is_page.then(|| login(settings, parts, key, challenge)).flatten();
    match location {
        Some(location) => respond::redirect(StatusCode::FOUND, location, request_id),
        None => {
            let schemes = challenge.map_or(&[][..], |challenge| challenge.schemes.as_slice());
            respond::unauthorized(schemes, Reading::of(parts).reader(), request_id)
        }
    }
}

/// The login page with the way back: a path of the gateway's for its own page, a URL for another's.
fn login(settings: &Settings, parts: &Parts, key: Key<'_>, challenge: Option<&Challenge>) -> Option<HeaderValue> {
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let (origin, back) = match key {
        Key::Label(label) => (settings.public_origin.as_str(), format!("{TO_HOST}{label}{target}")),
        _ => ("", target.to_owned()),
    };
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let location = match challenge.and_then(|challenge| challenge.login.as_deref()) {
        None => format!("{origin}/login?return={}", encode(&back)),
        Some(login) => {
            let separator = if login.contains('?') { '&' } else { '?' };
            format!("{login}{separator}return={}", encode(&format!("{}{back}", settings.public_origin)))
        }
    };
    HeaderValue::try_from(location).ok()
}

/// Taken from trusted proxies, made for everybody else.
fn request_id(parts: &Parts, downstream: &Downstream) -> HeaderValue {
    let given = downstream.is_trusted_proxy.then(|| parts.headers.get(REQUEST_ID)).flatten();
    if let Some(given) = given
        && (1..=128).contains(&given.len())
        && given.as_bytes().iter().all(u8::is_ascii_graphic)
    {
        return given.clone();
    }
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let random = fastrand::u128(..);
    let digits: [u8; 32] = std::array::from_fn(|at| DIGITS[(random >> (4 * at)) as usize & 15]);
    HeaderValue::from_bytes(&digits).unwrap_or(HeaderValue::from_static("-"))
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}

// === impl Key ===

impl Key<'_> {
    pub fn find<'t>(&self, routes: &'t RouteTable) -> Option<&'t Arc<Route>> {
        match self {
            Self::Segment { segment, .. } => routes.by_segment(segment),
            Self::Label(label) => routes.by_label(label),
            Self::Nothing => None,
        }
    }

    pub fn rest_at(&self) -> usize {
        match self {
            Self::Segment { rest_at, .. } => *rest_at,
            Self::Label(_) | Self::Nothing => 0,
        }
    }
}

/// A visitor of the gateway's own pages.
struct Visiting<'a, S> {
    set: &'a S,
    parts: &'a Parts,
    survey: &'a Survey,
    connection: &'a Connection,
}

// === impl Visiting ===

impl<S: DecisionSet> Visitor for Visiting<'_, S> {
    fn routes(&self) -> &RouteTable {
        self.set.routes()
    }

    fn identity(&self) -> Pending<'_, Result<Identity, Fault>> {
        Box::pin(async {
            let subject = subject(self.parts, self.survey, self.connection, "/");
            Ok(decisions::identity(&self.set.authenticate(&subject, None).await?.decision))
        })
    }

    fn may_enter<'a>(&'a self, endpoint: &'a Endpoint) -> Pending<'a, bool> {
        Box::pin(async move {
            let subject = subject(self.parts, self.survey, self.connection, "/");
            decisions::would_forward(self.set, &subject, endpoint).await
        })
    }
}
