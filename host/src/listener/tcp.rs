//! One connection to a leased port, up to where it's handed to the pipeline: counted, told who the client is by a PROXY header
//! where a trusted peer sends one, and out of TLS where the endpoint asks for that. All of it within one deadline, so that a
//! client that says nothing holds its place for no longer.

use std::{
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::Duration,
};

use ipnet::IpNet;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::{
    http::prepare,
    proxy_protocol,
    tls::{Accepted, Alpn, Tls, TlsError},
};
use crate::{
    config,
    domain::DownstreamTls,
    plugin::Connection,
    request::{
        DecisionSet, Decisions, Worker,
        tcp::{self, Arrived, ClientPlace},
    },
};

/// What the configuration says about entering by a leased port.
#[derive(Clone)]
pub struct Doors {
    proxies: Vec<IpNet>,
    handshake: Duration,
    tls: Option<Tls>,
}

/// A connection that has said who it is.
enum Welcomed {
    Plain(Arrived<TcpStream>),
    Tls(Box<Arrived<TlsStream<TcpStream>>>),
}

/// Why a connection ended before anybody could decide about it.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    ProxyProtocol(#[from] proxy_protocol::Error),
    #[error("the endpoint asks for TLS, and no certificate is configured (tls.certificates)")]
    NoCertificate,
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("this client has too many connections open")]
    TooMany,
    #[error("nothing leads anywhere from this port")]
    NoRoute,
}

// === impl Doors ===

impl Doors {
    pub fn new(config: &config::Tcp, tls: Option<Tls>) -> Self {
        Self { tls, proxies: config.proxy_protocol_from.clone(), handshake: Duration::from_millis(config.timeouts.handshake_ms) }
    }

    fn is_proxy(&self, peer: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(&peer))
    }
}

/// Takes a connection in, or closes it where there are too many.
pub fn enter<D: Decisions>(worker: &Rc<Worker<D>>, doors: &Rc<Doors>, stream: TcpStream, peer: SocketAddr, port: u16) {
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let metrics = &worker.gateway.tcp.metrics;
    metrics.accepted.inc();
    let Some(place) = worker.gateway.tcp.places.take() else {
        metrics.refused("too-many");
        return;
    };
    prepare(&stream);
    // A proxy's clients are counted once it has named them.
    let own = if doors.is_proxy(peer.ip()) { None } else { worker.gateway.tcp.counted.client(peer.ip()) };
    if own.is_none() && !doors.is_proxy(peer.ip()) {
        metrics.refused("too-many");
        return;
    }
    let (worker, doors) = (Rc::clone(worker), Rc::clone(doors));
    tokio::task::spawn_local(async move {
        let _place = place;
        let _open = worker.upgraded.enter(&worker.gateway.tcp.metrics.connections);
        // Boxed, so that the room for a handshake isn't kept for as long as the connection lasts.
        let welcomed = Box::pin(tokio::time::timeout(doors.handshake, welcome(&worker, &doors, stream, peer, port, own))).await;
        match welcomed {
            Ok(Ok(Welcomed::Plain(arrived))) => tcp::carry(&worker, arrived).await,
            Ok(Ok(Welcomed::Tls(arrived))) => tcp::carry(&worker, *arrived).await,
            Ok(Err(error)) => {
                worker.gateway.tcp.metrics.refused(if matches!(error, Refused::TooMany) { "too-many" } else { "handshake" });
                tracing::info!(target: "access", client = %peer.ip(), port, %error, "TCP connection refused");
            }
            Err(_) => {
                worker.gateway.tcp.metrics.refused("handshake");
                tracing::info!(target: "access", client = %peer.ip(), port, "TCP connection refused: its handshake took too long");
            }
        }
    });
}

async fn welcome<D: Decisions>(
    worker: &Rc<Worker<D>>,
    doors: &Doors,
    mut stream: TcpStream,
    peer: SocketAddr,
    port: u16,
    own: Option<ClientPlace>,
) -> Result<Welcomed, Refused> {
    let mut client = peer;
    if doors.is_proxy(peer.ip()) {
        client = proxy_protocol::read(&mut stream).await?.unwrap_or(peer);
    }
    let place = own.or_else(|| worker.gateway.tcp.counted.client(client.ip())).ok_or(Refused::TooMany)?;
    let set = worker.decisions.current().ok_or(Refused::NoRoute)?;
    let route = set.routes().by_port(port).ok_or(Refused::NoRoute)?;
    let connection = Connection { client: client.ip(), listener_port: port, tls_name: None, client_certificate: None };
    if route.endpoint.transport.downstream_tls == DownstreamTls::Off {
        return Ok(Welcomed::Plain(Arrived { stream, client, connection, place }));
    }
    let tls = doors.tls.as_ref().ok_or(Refused::NoCertificate)?;
    let Accepted { stream, name, certificate, .. } = tls.accept(stream, Alpn::None).await?;
    let connection = Connection { tls_name: name, client_certificate: certificate, ..connection };
    Ok(Welcomed::Tls(Box::new(Arrived { stream, client, connection, place })))
}
