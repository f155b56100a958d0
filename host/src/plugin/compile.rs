//! Compilation of a component into machine code, in a child process with limits on memory and CPU: a hostile component can
//! exhaust the compiler, not the gateway. The child is this same program with the hidden command `compile-plugin`.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
    pin::pin,
    process::{Output, Stdio},
    sync::Arc,
    time::Duration,
};

use tokio::{io::AsyncWriteExt, process::Command, sync::Mutex, time::Instant};

mod cached;

use self::cached::Cache;
use super::{engine::compiler_config, private::PrivateDirectory};
use crate::{
    background::{PLUGINS, Stopped},
    config,
};

/// The first try gives way to everything else, so that traffic doesn't feel it. It's looked at after each such time: where it got
/// less than this share of it, the machine is too busy, and it's done again at normal priority. What a gateway leaves of its only
/// core at half load (a tenth to a quarter) is enough.
const LOOK: Duration = Duration::from_secs(5);
const LEAST_SHARE: u32 = 20;

/// Machine code that this program's own compiler made. There is no other way to one.
pub struct Compiled(Vec<u8>);

/// That compile the functions of one component.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Threads {
    One,
    /// As many as there are processors.
    All,
}

/// Compiles components, one at a time.
pub struct Compiler {
    /// The program that is run as the child. None compiles in this process, without limits.
    program: Option<PathBuf>,
    limits: config::Plugins,
    cache: Option<Arc<Cache>>,
    /// To everything else on the machine, at first.
    gives_way: bool,
    one_at_a_time: Mutex<()>,
}

/// Why a component wasn't compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error("the compiler can't be started: {0}")]
    NotStarted(std::io::Error),
    #[error("compilation took longer than {0} s (plugins.compile_timeout_s)")]
    TooSlow(u64),
    #[error("{0}")]
    Refused(String),
}

// === impl Compiled ===

impl Compiled {
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn in_process(component: &[u8], threads: Threads) -> Result<Self, CompileError> {
        let mut config = compiler_config();
        config.parallel_compilation(threads == Threads::All);
        let compile = || wasmtime::Engine::new(&config)?.precompile_component(component);
        compile().map(Self).map_err(|error| CompileError::Refused(format!("{error:#}")))
    }
}

// === impl Compiler ===

impl Compiler {
    /// For the gateway, whose requests go before. `program` is run as the child: that's itself. With a private directory, what was
    /// compiled is kept there.
    pub fn new(program: PathBuf, limits: &config::Plugins, private: Option<&PrivateDirectory>) -> Self {
        let cache = private.and_then(Cache::within).map(Arc::new);
        Self { cache, gives_way: true, ..Self::at_once(program, limits) }
    }

    /// For people who wait for it.
    pub fn at_once(program: PathBuf, limits: &config::Plugins) -> Self {
        Self { program: Some(program), ..Self::in_process(limits) }
    }

    /// For benchmarks and tests, which have no program of ours to run as a child: never for components of strangers.
    pub fn in_process(limits: &config::Plugins) -> Self {
        Self { program: None, limits: limits.clone(), cache: None, gives_way: false, one_at_a_time: Mutex::new(()) }
    }

    /// Compiles a component. Takes 20 to 100 ms for a Rust plugin, seconds for an interpreter.
    pub async fn compile(&self, component: &[u8]) -> Result<Compiled, CompileError> {
        let _turn = self.one_at_a_time.lock().await;
        let Some(cache) = &self.cache else { return self.compile_anew(component).await };
        // Digests of so much and the disk would hold up everything else on this thread.
        let stopped = |error: Stopped| CompileError::Refused(format!("looking for what was compiled before was stopped: {error}"));
        let (within, wanted) = (Arc::clone(cache), Arc::<[u8]>::from(component));
        let content = Arc::clone(&wanted);
        if let Some(known) = PLUGINS.run(move || within.find(&content)).await.map_err(stopped)? {
            return Ok(known);
        }
        let (within, compiled) = (Arc::clone(cache), self.compile_anew(component).await?);
        let keep = move || {
            within.keep(&wanted, &compiled);
            compiled
        };
        PLUGINS.run(keep).await.map_err(stopped)
    }

    async fn compile_anew(&self, component: &[u8]) -> Result<Compiled, CompileError> {
        let Some(program) = &self.program else { return Compiled::in_process(component, Threads::All) };
        let timeout = Duration::from_secs(self.limits.compile_timeout_s);
        if self.gives_way
            && let Some(done) = self.try_gently(program, component, timeout).await
        {
            return done;
        }
        let (_, compiled) = self.start(program, component, "normal")?;
        let too_slow = |_| CompileError::TooSlow(self.limits.compile_timeout_s);
        tokio::time::timeout(timeout, compiled).await.map_err(too_slow)?
    }

    /// None when it was starved.
    async fn try_gently(&self, program: &Path, component: &[u8], timeout: Duration) -> Option<Result<Compiled, CompileError>> {
        let (pid, compiled) = match self.start(program, component, "lowest") {
            Ok(started) => started,
            Err(error) => return Some(Err(error)),
        };
        let (mut compiled, mut used, ends) = (pin!(compiled), Duration::ZERO, Instant::now() + timeout);
        loop {
            if let Ok(done) = tokio::time::timeout_at(ends.min(Instant::now() + LOOK), &mut compiled).await {
                return Some(done);
            }
            let now = pid.and_then(processor_time)?;
            if Instant::now() >= ends {
                return is_slow(now, timeout).then_some(Err(CompileError::TooSlow(timeout.as_secs())));
            }
            if now.saturating_sub(used) < LOOK / LEAST_SHARE {
                return None;
            }
            used = now;
        }
    }

    /// A running child, which is killed when this is dropped.
    fn start<'a>(
        &'a self,
        program: &Path,
        component: &'a [u8],
        priority: &str,
    ) -> Result<(Option<u32>, impl Future<Output = Result<Compiled, CompileError>> + use<'a>), CompileError> {
        let mut child = Command::new(program)
            .arg("compile-plugin")
            .args(["--memory-mib", &self.limits.compile_memory_mib.to_string()])
            .args(["--cpu-s", &self.limits.compile_timeout_s.to_string()])
            .args(["--priority", priority])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(CompileError::NotStarted)?;
        let (pid, stdin) = (child.id(), child.stdin.take());
        let feed = async move {
            if let Some(mut stdin) = stdin {
                // A child that dies early closes the pipe; its exit status tells more than this error.
                let _ = stdin.write_all(component).await;
            }
        };
        Ok((pid, async move {
            let ((), output) = tokio::join!(feed, child.wait_with_output());
            self.take(output.map_err(CompileError::NotStarted)?)
        }))
    }

    fn take(&self, output: Output) -> Result<Compiled, CompileError> {
        if output.status.success() {
            return Ok(Compiled(output.stdout));
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said: String = said.trim().chars().take(500).collect();
        Err(CompileError::Refused(if said.is_empty() {
            format!(
                "the compiler ended with {}: more than {} MiB of memory (plugins.compile_memory_mib) or {} s of CPU",
                output.status, self.limits.compile_memory_mib, self.limits.compile_timeout_s
            )
        } else {
            said
        }))
    }
}

/// Of a component that isn't compiled when its time is over: it was its own work that took so long, and not that others had the
/// processor. Another try would take that from requests for nothing.
fn is_slow(used: Duration, timeout: Duration) -> bool {
    used >= timeout / 2
}

/// This process runs from now on when no other wants to. Niceness alone is a share over time: who has the processor isn't
/// interrupted at once when a request comes.
#[expect(unsafe_code, reason = "there's no safe way to this system call among what we use")]
fn give_way() {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the call reads one `sched_param`, which lives until it returns.
    let _ = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters) };
}

/// Of a process with all its threads, so far. Not from /proc: what was looked up there is taken out of the kernel's cache when the
/// process is reaped, and that waits for whoever is busy with it.
#[expect(unsafe_code, reason = "there's no safe way to this clock among what we use")]
fn processor_time(pid: u32) -> Option<Duration> {
    let (mut clock, mut time) = (0, libc::timespec { tv_sec: 0, tv_nsec: 0 });
    // SAFETY: each call writes to the one value that it's given, which lives until it returns.
    let failed = unsafe {
        libc::clock_getcpuclockid(pid.try_into().ok()?, &raw mut clock) != 0 || libc::clock_gettime(clock, &raw mut time) != 0
    };
    let time = (time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?);
    (!failed).then(|| Duration::new(time.0, time.1))
}

/// The child's side: a component on standard input, machine code on standard output, a sentence on standard error.
///
/// # Errors
/// Why it wasn't compiled.
pub fn compile_standard_input(memory_mib: u64, cpu_s: u64, gentle: bool) -> Result<(), String> {
    use rustix::process::{Resource, Rlimit, nice, setrlimit};
    let limit = |resource, value| {
        setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })
            .map_err(|error| format!("the limit {resource:?} can't be set to {value}: {error}"))
    };
    limit(Resource::As, memory_mib << 20)?;
    limit(Resource::Cpu, cpu_s)?;
    limit(Resource::Core, 0)?;
    if gentle {
        // For where the other isn't allowed. Without both, compilation only competes with traffic: not a reason to refuse.
        let _ = nice(19);
        give_way();
    }
    let mut component = Vec::new();
    std::io::stdin().read_to_end(&mut component).map_err(|error| format!("standard input: {error}"))?;
    // While it exits, a thread that nobody lets run would hold up whoever reaps the process, in the kernel and for seconds: where
    // there's one thread, nothing of it is left to run by then.
    let threads = if gentle { Threads::One } else { Threads::All };
    let compiled = Compiled::in_process(&component, threads).map_err(|error| error.to_string())?;
    std::io::stdout().write_all(compiled.bytes()).map_err(|error| format!("standard output: {error}"))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn compiler(directory: &Path, script: &str) -> Compiler {
        let program = directory.join("compiler");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Compiler::new(program, &config::Plugins::default(), None)
    }

    #[tokio::test]
    async fn a_child_that_gets_no_processor_is_replaced_by_one_of_normal_priority() {
        let directory = tempfile::tempdir().unwrap();
        let script = "case \"$*\" in *lowest*) exec sleep 1000 ;; esac; /bin/cat";
        let compiled = compiler(directory.path(), script).compile(b"a component").await.unwrap();
        assert_eq!(compiled.bytes(), b"a component");
    }

    #[test]
    fn whoever_had_half_of_the_time_is_slow_by_itself() {
        let minute = Duration::from_secs(60);
        assert!(is_slow(Duration::from_secs(30), minute));
        assert!(!is_slow(Duration::from_secs(29), minute));
    }

    #[tokio::test]
    async fn what_a_child_says_is_the_reason() {
        let directory = tempfile::tempdir().unwrap();
        let refused = compiler(directory.path(), "/bin/cat >&2; exit 1").compile(b"too bad").await.err().unwrap();
        assert_eq!(refused.to_string(), "too bad");
    }

    #[test]
    fn processor_time_is_that_of_all_threads() {
        const SPUN: Duration = Duration::from_millis(30);
        let before = processor_time(std::process::id()).unwrap();
        let spin = move || while processor_time(std::process::id()).unwrap() < before + SPUN {};
        std::thread::spawn(spin).join().unwrap();
        assert!(processor_time(std::process::id()).unwrap() >= before + SPUN);
        let mut gone = std::process::Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        assert_eq!(processor_time(gone.id()), None);
    }
}
