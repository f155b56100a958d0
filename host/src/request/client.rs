//! Where a request came from: the peer, or whom a trusted proxy says.

mod forwarded;

use std::{net::IpAddr, rc::Rc, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Settings, slots::Slot};
use crate::{
    plugin::Connection,
    upstream::{Deadline, Phase, deadline::tick},
};

pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// A downstream connection, or one stream of it.
pub struct Downstream {
    /// The peer as the client.
    pub connection: Rc<Connection>,
    pub is_trusted_proxy: bool,
    pub is_tls: bool,
    pub deadline: Arc<Deadline>,
    /// The peer's address for `X-Forwarded-For`.
    pub peer_value: HeaderValue,
    pub slot: Rc<Slot>,
    /// False for a stream for which there's no place.
    pub is_admitted: bool,
}

// === impl Downstream ===

impl Downstream {
    pub fn new(peer: IpAddr, listener_port: u16, settings: &Settings, slot: Slot) -> Self {
        tick();
        let deadline = Arc::new(Deadline::new(Phase::Idle, settings.keep_alive));
        let peer = peer.to_canonical();
        let peer_value = value(peer);
        let connection = Rc::new(Connection { client: peer, listener_port, tls_name: None, client_certificate: None });
        Self {
            connection,
            is_trusted_proxy: settings.trusts(peer),
            is_tls: false,
            deadline,
            peer_value,
            slot: Rc::new(slot),
            is_admitted: true,
        }
    }

    /// The same for a client whom the peer named by the PROXY protocol.
    pub fn for_client(mut self, client: IpAddr, settings: &Settings) -> Self {
        self.connection = Rc::new(Connection { client, ..(*self.connection).clone() });
        self.peer_value = value(client);
        self.is_trusted_proxy = settings.trusts(client);
        self
    }

    /// The same over TLS, with the name that the client asked for and its certificate, which has been verified.
    pub fn over_tls(mut self, name: Option<Box<str>>, certificate: Option<Box<[u8]>>) -> Self {
        self.is_tls = true;
        let Connection { client, listener_port, .. } = *self.connection;
        self.connection = Rc::new(Connection { client, listener_port, tls_name: name, client_certificate: certificate });
        self
    }

    /// The same for one of many requests at a time, which has a deadline of its own and takes a place as a connection does.
    pub fn stream(&self, slot: Option<Slot>) -> Self {
        let deadline = Arc::new(Deadline::new(Phase::Deciding, Duration::MAX));
        Self {
            connection: self.connection.clone(),
            deadline,
            peer_value: self.peer_value.clone(),
            is_admitted: slot.is_some(),
            slot: slot.map_or_else(|| self.slot.clone(), Rc::new),
            ..*self
        }
    }

    /// For a request by way of a trusted proxy: the same connection with the client that the proxies name, which is the last
    /// address in `X-Forwarded-For`, or without it in `Forwarded`, that isn't a trusted proxy's. None where the peer is the
    /// client.
    pub fn by_proxy(&self, headers: &HeaderMap, settings: &Settings) -> Option<Connection> {
        if !self.is_trusted_proxy {
            return None;
        }
        let mut client = self.connection.client;
        for entry in named(headers).iter().rev() {
            let Some(address) = address(entry.trim()) else { break };
            client = address;
            if !settings.trusts(client) {
                break;
            }
        }
        Some(Connection {
            client,
            listener_port: self.connection.listener_port,
            tls_name: self.connection.tls_name.clone(),
            client_certificate: self.connection.client_certificate.clone(),
        })
    }

    /// Whether a trusted proxy says that the client came over TLS; without one, whether it did, or what the public URL says.
    pub fn proto(&self, headers: &HeaderMap, settings: &Settings) -> HeaderValue {
        let said = match (self.is_trusted_proxy, headers.get(FORWARDED_PROTO)) {
            (false, _) => None,
            (true, Some(said)) => said.to_str().ok().map(str::to_owned),
            (true, None) => forwarded::values(headers, "proto").pop(),
        };
        match said.as_deref() {
            Some("https") => HeaderValue::from_static("https"),
            Some("http") => HeaderValue::from_static("http"),
            _ if self.is_tls => HeaderValue::from_static("https"),
            _ => settings.proto.clone(),
        }
    }

    /// The chain for the upstream: what trusted proxies said, and the peer.
    pub fn forwarded_for(&self, headers: &HeaderMap) -> HeaderValue {
        if !self.is_trusted_proxy {
            return self.peer_value.clone();
        }
        let mut chain = named(headers);
        if chain.is_empty() {
            return self.peer_value.clone();
        }
        chain.push(String::from_utf8_lossy(self.peer_value.as_bytes()).into_owned());
        HeaderValue::try_from(chain.join(", ")).unwrap_or_else(|_| self.peer_value.clone())
    }
}

/// Whom the proxies name, the last one's word last: by `X-Forwarded-For`, or without it by `Forwarded`.
fn named(headers: &HeaderMap) -> Vec<String> {
    if !headers.contains_key(FORWARDED_FOR) {
        return forwarded::values(headers, "for");
    }
    let lines = headers.get_all(FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(|entry| entry.trim().to_owned()).collect()
}

fn value(address: IpAddr) -> HeaderValue {
    HeaderValue::try_from(address.to_string()).unwrap_or(HeaderValue::from_static("unknown"))
}

/// An address as proxies write it: with or without a port or brackets.
fn address(text: &str) -> Option<IpAddr> {
    let parsed = text.parse().ok().or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip()));
    let parsed = parsed.or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok());
    parsed.map(|address: IpAddr| address.to_canonical())
}
