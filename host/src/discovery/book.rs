//! Which pod has which address. A task may declare any address; where its pod is known, only that pod's own is dialled for it, and
//! the address of a pod is dialled for nobody else's session.
//!
//! A task's pod is found by what its owner can't write: a label or the pod's name, which the agent gives it. The machine's name in
//! a task's runtime, which its owner can write, leads to pods of the agent alone that aren't some task's own.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    net::IpAddr,
    time::{Duration, Instant},
};

use crate::{
    domain::{Candidate, SessionId, SourceKind},
    kubernetes::pods::{Life, Pod},
};

/// All pods of the namespace at one time.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Book {
    tasks: HashMap<SessionId, TaskPods>,
    /// Of the agent, and no task's own: several tasks run in one.
    agents: HashMap<String, Vec<IpAddr>>,
    /// Running pods by address, without those on their machine's network.
    addresses: HashMap<IpAddr, Whose>,
    /// Whether tasks' addresses are looked up here at all.
    tasks_are_known: bool,
    /// Nothing is known yet, and will be.
    awaited: bool,
}

/// The pods of one task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct TaskPods {
    /// Of those that run, the newest first. None: all have ended.
    running: Vec<IpAddr>,
    /// Those of them on their machine's network.
    on_machine: Vec<IpAddr>,
    /// That its pods have or had.
    all: BTreeSet<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Whose {
    task: Option<SessionId>,
    /// That it is by its annotations.
    session: Option<SessionId>,
    pod: String,
}

/// What pods say about the address of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing: the configured networks decide.
    Unknown,
    /// It isn't known yet what pods there are.
    Awaited,
    /// It's the session's own pod, which is dialled there.
    Own(IpAddr),
    Denied(Denial),
}

/// Why an address isn't dialled for this session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The session's pod has another one.
    Elsewhere {
        declared: IpAddr,
        own: IpAddr,
    },
    Ended,
    /// A pod that isn't the session's has it.
    AnothersPod {
        declared: IpAddr,
        pod: String,
    },
}

/// What is remembered of tasks over changes: pods go, and the server may still call their tasks running.
#[derive(Default)]
pub struct Notes(HashMap<SessionId, (BTreeSet<IpAddr>, Instant)>);

/// For so long, and of so many tasks.
const NOTES_HOLD: Duration = Duration::from_secs(24 * 3600);
const MOST_NOTES: usize = 50_000;

// === impl Book ===

impl Book {
    /// Before the first listing.
    pub fn awaited() -> Self {
        Self { awaited: true, ..Self::default() }
    }

    /// Whether nothing may be dialled for it before the pods are known.
    pub fn is_awaited_for(&self, candidate: &Candidate) -> bool {
        self.awaited && candidate.source == SourceKind::Clearml
    }

    /// What is known of `address`, which the candidate declares, in canonical form.
    pub fn standing(&self, candidate: &Candidate, address: IpAddr) -> Standing {
        match candidate.source {
            // The operator wrote it.
            SourceKind::File => Standing::Unknown,
            SourceKind::Kubernetes => {
                self.foreign(candidate, address).unwrap_or_else(|| match self.addresses.contains_key(&address) {
                    true => Standing::Own(address),
                    // On its machine's network: the address isn't its alone.
                    false => Standing::Unknown,
                })
            }
            // Which pods are tasks' own isn't looked at; which are sessions is known all the same.
            SourceKind::Clearml if !self.tasks_are_known => {
                let of_a_session = self.addresses.get(&address).is_some_and(|whose| whose.session.is_some());
                self.foreign(candidate, address).filter(|_| of_a_session).unwrap_or(Standing::Unknown)
            }
            SourceKind::Clearml => self.task(candidate, address),
        }
    }

    fn task(&self, candidate: &Candidate, address: IpAddr) -> Standing {
        let Some(pods) = self.tasks.get(&candidate.id.session) else {
            let agent = candidate.machine.as_ref().and_then(|machine| self.agents.get(machine));
            if agent.is_some_and(|addresses| addresses.contains(&address)) && self.addresses.contains_key(&address) {
                return Standing::Own(address);
            }
            return self.foreign(candidate, address).unwrap_or(Standing::Unknown);
        };
        if pods.running.contains(&address) {
            return if pods.on_machine.contains(&address) { Standing::Unknown } else { Standing::Own(address) };
        }
        let was_its_own = pods.all.contains(&address);
        match pods.running.first() {
            // The pod was replaced, and the task hasn't said so yet.
            Some(own) if was_its_own && !pods.on_machine.contains(own) => Standing::Own(*own),
            Some(own) => Standing::Denied(Denial::Elsewhere { declared: address, own: *own }),
            None if was_its_own => Standing::Denied(Denial::Ended),
            // It may run somewhere else by now.
            None => self.foreign(candidate, address).unwrap_or(Standing::Unknown),
        }
    }

    /// The refusal, where a pod has the address that isn't the session's.
    fn foreign(&self, candidate: &Candidate, address: IpAddr) -> Option<Standing> {
        let whose = self.addresses.get(&address)?;
        let own = [&whose.task, &whose.session].into_iter().flatten().any(|session| *session == candidate.id.session);
        (!own).then(|| Standing::Denied(Denial::AnothersPod { declared: address, pod: whose.pod.clone() }))
    }
}

// === impl Notes ===

impl Notes {
    /// Makes the book. `sessions` are the pods that are sessions of their own.
    pub fn book<'a>(
        &mut self,
        pods: impl Iterator<Item = &'a Pod>,
        sessions: impl Iterator<Item = (&'a SessionId, &'a Pod)>,
        tasks_are_known: bool,
    ) -> Book {
        let now = Instant::now();
        let own: HashMap<&str, &SessionId> = sessions.map(|(session, pod)| (pod.name.as_str(), session)).collect();
        let mut book = Book { tasks_are_known, ..Book::default() };
        let mut newest: HashMap<SessionId, &str> = HashMap::new();
        for pod in pods {
            let task = task(pod);
            if let Some(task) = &task {
                let addresses = &mut self.0.entry(task.clone()).or_insert_with(|| (BTreeSet::new(), now));
                addresses.0.extend(&pod.addresses);
                addresses.1 = now;
            }
            if pod.life != Life::Running {
                continue;
            }
            if let Some(task) = &task {
                let entry = book.tasks.entry(task.clone()).or_default();
                let is_newest = newest.get(task).is_none_or(|other| *other < pod.created.as_str());
                let at = if is_newest { 0 } else { entry.running.len() };
                entry.running.splice(at..at, pod.addresses.iter().copied());
                if is_newest {
                    newest.insert(task.clone(), &pod.created);
                }
                if pod.host_network {
                    entry.on_machine.extend(&pod.addresses);
                }
            } else if pod.labels.contains_key("CLEARML") {
                book.agents.insert(pod.name.clone(), pod.addresses.clone());
            }
            if !pod.host_network {
                let session = own.get(pod.name.as_str()).map(|session| (*session).clone());
                for address in &pod.addresses {
                    let (task, session, pod) = (task.clone(), session.clone(), pod.name.clone());
                    book.addresses.insert(*address, Whose { task, session, pod });
                }
            }
        }
        let many = self.0.len() > MOST_NOTES;
        self.0.retain(|_, (_, seen)| *seen == now || (!many && now.duration_since(*seen) < NOTES_HOLD));
        for (task, (addresses, _)) in &self.0 {
            book.tasks.entry(task.clone()).or_default().all.clone_from(addresses);
        }
        book
    }
}

/// The task whose own this pod is, by what its agent gave it: a label (agents from August 2026 on), the pod's name, the Job's name.
fn task(pod: &Pod) -> Option<SessionId> {
    let label = |name: &str| pod.labels.get(name).map(String::as_str);
    let job = || label("batch.kubernetes.io/job-name").or_else(|| label("job-name"));
    let by_name = |name: &str| name.strip_prefix("clearml-id-").and_then(SessionId::parse);
    let of_agent = pod.labels.contains_key("CLEARML") || pod.labels.contains_key("clearml-task-id");
    of_agent
        .then(|| {
            label("clearml-task-id").and_then(SessionId::parse).or_else(|| job().and_then(by_name)).or_else(|| by_name(&pod.name))
        })
        .flatten()
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elsewhere { declared, own } => write!(f, "{declared} isn't the address of the session's pod, which is {own}"),
            Self::Ended => write!(f, "the session's pod has ended"),
            Self::AnothersPod { declared, pod } => write!(f, "{declared} is the address of pod {pod}, which isn't the session's"),
        }
    }
}

#[cfg(test)]
mod tests;
