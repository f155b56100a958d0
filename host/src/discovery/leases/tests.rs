use std::{cell::RefCell, collections::BTreeSet, rc::Rc};

use super::*;
use crate::{
    config::PortRange,
    domain::{Attributes, EndpointName, SessionId, SourceKind, UpstreamPath},
};

/// Ports of which some belong to another program.
#[derive(Clone, Default)]
struct Fake {
    open: Rc<RefCell<BTreeSet<u16>>>,
    foreign: Rc<RefCell<BTreeSet<u16>>>,
}

impl Ports for Fake {
    fn open(&self, port: u16) -> io::Result<()> {
        if self.foreign.borrow().contains(&port) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        assert!(self.open.borrow_mut().insert(port), "{port} is open already");
        Ok(())
    }

    fn close(&self, port: u16) {
        assert!(self.open.borrow_mut().remove(&port), "{port} isn't open");
    }
}

struct Gate {
    ports: Fake,
    leases: Leases,
}

fn gate(start: u16, end: u16, quarantine_s: u64) -> Gate {
    let ports = Fake::default();
    let static_ports = [("db".to_owned(), end)].into_iter().filter(|_| end - start > 3).collect();
    let config = config::Tcp { ports: Some(PortRange { start, end }), quarantine_s, static_ports, ..Default::default() };
    Gate { leases: Leases::new(&config, Box::new(ports.clone()), false), ports }
}

fn tcp(session: &str) -> Endpoint {
    Endpoint {
        id: EndpointId { session: SessionId::parse(session).unwrap(), name: EndpointName::default() },
        source: SourceKind::Clearml,
        protocol: Protocol::Tcp,
        upstream: "10.0.0.1:22".parse().unwrap(),
        upstream_name: "10.0.0.1".into(),
        upstream_path: UpstreamPath::Strip,
        transport: Default::default(),
        listener_port: None,
        display_name: session.into(),
        host_label: None,
        attributes: Attributes::default(),
    }
}

fn asking_for(session: &str, port: u16) -> Endpoint {
    let mut endpoint = tcp(session);
    endpoint.transport.listen_port = Some(port);
    endpoint
}

impl Gate {
    /// The ports of these endpoints, in their order; zero for one without.
    fn assign<const N: usize>(&mut self, endpoints: [Endpoint; N]) -> [u16; N] {
        self.assign_with(endpoints, Role::Leads, &[])
    }

    fn assign_with<const N: usize>(&mut self, endpoints: [Endpoint; N], role: Role, claims: &[(&str, Claim)]) -> [u16; N] {
        let claim = |id: &EndpointId| claims.iter().find(|(session, _)| *session == id.session.as_str()).map(|(_, claim)| *claim);
        let ids = endpoints.clone().map(|endpoint| endpoint.id);
        let placed = self.leases.assign(endpoints.into_iter().map(Arc::new).collect(), role, claim);
        let ports =
            ids.map(|id| placed.iter().find(|endpoint| endpoint.id == id).and_then(|endpoint| endpoint.listener_port).unwrap_or(0));
        let open: BTreeSet<u16> = ports.into_iter().filter(|port| *port != 0).collect();
        assert_eq!(*self.ports.open.borrow(), open, "what's leased is open, and nothing else");
        ports
    }

    fn refusal(&self, session: &str) -> (&'static str, String) {
        let id = tcp(session).id;
        let refusal = &self.leases.refused()[&id];
        (refusal.code, refusal.detail.clone())
    }
}

#[test]
fn an_endpoint_keeps_its_port_and_a_restart_comes_to_the_same() {
    let mut one = gate(30_000, 30_099, 300);
    let [first, second] = one.assign([tcp("s1"), tcp("s2")]);
    assert!(first != second && (30_000..=30_099).contains(&first));
    assert_eq!(one.assign([tcp("s2"), tcp("s1")]), [second, first]);
    assert_eq!(gate(30_000, 30_099, 300).assign([tcp("s1"), tcp("s2")]), [first, second]);
}

#[test]
fn a_port_rests_after_its_session_and_goes_back_to_it_alone() {
    let mut gate = gate(30_000, 30_001, 3_600);
    let [first, second] = gate.assign([tcp("s1"), tcp("s2")]);
    assert_eq!(gate.assign([tcp("s2")]), [second]);
    assert_eq!(gate.assign([tcp("s2"), tcp("s3")]), [second, 0]);
    let (code, why) = gate.refusal("s3");
    assert_eq!(code, "no-port-free");
    assert_eq!(why, "no port is free: of 2 in tcp.ports 1 are leased, 1 rest after their last session, 0 are other programs'");
    assert_eq!(gate.assign([tcp("s2"), tcp("s1")]), [second, first], "who had it gets it back at once");
}

#[test]
fn after_its_rest_a_port_is_anybodys() {
    let mut gate = gate(30_000, 30_000, 0);
    assert_eq!(gate.assign([tcp("s1")]), [30_000]);
    assert_eq!(gate.assign([tcp("s2")]), [30_000]);
}

#[test]
fn another_programs_port_is_passed_over_and_said_to_be() {
    let mut gate = gate(30_000, 30_001, 0);
    gate.ports.foreign.borrow_mut().insert(30_000);
    assert_eq!(gate.assign([tcp("s1")]), [30_001]);
    assert_eq!(gate.assign([tcp("s1"), tcp("s2")]), [30_001, 0]);
    assert!(gate.refusal("s2").1.contains("1 are other programs'"));
    assert_eq!(gate.assign([tcp("s1"), asking_for("s3", 30_000)]), [30_001, 0]);
    assert_eq!(gate.refusal("s3").0, "port-taken");
}

#[test]
fn a_static_port_is_the_first_ones_who_asked() {
    let mut gate = gate(30_000, 30_009, 0);
    assert_eq!(gate.assign([asking_for("s1", 30_003)]), [30_003]);
    assert_eq!(gate.assign([asking_for("s1", 30_003), asking_for("s0", 30_003)]), [30_003, 0]);
    assert_eq!(gate.refusal("s0"), ("port-taken", "port 30003 is leased to session s1".to_owned()));
    assert_eq!(gate.assign([asking_for("s1", 30_004), asking_for("s2", 40_000)]), [30_004, 0], "another one was asked for");
    assert_eq!(gate.refusal("s2").0, "port-not-in-range");
}

#[test]
fn a_reserved_port_is_given_to_nobody_who_does_not_ask() {
    let mut gate = gate(30_000, 30_004, 0);
    let sessions = [tcp("a"), tcp("b"), tcp("c"), tcp("d"), tcp("e")];
    let ports = gate.assign(sessions);
    assert_eq!(ports.iter().filter(|port| **port == 0).count(), 1);
    assert!(!ports.contains(&30_004));
    assert_eq!(gate.assign([asking_for("db", 30_004)]), [30_004]);
}

#[test]
fn nobody_gets_a_port_before_all_sources_are_known_but_who_had_one() {
    let mut gate = gate(30_000, 30_009, 300);
    let claim = Claim { port: 30_007, since: Timestamp(5) };
    assert_eq!(gate.assign_with([tcp("s1"), tcp("s2")], Role::Waits, &[("s1", claim)]), [30_007, 0]);
    assert_eq!(gate.refusal("s2").0, "waiting");
    assert!(gate.leases.waits());
    assert_eq!(gate.leases.held()[&tcp("s1").id].since, Timestamp(5));
    assert_ne!(gate.assign([tcp("s1"), tcp("s2")])[1], 0);
}

#[test]
fn of_two_records_of_one_port_the_later_lease_counts() {
    let mut gate = gate(30_000, 30_009, 300);
    let claim = |since| Claim { port: 30_007, since: Timestamp(since) };
    let [old, new] = gate.assign_with([tcp("a"), tcp("b")], Role::Leads, &[("a", claim(5)), ("b", claim(9))]);
    assert_eq!(new, 30_007);
    assert!(old != 30_007 && old != 0);
    let outside = Claim { port: 22, since: Timestamp(1) };
    assert_ne!(gate.assign_with([tcp("c")], Role::Leads, &[("c", outside)]), [22], "a record of another range");
}

#[test]
fn a_record_of_one_port_is_no_claim_to_another_that_is_asked_for() {
    let mut gate = gate(30_000, 30_009, 300);
    let claim = |port, since| Claim { port, since: Timestamp(since) };
    let claims = [("thief", claim(30_005, 9)), ("victim", claim(30_001, 7))];
    assert_eq!(gate.assign_with([asking_for("thief", 30_001), tcp("victim")], Role::Waits, &claims), [0, 30_001]);
    assert_eq!(gate.refusal("thief").0, "waiting");
    assert_eq!(gate.assign_with([asking_for("thief", 30_001), tcp("victim")], Role::Leads, &claims), [0, 30_001]);
    assert_eq!(gate.refusal("thief").0, "port-taken");
}

#[test]
fn without_a_range_nothing_is_leased() {
    let ports = Fake::default();
    let mut gate = Gate { leases: Leases::new(&config::Tcp::default(), Box::new(ports.clone()), false), ports };
    assert_eq!(gate.assign([tcp("s1")]), [0]);
    assert_eq!(gate.refusal("s1").0, "not-served");
    assert!(!gate.leases.refused()[&tcp("s1").id].is_published() && !gate.leases.waits());
}

#[test]
fn a_replica_that_follows_takes_over_what_is_recorded_and_nothing_else() {
    let mut gate = gate(30_000, 30_009, 300);
    let claim = |port, since| Claim { port, since: Timestamp(since) };
    assert_eq!(gate.assign_with([tcp("s1"), tcp("s2")], Role::Follows, &[("s1", claim(30_003, 5))]), [30_003, 0]);
    assert_eq!(gate.refusal("s2").0, "waiting");
    let moved = [("s1", claim(30_004, 6)), ("s2", claim(30_003, 7))];
    assert_eq!(
        gate.assign_with([tcp("s1"), tcp("s2")], Role::Follows, &moved),
        [30_004, 30_003],
        "though it rests by its own clock"
    );
    let replayed = [("s1", claim(30_001, 4)), ("s2", claim(30_004, 5))];
    let same = gate.assign_with([tcp("s1"), tcp("s2")], Role::Follows, &replayed);
    assert_eq!(same, [30_004, 30_003], "records of leases that have ended");
    let none: [(&str, Claim); 0] = [];
    assert_eq!(
        gate.assign_with([tcp("s1"), tcp("s2")], Role::Follows, &none),
        [30_004, 30_003],
        "a record that was wiped is written again"
    );
    assert_eq!(
        gate.assign_with([tcp("s1"), tcp("s2")], Role::Leads, &moved),
        [30_004, 30_003],
        "who comes to lead changes nothing"
    );
}

#[test]
fn a_session_from_a_file_has_a_port_that_all_replicas_know_or_none() {
    let mut gate = gate(30_000, 30_009, 300);
    gate.leases.shared = true;
    let from_file = |endpoint: Endpoint| Endpoint { source: SourceKind::File, ..endpoint };
    for role in [Role::Follows, Role::Leads] {
        assert_eq!(gate.assign_with([from_file(tcp("s1")), from_file(asking_for("s2", 30_005))], role, &[]), [0, 30_005]);
        assert_eq!(gate.refusal("s1").0, "no-listen-port");
    }
}

#[test]
fn a_replayed_record_takes_no_port_from_who_has_it_now() {
    let mut gate = gate(30_000, 30_009, 300);
    let claim = |port, since| Claim { port, since: Timestamp(since) };
    // The thief once had 30003, and shows that record again.
    let before = [("thief", claim(30_003, 5))];
    assert_eq!(gate.assign_with([tcp("thief")], Role::Follows, &before), [30_003]);
    let now = [("thief", claim(30_003, 5)), ("victim", claim(30_003, 9))];
    assert_eq!(gate.assign_with([tcp("thief"), tcp("victim")], Role::Follows, &now), [0, 30_003], "the later lease counts");
    assert_eq!(gate.assign_with([tcp("thief")], Role::Follows, &before), [0], "nor while it rests");
}

#[test]
fn who_gets_a_sessions_id_gets_none_of_its_ports() {
    let mut gate = gate(30_000, 30_009, 300);
    let of = |owner: &str, created: &str| {
        let mut endpoint = tcp("nb");
        endpoint.attributes.set("owner", [owner]);
        endpoint.attributes.set("session.created", [created]);
        endpoint
    };
    let [first] = gate.assign([of("ada", "1")]);
    assert_eq!(gate.assign([of("ada", "2")]), [first], "started anew");
    assert_eq!(gate.assign([of("bob", "2")]), [first], "given to somebody else");
    let [other] = gate.assign([of("eve", "3")]);
    assert!(other != first && other != 0);
    let [third] = gate.assign([Endpoint { source: SourceKind::Kubernetes, ..of("eve", "3") }]);
    assert!(third != other && third != 0, "of another source");
}
