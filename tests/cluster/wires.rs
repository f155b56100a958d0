//! Hosts of their own on this machine, and the ways between them and the API server.

use std::{process::Stdio, time::Duration};

use serde_json::json;
use tokio::{process::Command, time::timeout};
use wicketgate_tests::{
    Client, Cluster, Gateway, Network, PATIENCE, Relay, Upstream, Way, eventually,
    programs::{need, output},
};

/// Runs curl on a host with what a pod has: the server's authority and a token.
fn curl(host: &wicketgate_tests::Host, arguments: &[&str]) -> Command {
    let prefix = host.prefix();
    let mut command = Command::new(&prefix[0]);
    command.args(&prefix[1..]).arg(need("curl", "curl")).args(["--silent", "--show-error", "--max-time", "20"]).args(arguments);
    command
}

#[tokio::test]
async fn a_host_reaches_the_api_server_with_the_token_of_an_account() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("wires").await;
    namespace.create_account("reader").await;
    namespace.allow("reader", "reading", &json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}])).await;
    namespace.pod("one", &json!({})).await;
    let token = namespace.token("reader").await;

    let network = Network::new();
    let (host, relay) = (network.host(), Relay::start(network.here(), cluster.address()));
    let directory = tempfile::tempdir().unwrap();
    let authority = directory.path().join("ca.pem");
    std::fs::write(&authority, cluster.authority_pem()).unwrap();
    let url = format!("https://{}{}", relay.address, namespace.core("pods"));
    let header = format!("authorization: Bearer {token}");
    let list = || curl(&host, &["--cacert", authority.to_str().unwrap(), "--header", &header, &url]);
    let pods: serde_json::Value = serde_json::from_str(&output(list(), PATIENCE).await).unwrap();
    assert_eq!(pods["items"][0]["metadata"]["name"], "one");

    // It has a loopback of its own: nothing of this machine is there.
    let direct = format!("https://{}/readyz", cluster.address());
    assert!(!curl(&host, &["--insecure", &direct]).output().await.unwrap().status.success());

    relay.set(Way::Cut);
    assert!(!list().output().await.unwrap().status.success());
    relay.set(Way::Open);
    output(list(), PATIENCE).await;

    relay.set(Way::Stuck);
    let mut asked = list().stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    assert!(timeout(Duration::from_secs(1), asked.wait()).await.is_err(), "an answer through a way that is stuck");
    relay.set(Way::Open);
    assert!(timeout(PATIENCE, asked.wait()).await.unwrap().unwrap().success());
}

/// Gateways on hosts of their own take sessions from a file and reach a server of this machine, which for them isn't theirs.
#[tokio::test]
async fn gateways_on_several_hosts_serve_the_same_upstream() {
    let network = Network::new();
    let upstream = Upstream::start_at(network.server());
    let sessions = format!(
        "sessions: [{{id: one, access: public, endpoints: [{{address: {}, port: {}}}]}}]\n",
        upstream.address().ip(),
        upstream.address().port()
    );
    let config = format!("discovery: {{file: '{{directory}}/sessions.yaml', dial: {{networks: ['{}']}}}}\n", network.range());
    let mut gateways = Vec::new();
    for host in [network.host(), network.host(), network.host()] {
        let gateway = Gateway::start_unready_on(&host, &config).await;
        std::fs::write(gateway.directory.path().join("sessions.yaml"), &sessions).unwrap();
        gateways.push((host, gateway));
    }
    for (_, gateway) in &gateways {
        eventually("the session", async || {
            let reply = Client::default().get(&gateway.at("/service/one/echo")).await;
            (reply.status == 200).then_some(())
        })
        .await;
    }
    assert_eq!(upstream.seen().iter().filter(|seen| seen.target.ends_with("/echo")).count(), 3);
}
