//! The real Helm, with directories of its own and the rights of an administrator.

use std::{path::PathBuf, process::Stdio};

use tempfile::TempDir;
use tokio::process::Command;

use super::{Namespace, tool};
use crate::PATIENCE;

/// Installs into one namespace.
pub struct Helm {
    home: TempDir,
    namespace: String,
}

// === impl Helm ===

impl Helm {
    pub fn new(namespace: &Namespace) -> Self {
        let helm = Self { home: tempfile::tempdir().unwrap(), namespace: namespace.name.clone() };
        helm.file("kubeconfig", &namespace.cluster.admin_kubeconfig(&namespace.name));
        helm
    }

    /// A file for Helm to read, such as one of values.
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// What it says.
    ///
    /// # Errors
    /// It fails, and says why.
    pub async fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let mut helm = Command::new(tool("helm"));
        helm.env_clear().env("HOME", self.home.path()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        helm.arg("--kubeconfig").arg(self.home.path().join("kubeconfig")).args(["--namespace", &self.namespace]).args(arguments);
        let run = helm.stdin(Stdio::null()).kill_on_drop(true).output();
        let run = tokio::time::timeout(PATIENCE, run).await.unwrap_or_else(|_| panic!("helm {arguments:?} doesn't end")).unwrap();
        let [said, warned] = [run.stdout, run.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        // Helm installs an object of which the server takes only a part, and passes the server's warning on.
        assert!(!warned.contains("unknown field") && !warned.contains("duplicate"), "helm {arguments:?}: {warned}");
        if run.status.success() { Ok(said) } else { Err(warned) }
    }

    /// The same where it must succeed.
    ///
    /// # Panics
    /// When it fails.
    pub async fn does(&self, arguments: &[&str]) -> String {
        self.run(arguments).await.unwrap_or_else(|error| panic!("helm {arguments:?}: {error}"))
    }
}
