//! The real gateway as a process of its own, with its log kept for when a test fails.

use std::{
    io::{BufRead, BufReader},
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Client, Host, PATIENCE, eventually, free_port};

/// In the gateway's directory.
const CONFIG: &str = "wicketgate.yaml";

/// Opens the admin listener where it isn't on loopback.
const OPERATOR: &str = "the token of these tests' operator";

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A running gateway. It's killed when this is dropped.
pub struct Gateway {
    /// Of the listener for people, without a slash at its end.
    pub url: String,
    pub port: u16,
    pub admin: String,
    process: Child,
    log: Arc<Mutex<Vec<String>>>,
    /// Before the program's name: what it's run by, if it isn't run as it is.
    prefix: Vec<String>,
    /// Holds the configuration; tests may put more into it.
    pub directory: TempDir,
}

impl Gateway {
    /// Starts a gateway and waits until it's ready. `config` is added to what every test needs: listeners on free ports of
    /// loopback. It may use `{port}` for the gateway's port, `{admin}` for that of its admin listener, and `{directory}` for a
    /// directory of its own.
    pub async fn start(config: &str) -> Self {
        let mut gateway = Self::spawn(config, LOOPBACK, Vec::new());
        gateway.is_ready().await;
        gateway
    }

    /// The same by another program, which hands its process over: these words come before the gateway's name.
    pub async fn start_by(prefix: Vec<String>, config: &str) -> Self {
        let mut gateway = Self::spawn(config, LOOPBACK, prefix);
        gateway.is_ready().await;
        gateway
    }

    /// The same in a network namespace: it listens on the host's address, where this machine reaches it. `{address}` is that.
    pub async fn start_on(host: &Host, config: &str) -> Self {
        let mut gateway = Self::spawn(config, host.address, host.prefix());
        gateway.is_ready().await;
        gateway
    }

    /// The same, without waiting for more than the admin listener.
    pub async fn start_unready_on(host: &Host, config: &str) -> Self {
        let mut gateway = Self::spawn(config, host.address, host.prefix());
        gateway.answers().await;
        gateway
    }

    /// The same, with no more descriptors than this.
    pub async fn start_with_descriptors(config: &str, descriptors: u32) -> Self {
        let limit = format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"");
        let mut gateway = Self::spawn(config, LOOPBACK, vec!["sh".into(), "-c".into(), limit]);
        gateway.is_ready().await;
        gateway
    }

    /// The same, without waiting for more than the admin listener: for tests of a gateway that isn't ready.
    pub async fn start_unready(config: &str) -> Self {
        let mut gateway = Self::spawn(config, LOOPBACK, Vec::new());
        gateway.answers().await;
        gateway
    }

    fn spawn(config: &str, address: IpAddr, prefix: Vec<String>) -> Self {
        let (port, admin) = (free_port(), free_port());
        let directory = tempfile::tempdir().unwrap();
        let own = config.replace("{port}", &port.to_string()).replace("{directory}", directory.path().to_str().unwrap());
        let own = own.replace("{address}", &address.to_string()).replace("{admin}", &admin.to_string());
        let has = |section: &str| own.lines().any(|line| line.starts_with(section));
        let mut text = String::new();
        for (section, default) in [
            ("public_url:", format!("public_url: http://{address}:{port}\n")),
            ("http:", format!("http: {{listen: '{address}:{port}', workers: 2}}\n")),
            ("admin:", admin_section(address, admin)),
            ("log:", "log: {level: 'info,wicketgate=debug', access: true}\n".to_owned()),
        ] {
            if !has(section) {
                text += &default;
            }
        }
        std::fs::write(directory.path().join(CONFIG), text + &own).unwrap();
        let log = Arc::default();
        let process = launch(directory.path(), &prefix, &log);
        let [url, admin] = [port, admin].map(|port| format!("http://{address}:{port}"));
        Self { url, port, admin, process, log, prefix, directory }
    }

    /// Kills the gateway without a word.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again after its end: the same configuration, ports and directory, and waits until it's ready.
    pub async fn start_again(&mut self) {
        self.start_again_unready().await;
        self.is_ready().await;
    }

    /// The same, and waits until it answers at all.
    pub async fn start_again_unready(&mut self) {
        assert!(self.process.try_wait().unwrap().is_some(), "it's still running");
        self.process = launch(self.directory.path(), &self.prefix, &self.log);
        self.answers().await;
    }

    /// Sends it a signal by its name (`TERM`).
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().unwrap();
        assert!(sent.success(), "SIG{name} can't be sent");
    }

    /// Waits until it has ended by itself.
    pub async fn exit(&mut self) -> ExitStatus {
        eventually("the gateway's end", async || self.process.try_wait().unwrap()).await
    }

    /// Waits until it's ready.
    pub async fn is_ready(&mut self) {
        let url = format!("{}/readyz", self.admin);
        self.wait(&url).await;
    }

    async fn answers(&mut self) {
        let url = format!("{}/healthz", self.admin);
        self.wait(&url).await;
    }

    async fn wait(&mut self, url: &str) {
        let started = std::time::Instant::now();
        loop {
            if let Ok(reply) = Client::default().try_send(http::Method::GET, url, bytes::Bytes::new()).await
                && reply.status == 200
            {
                return;
            }
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none(), "the gateway ended with {ended:?}:\n{}", self.log());
            assert!(started.elapsed() < PATIENCE, "no 200 from {url} in {PATIENCE:?}:\n{}", self.log());
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// Everything that it wrote to standard error so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// Waits until the log says so: it's read by a thread of its own, which may be behind.
    ///
    /// # Panics
    /// When it doesn't.
    pub async fn logs(&self, text: &str) {
        eventually(&format!("{text:?} in the log"), async || self.log().contains(text).then_some(())).await;
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// A path of the gateway as a URL.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// One sample of the metrics by its name and labels as they're written (`…_total{reason="idle"}`); 0 where there's none.
    pub async fn metric(&self, sample: &str) -> u64 {
        let metrics = Client::default().get(&format!("{}/metrics", self.admin)).await.text();
        let line = metrics.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        line.map_or(0, |number| number.parse().unwrap())
    }

    /// JSON of the admin listener.
    pub async fn status(&self, path: &str) -> Value {
        let operator = if self.admin.contains("//127.") { Client::default() } else { Client::default().bearer(OPERATOR) };
        operator.get(&format!("{}{path}", self.admin)).await.json()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // By its process id, and nothing else.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            // Shown with the failed test.
            println!("the gateway's log:\n{}", self.log());
        }
    }
}

fn admin_section(address: IpAddr, port: u16) -> String {
    let token = if address.is_loopback() { String::new() } else { format!(", token: {OPERATOR:?}") };
    format!("admin: {{listen: '{address}:{port}'{token}}}\n")
}

/// Starts the configuration in a directory; what it says goes behind what is in the log. Whatever stands before the program's
/// name must hand its process over to it.
fn launch(directory: &Path, prefix: &[String], log: &Arc<Mutex<Vec<String>>>) -> Child {
    let mut command = match prefix {
        [] => Command::new(binary()),
        [first, further @ ..] => {
            let mut command = Command::new(first);
            command.args(further).arg(binary());
            command
        }
    };
    command.args(["run", "--config"]).arg(directory.join(CONFIG)).env_remove("CLEARML_API_HOST").env_remove("WICKETGATE_BIN");
    let mut process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (stderr, lines) = (process.stderr.take().unwrap(), Arc::clone(log));
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            lines.lock().unwrap().push(line);
        }
    });
    process
}

/// The gateway's binary: `WICKETGATE_BIN`, or the one that was built beside the test.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("WICKETGATE_BIN") {
        return path.into();
    }
    // `<profile>/deps/it-<hash>`
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(|deps| deps.parent()).unwrap().join("wicketgate");
    assert!(path.exists(), "{} isn't there: build it first (`cargo build --release`), or set WICKETGATE_BIN", path.display());
    path
}
