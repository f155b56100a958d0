//! Which port of the gateway leads to which TCP endpoint. A lease is held for as long as its endpoint is there; afterwards the
//! port rests, because clients may still have its address.
//!
//! Kept by the assembler on the control thread. Nothing is stored: after a restart leases come back by the records that were
//! written to the sessions (`record`), and ports that nobody claims are chosen by the endpoint's name, so that a gateway whose
//! sessions stand in a file comes to the same ports again.

pub mod record;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use aws_lc_rs::digest;
use serde::Serialize;

use crate::{
    config,
    domain::{Endpoint, EndpointId, Protocol, SourceKind, Timestamp},
};

/// Opens the gateway's ports; the wiring fills it with the listeners.
pub trait Ports {
    /// From now on connections to this port are accepted.
    ///
    /// # Errors
    /// Another program has the port, or the system refuses.
    fn open(&self, port: u16) -> io::Result<()>;

    fn close(&self, port: u16);
}

/// One endpoint's port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub port: u16,
    pub since: Timestamp,
    pub upstream: SocketAddr,
    /// Whoever has the session's id next has no claim to the port.
    pub holder: Holder,
}

/// Whose an endpoint is, and of which run: an id may be somebody else's next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub source: SourceKind,
    pub owner: Option<Arc<str>>,
    /// When the session was created.
    pub created: Option<Arc<str>>,
}

/// A port that an endpoint had before, by a record of this gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    pub port: u16,
    pub since: Timestamp,
}

/// Every lease, and what rests.
pub struct Leases {
    range: Option<config::PortRange>,
    /// Whether replicas share the ports: then an endpoint needs a port that all of them can know.
    shared: bool,
    /// For those who ask for them by name or number.
    reserved: HashSet<u16>,
    quarantine: Duration,
    ports: Box<dyn Ports>,
    held: BTreeMap<EndpointId, Lease>,
    /// Each leased endpoint as it was handed in, and as it's routed.
    routed: HashMap<EndpointId, [Arc<Endpoint>; 2]>,
    holders: HashMap<u16, EndpointId>,
    resting: HashMap<u16, Rest>,
    /// Ports that other programs have, and when to try again.
    foreign: HashMap<u16, Instant>,
    refused: BTreeMap<EndpointId, Refusal>,
}

/// What a gateway may do about ports at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Gives a port to who has none.
    Leads,
    /// Gives nobody a new one yet: it may be claimed by a session that a source hasn't reported.
    Waits,
    /// Another replica gives them: what stands in its records is taken over.
    Follows,
}

/// Why an endpoint has no port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For the session's owner, who is told no more than that.
    pub code: &'static str,
    /// For the operator.
    pub detail: String,
}

/// A port after its endpoint's end.
struct Rest {
    of: EndpointId,
    holder: Holder,
    /// Of the lease that has ended.
    since: Timestamp,
    until: Instant,
}

/// For the status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeaseStatus {
    pub port: u16,
    pub session: String,
    pub endpoint: String,
    /// Milliseconds since 1970; of the lease's begin.
    pub since_ms: Option<u64>,
    /// `held`, or `quarantined` once the endpoint has ended.
    pub state: &'static str,
}

const NOT_SERVED: &str = "not-served";
const WAITING: &str = "waiting";

/// A port that another program has is tried again so often.
const FOREIGN_RETRY: Duration = Duration::from_secs(30);

// === impl Leases ===

impl Leases {
    /// `shared`: other replicas serve the same ports.
    pub fn new(config: &config::Tcp, ports: Box<dyn Ports>, shared: bool) -> Self {
        Self {
            range: config.ports,
            shared,
            reserved: config.static_ports.values().copied().collect(),
            quarantine: Duration::from_secs(config.quarantine_s),
            ports,
            held: BTreeMap::new(),
            routed: HashMap::new(),
            holders: HashMap::new(),
            resting: HashMap::new(),
            foreign: HashMap::new(),
            refused: BTreeMap::new(),
        }
    }

    /// Gives each TCP endpoint its port and answers those that have one, with all endpoints of other protocols. `claim` says
    /// what an endpoint had before a restart, or has by the word of the replica that leads.
    pub fn assign(
        &mut self,
        endpoints: Vec<Arc<Endpoint>>,
        role: Role,
        claim: impl Fn(&EndpointId) -> Option<Claim>,
    ) -> Vec<Arc<Endpoint>> {
        let now = Instant::now();
        self.resting.retain(|_, rest| rest.until > now);
        self.foreign.retain(|_, again| *again > now);
        self.refused.clear();
        let asking: BTreeMap<&EndpointId, &Arc<Endpoint>> = endpoints
            .iter()
            .filter(|endpoint| endpoint.protocol == Protocol::Tcp)
            .map(|endpoint| (&endpoint.id, endpoint))
            .collect();
        // An older record is one of a lease that has ended.
        let moved = |id: &EndpointId, lease: &Lease| {
            role == Role::Follows && claim(id).is_some_and(|claim| claim.port != lease.port && claim.since > lease.since)
        };
        self.end_all_but(&asking, now, moved);
        let mut new: Vec<(&Arc<Endpoint>, Option<Claim>)> = asking
            .values()
            .filter(|endpoint| !self.held.contains_key(&endpoint.id))
            .map(|endpoint| (*endpoint, claim(&endpoint.id)))
            .collect();
        // Who had a port goes before who asks for it, and the later lease before an older one: the older one had ended. A record of
        // another port than the one that's asked for now is no claim to that.
        for (endpoint, claim) in &mut new {
            *claim = claim.filter(|claim| endpoint.transport.listen_port.is_none_or(|port| port == claim.port));
        }
        new.sort_by_key(|(endpoint, claim)| {
            let since = claim.map(|claim| claim.since);
            (std::cmp::Reverse(since), endpoint.transport.listen_port.is_none(), age(endpoint), endpoint.id.clone())
        });
        for (endpoint, claim) in new {
            if let Some(claim) = claim.filter(|_| role == Role::Follows) {
                self.give_way(claim, now);
            }
            match self.find(endpoint, claim, role, now) {
                Ok(port) => {
                    self.resting.remove(&port);
                    let since = claim.filter(|claim| claim.port == port).map_or_else(Timestamp::now, |claim| claim.since);
                    tracing::info!(endpoint = %endpoint.id, port, "port leased");
                    self.holders.insert(port, endpoint.id.clone());
                    self.held.insert(
                        endpoint.id.clone(),
                        Lease { port, since, upstream: endpoint.upstream, holder: Holder::of(endpoint) },
                    );
                }
                Err(why) => drop(self.refused.insert(endpoint.id.clone(), why)),
            }
        }
        let held = &self.held;
        self.routed.retain(|id, _| held.contains_key(id));
        endpoints.iter().filter_map(|endpoint| self.placed(endpoint)).collect()
    }

    /// Of those that have one.
    pub fn held(&self) -> &BTreeMap<EndpointId, Lease> {
        &self.held
    }

    /// Why an endpoint has no port.
    pub fn refused(&self) -> &BTreeMap<EndpointId, Refusal> {
        &self.refused
    }

    /// Whether that time has come.
    pub fn is_due(&self) -> bool {
        let now = Instant::now();
        !self.refused.is_empty()
            || self.resting.values().any(|rest| rest.until <= now)
            || self.foreign.values().any(|again| *again <= now)
    }

    /// Those about whose port nothing can be said yet.
    pub fn undecided(&self) -> impl Iterator<Item = &EndpointId> {
        self.refused.iter().filter(|(_, refusal)| refusal.code == WAITING).map(|(id, _)| id)
    }

    /// Whether time alone may change something.
    pub fn waits(&self) -> bool {
        self.range.is_some() && !(self.refused.is_empty() && self.resting.is_empty() && self.foreign.is_empty())
    }

    pub fn describe(&self) -> Vec<LeaseStatus> {
        let status = |port, id: &EndpointId, since, state| LeaseStatus {
            port,
            session: id.session.to_string(),
            endpoint: id.name.as_str().to_owned(),
            since_ms: since,
            state,
        };
        let held = self.held.iter().map(|(id, lease)| status(lease.port, id, Some(lease.since.0), "held"));
        let resting = self.resting.iter().map(|(port, rest)| status(*port, &rest.of, None, "quarantined"));
        let mut all: Vec<LeaseStatus> = held.chain(resting).collect();
        all.sort_by_key(|lease| lease.port);
        all
    }

    /// How many ports of the range are in each state.
    pub fn counts(&self) -> [(&'static str, usize); 4] {
        let Some(range) = self.range else { return [("leased", 0), ("quarantined", 0), ("foreign", 0), ("free", 0)] };
        let within = |port: &&u16| range.holds(**port);
        let leased = self.holders.keys().filter(within).count();
        let resting = self.resting.keys().filter(within).count();
        let foreign = self.foreign.keys().filter(within).count();
        let free = range.size().saturating_sub(leased + resting + foreign);
        [("leased", leased), ("quarantined", resting), ("foreign", foreign), ("free", free)]
    }

    /// Ends the leases whose endpoint is gone, or has or asks for another port now.
    fn end_all_but(
        &mut self,
        asking: &BTreeMap<&EndpointId, &Arc<Endpoint>>,
        now: Instant,
        moved: impl Fn(&EndpointId, &Lease) -> bool,
    ) {
        let goes_on = |endpoint: &Endpoint, lease: &Lease| {
            endpoint.transport.listen_port.is_none_or(|port| port == lease.port) && lease.holder.goes_on_in(&Holder::of(endpoint))
        };
        let ended = self
            .held
            .iter()
            .filter(|(id, lease)| moved(id, lease) || !asking.get(id).is_some_and(|endpoint| goes_on(endpoint, lease)));
        for id in ended.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.end(id, now);
        }
        for (id, endpoint) in asking {
            if let Some(lease) = self.held.get_mut(*id) {
                lease.upstream = endpoint.upstream;
                lease.holder = Holder::of(endpoint);
            }
        }
    }

    fn end(&mut self, id: EndpointId, now: Instant) {
        let Some(lease) = self.held.remove(&id) else { return };
        self.holders.remove(&lease.port);
        self.ports.close(lease.port);
        tracing::info!(endpoint = %id, port = lease.port, "lease ended");
        if !self.quarantine.is_zero() {
            let rest = Rest { of: id, holder: lease.holder, since: lease.since, until: now + self.quarantine };
            self.resting.insert(lease.port, rest);
        }
    }

    /// The replica that leads has given the port to somebody else since.
    fn give_way(&mut self, claim: Claim, now: Instant) {
        let holder = self.holders.get(&claim.port).filter(|id| self.held.get(*id).is_some_and(|lease| lease.since < claim.since));
        if let Some(holder) = holder.cloned() {
            self.end(holder, now);
        }
    }

    /// An endpoint as it's routed: the same value as before, where nothing changed.
    fn placed(&mut self, endpoint: &Arc<Endpoint>) -> Option<Arc<Endpoint>> {
        if endpoint.protocol != Protocol::Tcp {
            return Some(Arc::clone(endpoint));
        }
        let lease = self.held.get(&endpoint.id)?;
        let port = Some(lease.port);
        if let Some([given, routed]) = self.routed.get(&endpoint.id)
            && Arc::ptr_eq(given, endpoint)
            && routed.listener_port == port
        {
            return Some(Arc::clone(routed));
        }
        let routed = Arc::new(Endpoint { listener_port: port, ..(**endpoint).clone() });
        self.routed.insert(endpoint.id.clone(), [Arc::clone(endpoint), Arc::clone(&routed)]);
        Some(routed)
    }

    fn find(&mut self, endpoint: &Endpoint, claim: Option<Claim>, role: Role, now: Instant) -> Result<u16, Refusal> {
        let Some(range) = self.range else {
            return Err(Refusal::new(NOT_SERVED, "tcp.ports isn't configured: TCP endpoints aren't served".into()));
        };
        let waits = || {
            let detail = match role {
                Role::Follows => "waiting for the replica that leads to lease a port",
                _ => "waiting until every source has been read: another session may have had the port",
            };
            Refusal::new(WAITING, detail.into())
        };
        // Nothing can be written back to a file: the other replicas would never know its port.
        let by_operator = self.shared && endpoint.source == SourceKind::File;
        if by_operator && endpoint.transport.listen_port.is_none() {
            let detail = "an endpoint from a file needs a listen_port where replicas share the ports";
            return Err(Refusal::new("no-listen-port", detail.into()));
        }
        if let Some(port) = endpoint.transport.listen_port {
            if !range.holds(port) && !self.reserved.contains(&port) {
                let detail = format!("port {port} isn't one of tcp.ports ({} to {})", range.start, range.end);
                return Err(Refusal::new("port-not-in-range", detail));
            }
            if claim.is_none() && role != Role::Leads && !by_operator {
                return Err(waits());
            }
            self.is_free_for(role, port, endpoint, claim)?;
            let opened = self.open(port, now).map(|()| port);
            return opened.map_err(|error| Refusal::new("port-taken", format!("port {port}: {error}")));
        }
        if let Some(claim) = claim.filter(|claim| range.holds(claim.port) && !self.reserved.contains(&claim.port))
            && self.is_free_for(role, claim.port, endpoint, Some(claim)).is_ok()
            && self.open(claim.port, now).is_ok()
        {
            return Ok(claim.port);
        }
        if role != Role::Leads {
            return Err(waits());
        }
        for port in self.order(range, endpoint) {
            let may_have = !self.reserved.contains(&port) && !self.foreign.contains_key(&port);
            if may_have && self.is_free_for(role, port, endpoint, None).is_ok() && self.open(port, now).is_ok() {
                return Ok(port);
            }
        }
        Err(self.exhausted(range))
    }

    /// The port that it had last, then all from one that its name leads to.
    fn order(&self, range: config::PortRange, endpoint: &Endpoint) -> impl Iterator<Item = u16> + use<> {
        let before = self.resting.iter().find(|(_, rest)| rest.is_of(endpoint)).map(|(port, _)| *port);
        let size = range.size();
        // The same in every release.
        let digest = digest::digest(&digest::SHA256, endpoint.id.segment().as_bytes());
        let first = digest.as_ref().iter().take(4).fold(0, |number, byte| number << 8 | usize::from(*byte)) % size;
        let all = (0..size).filter_map(move |step| u16::try_from(usize::from(range.start) + (first + step) % size).ok());
        before.into_iter().chain(all)
    }

    /// Whether nobody else has it. The error says who. Whether a port has rested is for the replica to judge that leads.
    /// By a record of that, later than what has ended there.
    fn is_free_for(&self, role: Role, port: u16, endpoint: &Endpoint, claim: Option<Claim>) -> Result<(), Refusal> {
        if let Some(holder) = self.holders.get(&port) {
            return Err(Refusal::new("port-taken", format!("port {port} is leased to session {}", holder.session)));
        }
        match self.resting.get(&port) {
            Some(rest) if role == Role::Follows && claim.is_some_and(|claim| claim.since > rest.since) => Ok(()),
            Some(rest) if !rest.is_of(endpoint) => {
                let detail = format!("port {port} rests after its last session for {} s", self.quarantine.as_secs());
                Err(Refusal::new("port-taken", detail))
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, port: u16, now: Instant) -> io::Result<()> {
        self.ports.open(port).inspect_err(|error| {
            if self.foreign.insert(port, now + FOREIGN_RETRY).is_none() {
                tracing::warn!(port, %error, "a port of tcp.ports can't be listened on: it's passed over");
            }
        })
    }

    fn exhausted(&self, range: config::PortRange) -> Refusal {
        let [(_, leased), (_, resting), (_, foreign), _] = self.counts();
        let detail = format!(
            "no port is free: of {} in tcp.ports {leased} are leased, {resting} rest after their last session, {foreign} are other \
             programs'",
            range.size(),
        );
        Refusal::new("no-port-free", detail)
    }
}

// === impl Holder ===

impl Holder {
    fn of(endpoint: &Endpoint) -> Self {
        let first = |name: &str| endpoint.attributes.values(name).first().cloned();
        Self { source: endpoint.source, owner: first("owner"), created: first("session.created") }
    }

    /// A session may be given to another owner, and an owner may start it anew; who does both is somebody else.
    fn goes_on_in(&self, now: &Self) -> bool {
        self.source == now.source && (self.owner == now.owner || self.created == now.created)
    }
}

// === impl Rest ===

impl Rest {
    fn is_of(&self, endpoint: &Endpoint) -> bool {
        self.of == endpoint.id && self.holder.goes_on_in(&Holder::of(endpoint))
    }
}

// === impl Refusal ===

impl Refusal {
    fn new(code: &'static str, detail: String) -> Self {
        Self { code, detail }
    }

    /// Whether the session's owner should know: not where another gateway may serve it.
    pub fn is_published(&self) -> bool {
        !matches!(self.code, NOT_SERVED | WAITING)
    }
}

/// Older sessions first, so that each start comes to the same result.
fn age(endpoint: &Endpoint) -> String {
    endpoint.attributes.first("session.created").unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
