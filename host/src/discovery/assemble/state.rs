//! What is known of each candidate: the assembler's memory. No I/O, no plugins.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::SocketAddr,
    sync::Arc,
};

use super::place::{self, Hold, Holders, Owner};
use crate::{
    discovery::{
        book::{Book, Standing},
        candidates::{Found, Rejection},
        dial::{self, DialRules, Host, Refusal},
        leases::{Claim, Leases},
        status::{self, EndpointState, SessionStatus},
    },
    domain::{Candidate, Endpoint, EndpointId, Protocol, SessionId, SourceKind, decision::Verdict},
};

/// A session may have an HTTP and a TCP endpoint of one name.
pub type Key = (EndpointId, Protocol);

#[derive(Default)]
pub struct State {
    sources: BTreeMap<SourceKind, Found>,
    /// Those that there are, with or without a report.
    expected: Vec<SourceKind>,
    entries: BTreeMap<Key, Entry>,
    /// Candidates that lost their session id to another source.
    overruled: Vec<Rejection>,
    holders: Holders,
    /// What pods say.
    pods: Arc<Book>,
    /// Whether anything is another than when `settle` was last called.
    changed: bool,
}

/// One candidate. Another one under the same key is a new entry.
pub struct Entry {
    pub candidate: Arc<Candidate>,
    /// Whose it is, and how old: asked at each change of anything.
    pub owner: Owner,
    pub created: Option<Arc<str>>,
    pub judged: Judged,
    /// By which its place was found.
    standing: Standing,
    pub place: Place,
    /// What it was to requests when it was last placed: the very same value for as long as nothing changes.
    pub placed: Option<Arc<Endpoint>>,
    /// Whether anything has changed since.
    pub moved: bool,
}

/// What the filters say.
pub enum Judged {
    /// Not asked yet with this set of plugins; the verdict of the set before, if there was one.
    Not(Option<Verdict>),
    Is(Verdict),
    /// They failed; the earlier verdict stands.
    Fault(String, Option<Verdict>),
}

/// What the dial rules say.
pub enum Place {
    Unknown,
    Resolving,
    At(SocketAddr),
    Refused(Refusal),
}

// === impl State ===

impl State {
    pub fn new(expected: Vec<SourceKind>) -> Self {
        let pods = if expected.contains(&SourceKind::Kubernetes) { Book::awaited() } else { Book::default() };
        Self { pods: Arc::new(pods), expected, ..Self::default() }
    }

    /// Takes all that a source has in place of what it had.
    pub fn replace(&mut self, source: SourceKind, found: Found) {
        if self.sources.get(&source) == Some(&found) {
            return;
        }
        self.changed = true;
        let pods = found.pods.clone();
        match self.sources.get(&source).is_some_and(|before| has_same_keys(before, &found)) {
            true => self.exchange(source, found),
            false => self.rebuild(source, found),
        }
        if let Some(pods) = pods.filter(|pods| !Arc::ptr_eq(pods, &self.pods)) {
            self.pods = pods;
            self.find_anew();
        }
    }

    /// The same endpoints, of which some are another way now: the others aren't touched.
    fn exchange(&mut self, source: SourceKind, found: Found) {
        let before = self.sources.insert(source, found).unwrap_or_default();
        let now = self.sources.get(&source).map(|found| found.candidates.as_slice()).unwrap_or_default();
        for (before, now) in before.candidates.iter().zip(now).filter(|(before, now)| before != now) {
            let entry = self.entries.get_mut(&(now.id.clone(), now.protocol));
            if let Some(entry) = entry.filter(|entry| entry.candidate == *before) {
                *entry = Entry::new(now.clone(), entry.placed.take());
            }
        }
    }

    fn rebuild(&mut self, source: SourceKind, found: Found) {
        self.sources.insert(source, found);
        self.overruled.clear();
        let mut claimed: HashMap<&SessionId, SourceKind> = HashMap::new();
        let mut entries = BTreeMap::new();
        // In the order in which sources win.
        for (source, found) in &self.sources {
            if *source == SourceKind::Kubernetes && self.holds_pods_back() {
                continue;
            }
            for candidate in &found.candidates {
                let first = *claimed.entry(&candidate.id.session).or_insert(*source);
                let key = (candidate.id.clone(), candidate.protocol);
                if first != *source || entries.contains_key(&key) {
                    let reason = "another endpoint has this session id and name".into();
                    self.overruled.push(Rejection {
                        session: candidate.id.session.to_string(),
                        endpoint: candidate.id.name.as_str().to_owned(),
                        reason,
                    });
                    continue;
                }
                let entry = match self.entries.remove(&key) {
                    Some(known) if known.candidate == *candidate => known,
                    other => Entry::new(candidate.clone(), other.and_then(|entry| entry.placed)),
                };
                entries.insert(key, entry);
            }
        }
        self.entries = entries;
    }

    /// Forgets the places of those about which pods say something else now.
    fn find_anew(&mut self) {
        for entry in self.entries.values_mut().filter(|entry| !matches!(entry.place, Place::Unknown | Place::Resolving)) {
            let says_otherwise = match dial::parse(&entry.candidate.host) {
                Ok(Host::Name(_)) => match entry.place {
                    Place::At(at) => matches!(self.pods.standing(&entry.candidate, at.ip()), Standing::Denied(_)),
                    _ => matches!(entry.place, Place::Refused(Refusal::Pod(_))),
                },
                _ => entry.standing(&self.pods) != entry.standing,
            };
            if says_otherwise {
                entry.place = Place::Unknown;
                entry.moved = true;
            }
        }
    }

    /// Whether anything has changed since the last call.
    pub fn settle(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Something else changed on which the table depends.
    pub fn upset(&mut self) {
        self.changed = true;
    }

    /// A new set of plugins judges everything anew.
    pub fn forget_decisions(&mut self) {
        self.changed = true;
        for entry in self.entries.values_mut() {
            entry.judged = Judged::Not(entry.judged.take());
            entry.moved = true;
        }
    }

    /// What failed is to be tried again.
    pub fn retry(&mut self) {
        self.changed = true;
        for entry in self.entries.values_mut() {
            if matches!(entry.judged, Judged::Fault(..)) {
                entry.judged = Judged::Not(entry.judged.take());
                entry.moved = true;
            }
            if matches!(entry.place, Place::Refused(Refusal::Unresolved(_))) {
                entry.place = Place::Unknown;
                entry.moved = true;
            }
        }
    }

    pub fn retries(&self) -> bool {
        self.entries
            .values()
            .any(|entry| matches!(entry.judged, Judged::Fault(..)) || matches!(entry.place, Place::Refused(Refusal::Unresolved(_))))
    }

    pub fn undecided(&self) -> Vec<Key> {
        let undecided = self.entries.iter().filter(|(_, entry)| matches!(entry.judged, Judged::Not(_)));
        undecided.map(|(key, _)| key.clone()).collect()
    }

    pub fn candidate(&self, key: &Key) -> Option<Arc<Candidate>> {
        self.entries.get(key).map(|entry| entry.candidate.clone())
    }

    pub fn decided(&mut self, key: &Key, verdict: Result<Verdict, String>) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        self.changed = true;
        entry.judged = match verdict {
            Ok(verdict) => Judged::Is(verdict),
            Err(fault) => Judged::Fault(fault, entry.judged.take()),
        };
        entry.moved = true;
    }

    /// Applies the dial rules to what hasn't a place yet. Answers the names that are to be looked up.
    pub fn locate(&mut self, rules: &DialRules) -> Vec<(Key, Arc<Candidate>, String)> {
        let mut names = Vec::new();
        for (key, entry) in &mut self.entries {
            if !matches!(entry.place, Place::Unknown) {
                continue;
            }
            entry.moved = true;
            entry.standing = entry.standing(&self.pods);
            let port = entry.candidate.port;
            let placed = |address: Result<SocketAddr, Refusal>| address.map_or_else(Place::Refused, Place::At);
            entry.place = match (dial::parse(&entry.candidate.host), &entry.standing) {
                (Ok(_), Standing::Awaited) => Place::Unknown,
                (Ok(_), Standing::Denied(denial)) => Place::Refused(Refusal::Pod(denial.clone())),
                (Ok(_), Standing::Own(own)) => placed(rules.permit_pod(*own, port)),
                (Ok(Host::Address(address)), Standing::Unknown) => placed(rules.permit(address, port)),
                (Ok(Host::Name(name)), _) if entry.judged.keeps().is_some() => {
                    names.push((key.clone(), entry.candidate.clone(), name));
                    Place::Resolving
                }
                (Ok(Host::Name(_)), _) => Place::Unknown,
                (Err(refusal), _) => Place::Refused(refusal),
            };
        }
        names
    }

    /// A look-up's result. The candidate says for whom it was: another one may have its key by now.
    pub fn resolved(&mut self, key: &Key, candidate: &Arc<Candidate>, address: Result<SocketAddr, Refusal>) {
        if let Some(entry) = self.entries.get_mut(key).filter(|entry| Arc::ptr_eq(&entry.candidate, candidate)) {
            // A name may lead to a pod, too.
            let denied = |address: SocketAddr| match self.pods.standing(&entry.candidate, address.ip()) {
                Standing::Denied(denial) => Err(Refusal::Pod(denial)),
                Standing::Own(_) | Standing::Unknown | Standing::Awaited => Ok(address),
            };
            entry.place = address.and_then(denied).map_or_else(Place::Refused, Place::At);
            entry.moved = true;
            self.changed = true;
        }
    }

    /// Everything that may be reached, in the order of its keys.
    pub fn place(&mut self) -> Vec<Arc<Endpoint>> {
        self.holders = place::hold(&self.entries, &self.holders);
        let holders = &self.holders;
        let reachable = self.entries.iter_mut().filter(|(_, entry)| holders.address(entry) == Hold::Holds);
        reachable.filter_map(|(key, entry)| place::endpoint(key, entry, holders)).collect()
    }

    /// The port that an endpoint had, by a record of this gateway's in its session.
    pub fn claim(&self, id: &EndpointId) -> Option<Claim> {
        self.sources.values().find_map(|found| found.claims.get(id)).copied()
    }

    /// Sessions of which something isn't known yet.
    pub fn undecided_sessions(&self) -> BTreeSet<SessionId> {
        let undecided = self.entries.iter().filter(|(_, entry)| entry.waits().is_some());
        let undecided = undecided.map(|(key, _)| key.0.session.clone());
        let held_back = self.sources.get(&SourceKind::Kubernetes).filter(|_| self.holds_pods_back());
        let held_back = held_back.into_iter().flat_map(|found| &found.candidates);
        undecided.chain(held_back.map(|candidate| candidate.id.session.clone())).collect()
    }

    /// Whoever may create pods could otherwise pass one off as somebody's task until the tasks are known.
    fn holds_pods_back(&self) -> bool {
        self.expected.contains(&SourceKind::Clearml) && !self.sources.contains_key(&SourceKind::Clearml)
    }

    /// For people: what became of each candidate.
    pub fn describe(&self, leases: &Leases) -> (Vec<SessionStatus>, Vec<Rejection>) {
        let mut sessions: Vec<SessionStatus> = Vec::new();
        for (key, entry) in &self.entries {
            let endpoint = status::endpoint(key, &entry.candidate, self.state_of(key, entry, leases));
            match sessions.last_mut().filter(|session| session.id == key.0.session.as_str()) {
                Some(session) => session.endpoints.push(endpoint),
                None => sessions.push(status::session(&entry.candidate, endpoint)),
            }
        }
        let declared = self.sources.values().flat_map(|found| &found.rejected);
        (sessions, declared.chain(&self.overruled).cloned().collect())
    }

    fn state_of(&self, key: &Key, entry: &Entry, leases: &Leases) -> EndpointState {
        if let Some(why) = entry.waits() {
            return EndpointState::Waiting { reason: why };
        }
        match (entry.judged.verdict(), &entry.place) {
            (Some(Verdict::Drop(reason)), _) => {
                let detail = reason.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
                EndpointState::Dropped { reason: format!("{}{detail}", reason.code) }
            }
            (_, Place::Refused(refusal)) => EndpointState::Refused { reason: refusal.to_string() },
            (_, Place::At(address)) => match self.holders.address(entry) {
                Hold::Holds if key.1 == Protocol::Tcp => match (leases.held().get(&key.0), leases.refused().get(&key.0)) {
                    (Some(lease), _) => EndpointState::Routed { upstream: *address, listener_port: Some(lease.port) },
                    (None, Some(refusal)) => EndpointState::Refused { reason: refusal.detail.clone() },
                    (None, None) => EndpointState::Waiting { reason: "it has no port yet".into() },
                },
                Hold::Holds => EndpointState::Routed { upstream: *address, listener_port: None },
                Hold::HeldBy(other) => {
                    EndpointState::Refused { reason: format!("{address} is held by session {other}, which has another owner") }
                }
            },
            (_, Place::Unknown | Place::Resolving) => EndpointState::Waiting { reason: "its name is being looked up".into() },
        }
    }
}

fn has_same_keys(one: &Found, other: &Found) -> bool {
    let same = |(one, other): (&Arc<Candidate>, &Arc<Candidate>)| {
        Arc::ptr_eq(one, other) || (&one.id, one.protocol) == (&other.id, other.protocol)
    };
    one.candidates.len() == other.candidates.len() && one.candidates.iter().zip(&other.candidates).all(same)
}

// === impl Entry ===

impl Entry {
    /// `placed` is what one under the same key was.
    fn new(candidate: Arc<Candidate>, placed: Option<Arc<Endpoint>>) -> Self {
        let created = candidate.attributes.values("session.created").first().cloned();
        let owner = Owner::of(&candidate);
        let (judged, standing, place) = (Judged::Not(None), Standing::Unknown, Place::Unknown);
        Self { candidate, owner, created, judged, standing, place, placed, moved: true }
    }

    /// What pods say of the declared address; of a name nothing before it's resolved.
    fn standing(&self, pods: &Book) -> Standing {
        match dial::parse(&self.candidate.host) {
            _ if pods.is_awaited_for(&self.candidate) => Standing::Awaited,
            Ok(Host::Address(address)) => {
                dial::canonical(address).map_or(Standing::Unknown, |address| pods.standing(&self.candidate, address))
            }
            _ => Standing::Unknown,
        }
    }

    /// Why nothing is known yet about whether it's reached.
    fn waits(&self) -> Option<String> {
        match (&self.judged, &self.place) {
            (Judged::Not(None), _) => Some("no filter has judged it yet".into()),
            (Judged::Fault(fault, None), _) => Some(format!("its filter failed: {fault}")),
            (_, Place::Resolving) => Some("its name is being looked up".into()),
            (_, Place::Unknown) if self.standing == Standing::Awaited => Some("the namespace's pods aren't known yet".into()),
            _ => None,
        }
    }
}

// === impl Judged ===

impl Judged {
    /// What holds: the verdict, or the one from before.
    pub fn verdict(&self) -> Option<&Verdict> {
        match self {
            Self::Is(verdict) => Some(verdict),
            Self::Not(earlier) | Self::Fault(_, earlier) => earlier.as_ref(),
        }
    }

    pub fn keeps(&self) -> Option<&crate::domain::decision::Keeping> {
        match self.verdict() {
            Some(Verdict::Keep(keeping)) => Some(keeping),
            _ => None,
        }
    }

    fn take(&mut self) -> Option<Verdict> {
        match std::mem::replace(self, Self::Not(None)) {
            Self::Is(verdict) => Some(verdict),
            Self::Not(earlier) | Self::Fault(_, earlier) => earlier,
        }
    }
}
