//! A machine of a cluster: a real kubelet and a real containerd, on a host of its own. Pods that are bound to it run.
//!
//! It shares the processor and the kernel with the tests and nothing else: it has its own processes, mounts and network, and all of
//! them end with it. Control groups are left out, since not every machine where tests run has them to give: no pod is limited.
//! Nor is there a network for pods: they need `hostNetwork`, and so one port is had once.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Child,
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::json;
use tempfile::TempDir;

use super::{Cluster, tool};
use crate::{Host, Network, Relay, eventually, life, programs::need};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/harness/cluster/node");

/// What is shown of a log when a test fails.
const LAST_LINES: usize = 40;

/// Ends with all its pods when it's dropped, and with this process. Must be gone before its network.
pub struct Node {
    pub name: String,
    pub host: Host,
    process: Child,
    directory: PathBuf,
    _relay: Relay,
    _afterwards: life::Afterwards,
}

// === impl Node ===

impl Node {
    /// Starts one that has these images, archives of the OCI's kind, and waits until the server knows it. `sandbox` is the one of
    /// them that holds pods together.
    pub async fn start(cluster: &Cluster, network: &Network, images: &[PathBuf], sandbox: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("node-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let (host, relay) = (network.host(), Relay::start(network.here(), cluster.address()));
        let directory = tempfile::Builder::new().prefix("wicketgate-node-").tempdir().map(TempDir::keep).unwrap();
        let _afterwards = life::Afterwards::remove(&directory);
        let kubeconfig = cluster.admin_kubeconfig_at(relay.address, "default");
        for (file, content) in [
            ("kubeconfig", kubeconfig),
            ("kubelet.json", kubelet(&directory)),
            ("containerd.toml", containerd(&directory, sandbox)),
        ] {
            std::fs::write(directory.join(file), content).unwrap();
        }
        // The runtime is found on the path by a script.
        need("crun", "crun");
        let log = File::create(directory.join("start.log")).unwrap();
        let [first, prefix @ ..] = &host.prefix()[..] else { panic!("no prefix") };
        let process = life::spawn(Path::new(first), |command| {
            command.args(prefix).arg(need("unshare", "util-linux"));
            command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
            command.arg(format!("{SCRIPTS}/start")).arg(&directory).args(images);
            for (variable, program) in [("CONTAINERD", "containerd"), ("CTR", "ctr"), ("KUBELET", "kubelet")] {
                command.env(variable, tool(program));
            }
            command.env("NAME", &name).env("ADDRESS", host.address.to_string());
            command.stdout(log.try_clone().unwrap()).stderr(log);
        });
        let mut node = Self { name, host, process, directory, _relay: relay, _afterwards };
        node.is_known(cluster).await;
        node
    }

    async fn is_known(&mut self, cluster: &Cluster) {
        let (api, path) = (cluster.admin(), format!("/api/v1/nodes/{}", self.name));
        eventually("the kubelet's object of its machine", async || {
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none(), "the machine ended with {ended:?}");
            api.find(&path).await.map(drop)
        })
        .await;
    }

    fn last_lines(&self, log: &str) -> String {
        let text = std::fs::read_to_string(self.directory.join(log)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // By its process id, and nothing else; the first process inside goes with it, and with that one all others.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            for log in ["start.log", "containerd.log", "kubelet.log"] {
                println!("the last lines of {log} of {}:\n{}", self.name, self.last_lines(log));
            }
        }
    }
}

/// JSON is YAML.
fn kubelet(directory: &Path) -> String {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "address": "127.0.0.1",
        "authentication": {"anonymous": {"enabled": false}, "webhook": {"enabled": false}},
        "authorization": {"mode": "AlwaysAllow"},
        "podLogsDir": directory.join("logs"),
        "volumePluginDir": directory.join("plugins"),
        "resolvConf": "",
        // Without control groups.
        "cgroupsPerQOS": false,
        "enforceNodeAllocatable": [],
        "localStorageCapacityIsolation": false,
        // The tests' machine is what it is.
        "failSwapOn": false,
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%"},
        // In place of a minute.
        "syncFrequency": "1s",
        "configMapAndSecretChangeDetectionStrategy": "Watch",
    })
    .to_string()
}

fn containerd(directory: &Path, sandbox: &str) -> String {
    let directory = directory.display();
    let shim = tool("containerd-shim-runc-v2");
    let shim = shim.display();
    format!(
        "version = 3
root = '{directory}/containerd'
state = '/run/containerd'
# One would make a directory in /opt, the other is for extensions of the node.
disabled_plugins = ['io.containerd.internal.v1.opt', 'io.containerd.nri.v1.nri']
[debug]
level = 'warn'
[grpc]
address = '/run/containerd/containerd.sock'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = '{sandbox}'
[plugins.'io.containerd.cri.v1.runtime']
# Root may be without the right to go below what it has.
restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ['{directory}/cni']
conf_dir = '{directory}/cni'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = 'io.containerd.runc.v2'
runtime_path = '{shim}'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
BinaryName = '{SCRIPTS}/runtime'
"
    )
}
