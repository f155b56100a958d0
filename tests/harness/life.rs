//! What lasts for the whole test binary, and still ends with it, however that ends: children that the system kills, and things
//! that a shell puts away. For what many tests share, since a static value is never dropped.

use std::{
    io,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{LazyLock, Mutex, mpsc},
};

use crate::programs::need;

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// The system kills such a child with the thread that started it. A test's thread ends with the test, so that one of their own
/// starts them all.
static STARTER: LazyLock<Mutex<mpsc::Sender<Order>>> = LazyLock::new(|| {
    let (orders, queue) = mpsc::channel::<Order>();
    std::thread::spawn(move || {
        for (mut command, answer) in queue {
            let _ = answer.send(command.spawn());
        }
    });
    Mutex::new(orders)
});

/// Starts a program that is killed with this process, at the latest.
pub fn spawn(program: &Path, change: impl FnOnce(&mut Command)) -> Child {
    let mut command = Command::new(need("setpriv", "util-linux"));
    command.args(["--pdeathsig", "KILL", "--"]).arg(program).stdin(Stdio::null());
    change(&mut command);
    let (answer, started) = mpsc::channel();
    STARTER.lock().unwrap().send((command, answer)).unwrap();
    started.recv().unwrap().unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

/// A shell that runs its script when this is dropped or the process has ended: it waits for the end of its standard input.
/// Signals from a terminal don't reach it.
pub struct Afterwards {
    shell: Child,
}

impl Afterwards {
    /// `arguments` are the script's `$1` and so on.
    pub fn run(script: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("trap '' HUP INT TERM; cat >/dev/null; {script}"), "afterwards"]).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { shell: command.spawn().unwrap() }
    }

    /// Removes a directory into which processes may still write that are about to end.
    pub fn remove(directory: &Path) -> Self {
        Self::run("for i in 1 2 3 4 5; do rm -rf \"$1\" && break; sleep 0.2; done", &[directory.to_str().unwrap()])
    }
}

impl Drop for Afterwards {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
