//! A JupyterLab from PyPI as a person's session has it: told under which path the gateway serves it, and with no login of its
//! own, since the gateway is in front.

use std::{
    fs::File,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use wicketgate_tests::{Client, PATIENCE, eventually, free_port, python};

pub const VERSION: &str = "4.6.6";

/// Ended with its kernels when it's dropped.
pub struct JupyterLab {
    pub port: u16,
    process: Child,
    home: TempDir,
}

impl JupyterLab {
    /// Starts it for `/service/<session>/` and waits until it answers.
    pub async fn start(session: &'static str) -> Self {
        let python = tokio::task::spawn_blocking(|| python::with_package("jupyterlab", VERSION)).await.unwrap();
        let mut lab = Self::spawn(&python, session);
        let url = format!("http://127.0.0.1:{}/service/{session}/api", lab.port);
        eventually("JupyterLab answers", async || {
            let ended = lab.process.try_wait().unwrap();
            assert!(ended.is_none(), "JupyterLab ended with {ended:?}");
            let reply = Client::default().try_send(http::Method::GET, &url, bytes::Bytes::new()).await;
            reply.is_ok_and(|reply| reply.status == 200).then_some(())
        })
        .await;
        lab
    }

    fn spawn(python: &Path, session: &str) -> Self {
        let (port, home) = (free_port(), tempfile::tempdir().unwrap());
        let notebooks = home.path().join("notebooks");
        std::fs::create_dir(&notebooks).unwrap();
        let log = File::create(home.path().join("log")).unwrap();
        let process = Command::new(python)
            .args(["-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", "--ServerApp.port_retries=0"])
            .arg(format!("--ServerApp.port={port}"))
            .arg(format!("--ServerApp.base_url=/service/{session}/"))
            .arg(format!("--ServerApp.root_dir={}", notebooks.display()))
            .args(["--ServerApp.allow_remote_access=True", "--IdentityProvider.token="])
            // It asks nobody outside whether there's something newer.
            .args(["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.news_url=None"])
            .args(["--LabApp.extension_manager=readonly"])
            // Nothing of the person who runs the tests.
            .env("HOME", home.path())
            .env("IPYTHONDIR", home.path().join("ipython"))
            .env("JUPYTER_CONFIG_DIR", home.path().join("config"))
            .env("JUPYTER_DATA_DIR", home.path().join("data"))
            .env("JUPYTER_RUNTIME_DIR", home.path().join("runtime"))
            .current_dir(&notebooks)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { port, process, home }
    }
}

impl Drop for JupyterLab {
    fn drop(&mut self) {
        // Asked politely it ends its kernels, which are processes of their own.
        let _ = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        let started = Instant::now();
        while started.elapsed() < PATIENCE && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            println!("JupyterLab's log:\n{}", std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default());
        }
    }
}
