//! A real registry of artifacts: the CNCF's `distribution`, with its content in a directory and a password for everything.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::Method;
use serde_json::json;

use super::{Program, go};
use crate::{Client, Pair, Reply, free_port};

const TOOL: go::Tool = go::Tool {
    name: "registry-3.0.0",
    module: "module peers\n\ngo 1.23.7\n\nrequire github.com/distribution/distribution/v3 v3.0.0\n",
    package: "github.com/distribution/distribution/v3/cmd/registry",
};

pub const USER: &str = "puller";
pub const PASSWORD: &str = "a password of these tests";
/// The password by bcrypt, which is the only way in which the registry takes it.
const HTPASSWD: &str = "puller:$2a$04$ASsHlZnNWx1eancU.bVZI.ekiHn408cdwg6XAX5Vl8rI6fHfAw9sK\n";

/// A running registry.
pub struct Registry {
    /// As manifests name it: `127.0.0.1:5000`, or with a certificate `localhost:5000`.
    pub host: String,
    program: Program,
}

/// SHA-256 as registries write it.
pub fn digest(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// An image manifest with these layers, as `oras` and its like write it: media type and content of each.
pub fn manifest(layers: &[(&str, &[u8])]) -> Vec<u8> {
    let describe = |(kind, content): &(&str, &[u8])| json!({"mediaType": kind, "digest": digest(content), "size": content.len()});
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/vnd.wasm.config.v0+json",
        "config": describe(&("application/vnd.oci.empty.v1+json", b"{}")),
        "layers": layers.iter().map(describe).collect::<Vec<_>>(),
    });
    manifest.to_string().into_bytes()
}

// === impl Registry ===

impl Registry {
    /// An empty one without TLS.
    pub async fn start() -> Self {
        Self::run(None).await
    }

    /// An empty one that shows this certificate, which must be for `localhost`. Nothing can be pushed there: see `take_over`.
    pub async fn start_secure(pair: &Pair) -> Self {
        Self::run(Some(pair)).await
    }

    async fn run(pair: Option<&Pair>) -> Self {
        let (tool, port, home) = (TOOL.path().await, free_port(), tempfile::tempdir().unwrap());
        let file = |name: &str, content: &str| {
            let path = home.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.display().to_string()
        };
        let mut http = json!({"addr": format!("127.0.0.1:{port}"), "secret": "nothing to keep"});
        if let Some(pair) = pair {
            http["tls"] = json!({"certificate": file("tls.crt", &pair.certificate), "key": file("tls.key", &pair.key)});
        }
        let config = json!({
            "version": "0.1",
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": home.path().join("content")}},
            "auth": {"htpasswd": {"realm": "tests", "path": file("htpasswd", HTPASSWD)}},
            "http": http,
        });
        let config = file("config.yml", &config.to_string());
        let mut program = Program::start(&tool, &["serve", &config], home);
        program.listens(port).await;
        let name = if pair.is_some() { "localhost" } else { "127.0.0.1" };
        Self { host: format!("{name}:{port}"), program }
    }

    /// Shows what another one holds now.
    pub fn take_over(&self, other: &Self) {
        let [from, to] = [other, self].map(|registry| registry.program.home().join("content"));
        let copied = std::process::Command::new("cp").arg("-r").args([from, to]).status().unwrap();
        assert!(copied.success());
    }

    /// Pushes an artifact with these layers and answers its reference.
    pub async fn push(&self, repository: &str, layers: &[(&str, &[u8])]) -> String {
        for content in layers.iter().map(|(_, content)| *content).chain([&b"{}"[..]]) {
            self.push_blob(repository, content).await;
        }
        let manifest = manifest(layers);
        let digest = digest(&manifest);
        let client = self.client().with("content-type", "application/vnd.oci.image.manifest.v1+json");
        let url = format!("http://{}/v2/{repository}/manifests/{digest}", self.host);
        is(201, &client.send(Method::PUT, &url, manifest.into()).await);
        format!("{}/{repository}@{digest}", self.host)
    }

    async fn push_blob(&self, repository: &str, content: &[u8]) {
        let begun = self.client().post(&format!("http://{}/v2/{repository}/blobs/uploads/", self.host), "").await;
        is(202, &begun);
        let place = begun.header("location").unwrap();
        let url = format!("{place}&digest={}", digest(content));
        let client = self.client().with("content-type", "application/octet-stream");
        is(201, &client.send(Method::PUT, &url, Bytes::copy_from_slice(content)).await);
    }

    fn client(&self) -> Client {
        Client::default().with("authorization", &format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}"))))
    }

    /// The file of a pull secret, as Kubernetes mounts one.
    pub fn pull_secret(&self, password: &str) -> String {
        json!({"auths": {self.host.as_str(): {"auth": STANDARD.encode(format!("{USER}:{password}"))}}}).to_string()
    }
}

fn is(status: u16, reply: &Reply) {
    assert_eq!(reply.status.as_u16(), status, "{}", reply.text());
}
