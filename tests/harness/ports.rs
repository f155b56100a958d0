//! Ports of loopback that a gateway may lease.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicU16, Ordering},
};

/// Below the ports that the system gives to outgoing connections, so that none of them takes one meanwhile.
const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;

/// A range of neighbouring ports, both ends in it.
#[derive(Clone, Copy, Debug)]
pub struct PortRange {
    pub start: u16,
    pub end: u16,
}

impl PortRange {
    /// So many neighbours that nobody listens on now; no other test of this process is given any of them.
    ///
    /// # Panics
    /// When there are none.
    pub fn free(count: u16) -> Self {
        static TAKEN: AtomicU16 = AtomicU16::new(0);
        // Tests that run at a time in other processes begin elsewhere.
        let offset = u16::try_from(std::process::id() % 100).unwrap() * 100;
        for _ in 0..(LAST - FIRST) / count {
            let taken = TAKEN.fetch_add(count, Ordering::Relaxed);
            let start = FIRST + offset.wrapping_add(taken) % (LAST - FIRST - count);
            let range = Self { start, end: start + count - 1 };
            if (range.start..=range.end).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
                return range;
            }
        }
        panic!("no {count} free neighbours between {FIRST} and {LAST}");
    }

    /// The section `tcp` of a gateway that leases these.
    pub fn config(&self) -> String {
        self.config_with("")
    }

    /// The same with further keys (`quarantine_s: 1`).
    pub fn config_with(&self, keys: &str) -> String {
        let Self { start, end } = self;
        format!("tcp: {{address: 127.0.0.1, listen: 127.0.0.1, ports: {{start: {start}, end: {end}}}, {keys}}}\n")
    }

    pub fn contains(&self, port: u16) -> bool {
        (self.start..=self.end).contains(&port)
    }
}
