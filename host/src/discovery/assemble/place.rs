//! Who holds an address or a host label, and what an endpoint becomes that holds its own.
//!
//! A session's owner may declare any address. So an address and port belong to one owner at a time: to the one who has them;
//! where nobody has (at a start), to the older session, so that each start comes to the same result.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
};

use super::state::{Entry, Key, Place};
use crate::domain::{Candidate, Endpoint, SessionId, SourceKind, decision::Verdict};

/// What is held, and by whom.
#[derive(Default)]
pub struct Holders {
    addresses: HashMap<SocketAddr, Holder>,
    labels: HashMap<String, Key>,
}

/// Somebody who holds an address, and through which session.
#[derive(Clone)]
struct Holder {
    owner: Owner,
    session: SessionId,
}

/// Whose a session is. An operator's file needn't name owners: what stands in it is the operator's.
#[derive(Clone, PartialEq, Eq)]
pub enum Owner {
    Person(Arc<str>),
    Operator,
    /// Nobody was named: every such session is a stranger to the next.
    Session(SessionId),
}

/// Who asks for an address and a label.
struct Claim<'a> {
    age: &'a str,
    key: &'a Key,
    entry: &'a Entry,
    at: Option<SocketAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    Holds,
    HeldBy(SessionId),
}

/// Gives out addresses and labels. `before` keeps what it has for as long as it asks for it.
pub fn hold(entries: &BTreeMap<Key, Entry>, before: &Holders) -> Holders {
    let mut claims: Vec<Claim<'_>> = entries
        .iter()
        // A dropped one holds nothing; one that waits does, lest somebody takes its address meanwhile.
        .filter(|(_, entry)| !matches!(entry.judged.verdict(), Some(Verdict::Drop(_))))
        .map(|(key, entry)| {
            let at = if let Place::At(address) = entry.place { Some(address) } else { None };
            Claim { age: entry.created.as_deref().unwrap_or_default(), key, entry, at }
        })
        .collect();
    // In the order of their keys where they're as old.
    claims.sort_by_key(|claim| claim.age);

    let mut now = Holders::default();
    for Claim { entry, at, .. } in &claims {
        let Some(at) = at else { continue };
        let holder = Holder::of(entry);
        if before.addresses.get(at).is_some_and(|held| held.owner == holder.owner) {
            now.addresses.entry(*at).or_insert(holder);
        }
    }
    for Claim { entry, at, .. } in &claims {
        let Some(at) = at else { continue };
        now.addresses.entry(*at).or_insert_with(|| Holder::of(entry));
    }
    now.labels = hold_labels(&claims, &before.labels);
    now
}

/// Each label to one endpoint; never one that is another session's id, under which its own host route may be.
fn hold_labels(claims: &[Claim<'_>], before: &HashMap<String, Key>) -> HashMap<String, Key> {
    if claims.iter().all(|claim| claim.entry.candidate.host_label.is_none()) {
        return HashMap::new();
    }
    let ids: HashMap<String, &SessionId> =
        claims.iter().map(|claim| (claim.key.0.session.as_str().to_ascii_lowercase(), &claim.key.0.session)).collect();
    let asked = || {
        claims.iter().filter_map(|Claim { key, entry, .. }| {
            let label = entry.candidate.host_label.as_deref()?;
            ids.get(label).is_none_or(|session| **session == key.0.session).then_some((label, *key))
        })
    };
    let mut labels = HashMap::new();
    for (label, key) in asked().filter(|(label, key)| before.get(*label) == Some(*key)) {
        labels.insert(label.to_owned(), key.clone());
    }
    for (label, key) in asked() {
        labels.entry(label.to_owned()).or_insert_with(|| key.clone());
    }
    labels
}

/// What a kept candidate at a permitted address is to requests. Who holds an endpoint sees at a glance whether it's still the same.
pub fn endpoint(key: &Key, entry: &mut Entry, holders: &Holders) -> Option<Arc<Endpoint>> {
    let host_label = entry.candidate.host_label.as_deref().filter(|label| holders.labels.get(*label) == Some(key));
    if let Some(placed) = &entry.placed
        && !entry.moved
        && placed.host_label.as_deref() == host_label
    {
        return Some(Arc::clone(placed));
    }
    let new = make(entry, host_label)?;
    if entry.placed.as_deref() != Some(&new) {
        entry.placed = Some(Arc::new(new));
    }
    entry.moved = false;
    entry.placed.clone()
}

fn make(entry: &Entry, host_label: Option<&str>) -> Option<Endpoint> {
    let (Some(keeping), Place::At(upstream)) = (entry.judged.keeps(), &entry.place) else { return None };
    let candidate = &entry.candidate;
    let mut attributes = candidate.attributes.clone();
    // Who may enter is what the filters say, or nothing: a session's own claim would open somebody else's policy.
    attributes.set("access", keeping.access.iter().filter(|access| !access.is_empty()).map(String::as_str));
    for (name, values) in keeping.labels.iter() {
        attributes.set(name, values.iter().cloned());
    }
    let named = keeping.name.as_deref().or(candidate.attributes.first("session.name"));
    Some(Endpoint {
        id: candidate.id.clone(),
        source: candidate.source,
        protocol: candidate.protocol,
        upstream: *upstream,
        upstream_name: candidate.host.as_str().into(),
        transport: candidate.transport,
        listener_port: None,
        upstream_path: keeping.upstream_path.unwrap_or(candidate.upstream_path),
        display_name: named.unwrap_or(candidate.id.session.as_str()).into(),
        host_label: host_label.map(Into::into),
        attributes,
    })
}

// === impl Holders ===

impl Holders {
    pub fn address(&self, entry: &Entry) -> Hold {
        let Place::At(at) = entry.place else { return Hold::Holds };
        match self.addresses.get(&at) {
            Some(holder) if holder.owner != entry.owner => Hold::HeldBy(holder.session.clone()),
            _ => Hold::Holds,
        }
    }
}

// === impl Holder ===

impl Holder {
    fn of(entry: &Entry) -> Self {
        Self { owner: entry.owner.clone(), session: entry.candidate.id.session.clone() }
    }
}

// === impl Owner ===

impl Owner {
    pub fn of(candidate: &Candidate) -> Self {
        match (candidate.attributes.values("owner").first(), candidate.source) {
            (Some(owner), _) => Self::Person(Arc::clone(owner)),
            (None, SourceKind::File) => Self::Operator,
            (None, SourceKind::Clearml | SourceKind::Kubernetes) => Self::Session(candidate.id.session.clone()),
        }
    }
}
