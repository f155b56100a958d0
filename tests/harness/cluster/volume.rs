//! ConfigMaps of the API server as a projected volume, written by the kubelet's own code.

use std::{io::Write, path::Path, process::Stdio};

use serde_json::json;
use tempfile::TempDir;

use super::{Namespace, tool};

/// A mounted directory. It changes when the test says so, where a kubelet looks about once in a minute.
pub struct Volume {
    directory: TempDir,
    namespace: Namespace,
    maps: Vec<(String, Presence)>,
}

/// Whether a ConfigMap must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Required,
    Optional,
}

// === impl Volume ===

impl Volume {
    /// Mounted once, like a pod's before it starts.
    pub async fn mount(namespace: &Namespace, maps: &[(&str, Presence)]) -> Self {
        let maps = maps.iter().map(|(name, presence)| ((*name).to_owned(), *presence)).collect();
        let directory = tempfile::tempdir().unwrap();
        // As the kubelet makes it, whoever the containers run as.
        std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let volume = Self { directory, namespace: namespace.clone(), maps };
        volume.sync().await.unwrap_or_else(|error| panic!("{error}"));
        volume
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Carries what the server has now.
    ///
    /// # Errors
    /// A ConfigMap isn't there that must be: the volume stays as it was, and the kubelet tries again later.
    pub async fn sync(&self) -> Result<(), String> {
        let mut sources = Vec::new();
        for (name, presence) in &self.maps {
            let found = self.namespace.api.find(&self.namespace.core(&format!("configmaps/{name}"))).await;
            sources.push(json!({"name": name, "optional": *presence == Presence::Optional, "configMap": found}));
        }
        write(self.directory.path(), &json!({"defaultMode": 0o644, "sources": sources}))
    }
}

fn write(directory: &Path, volume: &serde_json::Value) -> Result<(), String> {
    let mut writer = std::process::Command::new(tool("kubelet-mount"));
    writer.arg(directory).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = writer.spawn().unwrap();
    child.stdin.take().unwrap().write_all(volume.to_string().as_bytes()).unwrap();
    let run = child.wait_with_output().unwrap();
    if run.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&run.stderr).into_owned()) }
}
