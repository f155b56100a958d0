//! The path of a TCP connection: the same steps as a request's (one snapshot, authentication, routing policy, permit) before one
//! byte reaches the upstream, then bytes both ways for as long as the decision holds. Called by the listener for each
//! connection that has said who it is.

use std::{net::SocketAddr, rc::Rc, sync::Arc};

use super::{
    DecisionSet, Decisions, Worker,
    access::{self, Passage},
    decisions::{self, TcpPermit},
    live::{Again, Held},
};
use crate::{
    domain::{Endpoint, activity},
    error::Error,
    plugin::{Connection, Subject, TcpSubject},
    upstream::{
        Peer, Stream, proxy_protocol,
        relay::{Moved, Socket, Speech, relay},
        tls::Inside,
    },
};

mod places;
mod settings;

pub use self::{
    places::{ClientPlace, Places, SessionPlace},
    settings::{Metrics, Tcp, code},
};

/// A connection that may be decided about.
pub struct Arrived<S> {
    pub stream: S,
    /// As trusted proxies say.
    pub client: SocketAddr,
    pub connection: Connection,
    /// Kept for as long as the connection is.
    pub place: ClientPlace,
}

/// A connection that was let in, for as long as it lasts.
struct Entered<'a, D> {
    worker: &'a Rc<Worker<D>>,
    connection: &'a Connection,
    permit: &'a TcpPermit,
}

/// Carries one connection to its end.
pub async fn carry<D: Decisions, S: Socket>(worker: &Rc<Worker<D>>, arrived: Arrived<S>) {
    let Arrived { stream, client, connection, place: _place } = arrived;
    let tcp = &worker.gateway.tcp;
    let mut passage = access::is_on().then(|| Box::new(Passage::new(client, connection.listener_port)));
    // Boxed, so that the room for it isn't kept for as long as the connection lasts.
    let outcome = Box::pin(enter(worker, &connection, client, &mut passage)).await;
    let (permit, upstream, counted) = match outcome {
        Ok(entered) => entered,
        Err(error) => {
            tcp.metrics.refused(error.kind.code());
            if error.detail.is_some() {
                tracing::warn!(client = %client.ip(), port = connection.listener_port, "{error}");
            }
            if let Some(passage) = &passage {
                passage.refused(&error);
            }
            return;
        }
    };
    let activity = &permit.route().activity;
    let _open = counted;
    let entered = Entered { worker, connection: &connection, permit: &permit };
    let goodbye = worker.live.watch(&permit.route().endpoint, permit.lifetime(), entered);
    let meter = |moved: Moved| activity.moved(moved.from_client, moved.from_upstream);
    let relayed = relay(stream, upstream, Speech::Bytes, tcp.idle, meter, goodbye).await;
    tcp.metrics.ended(&relayed);
    if let Some(passage) = &passage {
        passage.ended(&relayed);
    }
}

/// Decides and connects. What it answers besides counts the connection for as long as it's kept.
async fn enter<D: Decisions>(
    worker: &Rc<Worker<D>>,
    connection: &Connection,
    client: SocketAddr,
    passage: &mut Option<Box<Passage>>,
) -> Result<(TcpPermit, Stream, (SessionPlace, activity::Open)), Error> {
    let permit = decide(worker, connection, passage).await?;
    let tcp = &worker.gateway.tcp;
    let route = permit.route();
    let place = tcp.counted.session(&route.endpoint.id.session)?;
    let open = route.activity.open();
    let peer = Peer::of(&route.endpoint);
    let preface = match route.endpoint.transport.proxy_protocol {
        Some(version) => proxy_protocol::header(version, client, peer.address).map_err(Error::internal)?,
        None => Vec::new(),
    };
    let upstream = worker.upstream.connector.connect(peer.address, peer.tls.as_ref(), Inside::Other, &preface).await?;
    Ok((permit, upstream, (place, open)))
}

async fn decide<D: Decisions>(
    worker: &Rc<Worker<D>>,
    connection: &Connection,
    passage: &mut Option<Box<Passage>>,
) -> Result<TcpPermit, Error> {
    let set = worker.decisions.current().ok_or_else(Error::not_ready)?;
    let route = set.routes().by_port(connection.listener_port).map(Arc::clone).ok_or_else(Error::not_found)?;
    if let Some(passage) = passage {
        passage.deciding(set.generation(), &route.endpoint);
    }
    decisions::decide_tcp(&set, &Subject::Tcp(TcpSubject { connection }), &route, passage).await
}

// === impl Entered ===

impl<D: Decisions> Held for Entered<'_, D> {
    async fn again(&self) -> Again {
        match decide(self.worker, self.connection, &mut None).await {
            Ok(permit) if permit.leads_where(self.permit) => Again::Holds(permit.lifetime(), Arc::clone(&permit.route().endpoint)),
            Ok(_) => Again::Gone,
            Err(error) => Again::of(&error),
        }
    }

    fn is_routed(&self, endpoint: &Arc<Endpoint>) -> bool {
        self.worker.decisions.current().is_some_and(|set| set.routes().holds(endpoint))
    }
}
