//! Which addresses may be dialled. What a session declares as its address is hostile input: every spelling is brought into
//! one canonical form, and only that form is checked, remembered and dialled.
//!
//! The assembler asks for each new candidate. This module decides about addresses alone: it knows no sessions and no owners.

mod literal;
mod special;

use std::{
    fmt,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use ipnet::IpNet;
use tokio::sync::Semaphore;

pub use literal::{Host, parse};
pub use special::canonical;

use super::book::Denial;

/// The rules of one gateway. Made once from the configuration.
pub struct DialRules {
    networks: Vec<IpNet>,
    /// Ports on which the gateway itself listens: never dialled on an address of this machine.
    own_ports: Vec<u16>,
    /// Where the API server is: never dialled.
    api: Vec<SocketAddr>,
    own_addresses: OwnAddresses,
}

/// How an address of this machine is recognised. An operating system binds to its own addresses only, so that asking it needs
/// no list that grows old. It says yes to everything where `ip_nonlocal_bind` is set: then nothing can be said.
#[derive(Clone, Copy)]
enum OwnAddresses {
    ByBinding,
    Unknown,
}

/// Why an address isn't dialled; for the operator and the session's owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The text isn't a host, and what's wrong with it.
    Malformed(&'static str),
    /// The address belongs to a class that needs a network of its own in `discovery.dial.networks`.
    Special(&'static str, IpAddr),
    /// The address of this machine, and no configured network names it.
    Own(IpAddr),
    /// A port on which this gateway listens.
    Loop(SocketAddr),
    /// The API server.
    Api(IpAddr),
    /// No configured network holds it.
    Outside(IpAddr),
    /// The name has no address.
    Unresolved(String),
    /// What is known of pods is against it.
    Pod(Denial),
}

/// Looks names up, with a deadline and never more than a few at once.
#[derive(Clone)]
pub struct Resolver {
    permits: Arc<Semaphore>,
    timeout: Duration,
}

// === impl DialRules ===

impl DialRules {
    /// `own_ports` are the gateway's listening ports, `api` the API server's addresses.
    pub fn new(networks: Vec<IpNet>, own_ports: Vec<u16>, api: Vec<SocketAddr>) -> Self {
        Self { networks, own_ports, api, own_addresses: OwnAddresses::probe() }
    }

    /// The canonical socket address, if it may be dialled.
    pub fn permit(&self, address: IpAddr, port: u16) -> Result<SocketAddr, Refusal> {
        self.permit_if(address, port, false)
    }

    /// The same for the address of the session's own pod, which no network needs to hold.
    pub fn permit_pod(&self, address: IpAddr, port: u16) -> Result<SocketAddr, Refusal> {
        self.permit_if(address, port, true)
    }

    fn permit_if(&self, address: IpAddr, port: u16, is_own_pods: bool) -> Result<SocketAddr, Refusal> {
        let address = special::canonical(address)?;
        let socket = SocketAddr::new(address, port);
        if port == 0 {
            return Err(Refusal::Malformed("port 0"));
        }
        let networks = || self.networks.iter().filter(|network| network.contains(&address));
        for class in special::classes(address) {
            if !networks().any(|network| class.networks.iter().any(|within| within.contains(network))) {
                return Err(Refusal::Special(class.name, address));
            }
        }
        if networks().next().is_none() && !is_own_pods {
            return Err(Refusal::Outside(address));
        }
        self.permit_neighbours(socket, networks().any(|network| network.prefix_len() == network.max_prefix_len()))?;
        Ok(socket)
    }

    /// Addresses that are refused for what stands there. Loopback is this machine by its nature: where a network opened it,
    /// only the gateway's and the API server's own ports stay closed.
    fn permit_neighbours(&self, socket: SocketAddr, named: bool) -> Result<(), Refusal> {
        let own = self.own_addresses.hold(socket.ip());
        if own && self.own_ports.contains(&socket.port()) {
            return Err(Refusal::Loop(socket));
        }
        if self.api.contains(&socket) {
            return Err(Refusal::Api(socket.ip()));
        }
        let named = named || socket.ip().is_loopback();
        if !named && self.api.iter().any(|api| api.ip() == socket.ip()) {
            return Err(Refusal::Api(socket.ip()));
        }
        if !named && own {
            return Err(Refusal::Own(socket.ip()));
        }
        Ok(())
    }
}

// === impl OwnAddresses ===

impl OwnAddresses {
    fn probe() -> Self {
        // RFC 5737: an address that no machine has.
        let nobody = IpAddr::from([192, 0, 2, 1]);
        if binds(nobody) { Self::Unknown } else { Self::ByBinding }
    }

    fn hold(self, address: IpAddr) -> bool {
        match self {
            Self::ByBinding => binds(address),
            Self::Unknown => address.is_loopback(),
        }
    }
}

fn binds(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

// === impl Resolver ===

impl Resolver {
    /// At most `at_once` look-ups run at a time; each is given up after `timeout`.
    pub fn new(at_once: usize, timeout: Duration) -> Self {
        Self { permits: Arc::new(Semaphore::new(at_once)), timeout }
    }

    /// The first address of the name that the rules permit. It's dialled from then on, whatever the name says later.
    pub async fn pin(&self, rules: &DialRules, name: &str, port: u16) -> Result<SocketAddr, Refusal> {
        let permits = self.permits.clone();
        let asked = name.to_owned();
        // A task of its own: a look-up that was given up goes on in the operating system, and its permit with it.
        let look_up = tokio::spawn(async move {
            let _permit = permits.acquire_owned().await;
            tokio::net::lookup_host((asked.as_str(), port)).await.map(Iterator::collect::<Vec<_>>)
        });
        let unresolved = |why: String| Refusal::Unresolved(format!("{name}: {why}"));
        let addresses = match tokio::time::timeout(self.timeout, look_up).await {
            Ok(Ok(Ok(addresses))) => addresses,
            Ok(Ok(Err(error))) => return Err(unresolved(error.to_string())),
            Ok(Err(_)) => return Err(unresolved("the look-up was stopped".into())),
            Err(_) => return Err(unresolved(format!("no answer within {} ms", self.timeout.as_millis()))),
        };
        let mut refusal = None;
        for address in addresses {
            match rules.permit(address.ip(), port) {
                Ok(socket) => return Ok(socket),
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        Err(refusal.unwrap_or_else(|| unresolved("no address".into())))
    }
}

// === impl Refusal ===

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(f, "the address isn't an IP address or a DNS name: {what}"),
            Self::Special(class, address) => {
                write!(f, "{address} is {class}: only a network within that in `discovery.dial.networks` opens it")
            }
            Self::Own(address) => {
                write!(f, "{address} is the gateway's own: only {address} itself in `discovery.dial.networks` opens it")
            }
            Self::Loop(socket) => write!(f, "{socket} is a port of this gateway"),
            Self::Api(address) => {
                write!(f, "{address} is the API server's: only {address} itself in `discovery.dial.networks` opens its other ports")
            }
            Self::Outside(address) => write!(f, "{address} is in no network of `discovery.dial.networks`"),
            Self::Pod(denial) => denial.fmt(f),
            Self::Unresolved(why) => write!(f, "the name can't be resolved: {why}"),
        }
    }
}

#[cfg(test)]
mod tests;
