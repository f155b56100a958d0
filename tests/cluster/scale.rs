//! Ten thousand annotated pods. What is asserted holds on every machine; the times are printed, for people (`tests/bench/README.md`).

use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use wicketgate_tests::{Gateway, eventually_within};

use crate::stage::{Stage, leads};

const PODS: usize = 10_000;
/// Pods that are made at a time.
const AT_ONCE: usize = 16;
const CHANGES: usize = 20;
/// The test asks for metrics again and again, and those of ten thousand sessions would be most of what it measures.
const QUIET: &str = "activity: {metrics: false}\nlog: {access: false}\n";
/// Of the gateway, at its peak.
const MEMORY_MIB: u64 = 150;
/// Ten thousand of anything take their time on a small machine.
const LONG: Duration = Duration::from_secs(300);

#[tokio::test]
async fn ten_thousand_pods_are_sessions_within_little_memory() {
    let stage = Stage::new("scale").await;
    stream::iter(0..PODS).for_each_concurrent(AT_ONCE, |number| pod(&stage, number)).await;

    let gateway = Gateway::start_unready(&(stage.config("").replace("{address}", "127.0.0.1") + QUIET)).await;
    reaches(&gateway, "wicketgate_discovery_endpoints{state=\"routed\"}", PODS as u64).await;
    let listed = between(&gateway.log(), "in a cluster", &format!("endpoints={PODS}"));
    let (memory, busy) = (peak_mib(&gateway), processor_ms(&gateway));
    println!("{PODS} pods: {listed:.2} s from the start to routes, {busy} ms of processor time, {memory} MiB at most");

    leads(&gateway).await;
    reaches(&gateway, "wicketgate_discovery_publications_total{result=\"ok\"}", PODS as u64).await;
    let published = processor_ms(&gateway) - busy;
    println!("{PODS} addresses written: {published} ms of processor time, {} MiB at most", peak_mib(&gateway));

    let before = processor_ms(&gateway);
    for change in 1..=CHANGES {
        let swaps = gateway.metric("wicketgate_discovery_swaps_total").await;
        let name = json!({"metadata": {"annotations": {"wicketgate.io/name": format!("change {change}")}}});
        stage.namespace.api.merge(&stage.namespace.core("pods/pod-5000"), &name).await;
        reaches(&gateway, "wicketgate_discovery_swaps_total", swaps + 1).await;
    }
    println!("one change among them: {:.1} ms of processor time", (processor_ms(&gateway) - before) as f64 / CHANGES as f64);

    let memory = peak_mib(&gateway);
    assert!(memory <= MEMORY_MIB, "{memory} MiB");
}

/// As large as pods are: with what an agent's template adds, and what the server writes about both writers.
async fn pod(stage: &Stage, number: usize) {
    let (namespace, name) = (&stage.namespace, format!("pod-{number}"));
    let environment: Vec<Value> =
        (0..20).map(|each| json!({"name": format!("VARIABLE_{each}"), "value": "of some length, as they are"})).collect();
    let container = json!({
        "name": "main", "image": "registry.example.org/team/notebook:2026.11", "env": environment,
        "resources": {"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"memory": "8Gi"}},
        "volumeMounts": [{"name": "work", "mountPath": "/home/work"}],
    });
    let metadata = json!({
        "name": name,
        "labels": {"app": "notebook", "team": "research"},
        "annotations": {"wicketgate.io/port": "8888", "wicketgate.io/owner": format!("user-{}", number % 500), "wicketgate.io/name": "A notebook"},
    });
    let spec = json!({"nodeName": "machine", "containers": [container], "volumes": [{"name": "work", "emptyDir": {}}]});
    namespace.api.create(&namespace.core("pods"), &json!({"metadata": metadata, "spec": spec})).await;
    let address = format!("10.{}.{}.{}", 1 + number / 60_000, number / 250 % 250, 1 + number % 250);
    let status = json!({"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": [{"type": "Ready", "status": "True"}]});
    namespace.api.merge(&namespace.core(&format!("pods/{name}/status")), &json!({"status": status})).await;
}

async fn reaches(gateway: &Gateway, sample: &str, value: u64) {
    eventually_within(LONG, sample, async || (gateway.metric(sample).await >= value).then_some(())).await;
}

/// Seconds between the first lines of a log that hold these texts.
fn between(log: &str, first: &str, last: &str) -> f64 {
    let time = |text: &str| {
        let line = log.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("{text:?} isn't in the log"));
        // `2026-01-01T12:34:56.123456Z`
        let clock = line.split_once('T').unwrap().1.split_once('Z').unwrap().0;
        clock.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap())
    };
    (time(last) - time(first)).rem_euclid(86_400.0)
}

/// The most memory that was resident.
fn peak_mib(gateway: &Gateway) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// Of all its threads.
fn processor_ms(gateway: &Gateway) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", gateway.pid())).unwrap();
    let of = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
    let running = |text: String| text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or_default();
    tasks.map(|task| running(of(task.unwrap()))).sum::<u64>() / 1_000_000
}
