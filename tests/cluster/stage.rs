//! What the gateway's tests begin with: a namespace with the chart's own Role, hosts for replicas, a way to the API server that can
//! be broken, and pods that are servers of the test.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use tempfile::TempDir;
use wicketgate_tests::{
    Client, Cluster, ConfigMap, Gateway, Host, Network, Relay, Upstream,
    cluster::{Helm, Namespace, Pod},
    eventually,
};

use crate::chart::{RELEASE, chart};

/// Signs the tokens of the key set `people`.
const SECRET: &str = "a secret that is only known to these tests";

/// Pods that say of themselves that they're public are believed here, so that most tests need nobody to log in.
pub const MANIFEST: &str = "version: 1
plugins:
  - {name: filter, kind: discovery-filter, builtin: discovery-filter, config: {access: {trusted_sources: [file, kubernetes, clearml]}}}
  - {name: auth, kind: authenticator, builtin: cookie-auth, grants: {key_sets: [people]}, config: {key_sets: [people]}}
  - {name: policy, kind: routing-policy, builtin: routing-policy}
";

/// Ports that each replica leases from, on its own host.
pub const PORTS: (u16, u16) = (31_000, 31_009);

/// What people call all replicas.
pub const PUBLIC: &str = "http://gate.example";

/// The chart's for a release of this name.
const ACCOUNT: &str = "gate-wicketgate";

/// See the module.
pub struct Stage {
    pub namespace: Namespace,
    pub network: Network,
    pub relay: Relay,
    pub plugins: ConfigMap,
    files: TempDir,
    kubeconfig: PathBuf,
}

/// A pod with a server behind it, which ends with this.
#[must_use = "the server ends at once"]
pub struct Running {
    pub pod: Pod,
    _upstream: Upstream,
}

// === impl Stage ===

impl Stage {
    /// In the cluster of all tests.
    pub async fn new(name: &str) -> Self {
        Self::with(name, &[]).await
    }

    /// The same with further values of the chart.
    pub async fn with(name: &str, values: &[&str]) -> Self {
        Self::on(Cluster::shared().await, name, values).await
    }

    pub async fn on(cluster: Cluster, name: &str, values: &[&str]) -> Self {
        let namespace = cluster.namespace(name).await;
        let (helm, chart) = (Helm::new(&namespace), chart());
        helm.does(&[&["install", RELEASE, &chart], values].concat()).await;
        let network = Network::new();
        let relay = Relay::start(network.here(), cluster.address());
        let files = tempfile::tempdir().unwrap();
        let kubeconfig = files.path().join("kubeconfig");
        std::fs::write(&kubeconfig, namespace.kubeconfig(ACCOUNT, relay.address).await).unwrap();
        let plugins = ConfigMap::new(&[("plugins.yaml", MANIFEST)]);
        Self { namespace, network, relay, plugins, files, kubeconfig }
    }

    /// A kubeconfig of the gateway's account that reaches the server by another way.
    pub async fn kubeconfig(&self, name: &str, address: SocketAddr) -> PathBuf {
        self.kubeconfig_of(ACCOUNT, name, address).await
    }

    async fn kubeconfig_of(&self, account: &str, name: &str, address: SocketAddr) -> PathBuf {
        let path = self.files.path().join(name);
        std::fs::write(&path, self.namespace.kubeconfig(account, address).await).unwrap();
        path
    }

    /// Another gateway in the same namespace: a release of its own, with its own account and Role.
    pub async fn other_gateway(&self, release: &str) -> Gateway {
        Helm::new(&self.namespace).does(&["install", release, &chart()]).await;
        let kubeconfig = self.kubeconfig_of(&format!("{release}-wicketgate"), release, self.relay.address).await;
        let config = self.config_by(&kubeconfig, "").replace(&format!("name: {RELEASE}\n"), &format!("name: {release}\n"));
        let gateway = Gateway::start_on(&self.network.host(), &config).await;
        leads(&gateway).await;
        gateway
    }

    /// A gateway's configuration; `keys` are further ones of the section `kubernetes`.
    pub fn config(&self, keys: &str) -> String {
        self.config_by(&self.kubeconfig, keys)
    }

    pub fn config_by(&self, kubeconfig: &std::path::Path, keys: &str) -> String {
        let (start, end) = PORTS;
        format!(
            "name: {RELEASE}\n\
             public_url: {PUBLIC}\n\
             kubernetes: {{kubeconfig: '{}', election: {{lease_s: 3, renew_s: 1}}, {keys}}}\n\
             login: {{secret: 'signs the cookies and records of every replica'}}\n\
             key_sets: {{people: {{kind: secret, secret: '{SECRET}', encoding: raw}}}}\n\
             plugins: {{directory: '{}', poll_s: 1}}\n\
             tcp: {{address: gate.example, listen: '{{address}}', ports: {{start: {start}, end: {end}}}}}\n",
            kubeconfig.display(),
            self.plugins.path().display(),
        )
    }

    /// A replica on a host of its own.
    pub async fn replica(&self, host: &Host) -> Gateway {
        Gateway::start_on(host, &self.config("")).await
    }

    /// One replica that leads.
    pub async fn gateway(&self) -> Gateway {
        let gateway = self.replica(&self.network.host()).await;
        leads(&gateway).await;
        gateway
    }

    /// A server at an address of its own, behind a pod with these annotations, without their prefix. `{port}` is the server's.
    pub async fn pod(&self, name: &str, annotations: &[(&str, &str)]) -> Running {
        let upstream = Upstream::start_at(self.network.server());
        let pod = self.namespace.running_pod(name, &annotated(annotations, upstream.port()), upstream.address().ip()).await;
        Running { pod, _upstream: upstream }
    }

    /// A public session with HTTP.
    pub async fn public(&self, name: &str) -> Running {
        self.pod(name, &[("port", "{port}"), ("access", "public")]).await
    }

    pub async fn lease(&self) -> Value {
        self.namespace.api.get(&self.namespace.group("coordination.k8s.io/v1", &format!("leases/{RELEASE}"))).await
    }

    /// What is said on a pod: reasons and notes of its Events.
    pub async fn told(&self, pod: &Pod, reason: &str) -> Option<String> {
        let events = self.namespace.events(&pod.name).await;
        events.into_iter().find(|(each, _)| each == reason).map(|(_, note)| note)
    }
}

/// Metadata with these annotations, without their prefix.
pub fn annotated(annotations: &[(&str, &str)], port: u16) -> Value {
    let mut all = serde_json::Map::new();
    for (name, value) in annotations {
        all.insert(format!("wicketgate.io/{name}"), value.replace("{port}", &port.to_string()).into());
    }
    json!({"annotations": all})
}

/// Somebody by name, known to every gateway here.
pub fn person(name: &str) -> Client {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    Client::default().bearer(&jsonwebtoken::encode(&Header::default(), &json!({"sub": name}), &key).unwrap())
}

/// Waits until this replica publishes.
pub async fn leads(gateway: &Gateway) {
    eventually("the replica leads", async || (gateway.metric("wicketgate_leader").await == 1).then_some(())).await;
}

/// Waits until a session's page answers so to somebody.
pub async fn answers(gateway: &Gateway, who: &Client, session: &str, status: u16) {
    let url = gateway.at(&format!("/service/{session}/echo"));
    eventually(&format!("{status} from {session}"), async || (who.get(&url).await.status == status).then_some(())).await;
}

/// Waits for an annotation of the gateway's, without its prefix.
pub async fn annotation(pod: &Pod, name: &str) -> String {
    let name = format!("wicketgate.io/{name}");
    eventually(&name, async || pod.annotation(&name).await).await
}

/// The port that was published for a TCP endpoint, on the replica's own address.
pub fn at(gateway: &Gateway, published: &str) -> SocketAddr {
    let (host, port) = published.rsplit_once(':').unwrap();
    assert_eq!(host, "gate.example");
    SocketAddr::from((address(gateway), port.parse::<u16>().unwrap()))
}

fn address(gateway: &Gateway) -> IpAddr {
    let url: http::Uri = gateway.url.parse().unwrap();
    url.host().unwrap().parse().unwrap()
}
