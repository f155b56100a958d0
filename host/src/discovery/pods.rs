//! Source `kubernetes`: pods of the gateway's namespace. Those with annotations of ours are sessions of their own; those of
//! ClearML's agent say which address is a task's, and when it has ended (`discovery::book`).
//!
//! `Source::run` is started by the wiring and told of pods by `kubernetes::pods::follow`. What is found is reported whole, but only
//! what changed is read again.

mod annotations;
mod publish;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout_at},
};

use self::annotations::{Declared, declared};
pub use self::publish::Publisher;
use super::{
    Report,
    book::{Book, Notes},
    candidates::{Found, Rejection},
    leases::record::Records,
};
use crate::{
    config,
    domain::{SessionId, SourceKind},
    kubernetes::pods::{Life, Pod, PodEvent},
};

/// What the gateway itself has to do with a pod.
pub struct Gateway {
    pub name: String,
    pub records: Arc<Records>,
}

/// The sessions that are pods, with their pods as they were last seen; for the publisher.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Counts reports; zero: none yet.
    pub look: u64,
    pub pods: Arc<HashMap<SessionId, Arc<Pod>>>,
    /// Pods in which this gateway has written, and which are no sessions of its any more.
    pub left: Arc<[Arc<Pod>]>,
}

/// See the module.
pub struct Source {
    config: config::Pods,
    gateway: Gateway,
    events: mpsc::Receiver<PodEvent>,
    reports: mpsc::Sender<Report>,
    observed: watch::Sender<Observed>,
    /// By name. None until the first listing.
    pods: Option<BTreeMap<String, Known>>,
    notes: Notes,
    look: u64,
    /// When the listing was begun to which everything else came.
    began: Instant,
    /// Whether there's something to report.
    changed: bool,
    /// What pods were said to be where at the last report. None: something else is so by now.
    book: Option<Arc<Book>>,
    rewritten: Vec<Arc<Pod>>,
}

/// A pod, and what it declares.
struct Known {
    pod: Arc<Pod>,
    /// None: it's no session.
    declared: Option<Declared>,
}

/// Changes that come together are one: a pod's start alone is several.
const QUIET: Duration = Duration::from_millis(10);
const LONGEST_UNREST: Duration = Duration::from_millis(50);

// === impl Source ===

impl Source {
    pub fn new(
        config: config::Pods,
        gateway: Gateway,
        events: mpsc::Receiver<PodEvent>,
        reports: mpsc::Sender<Report>,
    ) -> (Self, watch::Receiver<Observed>) {
        let (observed, observations) = watch::channel(Observed::default());
        let source = Self {
            config,
            gateway,
            events,
            reports,
            observed,
            pods: None,
            notes: Notes::default(),
            look: 0,
            began: Instant::now(),
            changed: false,
            book: None,
            rewritten: Vec::new(),
        };
        (source, observations)
    }

    /// Runs until nobody reads the reports any more.
    pub async fn run(mut self) {
        while let Some(event) = self.events.recv().await {
            let failure = self.take_all(event).await;
            // What was said before the failure counts.
            if std::mem::take(&mut self.changed) {
                let found = self.found();
                let report = Report { look: self.look, began: self.began, ..Report::new(SourceKind::Kubernetes, Ok(found)) };
                if self.reports.send(report).await.is_err() {
                    return;
                }
            }
            if let Some(error) = failure
                && self.reports.send(Report::new(SourceKind::Kubernetes, Err(error))).await.is_err()
            {
                return;
            }
        }
    }

    /// Takes an event and those that follow at its heels. Answers the failure that was the last word.
    async fn take_all(&mut self, first: PodEvent) -> Option<String> {
        let mut failure = self.take(first);
        let end = Instant::now() + LONGEST_UNREST;
        while let Ok(Some(event)) = timeout_at(end.min(Instant::now() + QUIET), self.events.recv()).await {
            failure = self.take(event);
        }
        self.show_rewritten();
        failure
    }

    fn take(&mut self, event: PodEvent) -> Option<String> {
        match event {
            PodEvent::Listed { pods, began } => {
                self.began = began;
                let mut before = self.pods.take().unwrap_or_default();
                let pods = pods.into_iter().map(|pod| (pod.name.clone(), self.know(before.remove(&pod.name), pod).0));
                self.pods = Some(pods.collect());
                // Even if it's the same: it says that the source answers.
                self.changed = true;
                self.book = None;
            }
            PodEvent::Applied(pod) => {
                let before = self.pods.as_mut().and_then(|pods| pods.remove(&pod.name));
                let place = before.as_ref().map(|before| (Arc::clone(&before.pod), before.session().cloned()));
                let (known, same) = self.know(before, pod);
                self.changed |= !same;
                if !place.is_some_and(|(pod, session)| pod.is_where(&known.pod) && session.as_ref() == known.session()) {
                    self.book = None;
                }
                if same {
                    self.rewritten.push(Arc::clone(&known.pod));
                }
                self.pods.get_or_insert_default().insert(known.pod.name.clone(), known);
            }
            PodEvent::Gone(name) => {
                self.changed |= self.pods.as_mut().and_then(|pods| pods.remove(&name)).is_some();
                self.book = None;
            }
            PodEvent::Failed(error) => return Some(error),
        }
        None
    }

    /// What a pod is now, and whether that means the same as before.
    fn know(&self, before: Option<Known>, pod: Pod) -> (Known, bool) {
        let declared = if self.config.annotated { declared(&pod, &self.gateway) } else { None };
        match before {
            Some(known) if known.declared == declared && known.pod.is_where(&pod) => {
                (Known { pod: Arc::new(pod), declared: known.declared }, true)
            }
            _ => (Known { pod: Arc::new(pod), declared }, false),
        }
    }

    /// Pods of which nothing changed but what this gateway wrote there: the publisher alone has to see them.
    fn show_rewritten(&mut self) {
        let rewritten = std::mem::take(&mut self.rewritten);
        // With other changes all of them are shown.
        if self.changed || rewritten.is_empty() {
            return;
        }
        self.observed.send_modify(|observed| {
            let pods = Arc::make_mut(&mut observed.pods);
            for pod in rewritten {
                let session = self.pods.as_ref().and_then(|pods| pods.get(&pod.name)?.session());
                if let Some(shown) = session.and_then(|session| pods.get_mut(session)).filter(|shown| shown.uid == pod.uid) {
                    *shown = pod;
                }
            }
        });
    }

    fn found(&mut self) -> Found {
        let pods = || self.pods.iter().flat_map(BTreeMap::values);
        // Of several pods that want to be one session it's the one of that name, or the oldest: a newcomer takes nothing away from it.
        let mut sessions: BTreeMap<&SessionId, (&Known, &Declared)> = BTreeMap::new();
        let mut found = Found::default();
        for known in pods() {
            let Some(declared) = &known.declared else { continue };
            found.rejected.extend_from_slice(&declared.rejected);
            let Some(session) = &declared.session else { continue };
            let mut this = (known, declared);
            if let Some(holder) = sessions.get_mut(session) {
                if known.rank(session) < holder.0.rank(session) {
                    std::mem::swap(holder, &mut this);
                }
                found.rejected.push(second(session, &this.0.pod));
            } else {
                sessions.insert(session, this);
            }
        }
        let mut observed = HashMap::with_capacity(sessions.len());
        for (session, (known, declared)) in sessions {
            found.candidates.extend_from_slice(&declared.candidates);
            found.claims.extend(declared.claims.iter().cloned());
            observed.insert(session.clone(), Arc::clone(&known.pod));
        }
        let book = self.book.take().unwrap_or_else(|| {
            let sessions = observed.iter().map(|(session, pod)| (session, &**pod));
            Arc::new(self.notes.book(pods().map(|known| &*known.pod), sessions, self.config.agent))
        });
        found.pods = Some(Arc::clone(&book));
        self.book = Some(book);
        self.look += 1;
        let own = |pod: &Pod| annotations::published_by(pod) == Some(self.gateway.name.as_str()) && pod.life != Life::Ended;
        let left = pods().filter(|known| !known.session().is_some_and(|session| observed.contains_key(session)) && own(&known.pod));
        let left = left.map(|known| Arc::clone(&known.pod)).collect();
        self.observed.send_replace(Observed { look: self.look, pods: Arc::new(observed), left });
        found
    }
}

// === impl Known ===

impl Known {
    fn session(&self) -> Option<&SessionId> {
        self.declared.as_ref()?.session.as_ref()
    }

    /// For comparing: the one with the better right to the session's id is less. A pod of that name goes before all that only say so.
    fn rank(&self, session: &SessionId) -> (bool, &str, &str) {
        (self.pod.name != session.as_str(), &self.pod.created, &self.pod.name)
    }
}

fn second(session: &SessionId, pod: &Pod) -> Rejection {
    let reason = format!("pod {} wants to be a session that an older pod is", pod.name);
    Rejection { session: session.to_string(), endpoint: String::new(), reason }
}

#[cfg(test)]
mod tests;
