//! A real cluster without machines: etcd and kube-apiserver on loopback, with RBAC. Nothing runs in it: a pod is an object whose
//! status the test writes, as a kubelet would, unless the test starts a `Node` and binds it to that. One is shared by all tests of a binary, each in a namespace of its own; a test that
//! needs the server to fail starts one for itself.

pub mod api;
pub mod helm;
pub mod namespace;
pub mod node;
pub mod tools;
pub mod volume;

use std::{
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{Arc, Mutex},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{DnType, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::{Authority, PATIENCE, Pair, eventually, free_port, life, network};

pub use api::{Api, Patch, Said};
pub use helm::Helm;
pub use namespace::{Namespace, Pod};
pub use node::Node;
pub use tools::tool;
pub use volume::Volume;

/// A name in the server's certificate.
const SERVER_NAME: &str = "kubernetes.default.svc";

/// Node ports of a cluster that was told nothing else.
const SERVICES: &str = "10.96.0.0/16";

/// A running cluster; clones are the same one. It ends with the last of them, and with this process.
#[derive(Clone)]
pub struct Cluster(Arc<Running>);

struct Running {
    authority: Authority,
    admin: Pair,
    address: SocketAddr,
    etcd: Mutex<Child>,
    server: Mutex<Child>,
    etcd_url: String,
    /// Put away by `_afterwards`, for the shared cluster is never dropped.
    directory: PathBuf,
    _afterwards: life::Afterwards,
}

// === impl Cluster ===

impl Cluster {
    /// The one for all tests of this binary.
    pub async fn shared() -> Self {
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await.clone()
    }

    /// One of the caller's own.
    pub async fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("wicketgate-cluster-").tempdir().map(TempDir::keep).unwrap();
        let _afterwards = life::Afterwards::remove(&directory);
        let authority = Authority::default();
        let admin = authority.issue_with(&["admin"], |params| {
            params.distinguished_name.push(DnType::OrganizationName, "system:masters");
        });
        write_keys(&directory, &authority);
        let (etcd, etcd_url) = start_etcd(&directory);
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let server = Mutex::new(start_server(&directory, address, &etcd_url));
        let etcd = Mutex::new(etcd);
        let cluster = Self(Arc::new(Running { authority, admin, address, etcd, server, etcd_url, directory, _afterwards }));
        cluster.is_ready().await;
        cluster
    }

    /// Where the server listens. Others reach it through a `Relay`.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// A client for whom everything is allowed.
    pub fn admin(&self) -> Api {
        Api::new(self.0.authority.client(Some(&self.0.admin)), self.0.address)
    }

    /// A client with the token of a service account.
    pub fn with_token(&self, token: &str) -> Api {
        Api::with_token(self.0.authority.client(None), self.0.address, token)
    }

    /// A namespace that no other test has, with the account `default`.
    pub async fn namespace(&self, name: &str) -> Namespace {
        Namespace::create(self.clone(), name).await
    }

    /// Takes a definition of objects that the server doesn't have by itself (`httproutes`), and waits until it serves them.
    pub async fn define(&self, kind: &str) {
        let (api, path) = (self.admin(), "/apis/apiextensions.k8s.io/v1/customresourcedefinitions");
        let definition = std::fs::read(tool(kind)).unwrap();
        let said = api.call(http::Method::POST, path, "application/yaml", definition).await;
        // Another test may have been first.
        assert!(said.status == 201 || said.status == 409, "{kind}: {}", said.message());
        eventually(&format!("{kind} are served"), async || {
            let all = api.get(path).await;
            let established = |one: &&Value| {
                let conditions = one["status"]["conditions"].as_array().into_iter().flatten();
                conditions.into_iter().any(|condition| condition["type"] == "Established" && condition["status"] == "True")
            };
            let mut these = all["items"].as_array().unwrap().iter().filter(|one| one["spec"]["names"]["plural"] == kind);
            these.find(established).map(drop)
        })
        .await;
    }

    /// Kills the server without a word; etcd stays.
    pub fn kill_server(&self) {
        end(&self.0.server);
    }

    /// Starts it again, at the same address with the same keys.
    pub async fn start_server(&self) {
        *self.0.server.lock().unwrap() = start_server(&self.0.directory, self.0.address, &self.0.etcd_url);
        self.is_ready().await;
    }

    /// A kubeconfig for a user with these credentials (`{"token": …}`), who reaches the server at this address.
    pub fn kubeconfig(&self, address: SocketAddr, namespace: &str, user: &Value) -> String {
        let authority = STANDARD.encode(self.authority_pem());
        let cluster = json!({"server": format!("https://{address}"), "certificate-authority-data": authority});
        let context = json!({"cluster": "test", "user": "test", "namespace": namespace});
        // JSON is YAML.
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": user}],
            "contexts": [{"name": "test", "context": context}],
        })
        .to_string()
    }

    /// The same for one who may do everything.
    pub fn admin_kubeconfig(&self, namespace: &str) -> String {
        self.admin_kubeconfig_at(self.0.address, namespace)
    }

    /// The same for one who reaches the server at this address.
    pub fn admin_kubeconfig_at(&self, address: SocketAddr, namespace: &str) -> String {
        let Pair { certificate, key } = &self.0.admin;
        let user = json!({"client-certificate-data": STANDARD.encode(certificate), "client-key-data": STANDARD.encode(key)});
        self.kubeconfig(address, namespace, &user)
    }

    /// Who signed the server's certificate.
    pub fn authority_pem(&self) -> String {
        self.0.authority.pem()
    }

    async fn is_ready(&self) {
        let api = self.admin();
        let started = std::time::Instant::now();
        loop {
            let asked = api.try_call(http::Method::GET, "/readyz", "application/json", bytes::Bytes::new()).await;
            let missing = match asked {
                Ok(said) if said.status == 200 => return,
                Ok(said) => said.body.to_string(),
                Err(error) => error.to_string(),
            };
            for (name, process) in [("etcd", &self.0.etcd), ("kube-apiserver", &self.0.server)] {
                let ended = process.lock().unwrap().try_wait().unwrap();
                assert!(ended.is_none(), "{name} ended with {ended:?}:\n{}", log(&self.0.directory, name));
            }
            let server = || log(&self.0.directory, "kube-apiserver");
            assert!(started.elapsed() < PATIENCE, "not ready in {PATIENCE:?}: {missing}\n{}", server());
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&self.server);
        end(&self.etcd);
    }
}

fn end(process: &Mutex<Child>) {
    let mut process = process.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let _ = process.kill();
    let _ = process.wait();
}

/// The server's certificate is good on loopback and at each address that a `Network` may have here.
fn write_keys(directory: &Path, authority: &Authority) {
    let bridges = network::addresses();
    let mut names = vec![SERVER_NAME, "kubernetes", "localhost", "127.0.0.1"];
    names.extend(bridges.iter().map(String::as_str));
    let server = authority.issue(&names);
    let accounts = KeyPair::generate().unwrap();
    for (name, content) in [
        ("ca.pem", authority.pem()),
        ("server.pem", server.certificate),
        ("server.key", server.key),
        ("accounts.pem", accounts.public_key_pem()),
        ("accounts.key", accounts.serialize_pem()),
    ] {
        std::fs::write(directory.join(name), content).unwrap();
    }
}

fn start_etcd(directory: &Path) -> (Child, String) {
    let [client, peer] = [free_port(), free_port()].map(|port| format!("http://127.0.0.1:{port}"));
    let child = launch(directory, "etcd", |command| {
        command.args(["--name", "test", "--data-dir", "etcd", "--log-level", "warn"]);
        // What is lost with the machine is of no use to anybody.
        command.arg("--unsafe-no-fsync");
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &format!("test={peer}")]);
    });
    (child, client)
}

fn start_server(directory: &Path, address: SocketAddr, etcd: &str) -> Child {
    launch(directory, "kube-apiserver", |command| {
        command.args(["--etcd-servers", etcd, "--bind-address", &address.ip().to_string()]);
        command.args(["--secure-port", &address.port().to_string()]);
        // Nobody looks for the server by the service `kubernetes`, whose endpoint can't be on loopback.
        command.args(["--advertise-address", "192.0.2.1", "--endpoint-reconciler-type", "none"]);
        command.args(["--authorization-mode", "RBAC", "--client-ca-file", "ca.pem"]);
        command.args(["--tls-cert-file", "server.pem", "--tls-private-key-file", "server.key"]);
        command.args(["--service-account-issuer", "https://kubernetes.default.svc"]);
        command.args(["--service-account-key-file", "accounts.pem", "--service-account-signing-key-file", "accounts.key"]);
        command.args(["--service-cluster-ip-range", SERVICES]);
    })
}

fn launch(directory: &Path, name: &str, change: impl FnOnce(&mut Command)) -> Child {
    let log = File::options().create(true).append(true).open(directory.join(name).with_extension("log")).unwrap();
    life::spawn(&tool(name), |command| {
        command.current_dir(directory).stdout(log.try_clone().unwrap()).stderr(log);
        change(command);
    })
}

fn log(directory: &Path, name: &str) -> String {
    std::fs::read_to_string(directory.join(name).with_extension("log")).unwrap_or_default()
}
