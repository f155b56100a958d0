//! How often anybody may try to log in: guessing passwords must not be faster here than it is worth.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const WINDOW: Duration = Duration::from_secs(60);

/// Counts attempts of the present minute, for all workers. The limit in all bounds the memory too: each entry was an attempt.
pub struct Attempts {
    per_client: u32,
    in_all: u32,
    window: Mutex<Option<Window>>,
}

struct Window {
    began: Instant,
    in_all: u32,
    by_client: HashMap<IpAddr, u32>,
}

/// An attempt that is one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// How long to wait.
    pub retry_after: Duration,
}

// === impl Attempts ===

impl Attempts {
    pub fn new(per_client: u32, in_all: u32) -> Self {
        Self { per_client, in_all, window: Mutex::default() }
    }

    /// Counts an attempt before its password is looked at.
    ///
    /// # Errors
    /// When this client, or all together, have tried too often. Such an attempt isn't counted: one client can't use up what
    /// others may try.
    pub fn count(&self, client: IpAddr, now: Instant) -> Result<(), TooMany> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let window = match &mut *window {
            Some(window) if now.saturating_duration_since(window.began) < WINDOW => window,
            over => over.insert(Window { began: now, in_all: 0, by_client: HashMap::new() }),
        };
        let client = same_line(client);
        let tried = window.by_client.get(&client).copied().unwrap_or(0);
        if tried >= self.per_client || window.in_all >= self.in_all {
            return Err(TooMany { retry_after: (window.began + WINDOW).saturating_duration_since(now) });
        }
        window.by_client.insert(client, tried + 1);
        window.in_all += 1;
        Ok(())
    }

    /// Takes back an attempt that succeeded.
    pub fn forgive(&self, client: IpAddr) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(window) = &mut *window else { return };
        if let Some(tried) = window.by_client.get_mut(&same_line(client))
            && *tried > 0
        {
            *tried -= 1;
            window.in_all = window.in_all.saturating_sub(1);
        }
    }
}

/// Whoever has one IPv6 address usually has the 2^64 of its network.
fn same_line(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_is_limited_and_others_are_not() {
        let (attempts, start) = (Attempts::new(2, 100), Instant::now());
        for outcome in [true, true, false, false] {
            assert_eq!(attempts.count(ip("10.0.0.1"), start).is_ok(), outcome);
        }
        assert!(attempts.count(ip("10.0.0.2"), start).is_ok());
        let later = start + Duration::from_secs(15);
        assert_eq!(attempts.count(ip("10.0.0.1"), later), Err(TooMany { retry_after: Duration::from_secs(45) }));
        assert!(attempts.count(ip("10.0.0.1"), start + WINDOW).is_ok(), "a new minute");
    }

    #[test]
    fn one_network_or_one_spelling_is_one_client() {
        let (attempts, start) = (Attempts::new(1, 100), Instant::now());
        for (first, second) in [("2001:db8::1", "2001:db8::ffff:1"), ("::ffff:10.0.0.1", "10.0.0.1")] {
            assert!(attempts.count(ip(first), start).is_ok());
            assert!(attempts.count(ip(second), start).is_err(), "{second}");
        }
        assert!(attempts.count(ip("2001:db8:0:1::1"), start).is_ok());
    }

    #[test]
    fn many_clients_together_are_limited_and_use_bounded_memory() {
        let (attempts, start) = (Attempts::new(10, 50), Instant::now());
        let admitted = (0..1000_u32).filter(|client| attempts.count(IpAddr::V4((*client).into()), start).is_ok()).count();
        assert_eq!(admitted, 50);
        assert_eq!(attempts.window.lock().unwrap().as_ref().map(|window| window.by_client.len()), Some(50));
    }

    #[test]
    fn success_is_not_held_against_anybody() {
        let (attempts, start) = (Attempts::new(1, 1), Instant::now());
        for _ in 0..5 {
            assert!(attempts.count(ip("10.0.0.1"), start).is_ok());
            attempts.forgive(ip("10.0.0.1"));
        }
        attempts.forgive(ip("10.0.0.9"));
        assert!(attempts.count(ip("10.0.0.1"), start).is_ok());
        assert!(attempts.count(ip("10.0.0.1"), start).is_err());
    }
}
