//! The chart's pod, started by a real kubelet: the image, the mounted ConfigMaps, the probes and the end are what people get.

use bytes::Bytes;
use serde_json::{Value, json};
use wicketgate_tests::{
    Client, Cluster, Network, Relay, Upstream,
    cluster::{Helm, Namespace, Node, Pod, tool},
    eventually,
};

use crate::image::Image;

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/wicketgate");

const IMAGE: &str = "localhost/wicketgate:latest";
const SANDBOX: &str = "localhost/pause:latest";
const ADMIN_TOKEN: &str = "a-token-for-the-admin-pages-of-this-test";

/// The ConfigMap that people change.
const PLUGINS: &str = "team-a";

/// The manifest of a plugin directory; what follows belongs to the policy.
fn manifest(policy: &str) -> String {
    format!(
        "version: 1\nplugins:\n  - {{name: filter, kind: discovery-filter, builtin: discovery-filter}}\n  \
         - {{name: auth, kind: authenticator, builtin: cookie-auth, grants: {{key_sets: [gateway]}}, config: {{key_sets: [gateway]}}}}\n  \
         - {{name: policy, kind: routing-policy, builtin: routing-policy{policy}}}\n"
    )
}

/// Values for a gateway that takes one session from a file of a ConfigMap, and uses the API server by the account that's mounted.
fn values(network: &Network, way: &Relay) -> Value {
    // Nothing leads a Service's address anywhere here.
    let server =
        [("KUBERNETES_SERVICE_HOST", way.address.ip().to_string()), ("KUBERNETES_SERVICE_PORT", way.address.port().to_string())];
    json!({
        "image": {"repository": "localhost/wicketgate", "tag": "latest", "pullPolicy": "Never"},
        "router": {"extraEnvs": server.map(|(name, value)| json!({"name": name, "value": value}))},
        "plugins": {"existingConfigMaps": [PLUGINS]},
        "secret": {"adminToken": ADMIN_TOKEN},
        "config": {"discovery": {"file": "/etc/wicketgate/sessions/sessions.yaml", "dial": {"networks": [network.range()]}}},
        "extraVolumes": [{"name": "sessions", "configMap": {"name": "sessions"}}],
        "extraVolumeMounts": [{"name": "sessions", "mountPath": "/etc/wicketgate/sessions", "readOnly": true}],
    })
}

/// A pod as the chart's Deployment describes it, on this machine: no controller is there that would make one.
async fn pod_of_the_chart(namespace: &Namespace, values: &Value, node: &Node) -> Pod {
    let helm = Helm::new(namespace);
    let values = helm.file("values.yaml", &values.to_string());
    helm.does(&["install", "gate", CHART, "--values", values.to_str().unwrap()]).await;
    let deployments = namespace.api.get(&namespace.group("apps/v1", "deployments")).await;
    let template = &deployments["items"][0]["spec"]["template"];
    let mut spec = template["spec"].clone();
    spec["nodeName"] = node.name.as_str().into();
    spec["hostNetwork"] = true.into();
    // The server wants them said twice there.
    for port in spec["containers"][0]["ports"].as_array_mut().unwrap() {
        port["hostPort"] = port["containerPort"].clone();
    }
    namespace.pod_of("gate", &json!({"labels": template["metadata"]["labels"]}), &spec).await
}

async fn is_ready(pod: &Pod) -> Value {
    eventually("the pod is ready", async || {
        let status = pod.get().await["status"].take();
        let conditions = status["conditions"].as_array().into_iter().flatten();
        let ready = conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
        ready.then_some(status)
    })
    .await
}

/// The gateway's own word on its plugins.
async fn plugins(node: &Node) -> Value {
    status_of(node, "/plugins").await
}

async fn status_of(node: &Node, page: &str) -> Value {
    let url = format!("http://{}:9090{page}", node.host.address);
    Client::default().bearer(ADMIN_TOKEN).get(&url).await.json()
}

async fn put(namespace: &Namespace, manifest: &str) {
    let change = json!({"data": {"plugins.yaml": manifest}});
    namespace.api.merge(&namespace.core(&format!("configmaps/{PLUGINS}")), &change).await;
}

#[tokio::test]
async fn a_pod_of_the_chart_follows_its_config_maps() {
    let image = Image::built().await;
    let images = [image.archive(IMAGE).await, image.archive_of(&tool("pause"), SANDBOX).await];
    let (cluster, network) = (Cluster::shared().await, Network::new());
    let upstream = Upstream::start_at(network.server());
    let node = Node::start(&cluster, &network, &images, SANDBOX).await;

    let namespace = cluster.namespace("kubelet").await;
    let endpoint = upstream.address();
    let sessions = format!(
        "sessions: [{{id: board, access: public, endpoints: [{{address: {}, port: {}}}]}}]\n",
        endpoint.ip(),
        endpoint.port()
    );
    namespace.config_map("sessions", &json!({"sessions.yaml": sessions})).await;
    namespace.config_map(PLUGINS, &json!({"plugins.yaml": manifest("")})).await;
    // In a whole cluster a controller puts it into each namespace.
    namespace.config_map("kube-root-ca.crt", &json!({"ca.crt": cluster.authority_pem()})).await;
    let way = Relay::start(network.here(), cluster.address());
    let pod = pod_of_the_chart(&namespace, &values(&network, &way), &node).await;

    // The kubelet has started it and asked its probe.
    let status = is_ready(&pod).await;
    assert_eq!(status["podIP"], node.host.address.to_string(), "{status}");
    assert_eq!(status["containerStatuses"][0]["user"]["linux"]["uid"], 65532, "{status}");
    let url = format!("http://{}:8080/service/board/echo", node.host.address);
    assert_eq!(Client::default().get(&url).await.status, 200);
    // Pods were listed before it was ready, and the Lease is its own: all by the chart's Role and the mounted account.
    eventually("it leads", async || (status_of(&node, "/sessions").await["replica"]["leads"] == true).then_some(())).await;
    let first = plugins(&node).await["generation"].as_u64().unwrap();

    // A set that's no good arrives, and the one before decides.
    put(&namespace, "version: 0\nplugins: []\n").await;
    let why = eventually("a refusal", async || plugins(&node).await["refused"]["why"].as_str().map(str::to_owned)).await;
    assert!(why.contains("version: found 0, expected 1"), "{why}");
    assert_eq!(Client::default().get(&url).await.status, 200);

    put(&namespace, &manifest(", config: {closed: Back at noon.}")).await;
    eventually("the next set", async || {
        let status = plugins(&node).await;
        (status["refused"].is_null() && status["generation"].as_u64() > Some(first)).then_some(())
    })
    .await;
    let turned_away = Client::default().get(&url).await;
    assert_eq!(turned_away.status, 403);
    assert!(turned_away.text().contains("Back at noon."), "{}", turned_away.text());
    let status = is_ready(&pod).await;
    assert_eq!(status["containerStatuses"][0]["restartCount"], 0, "{status}");

    // The kubelet ends it before its time is up, and says so.
    pod.terminates().await;
    eventually("the pod's end", async || namespace.api.find(&pod.path()).await.is_none().then_some(())).await;
    let gone = Client::default().try_send(http::Method::GET, &url, Bytes::new()).await;
    assert!(gone.is_err(), "{gone:?}");
}
