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

/// One connection's place at both.
pub struct Place {
    _client: Counted<IpAddr>,
    _session: Counted<SessionId>,
}

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

    /// # Errors
    /// Where the client or the session has too many open.
    pub fn take(&self, client: IpAddr, session: &SessionId) -> Result<Place, Error> {
        let client =
            self.clients.take(network(client)).ok_or_else(|| Error::too_many("this client has too many connections open"))?;
        let session =
            self.sessions.take(session.clone()).ok_or_else(|| Error::too_many("this session has too many connections open"))?;
        Ok(Place { _client: client, _session: session })
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
        let [one, two, three]: [IpAddr; 3] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|text| text.parse().unwrap());
        let (first, _second) = (places.take(one, &session).unwrap(), places.take(one, &session).unwrap());
        assert!(places.take(one, &session).is_err(), "a client's third");
        let _third = places.take(two, &session).unwrap();
        assert!(places.take(three, &session).is_err(), "a session's fourth");
        drop(first);
        assert!(places.take(one, &session).is_ok());
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_client() {
        let limits = config::TcpLimits { connections_per_client: 1, ..Default::default() };
        let places = Places::new(&limits);
        let session = SessionId::parse("s1").unwrap();
        let _held = places.take("2001:db8::1".parse().unwrap(), &session).unwrap();
        assert!(places.take("2001:db8::ffff:1".parse().unwrap(), &session).is_err());
        assert!(places.take("2001:db8:0:1::1".parse().unwrap(), &session).is_ok());
    }
}
