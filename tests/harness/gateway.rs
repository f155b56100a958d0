//! The real gateway as a process of its own, with its log kept for when a test fails.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Client, PATIENCE, eventually, free_port};

/// A running gateway. It's killed when this is dropped.
pub struct Gateway {
    /// Of the listener for people, without a slash at its end.
    pub url: String,
    pub port: u16,
    pub admin: String,
    process: Child,
    log: Arc<Mutex<Vec<String>>>,
    /// Holds the configuration; tests may put more into it.
    pub directory: TempDir,
}

impl Gateway {
    /// Starts a gateway and waits until it's ready. `config` is added to what every test needs: listeners on free ports of
    /// loopback. It may use `{port}` for the gateway's port and `{directory}` for a directory of its own.
    pub async fn start(config: &str) -> Self {
        let mut gateway = Self::spawn(config);
        let url = format!("{}/readyz", gateway.admin);
        gateway.wait(&url).await;
        gateway
    }

    /// The same, without waiting for more than the admin listener: for tests of a gateway that isn't ready.
    pub async fn start_unready(config: &str) -> Self {
        let mut gateway = Self::spawn(config);
        let url = format!("{}/healthz", gateway.admin);
        gateway.wait(&url).await;
        gateway
    }

    fn spawn(config: &str) -> Self {
        let (port, admin) = (free_port(), free_port());
        let directory = tempfile::tempdir().unwrap();
        let own = config.replace("{port}", &port.to_string()).replace("{directory}", directory.path().to_str().unwrap());
        let has = |section: &str| own.lines().any(|line| line.starts_with(section));
        let mut text = String::new();
        for (section, default) in [
            ("public_url:", format!("public_url: http://127.0.0.1:{port}\n")),
            ("http:", format!("http: {{listen: '127.0.0.1:{port}', workers: 2}}\n")),
            ("admin:", format!("admin: {{listen: '127.0.0.1:{admin}'}}\n")),
            ("log:", "log: {level: 'info,wicketgate=debug', access: true}\n".to_owned()),
        ] {
            if !has(section) {
                text += &default;
            }
        }
        let file = directory.path().join("wicketgate.yaml");
        std::fs::write(&file, text + &own).unwrap();
        let mut process = Command::new(binary())
            .args(["run", "--config"])
            .arg(&file)
            .env_remove("CLEARML_API_HOST")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (stderr, lines) = (process.stderr.take().unwrap(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        Self { url: format!("http://127.0.0.1:{port}"), port, admin: format!("http://127.0.0.1:{admin}"), process, log, directory }
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

    /// JSON of the admin listener.
    pub async fn status(&self, path: &str) -> Value {
        Client::default().get(&format!("{}{path}", self.admin)).await.json()
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
