//! The image started by a container runtime as a cluster would: its own user, no capabilities, nothing that can be written to,
//! the usual filter of system calls. It shares the machine's network, because what it talks to is on loopback.

use std::{
    fs,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use wicketgate_tests::{
    Client, PATIENCE, Upstream, eventually, free_port,
    programs::{need, output},
};

use super::build::Image;

/// Runtimes want control groups, which not every machine where tests run gives them; here nothing is limited by them, so they see
/// none. In a namespace of its own, so that the machine keeps its own.
const WITHOUT_CONTROL_GROUPS: &str = "mount -t tmpfs none /sys/fs/cgroup && exec \"$@\"";

/// A gateway that outlived the tests, because they were killed, ends by itself after so long.
const LONGEST_LIFE_S: &str = "600";

/// The filter that engines use where nobody says otherwise.
const SYSTEM_CALLS: &str = "/usr/share/containers/seccomp.json";

const NAME: &str = "gateway";
const FILES: &str = "/etc/wicketgate";

/// A running container. It's ended when this is dropped.
struct Container {
    runtime: Child,
    directory: TempDir,
    _image: Arc<Image>,
}

// === impl Container ===

impl Container {
    /// Starts the image's own command with these variables; `files` is mounted at `FILES`.
    async fn start(image: Arc<Image>, variables: &[(&str, String)], files: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (config, root) = (image.config().await, image.mounted().await);
        let bundle = bundle(&config, &root, variables, files);
        fs::write(directory.path().join("config.json"), bundle.to_string()).unwrap();
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let bundle = directory.path().to_str().unwrap();
        let runtime = Command::new(need("timeout", "coreutils"))
            .args(["--kill-after=5", LONGEST_LIFE_S])
            .args(crun(directory.path(), &["run", "--bundle", bundle, NAME]))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { runtime, directory, _image: image }
    }

    /// Waits until a URL answers with 200.
    async fn answers(&mut self, url: &str) {
        let log = self.directory.path().join("log");
        eventually(&format!("200 from {url}"), async || {
            let ended = self.runtime.try_wait().unwrap();
            assert!(ended.is_none(), "the container ended with {ended:?}:\n{}", fs::read_to_string(&log).unwrap());
            let reply = Client::default().try_send(http::Method::GET, url, bytes::Bytes::new()).await.ok()?;
            (reply.status == 200).then_some(())
        })
        .await;
    }

    /// Runs a program in it; its exit code.
    async fn exec(&self, program: &[&str]) -> Option<i32> {
        let [first, arguments @ ..] = &crun(self.directory.path(), &[&["exec", NAME], program].concat())[..] else { panic!() };
        let run = tokio::process::Command::new(first).args(arguments).stdin(Stdio::null()).kill_on_drop(true).status();
        tokio::time::timeout(PATIENCE, run).await.unwrap().unwrap().code()
    }

    async fn runtime(&self, arguments: &[&str]) -> String {
        let [first, arguments @ ..] = &crun(self.directory.path(), arguments)[..] else { panic!() };
        let mut command = tokio::process::Command::new(first);
        command.args(arguments);
        output(command, PATIENCE).await
    }

    /// What the kernel says of its first process (`CapEff`).
    async fn status(&self, name: &str) -> String {
        let state: Value = serde_json::from_str(&self.runtime(&["state", NAME]).await).unwrap();
        let status = fs::read_to_string(format!("/proc/{}/status", state["pid"])).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("{name} isn't in {status}")).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    async fn exit(&mut self) -> ExitStatus {
        eventually("the container's end", async || self.runtime.try_wait().unwrap()).await
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let command = crun(self.directory.path(), &["delete", "--force", NAME]);
        let _ = Command::new(&command[0]).args(&command[1..]).stderr(Stdio::null()).status();
        let _ = self.runtime.kill();
        let _ = self.runtime.wait();
        if std::thread::panicking() {
            println!("the container's log:\n{}", self.log());
        }
    }
}

/// A command of the runtime, which keeps what it knows in this directory.
fn crun(directory: &Path, arguments: &[&str]) -> Vec<String> {
    let (unshare, crun) = (need("unshare", "util-linux"), need("crun", "crun"));
    let mut command = [unshare.to_str().unwrap(), "--mount", "sh", "-c", WITHOUT_CONTROL_GROUPS, "sh"].map(str::to_owned).to_vec();
    command.push(crun.display().to_string());
    command.push(format!("--root={}", directory.join("runtime").display()));
    command.push("--cgroup-manager=disabled".to_owned());
    command.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    command
}

/// What the runtime is told, from what the image says of itself.
fn bundle(config: &Value, root: &Path, variables: &[(&str, String)], files: &Path) -> Value {
    let list = |key: &str| config[key].as_array().cloned().unwrap_or_default();
    let ids: Vec<u32> = config["User"].as_str().unwrap().split(':').map(|id| id.parse().unwrap()).collect();
    let own = variables.iter().map(|(name, value)| format!("{name}={value}").into());
    let environment: Vec<Value> = list("Env").into_iter().chain(own).collect();
    let arguments = [list("Entrypoint"), list("Cmd")].concat();
    let mount =
        |kind: &str, at: &str, options: &[&str]| json!({"destination": at, "type": kind, "source": kind, "options": options});
    json!({
        "ociVersion": "1.0.0",
        "process": {
            "user": {"uid": ids[0], "gid": ids[1]},
            "args": arguments,
            "env": environment,
            "cwd": config["WorkingDir"],
            "capabilities": {},
            "noNewPrivileges": true,
        },
        "root": {"path": root, "readonly": true},
        "mounts": [
            mount("proc", "/proc", &["nosuid", "noexec", "nodev"]),
            mount("tmpfs", "/dev", &["nosuid", "mode=755", "size=64k"]),
            {"destination": FILES, "type": "bind", "source": files, "options": ["bind", "ro"]},
        ],
        "linux": {
            "namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}],
            "seccomp": system_calls(),
        },
    })
}

/// The engines' filter in the runtime's own form, for a container without capabilities.
fn system_calls() -> Value {
    let text = fs::read(SYSTEM_CALLS);
    let text = text.unwrap_or_else(|error| {
        panic!("{SYSTEM_CALLS}: {error}; it's in Debian's package golang-github-containers-common, which comes with buildah")
    });
    let all: Value = serde_json::from_slice(&text).unwrap();
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let applies = |rule: &&Value| {
        let includes = &rule["includes"];
        let here = includes["arches"].as_array().is_none_or(|names| names.iter().any(|name| name == architecture));
        here && includes["caps"].is_null()
    };
    let rules = all["syscalls"].as_array().unwrap().iter().filter(applies).map(|rule| {
        let mut rule = rule.as_object().unwrap().clone();
        rule.retain(|key, value| ["names", "action", "args", "errnoRet"].contains(&key.as_str()) && !value.is_null());
        Value::Object(rule)
    });
    json!({
        "defaultAction": all["defaultAction"],
        "defaultErrnoRet": all["defaultErrnoRet"],
        "syscalls": rules.collect::<Vec<_>>(),
    })
}

#[tokio::test]
async fn a_container_serves_and_ends_when_it_is_told_to() {
    let upstream = Upstream::start();
    let files = tempfile::tempdir().unwrap();
    let sessions =
        format!("sessions: [{{id: board, access: public, endpoints: [{{address: 127.0.0.1, port: {}}}]}}]\n", upstream.port());
    fs::write(files.path().join("sessions.yaml"), sessions).unwrap();
    let manifest = "version: 1\nplugins:\n  - {name: filter, kind: discovery-filter, builtin: discovery-filter}\n  \
        - {name: auth, kind: authenticator, builtin: cookie-auth, grants: {key_sets: [gateway]}, config: {key_sets: [gateway]}}\n  \
        - {name: policy, kind: routing-policy, builtin: routing-policy}\n";
    fs::write(files.path().join("plugins.yaml"), manifest).unwrap();
    let (port, admin) = (free_port(), free_port());
    let variables = [
        ("WICKETGATE_HTTP__LISTEN", format!("127.0.0.1:{port}")),
        ("WICKETGATE_ADMIN__LISTEN", format!("127.0.0.1:{admin}")),
        ("WICKETGATE_DISCOVERY__FILE", format!("{FILES}/sessions.yaml")),
        ("WICKETGATE_DISCOVERY__DIAL__NETWORKS", "127.0.0.0/8".to_owned()),
        ("WICKETGATE_PLUGINS__DIRECTORY", FILES.to_owned()),
    ];
    // The user of the image has to read them.
    open_to_all(files.path());
    let mut container = Container::start(Image::built().await, &variables, files.path()).await;
    container.answers(&format!("http://127.0.0.1:{admin}/readyz")).await;
    container.answers(&format!("http://127.0.0.1:{port}/service/board/echo")).await;
    assert_eq!(upstream.seen().last().map(|seen| seen.target.clone()), Some("/echo".to_owned()));

    assert_eq!(container.status("Uid").await, "65532 65532 65532 65532");
    assert_eq!(container.status("Gid").await, "65532 65532 65532 65532");
    for set in ["CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(container.status(set).await, "0000000000000000", "{set}");
    }
    assert_eq!(container.status("NoNewPrivs").await, "1");
    assert_eq!(container.status("Seccomp").await, "2", "system calls are filtered");

    // What compose.yaml asks for the container's health.
    let probe = |page: &str| ["/usr/bin/wicketgate".to_owned(), "probe".to_owned(), format!("http://127.0.0.1:{admin}{page}")];
    let (good, bad) = (probe("/readyz"), probe("/nothing"));
    assert_eq!(container.exec(&good.each_ref().map(String::as_str)).await, Some(0));
    assert_eq!(container.exec(&bad.each_ref().map(String::as_str)).await, Some(1));

    container.runtime(&["kill", NAME, "TERM"]).await;
    let exit = container.exit().await;
    assert_eq!(exit.code(), Some(0), "{}", container.log());
    assert!(container.log().contains("asked to stop"), "{}", container.log());
}

fn open_to_all(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    for file in fs::read_dir(directory).unwrap() {
        fs::set_permissions(file.unwrap().path(), fs::Permissions::from_mode(0o644)).unwrap();
    }
}
