//! `wicketgate demo` as somebody starts it, and what it says to them.

use std::{
    path::Path,
    process::{ExitStatus, Stdio},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStdout, Command},
    time::timeout,
};
use wicketgate_tests::{Client, PATIENCE, gateway::binary};

/// A running demonstration on free ports. It's killed when this is dropped.
pub struct Demo {
    process: Child,
    /// Keeps the pipe open: a program may end when nobody reads it.
    output: BufReader<ChildStdout>,
    pub introduction: String,
    pub directory: TempDir,
}

/// One that ended by itself.
pub struct Ended {
    pub status: ExitStatus,
    pub output: String,
    pub errors: String,
}

/// The command, with nothing that it would leave behind.
fn command(arguments: &[&str], directory: &Path) -> Command {
    let mut command = Command::new(binary());
    command.arg("demo").args(arguments).arg("--directory").arg(directory).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs one that can't start.
pub async fn refused(arguments: &[&str], directory: &Path) -> Ended {
    let process = command(arguments, directory).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let output = timeout(PATIENCE, process.wait_with_output()).await.expect("it runs, though it should have been refused").unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { status: output.status, output: text(output.stdout), errors: text(output.stderr) }
}

impl Demo {
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let anywhere = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let mut process = command(&anywhere, directory.path()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut introduction = String::new();
        while !introduction.contains("Ctrl-C") {
            let read = timeout(PATIENCE, output.read_line(&mut introduction)).await.expect("no introduction").unwrap();
            assert!(read > 0, "the demonstration ended after: {introduction:?}");
        }
        Self { process, output, introduction, directory }
    }

    /// What it printed behind a word at the start of a line: `Open`, `Alice`, `Bob` or `All`.
    pub fn link(&self, name: &str) -> String {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let mut lines = self.introduction.lines().map(words);
        let line = lines.find(|words| words.first().is_some_and(|word| word == name) && words.len() > 1);
        line.unwrap_or_else(|| panic!("no link for {name} in {}", self.introduction)).swap_remove(1)
    }

    /// The gateway, without a slash at its end.
    pub fn url(&self) -> String {
        self.link("Open").trim_end_matches('/').to_owned()
    }

    /// Runs a command that it printed, as somebody would who pastes it: by what it begins with.
    pub async fn paste(&self, beginning: &str) {
        let mut lines = self.introduction.lines().map(str::trim);
        let line =
            lines.find(|line| line.starts_with(beginning)).unwrap_or_else(|| panic!("no {beginning} in {}", self.introduction));
        let status = Command::new("sh").args(["-c", line]).status().await.unwrap();
        assert!(status.success(), "{line}: {status}");
    }

    /// Somebody with the cookie of their login; the password is the name.
    pub async fn logged_in(&self, user: &str) -> Client {
        let form = format!("user={user}&password={user}&return=%2F");
        let client = Client::default().with("content-type", "application/x-www-form-urlencoded").with("origin", &self.url());
        let reply = client.post(&format!("{}/login", self.url()), form).await;
        assert_eq!(reply.status, 303, "{}", reply.text());
        let cookie = reply.header("set-cookie").and_then(|cookie| cookie.split(';').next()).expect("no cookie").to_owned();
        // As a browser: what it navigates to is for reading.
        Client::default().with("cookie", &cookie).with("accept", "text/html")
    }

    /// Asks it to end as Ctrl-C does.
    pub async fn interrupt(mut self) -> ExitStatus {
        let pid = self.process.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().await.unwrap().success());
        let mut rest = String::new();
        timeout(PATIENCE, self.output.read_to_string(&mut rest)).await.expect("it goes on").unwrap();
        timeout(PATIENCE, self.process.wait()).await.expect("it goes on").unwrap()
    }
}
