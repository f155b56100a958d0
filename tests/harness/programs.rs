//! Real programs as peers: found or asked for by the name of their package, each with a directory of its own, a bounded life
//! and an end by its own process id.

pub mod go;
pub mod h2spec;
pub mod redis;
pub mod registry;
pub mod ssh;

use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{PATIENCE, eventually};

pub use redis::Redis;
pub use registry::Registry;
pub use ssh::OpenSsh;

/// A program that outlived the tests, because they were killed, ends by itself after so long.
const LONGEST_LIFE_S: &str = "1800";

/// Where Debian keeps programs for administrators, which aren't on everybody's path.
const FURTHER: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// A running server. It's ended when this is dropped; its directory goes with it.
pub struct Program {
    name: String,
    process: Child,
    home: TempDir,
}

/// Where a program is.
///
/// # Panics
/// When it isn't there: a test that needs it can't be passed over.
pub fn need(program: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(FURTHER.map(PathBuf::from));
    let found = directories.map(|directory| directory.join(program)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("this test needs {program}, which is in Debian's package {package}; tests/packages installs it"))
}

/// Waits for a command that ends by itself and answers its standard output.
///
/// # Panics
/// When it fails or doesn't end in time.
pub async fn output(mut command: tokio::process::Command, patience: Duration) -> String {
    let run = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let Ok(run) = tokio::time::timeout(patience, run).await else { panic!("{command:?}: doesn't end in {patience:?}") };
    let output = run.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {}\n{said}{}", output.status, String::from_utf8_lossy(&output.stderr));
    said
}

// === impl Program ===

impl Program {
    /// Starts `program` with these arguments; `home` is where it writes.
    pub fn start(program: &std::path::Path, arguments: &[&str], home: TempDir) -> Self {
        let name = program.file_name().unwrap().to_string_lossy().into_owned();
        let log = File::create(home.path().join("log")).unwrap();
        // It hands signals on, to all that the program started as well.
        let process = Command::new(need("timeout", "coreutils"))
            .args(["--kill-after=5", LONGEST_LIFE_S])
            .arg(program)
            .args(arguments)
            .env("HOME", home.path())
            .current_dir(home.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name, process, home }
    }

    /// Waits until somebody can connect to a port of it.
    pub async fn listens(&mut self, port: u16) {
        eventually(&format!("{} listens", self.name), async || {
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none(), "{} ended with {ended:?}:\n{}", self.name, self.log());
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok().map(drop)
        })
        .await;
    }

    pub fn home(&self) -> &std::path::Path {
        self.home.path()
    }

    /// Everything that it wrote to its standard output and error so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // By its process id, and nothing else; politely, so that it takes those with it that it started.
        let _ = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        let started = Instant::now();
        while started.elapsed() < PATIENCE && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            println!("the log of {}:\n{}", self.name, self.log());
        }
    }
}
