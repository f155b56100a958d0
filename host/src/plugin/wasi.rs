//! Plugins that import WASI, because their toolchain's libraries do. They're linked with nothing granted: no files, no environment,
//! no arguments, no network; their clocks answer `now`, their randomness is the same in every call, what they print goes to the log.
//! They run on threads of their own: whatever a WASI call does, no worker waits on its own stack for it.
//!
//! `loaded` asks what may be imported and links; `worker` asks questions. Plugins without WASI never come here.

mod clock;
mod host;
mod instance;
mod keeper;
mod meter;
mod output;
mod threads;
mod waiting;

pub use self::{
    host::Linkers,
    instance::{Admitted, Blueprint},
    threads::{INSTANCES, Instances, Threads, count},
    waiting::wait,
};

/// What of WASI 0.2 a component may import, by interface.
const LINKED: [&str; 20] = [
    "cli/environment",
    "cli/exit",
    "cli/stderr",
    "cli/stdin",
    "cli/stdout",
    "cli/terminal-input",
    "cli/terminal-output",
    "cli/terminal-stderr",
    "cli/terminal-stdin",
    "cli/terminal-stdout",
    "clocks/monotonic-clock",
    "clocks/wall-clock",
    "filesystem/preopens",
    "filesystem/types",
    "io/error",
    "io/poll",
    "io/streams",
    "random/insecure",
    "random/insecure-seed",
    "random/random",
];

/// A C library imports these whether or not a program uses them (CPython's does), so the import is allowed, and each function of
/// it is closed: a call is a trap. No code that could open a socket is linked at all.
const CLOSED: &str = "sockets/";

/// Whether an import is part of WASI, and then why a plugin doesn't get it.
pub fn judge(import: &str) -> Option<Result<(), &'static str>> {
    let (interface, version) = import.strip_prefix("wasi:")?.split_once('@').unwrap_or((import, ""));
    Some(if !version.starts_with("0.2.") {
        Err("isn't of WASI 0.2, the version that plugins may import")
    } else if LINKED.contains(&interface) || interface.starts_with(CLOSED) {
        Ok(())
    } else {
        Err("no plugin gets: of WASI there are cli, clocks, filesystem, io and random, with nothing granted")
    })
}

fn is_closed(import: &str) -> bool {
    import.strip_prefix("wasi:").is_some_and(|interface| interface.starts_with(CLOSED))
}

#[cfg(test)]
mod tests;
