use std::{fs, os::unix::fs::symlink, path::Path, time::Duration};

use tokio::sync::mpsc;

use super::*;
use crate::domain::{Protocol, UpstreamPath};

const LIST: &str = "
sessions:
  - id: nb1
    name: Notebook
    owner: alice
    company: acme
    tags: [gpu, eu]
    attributes: {team: vision, cost: [a, b]}
    endpoints:
      - {address: 10.0.0.1, port: 8888, upstream_path: keep, host_label: nb}
      - {name: api, address: web.example, port: 80, access: public}
      - {name: ssh, protocol: tcp, address: 10.0.0.1, port: 22}
";

#[test]
fn a_list_becomes_candidates_that_describe_themselves() {
    let found = parse(LIST).unwrap();
    let [lab, api, ssh] = found.candidates.as_slice() else { panic!("{found:?}") };
    assert_eq!(lab.id.path(), "/service/nb1/");
    assert_eq!((lab.upstream_path, lab.host_label.as_deref()), (UpstreamPath::Keep, Some("nb")));
    assert_eq!(lab.attributes.first("owner"), Some("alice"));
    assert_eq!(lab.attributes.first("source"), Some("file"));
    assert_eq!(lab.attributes.first("endpoint.port"), Some("8888"));
    assert_eq!(lab.attributes.values("tag").len(), 2);
    assert_eq!(lab.attributes.values("label.cost").len(), 2);
    assert_eq!(lab.attributes.first("access"), None);
    assert_eq!((api.id.path().as_str(), api.attributes.first("access")), ("/service/nb1.api/", Some("public")));
    assert_eq!((ssh.protocol, ssh.attributes.first("endpoint.protocol")), (Protocol::Tcp, Some("tcp")));
}

#[test]
fn an_error_names_the_key_and_what_was_found_and_expected() {
    for (text, expected) in [
        ("", ".: invalid type: null, expected struct Sessions"),
        ("sessions: [", "not YAML: "),
        ("sessions: {}", "sessions: invalid type: map, expected a sequence"),
        ("session: []", "session: unknown field `session`, expected `sessions`"),
        (
            "sessions: [{id: a, endpoints: [{address: x, port: 1, colour: red}]}]",
            "sessions[0].endpoints[0].colour: unknown field `colour`",
        ),
        (
            "sessions: [{id: a, endpoints: [{address: x, port: eighty}]}]",
            "sessions[0].endpoints[0].port: invalid type: string \"eighty\", expected u16",
        ),
        (
            "sessions: [{id: a, endpoints: [{address: x, port: 0}]}]",
            "sessions[0].endpoints[0].port: found `0`, expected 1 to 65535",
        ),
        ("sessions: [{id: a/b, endpoints: []}]", "sessions[0].id: found `a/b`, expected 1 to 128 letters"),
        (
            "sessions: [{id: a, endpoints: [{address: x, port: 1, host_label: A}]}]",
            "sessions[0].endpoints[0].host_label: found `A`",
        ),
        ("sessions: [{id: a, endpoints: [{address: 'x:1', port: 1}]}]", "sessions[0].endpoints[0].address: found `x:1` ("),
        ("sessions: [{id: a, endpoints: [{address: x, port: 1},{address: z, port: 1}]}]", "sessions[0]: found endpoint `a` twice"),
        ("sessions: [{id: a, attributes: {owner: x}, endpoints: []}]", "sessions[0].attributes: found `owner`"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text:?} said: {error}");
    }
}

/// A directory as the kubelet mounts a ConfigMap: names lead through `..data` to a directory with a time in its name.
fn mount(directory: &Path, version: &str, text: &str) {
    fs::create_dir(directory.join(version)).unwrap();
    fs::write(directory.join(version).join("sessions.yaml"), text).unwrap();
    symlink(version, directory.join("..data_tmp")).unwrap();
    fs::rename(directory.join("..data_tmp"), directory.join("..data")).unwrap();
}

#[tokio::test]
async fn a_swapped_config_map_is_noticed_and_a_broken_one_reported() {
    let directory = tempfile::tempdir().unwrap();
    mount(directory.path(), "..2026_a", LIST);
    symlink("..data/sessions.yaml", directory.path().join("sessions.yaml")).unwrap();
    let (reports, mut seen) = mpsc::channel(1);
    // So slow a poll that only the watch can be what reports.
    let source = tokio::spawn(run(directory.path().join("sessions.yaml"), Duration::from_secs(3600), reports));

    let found = seen.recv().await.unwrap().outcome.unwrap();
    assert_eq!(found.candidates.len(), 3);

    mount(directory.path(), "..2026_b", "sessions: 7");
    let error = first(&mut seen, |outcome| outcome.as_ref().err().cloned()).await;
    assert!(error.ends_with("sessions.yaml: sessions: invalid type: integer `7`, expected a sequence"), "{error}");

    mount(directory.path(), "..2026_c", "sessions: []");
    first(&mut seen, |outcome| outcome.as_ref().ok().filter(|found| found.candidates.is_empty()).map(|_| ())).await;

    fs::remove_file(directory.path().join("..data")).unwrap();
    let error = first(&mut seen, |outcome| outcome.as_ref().err().cloned()).await;
    assert!(error.contains("No such file"), "{error}");
    source.abort();
}

/// The first outcome that is what the caller waits for; a change may be reported more than once.
async fn first<T>(seen: &mut mpsc::Receiver<Report>, mut take: impl FnMut(&Result<Found, String>) -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(taken) = take(&seen.recv().await.expect("the source ended").outcome) {
                return taken;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("no such report")
}

use crate::discovery::Report;
