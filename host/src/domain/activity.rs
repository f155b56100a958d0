//! When somebody last used a session, and how much went through: what decides whether a session is idle.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::{SessionId, Timestamp};

/// One session's use, counted by all threads. Bytes are user data: bodies, TCP, and the payload of a WebSocket's data frames.
#[derive(Debug, Default)]
pub struct Activity {
    received: AtomicU64,
    sent: AtomicU64,
    last_ms: AtomicU64,
    open: AtomicU64,
}

/// An activity at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Used {
    /// Bytes from clients.
    pub received_bytes: u64,
    /// Bytes to clients.
    pub sent_bytes: u64,
    /// Milliseconds since 1970. None: never.
    pub last_ms: Option<u64>,
    /// Open TCP connections and WebSockets.
    pub open_connections: u64,
}

/// The activities of all sessions there are. They outlive route tables.
#[derive(Debug, Default)]
pub struct Activities(Mutex<HashMap<SessionId, Arc<Activity>>>);

/// One open connection, counted.
pub struct Open(Arc<Activity>);

// === impl Activity ===

impl Activity {
    pub fn moved(&self, received: u64, sent: u64) {
        if received > 0 {
            self.received.fetch_add(received, Relaxed);
        }
        if sent > 0 {
            self.sent.fetch_add(sent, Relaxed);
        }
        let now = Timestamp::coarse().0;
        // Mostly it's the same tick, and then the value stays in every processor's cache.
        if self.last_ms.load(Relaxed) < now {
            self.last_ms.fetch_max(now, Relaxed);
        }
    }

    pub fn open(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Relaxed);
        Open(Arc::clone(self))
    }

    pub fn used(&self) -> Used {
        let last_ms = self.last_ms.load(Relaxed);
        Used {
            received_bytes: self.received.load(Relaxed),
            sent_bytes: self.sent.load(Relaxed),
            last_ms: (last_ms > 0).then_some(last_ms),
            open_connections: self.open.load(Relaxed),
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

// === impl Activities ===

impl Activities {
    /// A session's, which begins with nothing.
    pub fn of(&self, session: &SessionId) -> Arc<Activity> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(session) {
            return Arc::clone(known);
        }
        Arc::clone(all.entry(session.clone()).or_default())
    }

    /// Forgets the sessions that are gone.
    pub fn keep(&self, is_there: impl Fn(&SessionId) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|session, _| is_there(session));
    }

    pub fn used(&self) -> Vec<(SessionId, Used)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(session, activity)| (session.clone(), activity.used())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_is_added_up_by_session_until_it_is_gone() {
        let activities = Activities::default();
        let session = SessionId::parse("s1").unwrap();
        assert_eq!(activities.of(&session).used(), Used::default());
        activities.of(&session).moved(3, 4);
        activities.of(&session).moved(1, 0);
        let open = activities.of(&session).open();
        let used = activities.of(&session).used();
        assert_eq!((used.received_bytes, used.sent_bytes, used.open_connections), (4, 4, 1));
        assert!(used.last_ms.is_some());
        drop(open);
        activities.keep(|_| false);
        assert_eq!(activities.of(&session).used(), Used::default());
    }
}
