use super::*;
use crate::domain::{Attributes, EndpointId, EndpointName, Protocol, UpstreamPath};

/// A running pod at 10.0.0.`last`.
fn pod(name: &str, last: u8) -> Pod {
    Pod { name: name.into(), life: Life::Running, addresses: vec![[10, 0, 0, last].into()], ..Pod::default() }
}

fn labelled(mut pod: Pod, labels: &[(&str, &str)]) -> Pod {
    pod.labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    pod
}

fn candidate(session: &str, source: SourceKind) -> Candidate {
    Candidate {
        source,
        id: EndpointId { session: SessionId::parse(session).unwrap(), name: EndpointName::default() },
        protocol: Protocol::Http,
        host: String::new(),
        port: 80,
        machine: None,
        upstream_path: UpstreamPath::Strip,
        transport: Default::default(),
        host_label: None,
        attributes: Attributes::default(),
    }
}

/// What the book says of a task's declared address, after each of these lists of pods.
fn standings(lists: &[&[Pod]], task: &str, declared: u8, machine: Option<&str>) -> Vec<Standing> {
    let mut notes = Notes::default();
    let address: IpAddr = [10, 0, 0, declared].into();
    let mut candidate = candidate(task, SourceKind::Clearml);
    candidate.machine = machine.map(str::to_owned);
    lists.iter().map(|pods| notes.book(pods.iter(), std::iter::empty(), true).standing(&candidate, address)).collect()
}

fn own(last: u8) -> Standing {
    Standing::Own([10, 0, 0, last].into())
}

#[test]
fn a_tasks_pod_is_found_by_what_its_owner_cannot_write() {
    let agent = ("CLEARML", "agent-1");
    let by_label = labelled(pod("x", 1), &[agent, ("clearml-task-id", "t1")]);
    let by_name = labelled(pod("clearml-id-t1", 1), &[agent]);
    let by_job = labelled(pod("clearml-id-t1-abcde", 1), &[agent, ("job-name", "clearml-id-t1")]);
    for pod in [by_label, by_name, by_job] {
        assert_eq!(standings(&[std::slice::from_ref(&pod)], "t1", 1, None), [own(1)], "{pod:?}");
        assert!(matches!(standings(&[&[pod]], "t1", 2, None)[0], Standing::Denied(Denial::Elsewhere { .. })));
    }
    let not_of_the_agent = pod("clearml-id-t1", 1);
    assert!(matches!(standings(&[&[not_of_the_agent]], "t1", 1, None)[0], Standing::Denied(Denial::AnothersPod { .. })));
}

#[test]
fn the_machines_name_leads_to_an_agents_pod_and_to_no_tasks_own() {
    let agent = labelled(pod("agent-0", 1), &[("CLEARML", "agent-1")]);
    let anothers = labelled(pod("clearml-id-t2", 2), &[("CLEARML", "agent-1")]);
    let pods = [agent, anothers];
    assert_eq!(standings(&[&pods], "t1", 1, Some("agent-0")), [own(1)]);
    for (declared, machine) in [(1, None), (1, Some("nowhere")), (2, Some("clearml-id-t2"))] {
        let standing = &standings(&[&pods], "t1", declared, machine)[0];
        assert!(matches!(standing, Standing::Denied(Denial::AnothersPod { .. })), "{declared} {machine:?}: {standing:?}");
    }
    assert_eq!(standings(&[&pods], "t1", 9, None), [Standing::Unknown], "no pod has it: the networks decide");
}

#[test]
fn a_replaced_pod_is_followed_and_an_ended_one_is_known() {
    let running = |last| labelled(pod("clearml-id-t1", last), &[("CLEARML", "a")]);
    let ended = Pod { life: Life::Ended, ..running(1) };
    let steps: [&[Pod]; 4] = [&[running(1)], &[ended], &[running(5)], &[]];
    let denied = |denial| Standing::Denied(denial);
    assert_eq!(standings(&steps, "t1", 1, None), [own(1), denied(Denial::Ended), own(5), denied(Denial::Ended)]);
    assert_eq!(standings(&[&[running(1)], &[]], "t1", 7, None)[1], Standing::Unknown, "it runs somewhere else by now");
    let taken_over = [&[running(1)][..], &[labelled(pod("clearml-id-t2", 1), &[("CLEARML", "a")])]];
    assert_eq!(standings(&taken_over, "t1", 1, None)[1], denied(Denial::Ended), "another pod has its address");
}

#[test]
fn a_pod_on_its_machines_network_vouches_for_nothing() {
    let pod = Pod { host_network: true, ..labelled(pod("clearml-id-t1", 1), &[("CLEARML", "a")]) };
    assert_eq!(standings(&[&[pod]], "t1", 1, None), [Standing::Unknown]);
}

#[test]
fn nothing_is_dialled_for_a_task_before_the_pods_are_known() {
    let (task, pod) = (candidate("t1", SourceKind::Clearml), candidate("t1", SourceKind::Kubernetes));
    assert!(Book::awaited().is_awaited_for(&task) && !Book::awaited().is_awaited_for(&pod));
    assert!(!Book::default().is_awaited_for(&task));
}

#[test]
fn a_tasks_pod_may_be_a_session_of_its_own_besides() {
    let pod = labelled(pod("clearml-id-t1", 1), &[("CLEARML", "a")]);
    let own_session = SessionId::parse("notebook").unwrap();
    let book = Notes::default().book(std::iter::once(&pod), std::iter::once((&own_session, &pod)), true);
    let address = pod.addresses[0];
    for (session, source) in [("t1", SourceKind::Clearml), ("notebook", SourceKind::Kubernetes)] {
        assert_eq!(book.standing(&candidate(session, source), address), own(1), "{session}");
    }
    let stranger = book.standing(&candidate("t2", SourceKind::Kubernetes), address);
    assert!(matches!(stranger, Standing::Denied(Denial::AnothersPod { .. })), "{stranger:?}");
}
