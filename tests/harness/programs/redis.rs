//! Redis with nothing on disk, and its own client.

use tokio::process::Command;

use super::{Program, need, output};
use crate::{PATIENCE, free_port};

/// A running `redis-server`.
pub struct Redis {
    pub port: u16,
    _program: Program,
}

impl Redis {
    pub async fn start() -> Self {
        let (server, port) = (need("redis-server", "redis-server"), free_port());
        let number = port.to_string();
        let arguments = ["--port", &number, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"];
        let mut program = Program::start(&server, &arguments, tempfile::tempdir().unwrap());
        program.listens(port).await;
        Self { port, _program: program }
    }
}

/// The client for a port of loopback.
pub fn client(port: u16, arguments: &[&str]) -> Command {
    let mut client = Command::new(need("redis-cli", "redis-tools"));
    // Without a terminal it answers with the bare values.
    client.args(["-h", "127.0.0.1", "-p", &port.to_string()]).args(arguments).kill_on_drop(true);
    client
}

/// What one command answers.
pub async fn ask(port: u16, arguments: &[&str]) -> String {
    output(client(port, arguments), PATIENCE).await.trim_end().to_owned()
}
