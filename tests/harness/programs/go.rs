//! Programs that no distribution packages, built from their source by Go where they aren't cached.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
};

use super::need;
use crate::cache;

/// A program of a Go module.
#[derive(Clone, Copy)]
pub struct Tool {
    /// With its version: what it's cached as.
    pub name: &'static str,
    /// The text of a `go.mod` that requires it.
    pub module: &'static str,
    pub package: &'static str,
}

// === impl Tool ===

impl Tool {
    /// Where the program is, once it's built.
    ///
    /// # Panics
    /// When it can't be had: a test that needs it can't be passed over.
    pub async fn path(self) -> PathBuf {
        tokio::task::spawn_blocking(move || self.made()).await.unwrap()
    }

    fn made(self) -> PathBuf {
        static MAKING: Mutex<()> = Mutex::new(());
        let _one = MAKING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let directory = cache::directory().join("bin");
        let tool = directory.join(self.name);
        if !tool.exists() {
            std::fs::create_dir_all(&directory).unwrap();
            self.build(&tool);
        }
        tool
    }

    fn build(self, tool: &Path) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("go.mod"), self.module).unwrap();
        let made = directory.path().join("made");
        let run = Command::new(need("go", "golang-go"))
            .args(["build", "-mod=mod", "-trimpath", "-o"])
            .arg(&made)
            .arg(self.package)
            .env("CGO_ENABLED", "0")
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{} can't be built: {}\n{said}", self.name, run.status);
        // Whole at once, for others that look for it.
        let beside = tool.with_extension(std::process::id().to_string());
        std::fs::copy(made, &beside).unwrap();
        std::fs::rename(beside, tool).unwrap();
    }
}
