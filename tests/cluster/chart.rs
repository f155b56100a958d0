//! The chart, installed by the real Helm into the real API server.

use std::path::PathBuf;

use serde_json::Value;
use tokio::process::Command;
use wicketgate_tests::{
    Cluster, PATIENCE,
    cluster::{Helm, Namespace, tool},
    programs::output,
};

const CHARTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts");

/// The release's name in all tests, which is the gateway's.
pub const RELEASE: &str = "gate";

/// Kinds that a cluster gets from elsewhere.
const DEFINED: [&str; 3] = ["httproutes", "servicemonitors", "prometheusrules"];

pub fn chart() -> String {
    format!("{CHARTS}/wicketgate")
}

/// The values with which people install it: those of the documents, and those that switch everything on.
fn files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(format!("{CHARTS}/wicketgate/ci")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    assert!(files.len() > 5, "{files:?}");
    files
}

/// All that needs no cluster: lint, recorded renderings, wrong values.
#[tokio::test]
async fn chart_holds_without_a_cluster() {
    let mut check = Command::new(format!("{CHARTS}/check"));
    check.env("HELM", tool("helm"));
    output(check, PATIENCE.saturating_mul(5)).await;
}

/// Every object is accepted, unknown fields are refused by the test's Helm, and the second time is an upgrade. One after the
/// other, since node ports belong to the whole cluster.
#[tokio::test]
async fn every_override_file_installs_upgrades_and_leaves() {
    let cluster = Cluster::shared().await;
    for kind in DEFINED {
        cluster.define(kind).await;
    }
    let chart = chart();
    for file in files() {
        let namespace = cluster.namespace("chart").await;
        let (helm, values) = (Helm::new(&namespace), file.to_str().unwrap());
        helm.does(&["upgrade", "--install", RELEASE, &chart, "--values", values, "--dry-run=server"]).await;
        for _ in 0..2 {
            helm.does(&["upgrade", "--install", RELEASE, &chart, "--values", values]).await;
        }
        let deployments = items(&namespace, "apps/v1", "deployments").await;
        assert_eq!(deployments.len(), 1, "{values}");
        assert_eq!(deployments[0]["metadata"]["generation"], 1, "{values}: an upgrade without a change changes the pods");
        let status = helm.does(&["status", RELEASE]).await;
        assert!(status.contains("REVISION: 2"), "{status}");
        helm.does(&["uninstall", RELEASE]).await;
        assert!(items(&namespace, "apps/v1", "deployments").await.is_empty(), "{values}");
    }
}

/// Cookies and records of leased ports are signed by it.
#[tokio::test]
async fn generated_secret_outlives_upgrades_and_the_release() {
    let namespace = Cluster::shared().await.namespace("secret").await;
    let (helm, chart) = (Helm::new(&namespace), chart());
    let install = ["upgrade", "--install", RELEASE, &chart];
    helm.does(&install).await;
    let first = login_secrets(&namespace).await;
    assert_eq!(first.len(), 1, "{first:?}");
    helm.does(&[&install[..], &["--set", "replicaCount=2"]].concat()).await;
    assert_eq!(login_secrets(&namespace).await, first);
    helm.does(&["uninstall", RELEASE]).await;
    assert_eq!(login_secrets(&namespace).await, first);
    helm.does(&install).await;
    assert_eq!(login_secrets(&namespace).await, first);
}

/// The port that people are told is the one on the machines; the server takes it within its range only.
#[tokio::test]
async fn node_ports_are_the_published_ports() {
    let namespace = Cluster::shared().await.namespace("ports").await;
    let helm = Helm::new(&namespace);
    let range = "streamSession.portRange.start=32100,streamSession.portRange.end=32103";
    helm.does(&["install", RELEASE, &chart(), "--set", range]).await;
    let mut ports = Vec::new();
    for service in namespace.api.get(&namespace.core("services")).await["items"].as_array().unwrap() {
        for port in service["spec"]["ports"].as_array().unwrap() {
            if let Some(open) = port["nodePort"].as_u64() {
                assert_eq!(port["port"], open, "{port}");
                ports.push(open);
            }
        }
    }
    ports.sort_unstable();
    assert_eq!(ports, [32100, 32101, 32102, 32103]);
    helm.does(&["uninstall", RELEASE]).await;
}

async fn items(namespace: &Namespace, group: &str, kind: &str) -> Vec<Value> {
    namespace.api.get(&namespace.group(group, kind)).await["items"].as_array().unwrap().clone()
}

async fn login_secrets(namespace: &Namespace) -> Vec<String> {
    let secrets = namespace.api.get(&namespace.core("secrets")).await;
    let all = secrets["items"].as_array().unwrap().iter();
    all.filter_map(|secret| secret["data"]["login-secret"].as_str().map(str::to_owned)).collect()
}
