//! An API server of Kubernetes that fails in ways a real one can't be brought to: whatever it says, what was known stays served.

use tempfile::TempDir;
use wicketgate_tests::{Client, ConfigMap, Gateway, Kubernetes, Upstream, eventually, kubernetes::Refusal};

use crate::site::{DEFAULTS, SECRET, manifest, only, person};

/// A gateway whose sessions are the server's pods, and its files.
async fn gateway(kubernetes: &Kubernetes) -> (Gateway, (TempDir, ConfigMap)) {
    let (files, plugins) = (tempfile::tempdir().unwrap(), ConfigMap::new(&only(manifest(&DEFAULTS))));
    let kubeconfig = files.path().join("kubeconfig");
    std::fs::write(&kubeconfig, kubernetes.kubeconfig()).unwrap();
    let config = format!(
        "name: gate\nkubernetes: {{kubeconfig: '{}'}}\ndiscovery: {{dial: {{networks: [127.0.0.0/8]}}}}\n\
         key_sets: {{people: {{kind: secret, secret: '{SECRET}', encoding: raw}}}}\nplugins: {{directory: '{}'}}\n",
        kubeconfig.display(),
        plugins.path().display()
    );
    (Gateway::start(&config).await, (files, plugins))
}

/// Each pod has an address of its own.
fn session(kubernetes: &Kubernetes, name: &str, upstreams: &mut Vec<Upstream>) {
    let address = [127, 0, 1, u8::try_from(upstreams.len() + 1).unwrap()].into();
    let upstream = Upstream::start_at(address);
    kubernetes.add_pod(name, address, &[("port", upstream.port().to_string()), ("owner", "alice".into())]);
    upstreams.push(upstream);
}

async fn answers(gateway: &Gateway, session: &str) {
    let url = gateway.at(&format!("/service/{session}/echo"));
    eventually(session, async || (person("alice").get(&url).await.status == 200).then_some(())).await;
}

async fn is_failing(gateway: &Gateway) -> bool {
    gateway.status("/sessions").await["sources"]["kubernetes"]["failing"] == true
}

#[tokio::test]
async fn a_server_that_refuses_takes_no_session_away() {
    let (kubernetes, mut upstreams) = (Kubernetes::start(), Vec::new());
    session(&kubernetes, "first", &mut upstreams);
    let (gateway, _files) = gateway(&kubernetes).await;
    answers(&gateway, "first").await;
    let refusals = [403, 410, 429, 500].map(Refusal::Status);
    for (number, refusal) in refusals.into_iter().chain([Refusal::Garbage, Refusal::Closes]).enumerate() {
        kubernetes.refuse(Some(refusal));
        let asked = kubernetes.asked();
        eventually(&format!("{refusal:?} is met"), async || (kubernetes.asked() > asked).then_some(())).await;
        eventually(&format!("{refusal:?} is said"), async || is_failing(&gateway).await.then_some(())).await;
        assert_eq!(person("alice").get(&gateway.at("/service/first/echo")).await.status, 200, "{refusal:?}");
        // What happens meanwhile is known once the server says it.
        let name = format!("later-{number}");
        session(&kubernetes, &name, &mut upstreams);
        kubernetes.refuse(None);
        answers(&gateway, &name).await;
        eventually("it answers again", async || (!is_failing(&gateway).await).then_some(())).await;
    }
}

#[tokio::test]
async fn a_watch_that_is_too_old_is_begun_anew() {
    let (kubernetes, mut upstreams) = (Kubernetes::start(), Vec::new());
    session(&kubernetes, "first", &mut upstreams);
    let (gateway, _files) = gateway(&kubernetes).await;
    answers(&gateway, "first").await;
    for name in ["second", "third"] {
        kubernetes.expire();
        session(&kubernetes, name, &mut upstreams);
        answers(&gateway, name).await;
        answers(&gateway, "first").await;
    }
    let strangers = Client::default().get(&gateway.at("/service/first/echo")).await;
    assert_eq!(strangers.status, 401);
}
