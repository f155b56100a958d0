use std::{
    cell::RefCell,
    collections::{BTreeMap, HashSet},
    rc::Rc,
};

use super::*;
use crate::{
    discovery::{
        book::{Book, Notes},
        candidates::Found,
        file,
        leases::Claim,
        status::EndpointState,
    },
    domain::{
        Attributes, EndpointName, Protocol, Timestamp, UpstreamPath,
        decision::{Keeping, Reason},
    },
    kubernetes::pods::{Life, Pod},
};

/// A set's name with what was put into use under it.
type Swap = (String, Vec<Arc<Endpoint>>);

/// What the assembler did: each swap with the set's name and the paths; and each candidate that the filter was asked about.
#[derive(Clone, Default)]
struct Fake {
    swaps: Rc<RefCell<Vec<Swap>>>,
    asked: Rc<RefCell<Vec<String>>>,
    faults: Rc<RefCell<HashSet<String>>>,
}

impl Stage for Fake {
    /// Drops the sessions that its name contains.
    type Plugins = &'static str;

    async fn filter(&self, plugins: &&'static str, candidate: &Candidate) -> Result<Verdict, String> {
        let id = candidate.id.segment();
        self.asked.borrow_mut().push(id.clone());
        if self.faults.borrow().contains(&id) {
            return Err("trap".into());
        }
        let reason = Reason { code: "test".into(), detail: None };
        if plugins.split(' ').any(|dropped| dropped == id) {
            return Ok(Verdict::Drop(reason));
        }
        let mut labels = Attributes::default();
        labels.set("label.by", [*plugins]);
        Ok(Verdict::Keep(Keeping { reason, name: None, access: None, upstream_path: None, labels }))
    }

    fn swap(&self, plugins: &Arc<&'static str>, endpoints: &[Arc<Endpoint>]) {
        self.swaps.borrow_mut().push((plugins.to_string(), endpoints.to_vec()));
    }
}

impl Fake {
    fn paths(&self) -> Vec<String> {
        self.swaps
            .borrow()
            .last()
            .map(|(_, endpoints)| endpoints.iter().map(|endpoint| endpoint.id.segment()).collect())
            .unwrap_or_default()
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.borrow_mut())
    }
}

/// Nothing is leased.
struct NoPorts;

impl leases::Ports for NoPorts {
    fn open(&self, _: u16) -> std::io::Result<()> {
        unreachable!("no range is configured")
    }

    fn close(&self, _: u16) {}
}

/// A running assembler. What is sent to it is dealt with one after the other.
struct Running {
    fake: Fake,
    inbox: Inbox<&'static str>,
    board: Arc<Board>,
    assembled: watch::Receiver<Assembled>,
}

impl Running {
    fn start(sources: &[SourceKind]) -> Self {
        let fake = Fake::default();
        let rules = DialRules::new(crate::config::Dial::private_networks(), Vec::new(), Vec::new());
        let resolver = Resolver::new(1, Duration::from_secs(1));
        let leases = Leases::new(&crate::config::Tcp::default(), Box::new(NoPorts), false);
        let (assembler, inbox) = Assembler::new(
            fake.clone(),
            Arc::new(rules),
            resolver,
            leases,
            Leader::alone(),
            sources.iter().copied(),
            Metrics::default(),
        );
        let (board, assembled) = (assembler.board(), assembler.assembled());
        tokio::task::spawn_local(assembler.run());
        Self { fake, inbox, board, assembled }
    }

    async fn plugins(&self, name: &'static str) {
        let (taken, done) = oneshot::channel();
        self.inbox.plugins.send(NewPlugins { plugins: Arc::new(name), taken }).await.unwrap();
        done.await.unwrap();
    }

    /// Sends a report and waits until the assembler has dealt with it.
    async fn report(&mut self, source: SourceKind, outcome: Result<Found, String>) {
        self.assembled.mark_unchanged();
        self.inbox.reports.send(Report::new(source, outcome)).await.unwrap();
        self.assembled.changed().await.unwrap();
    }

    async fn found(&mut self, source: SourceKind, candidates: &[Candidate]) {
        self.report(source, Ok(Found { candidates: candidates.iter().cloned().map(Arc::new).collect(), ..Found::default() })).await;
    }

    fn states(&self) -> BTreeMap<String, &'static str> {
        let status = self.board.status();
        let endpoints =
            status.sessions.iter().flat_map(|session| session.endpoints.iter().map(|endpoint| (session.id.clone(), endpoint)));
        endpoints
            .map(|(id, endpoint)| {
                let state = match &endpoint.state {
                    EndpointState::Routed { .. } => "routed",
                    EndpointState::Dropped { .. } => "dropped",
                    EndpointState::Refused { .. } => "refused",
                    EndpointState::Waiting { .. } => "waiting",
                };
                (id, state)
            })
            .collect()
    }
}

const CLEARML: SourceKind = SourceKind::Clearml;
const FILE: SourceKind = SourceKind::File;

fn candidate(id: &str, owner: &str, host: &str) -> Candidate {
    let mut attributes = Attributes::default();
    attributes.set("owner", [owner]);
    Candidate {
        source: CLEARML,
        id: crate::domain::EndpointId { session: SessionId::parse(id).unwrap(), name: EndpointName::default() },
        protocol: Protocol::Http,
        host: host.into(),
        port: 80,
        machine: None,
        upstream_path: UpstreamPath::Strip,
        transport: Default::default(),
        host_label: None,
        attributes,
    }
}

fn created(mut candidate: Candidate, at: &str) -> Candidate {
    candidate.attributes.set("session.created", [at]);
    candidate
}

fn labelled(mut candidate: Candidate, label: &str) -> Candidate {
    candidate.host_label = Some(label.into());
    candidate
}

#[test]
fn a_pod_cannot_pass_for_a_task_before_the_tasks_are_known() {
    local(async || {
        let mut running = Running::start(&[CLEARML, SourceKind::Kubernetes]);
        running.plugins("").await;
        let impostor = Candidate { source: SourceKind::Kubernetes, ..candidate("t1", "u1", "10.0.0.9") };
        let pods = Some(Arc::new(Book::default()));
        let found = Found { candidates: vec![Arc::new(impostor)], pods, ..Found::default() };
        running.report(SourceKind::Kubernetes, Ok(found)).await;
        assert!(running.fake.paths().is_empty());
        let undecided = running.assembled.borrow().undecided.clone();
        assert!(undecided.iter().any(|session| session.as_str() == "t1"), "nothing is taken back from it meanwhile");
        running.found(CLEARML, &[candidate("t1", "u1", "10.0.0.1")]).await;
        let upstreams: Vec<_> = running.fake.swaps.borrow().last().unwrap().1.iter().map(|endpoint| endpoint.upstream).collect();
        assert_eq!(upstreams, ["10.0.0.1:80".parse().unwrap()]);
    });
}

#[test]
fn a_session_that_changes_is_seen_after_a_report_that_changed_nothing() {
    local(async || {
        let mut running = Running::start(&[CLEARML]);
        running.plugins("").await;
        let upstream = |running: &Running| running.fake.swaps.borrow().last().unwrap().1[0].upstream.to_string();
        running.found(CLEARML, &[candidate("a", "u1", "10.0.0.1")]).await;
        // The same values, new allocations, and something else that differs.
        let claims = [(candidate("a", "u1", "").id, Claim { port: 1, since: Timestamp(1) })].into();
        let candidates = vec![Arc::new(candidate("a", "u1", "10.0.0.1"))];
        running.report(CLEARML, Ok(Found { candidates, claims, ..Found::default() })).await;
        running.found(CLEARML, &[candidate("a", "u1", "10.0.0.2")]).await;
        assert_eq!(upstream(&running), "10.0.0.2:80");
    });
}

/// The assembler isn't `Send`: plugins' instances aren't.
fn local(test: impl AsyncFnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async { test().await });
}

#[test]
fn nothing_is_swapped_before_plugins_and_a_discovery_nor_when_nothing_changed() {
    local(async || {
        let mut running = Running::start(&[CLEARML, FILE]);
        running.plugins("").await;
        assert!(running.fake.swaps.borrow().is_empty());
        let a = candidate("a", "u1", "10.0.0.1");
        running.found(CLEARML, std::slice::from_ref(&a)).await;
        assert_eq!(running.fake.paths(), ["a"]);
        assert!(!running.board.ready());
        running.found(CLEARML, std::slice::from_ref(&a)).await;
        running.found(FILE, &[]).await;
        assert!(running.board.ready());
        assert_eq!(running.fake.swaps.borrow().len(), 1);
        assert_eq!(running.fake.asked(), ["a"]);
    });
}

#[test]
fn a_failing_source_keeps_what_it_had() {
    local(async || {
        let mut running = Running::start(&[CLEARML]);
        running.plugins("").await;
        running.found(CLEARML, &[candidate("a", "u1", "10.0.0.1")]).await;
        running.report(CLEARML, Err("500".into())).await;
        assert_eq!(running.fake.paths(), ["a"]);
        let source = &running.board.status().sources[&CLEARML];
        assert!(source.failing && source.last_error.as_deref() == Some("500"));
        assert!(running.board.ready());
    });
}

#[test]
fn a_new_set_comes_with_its_own_verdicts_in_one_swap() {
    local(async || {
        let mut running = Running::start(&[CLEARML]);
        running.plugins("x").await;
        running.found(CLEARML, &[candidate("a", "u1", "10.0.0.1"), candidate("b", "u1", "10.0.0.2")]).await;
        running.plugins("a").await;
        assert_eq!(running.fake.paths(), ["b"]);
        let swaps = running.fake.swaps.borrow();
        assert_eq!(swaps.len(), 2);
        for (set, endpoints) in swaps.iter() {
            assert!(endpoints.iter().all(|endpoint| endpoint.attributes.first("label.by") == Some(set)));
        }
    });
}

#[test]
fn a_new_set_is_swapped_even_when_it_changes_no_route() {
    local(async || {
        let mut running = Running::start(&[CLEARML]);
        running.plugins("x").await;
        running.found(CLEARML, &[]).await;
        running.plugins("y").await;
        let sets: Vec<String> = running.fake.swaps.borrow().iter().map(|(set, _)| set.clone()).collect();
        assert_eq!(sets, ["x", "y"]);
    });
}

#[test]
fn only_what_is_new_or_changed_is_judged() {
    local(async || {
        let mut running = Running::start(&[CLEARML]);
        running.plugins("").await;
        let (a, b) = (candidate("a", "u1", "10.0.0.1"), candidate("b", "u1", "10.0.0.2"));
        running.found(CLEARML, &[a.clone(), b]).await;
        running.fake.asked();
        running.found(CLEARML, &[a, candidate("b", "u1", "10.0.0.3")]).await;
        assert_eq!(running.fake.asked(), ["b"]);
    });
}

#[test]
fn after_a_fault_the_earlier_verdict_stands_and_a_new_or_changed_candidate_waits() {
    local(async || {
        let mut running = Running::start(&[CLEARML]);
        running.plugins("first").await;
        let a = candidate("a", "u1", "10.0.0.1");
        running.found(CLEARML, &[a.clone(), candidate("b", "u1", "10.0.0.2"), candidate("d", "u1", "10.0.0.7")]).await;
        running.fake.faults.borrow_mut().extend(["a", "b", "c"].map(String::from));
        running.plugins("second").await;
        assert_eq!(running.fake.paths(), ["a", "b", "d"]);
        running.found(CLEARML, &[a, candidate("b", "u1", "10.0.0.9"), candidate("c", "u1", "10.0.0.3")]).await;
        assert_eq!(running.fake.paths(), ["a"], "b changed, c is new, d ended");
        assert_eq!(running.states(), BTreeMap::from([("a".into(), "routed"), ("b".into(), "waiting"), ("c".into(), "waiting")]));
        assert!(running.assembled.borrow().undecided.contains(&SessionId::parse("c").unwrap()));
    });
}

#[test]
fn an_address_stays_with_who_has_it_and_goes_to_the_older_session_at_a_start() {
    local(async || {
        let mut running = Running::start(&[CLEARML]);
        running.plugins("").await;
        let mine = created(candidate("mine", "u1", "10.0.0.1"), "2026-02-01");
        let thief = created(candidate("thief", "u2", "::ffff:10.0.0.1"), "2026-01-01");
        running.found(CLEARML, std::slice::from_ref(&mine)).await;
        running.found(CLEARML, &[mine.clone(), thief.clone()]).await;
        assert_eq!(running.states(), BTreeMap::from([("mine".into(), "routed"), ("thief".into(), "refused")]));
        // The owner's own second session may have it too.
        running.found(CLEARML, &[mine.clone(), thief.clone(), candidate("again", "u1", "10.0.0.1")]).await;
        assert_eq!(running.fake.paths(), ["again", "mine"]);
        running.found(CLEARML, std::slice::from_ref(&thief)).await;
        assert_eq!(running.fake.paths(), ["thief"]);

        let mut restarted = Running::start(&[CLEARML]);
        restarted.plugins("").await;
        restarted.found(CLEARML, &[mine, thief]).await;
        assert_eq!(restarted.fake.paths(), ["thief"]);
    });
}

#[test]
fn a_dropped_session_holds_no_address() {
    local(async || {
        let mut running = Running::start(&[CLEARML]);
        running.plugins("a").await;
        running.found(CLEARML, &[candidate("a", "u1", "10.0.0.1"), candidate("b", "u2", "10.0.0.1")]).await;
        assert_eq!(running.fake.paths(), ["b"]);
    });
}

#[test]
fn a_session_id_belongs_to_clearml_first() {
    local(async || {
        let mut running = Running::start(&[CLEARML, FILE]);
        running.plugins("").await;
        let list = "sessions: [{id: a, endpoints: [{address: 10.0.0.5, port: 80}, {name: api, address: 10.0.0.5, port: 80}]}]";
        running.report(FILE, Ok(file::parse(list).unwrap())).await;
        assert_eq!(running.fake.paths(), ["a", "a.api"]);
        running.found(CLEARML, &[candidate("a", "u1", "10.0.0.1")]).await;
        assert_eq!(running.fake.paths(), ["a"]);
        assert_eq!(running.board.status().rejected.len(), 2);
        running.found(CLEARML, &[]).await;
        assert_eq!(running.fake.paths(), ["a", "a.api"]);
    });
}

#[test]
fn a_label_stays_with_who_has_it_and_is_never_anothers_session_id() {
    local(async || {
        let mut running = Running::start(&[CLEARML]);
        running.plugins("").await;
        let labels = |running: &Running| -> Vec<Option<String>> {
            let swaps = running.fake.swaps.borrow();
            swaps.last().unwrap().1.iter().map(|endpoint| endpoint.host_label.as_deref().map(str::to_owned)).collect()
        };
        let z = labelled(candidate("z", "u1", "10.0.0.1"), "lab");
        running.found(CLEARML, std::slice::from_ref(&z)).await;
        running.found(CLEARML, &[labelled(candidate("b", "u2", "10.0.0.2"), "lab"), z]).await;
        assert_eq!(labels(&running), [None, Some("lab".into())]);
        running.found(CLEARML, &[labelled(candidate("b", "u2", "10.0.0.2"), "c"), candidate("C", "u1", "10.0.0.3")]).await;
        assert_eq!(labels(&running), [None, None]);
    });
}

#[test]
fn what_may_not_be_dialled_is_refused_and_says_why() {
    local(async || {
        let mut running = Running::start(&[CLEARML]);
        running.plugins("").await;
        running.found(CLEARML, &[candidate("a", "u1", "127.0.0.1"), candidate("b", "u1", "localhost")]).await;
        assert!(running.fake.paths().is_empty());
        let text = serde_json::to_string(&running.board.status()).unwrap();
        assert!(text.contains("127.0.0.1 is loopback"), "{text}");
    });
}

/// What pods say of a task's address counts as soon as they say it, and before they have said anything nothing is dialled.
#[test]
fn a_tasks_address_follows_its_pod() {
    local(async || {
        let mut running = Running::start(&[CLEARML, SourceKind::Kubernetes]);
        running.plugins("").await;
        running.found(CLEARML, &[candidate("t1", "u1", "10.1.0.1")]).await;
        assert_eq!(running.states()["t1"], "waiting", "the pods aren't known");
        for (address, life, state) in [
            ("10.1.0.1", Life::Running, "routed"),
            ("10.1.0.1", Life::Ended, "refused"),
            ("10.1.0.2", Life::Running, "refused"),
            ("10.1.0.1", Life::Running, "routed"),
        ] {
            let labels = litemap::LiteMap::from_iter([("CLEARML".to_owned(), "agent-1".to_owned())]);
            let addresses = vec![address.parse().unwrap()];
            let pod = Pod { name: "clearml-id-t1".into(), life, addresses, labels, ..Pod::default() };
            let book = Notes::default().book(std::iter::once(&pod), std::iter::empty(), true);
            let found = Found { pods: Some(Arc::new(book)), ..Found::default() };
            running.report(SourceKind::Kubernetes, Ok(found)).await;
            assert_eq!(running.states()["t1"], state, "{address} {life:?}");
        }
    });
}
