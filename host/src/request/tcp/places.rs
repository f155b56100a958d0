//! How many TCP connections may be open: per client and per session, over all workers.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{config, domain::SessionId, error::Error};

/// Open connections by client and by session.
pub struct Places {
    clients: Counts<IpAddr>,
    sessions: Counts<SessionId>,
}

/// One connection's place among its client's.
pub struct ClientPlace(#[expect(dead_code, reason = "held, and given back when it's dropped")] Counted<IpAddr>);

/// One connection's place among its session's.
pub struct SessionPlace(#[expect(dead_code, reason = "held, and given back when it's dropped")] Counted<SessionId>);

struct Counts<K> {
    open: Arc<Mutex<HashMap<K, usize>>>,
    most: usize,
}

struct Counted<K: Eq + Hash> {
    open: Arc<Mutex<HashMap<K, usize>>>,
    key: K,
}

// === impl Places ===

impl Places {
    pub fn new(limits: &config::TcpLimits) -> Self {
        Self {
            clients: Counts { open: Arc::default(), most: limits.connections_per_client },
            sessions: Counts { open: Arc::default(), most: limits.connections_per_session },
        }
    }

    /// Taken before anything is read, so that silence counts, too. None where the client has too many open.
    pub fn client(&self, client: IpAddr) -> Option<ClientPlace> {
        self.clients.take(network(client)).map(ClientPlace)
    }

    /// # Errors
    /// Where the session has too many open.
    pub fn session(&self, session: &SessionId) -> Result<SessionPlace, Error> {
        let place = self.sessions.take(session.clone()).map(SessionPlace);
        place.ok_or_else(|| Error::too_many("this session has too many connections open"))
    }
}

/// A client of IPv6 has a whole network of addresses (RFC 4291, section 2.5.1).
fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
    }
}

// === impl Counts ===

impl<K: Eq + Hash + Clone> Counts<K> {
    fn take(&self, key: K) -> Option<Counted<K>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(key.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Counted { open: Arc::clone(&self.open), key })
    }
}

impl<K: Eq + Hash> Drop for Counted<K> {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_connection_ends() {
        let limits = config::TcpLimits { connections_per_client: 2, connections_per_session: 3, ..Default::default() };
        let places = Places::new(&limits);
        let session = SessionId::parse("s1").unwrap();
        let client = "192.0.2.1".parse().unwrap();
        let (first, _second) = (places.client(client).unwrap(), places.client(client).unwrap());
        assert!(places.client(client).is_none(), "a client's third");
        drop(first);
        assert!(places.client(client).is_some());
        let held = [(); 3].map(|()| places.session(&session).unwrap());
        assert!(places.session(&session).is_err(), "a session's fourth");
        drop(held);
        assert!(places.session(&session).is_ok());
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_client() {
        let limits = config::TcpLimits { connections_per_client: 1, ..Default::default() };
        let places = Places::new(&limits);
        let _held = places.client("2001:db8::1".parse().unwrap()).unwrap();
        assert!(places.client("2001:db8::ffff:1".parse().unwrap()).is_none());
        assert!(places.client("2001:db8:0:1::1".parse().unwrap()).is_some());
    }
}
