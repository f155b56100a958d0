//! A person's program that uses the real ClearML SDK, and what it says line by line.

use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};
use wicketgate_tests::{Clearml, PATIENCE, python};

/// Alice's program, killed when this is dropped: how the SDK winds up is its own affair, and may take minutes.
pub struct Task<'a> {
    clearml: &'a Clearml,
    _process: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    _home: TempDir,
}

impl<'a> Task<'a> {
    /// Starts a program of `fixtures` with this release of the SDK, as a task whose address is this.
    pub async fn start(clearml: &'a Clearml, version: &'static str, program: &str, arguments: &[&str], address: &str) -> Self {
        let python = tokio::task::spawn_blocking(move || python::with_package("clearml", version)).await.unwrap();
        let home = tempfile::tempdir().unwrap();
        let mut process = Command::new(python)
            .arg(format!("{}/fixtures/{program}", env!("CARGO_MANIFEST_DIR")))
            .args(arguments)
            .envs(clearml.environment("alice"))
            // What a task's address is said to be; otherwise the SDK takes the machine's.
            .env("CLEARML_AGENT_HOST_IP", address)
            .env("HOME", home.path())
            // The SDK locks a file of the task's name there.
            .env("TMPDIR", home.path())
            .env_remove("CLEARML_CONFIG_FILE")
            .current_dir(home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { clearml, _process: process, input, lines, _home: home }
    }

    /// The next line of JSON; the SDK has things to say as well.
    pub async fn tells(&mut self) -> Value {
        let mut said = Vec::new();
        let told = tokio::time::timeout(PATIENCE, async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                match serde_json::from_str::<Value>(&line) {
                    Ok(told) if told.is_object() => return Some(told),
                    _ => said.push(line),
                }
            }
            None
        });
        let Ok(Some(told)) = told.await else {
            let calls: Vec<_> = self.clearml.calls().into_iter().filter(|call| call.user != "root").map(|call| call.name).collect();
            panic!("nothing is told; the task said:\n{}\nand called {calls:?}", said.join("\n"));
        };
        told
    }

    /// Gives it a line, and answers what it tells then.
    pub async fn asked_to(&mut self, act: &str) -> Value {
        self.input.write_all(format!("{act}\n").as_bytes()).await.unwrap();
        self.tells().await
    }
}
