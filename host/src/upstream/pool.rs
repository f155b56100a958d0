//! Kept upstream connections of one worker, by peer. Plain cells: no other thread sees them. A connection that was kept for
//! too long, or is one too many, is closed by dropping its sender.

use std::{cell::RefCell, collections::HashMap, time::Duration};

use hyper::client::conn::http1::SendRequest;

use super::{
    Peer,
    body::RequestBody,
    deadline::{now_ms, tick},
};

/// Idle connections of one worker.
pub struct Pool {
    kept: RefCell<HashMap<Peer, Vec<Kept>>>,
    idle_ms: u64,
    per_peer: usize,
}

struct Kept {
    sender: SendRequest<RequestBody>,
    since_ms: u64,
}

// === impl Pool ===

impl Pool {
    pub fn new(idle: Duration, per_peer: usize) -> Self {
        let idle_ms = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
        Self { kept: RefCell::default(), idle_ms, per_peer }
    }

    /// The connection to this peer that was used last: its upstream is the least likely to have given it up.
    pub(super) fn take(&self, peer: &Peer) -> Option<SendRequest<RequestBody>> {
        let mut kept = self.kept.borrow_mut();
        let connections = kept.get_mut(peer)?;
        connections.retain(|connection| !connection.sender.is_closed());
        // One that isn't ready is still at its last request's body, which its upstream didn't wait for.
        let at = connections.iter().rposition(|connection| connection.sender.is_ready())?;
        let connection = connections.remove(at);
        (now_ms().saturating_sub(connection.since_ms) < self.idle_ms).then_some(connection.sender)
    }

    pub(super) fn give_back(&self, peer: Peer, sender: SendRequest<RequestBody>) {
        if sender.is_closed() || self.per_peer == 0 {
            return;
        }
        let mut kept = self.kept.borrow_mut();
        let connections = kept.entry(peer).or_default();
        if connections.len() < self.per_peer {
            connections.push(Kept { sender, since_ms: now_ms() });
        }
    }

    /// Closes what has been idle for too long.
    pub fn sweep(&self) {
        tick();
        let oldest = now_ms().saturating_sub(self.idle_ms);
        self.kept.borrow_mut().retain(|_, connections| {
            connections.retain(|connection| connection.since_ms > oldest && !connection.sender.is_closed());
            !connections.is_empty()
        });
    }

    /// Connections that are kept now.
    pub fn len(&self) -> usize {
        self.kept.borrow().values().map(Vec::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
