//! The child that compiles: how much of the machine it may take, and how.

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
    time::Duration,
};

use wicketgate_tests::{components, gateway};

/// Where it gives way to all others it mustn't have a second thread: one that doesn't get to exit holds up the gateway that reaps it.
#[test]
fn a_child_that_gives_way_has_one_thread() {
    for (_, component) in components::DEFAULTS {
        let mut child = Command::new(gateway::binary())
            .args(["compile-plugin", "--memory-mib", "2048", "--cpu-s", "60", "--priority", "lowest"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let tasks = format!("/proc/{}/task", child.id());
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let reading = std::thread::spawn(move || {
            let mut code = Vec::new();
            stdout.read_to_end(&mut code).map(|_| code)
        });
        stdin.write_all(component).unwrap();
        drop(stdin);
        let mut most = 0;
        while child.try_wait().unwrap().is_none() {
            most = most.max(std::fs::read_dir(&tasks).map_or(0, Iterator::count));
            // It gives way to this one, too.
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(child.wait().unwrap().success());
        assert!(!reading.join().unwrap().unwrap().is_empty());
        assert_eq!(most, 1);
    }
}
