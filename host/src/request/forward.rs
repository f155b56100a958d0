//! From a permit to the upstream and back: the last checks, the headers of both directions, the exchange. Nothing gets here
//! without a permit.

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header, request::Parts, uri::PathAndQuery};
use hyper::{
    body::{Body as _, Incoming},
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;

use super::{
    Body, Decisions, Downstream, Settings, Worker,
    access::Record,
    decisions::{DecisionSet, Permit},
    http2::ExtendedConnect,
    live::{Ending, LiveRequest},
    origin::{self, Visit, Way},
    pipeline::{Arrived, Key},
    request_headers::{self, Said},
    respond,
    response_headers::{self, Belonging, Placing},
    wellformed::Survey,
};
use crate::{
    domain::{Activity, UpstreamHttp, UpstreamPath},
    error::Error,
    upstream::{
        Peer, RequestBody, ResponseBody,
        relay::{Moved, Speech, relay},
        upgrade,
    },
};

/// Where a permitted request's session is, as the client named it.
#[derive(Clone, Copy)]
pub struct Placed {
    placing: Placing,
    rest_at: usize,
}

// === impl Placed ===

impl Placed {
    pub fn new(key: Key<'_>, permit: &Permit) -> Self {
        let placing = match (key, permit.route().endpoint.upstream_path) {
            (Key::Label(_), _) => Placing::Host,
            (_, UpstreamPath::Strip) => Placing::Stripped,
            (_, UpstreamPath::Keep) => Placing::Kept,
        };
        Self { placing, rest_at: key.rest_at() }
    }
}

/// Sends a permitted request to its session.
pub async fn forward<D: Decisions>(
    worker: &Rc<Worker<D>>,
    downstream: &Downstream,
    set: &D::Set,
    arrived: Arrived<D>,
    permit: Permit,
    placed: Placed,
    record: &mut Option<Box<Record>>,
) -> Result<Response<Body>, Error> {
    let settings = &worker.gateway.settings;
    let Arrived { mut parts, body, survey, connect, request_id, live, is_poll } = arrived;
    let is_by_authorization = permit.is_by_authorization(&parts.headers);
    let had_cookie = request_headers::strip_credentials(&mut parts.headers, set.credentials(), permit.authorization_is_ours());
    if had_cookie && permit.principal().is_some() && !is_by_authorization {
        visit(&parts, &survey, &permit, placed).check(settings)?;
    }
    if let Some(location) = own_host(settings, &parts, &permit, placed) {
        return Ok(respond::redirect(StatusCode::FOUND, location, request_id.to_str().unwrap_or_default()));
    }
    let limit = limit(settings, &parts, &survey, &permit)?;
    let on_upgrade = survey.upgrade.is_some().then(|| parts.extensions.remove::<OnUpgrade>()).flatten();
    let upgrade = survey.upgrade.as_deref().filter(|_| on_upgrade.is_some());
    parts.uri = target(&parts.uri, placed, set.credentials().query.as_slice())?;
    let said = Said {
        hops: request_headers::hops(&parts.headers)?,
        forwarded_for: downstream.forwarded_for(&parts.headers),
        proto: downstream.proto(&parts.headers, settings),
        host: survey.host.clone(),
        prefix: (placed.placing == Placing::Stripped).then(|| permit.entered().prefix_value.clone()),
        request_id,
    };
    request_headers::prepare(&mut parts.headers, upgrade, said);
    if let Some(connect) = &connect {
        connect.ask(&mut parts.headers);
    }
    request_headers::edit(&mut parts.headers, &permit.forwarding().request_headers);
    if let Some(principal) = permit.principal() {
        worker.identities.tell(principal, &mut parts.headers);
    }
    parts.version = http::Version::HTTP_11;
    parts.extensions.clear();

    let deadline = downstream.deadline.clone();
    let activity = (!is_poll).then(|| Arc::clone(&permit.route().activity));
    let meter = activity.clone();
    let body = RequestBody::new(body, limit, deadline, &worker.upstream.bounds, request_headers::is_refused_trailer, meter);
    let request = Request::from_parts(parts, body);
    let peer = Peer::of(&permit.route().endpoint);
    let belonging = Belonging {
        route: permit.entered(),
        credentials: set.credentials(),
        upstream: peer.address,
        is_tls: peer.tls.is_some(),
        host: &survey.host,
        placing: placed.placing,
    };
    let carrying = Carrying { worker, downstream, permit: &permit, activity, live };
    let mut response = match (on_upgrade, upgrade) {
        (Some(client), Some(upgrade)) => {
            let raw = Box::pin(limited(&permit, worker.upstream.exchange_upgradable(&peer, request, &downstream.deadline))).await?;
            carrying.switch(raw, Switch { client, to: upgrade, connect }, &belonging, record)?
        }
        _ => {
            let response = limited(&permit, worker.upstream.exchange(&peer, request, &downstream.deadline)).await?;
            carrying.plain(response, &belonging)?
        }
    };
    request_headers::edit(response.headers_mut(), &permit.forwarding().response_headers);
    Ok(response)
}

fn visit<'a>(parts: &'a Parts, survey: &'a Survey, permit: &'a Permit, placed: Placed) -> Visit<'a> {
    let way = match placed.placing {
        Placing::Host => Way::Host,
        Placing::Stripped | Placing::Kept => Way::Path(permit.entered().endpoint.id.session.as_str()),
    };
    Visit {
        method: &parts.method,
        headers: &parts.headers,
        authority: survey.authority(),
        is_upgrade: survey.upgrade.is_some(),
        way,
    }
}

/// Where a browser is sent that navigates to a path route although the session has a host of its own, where its login counts.
fn own_host(settings: &Settings, parts: &Parts, permit: &Permit, placed: Placed) -> Option<HeaderValue> {
    settings.base_domain.as_ref().filter(|domain| domain.shares_login)?;
    let label = permit.entered().label.as_deref().filter(|_| placed.placing != Placing::Host)?;
    let origin = settings.host_origin(label)?;
    let is_page = matches!(parts.method, http::Method::GET | http::Method::HEAD) && origin::accepts_html(&parts.headers);
    if !is_page || !origin::is_navigation(&parts.headers) {
        return None;
    }
    let target = parts.uri.path_and_query()?.as_str();
    let rest = if placed.placing == Placing::Stripped { &target[placed.rest_at..] } else { target };
    HeaderValue::try_from(format!("{origin}{rest}")).ok()
}

/// The limit of the request's body, once what can't be forwarded is refused.
fn limit(settings: &Settings, parts: &Parts, survey: &Survey, permit: &Permit) -> Result<Option<u64>, Error> {
    if survey.upgrade.is_some() && permit.route().endpoint.transport.upstream_http == UpstreamHttp::Http2 {
        return Err(Error::not_implemented("The session speaks HTTP/2, which nothing is upgraded from."));
    }
    let limit = [settings.body_bytes, permit.forwarding().limits.request_body_bytes].into_iter().flatten().min();
    refuse_oversized(parts, limit)?;
    Ok(limit)
}

/// Before anything is sent upstream, where the length is known beforehand.
fn refuse_oversized(parts: &Parts, limit: Option<u64>) -> Result<(), Error> {
    let Some(limit) = limit else { return Ok(()) };
    let length = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(Error::too_large(StatusCode::PAYLOAD_TOO_LARGE, "The request's body is over the limit."));
    }
    Ok(())
}

/// The target for the upstream, in origin form: byte for byte what was sent behind the prefix, without credentials.
fn target(uri: &Uri, placed: Placed, credentials: &[String]) -> Result<Uri, Error> {
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let skip = if placed.placing == Placing::Stripped { placed.rest_at } else { 0 };
    let stripped = uri.query().and_then(|query| request_headers::strip_query(query, credentials));
    if skip == 0 && stripped.is_none() && uri.scheme().is_none() {
        return Ok(uri.clone());
    }
    let bytes = match stripped {
        None => Bytes::copy_from_slice(&target.as_bytes()[skip..]),
        Some(query) if query.is_empty() => Bytes::copy_from_slice(&uri.path().as_bytes()[skip..]),
        Some(query) => format!("{}?{query}", &uri.path()[skip..]).into(),
    };
    Ok(Uri::from(PathAndQuery::from_maybe_shared(bytes).map_err(Error::internal)?))
}

/// The policy's own timeout for the response's head, where it has one.
async fn limited<T>(permit: &Permit, exchange: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match permit.forwarding().limits.response_timeout {
        None => exchange.await,
        Some(timeout) => tokio::time::timeout(timeout, exchange).await.unwrap_or_else(|_| Err(Error::response_timeout())),
    }
}

/// A permitted request on its way back.
struct Carrying<'a, D> {
    worker: &'a Rc<Worker<D>>,
    downstream: &'a Downstream,
    permit: &'a Permit,
    /// Where its bytes are counted.
    activity: Option<Arc<Activity>>,
    live: Option<Box<LiveRequest<D>>>,
}

/// What a client asked to change to.
struct Switch<'a> {
    client: OnUpgrade,
    to: &'a str,
    /// Of HTTP/2.
    connect: Option<ExtendedConnect>,
}

// === impl Carrying ===

impl<D: Decisions> Carrying<'_, D> {
    fn plain(self, response: Response<ResponseBody>, belonging: &Belonging<'_>) -> Result<Response<Body>, Error> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Error::malfunction("the upstream switched protocols without being asked"));
        }
        let activity = self.activity.clone();
        let ending = self.ending(&response);
        let mut response = response.map(|body| Body::upstream(body, activity, ending));
        response_headers::prepare(response.headers_mut(), belonging);
        Ok(response)
    }

    /// What ends the answer before its session does. Most are over soon: only of events is it known beforehand that they last.
    fn ending(self, response: &Response<ResponseBody>) -> Option<Ending> {
        let live = self.live.filter(|_| !response.body().is_end_stream())?;
        let (worker, endpoint, lifetime) = (Rc::clone(self.worker), self.permit.route().endpoint.clone(), self.permit.lifetime());
        let watch = move || Ending::watch(&worker, &endpoint, lifetime, live);
        let kind = response.headers().get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        Some(if kind.starts_with(b"text/event-stream") { watch() } else { Ending::once_it_lasts(watch) })
    }

    /// After the upstream's 101 the bytes go their own way; any other answer is a plain one.
    fn switch(
        self,
        mut raw: Response<Incoming>,
        switch: Switch<'_>,
        belonging: &Belonging<'_>,
        record: &mut Option<Box<Record>>,
    ) -> Result<Response<Body>, Error> {
        let bounds = &self.worker.upstream.bounds;
        let Switch { client, to, connect } = switch;
        if raw.status() != StatusCode::SWITCHING_PROTOCOLS {
            if connect.is_some() && raw.status().is_success() {
                // To a client of HTTP/2 it would mean that the WebSocket is open.
                return Err(Error::malfunction(format_args!("a WebSocket's handshake was answered {}", raw.status())));
            }
            let deadline = self.downstream.deadline.clone();
            let response = raw.map(|body| ResponseBody::new(body, None, deadline, bounds.body_idle));
            return self.plain(response, belonging);
        }
        let switched = raw.headers().get(header::UPGRADE).map(|to| to.as_bytes().to_ascii_lowercase());
        if switched.as_deref() != Some(to.as_bytes()) {
            return Err(Error::malfunction(format_args!("asked for {to}, the upstream switched to something else")));
        }
        let status = match &connect {
            None => StatusCode::SWITCHING_PROTOCOLS,
            Some(connect) => connect.answer(raw.headers_mut())?,
        };
        let speech = if to == "websocket" { Speech::WebSocket } else { Speech::Bytes };
        self.carry(upgrade::switched(client, &mut raw), speech, status, record.take());
        let mut response = raw.map(|_| Body::empty());
        *response.status_mut() = status;
        response_headers::prepare(response.headers_mut(), belonging);
        if connect.is_none() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            response.headers_mut().insert(header::UPGRADE, HeaderValue::from_str(to).map_err(Error::internal)?);
        }
        Ok(response)
    }

    /// Starts the relay of an upgraded connection. Its life is its own: it holds no snapshot, so a swap closes nothing.
    fn carry(
        self,
        switched: impl Future<Output = Option<(Upgraded, Upgraded)>> + 'static,
        speech: Speech,
        status: StatusCode,
        mut record: Option<Box<Record>>,
    ) {
        let (worker, slot) = (Rc::clone(self.worker), self.downstream.slot.clone());
        let (endpoint, lifetime) = (Arc::clone(&self.permit.route().endpoint), self.permit.lifetime());
        let (activity, live) = (self.activity, self.live);
        tokio::task::spawn_local(async move {
            let _held = (worker.upgraded.enter(&worker.gateway.upstream_metrics.upgrades), slot);
            let _open = activity.as_ref().map(Activity::open);
            let Some((client, upstream)) = switched.await else { return };
            let meter = |moved: Moved| {
                if let Some(activity) = &activity {
                    activity.moved(moved.from_client, moved.from_upstream);
                }
            };
            let goodbye = async {
                match live {
                    Some(live) => worker.live.watch(&endpoint, lifetime, live).await,
                    None => std::future::pending().await,
                }
            };
            let idle = worker.upstream.bounds.upgrade_idle;
            let relayed = relay(TokioIo::new(client), TokioIo::new(upstream), speech, idle, meter, goodbye).await;
            if let Some(record) = &mut record {
                record.write(status, relayed.moved.from_upstream);
            }
        });
    }
}
