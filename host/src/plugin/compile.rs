//! Compilation of a component into machine code, in a child process with limits on memory and CPU: a hostile component can
//! exhaust the compiler, not the gateway. The child is this same program with the hidden command `compile-plugin`.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{io::AsyncWriteExt, process::Command, sync::Mutex};

mod cached;

use self::cached::Cache;
use super::{engine::compiler_config, private::PrivateDirectory};
use crate::config;

/// The first try runs at the lowest priority so that traffic doesn't feel it; after this time a busy machine may have starved
/// it, and it's done again at normal priority.
const GENTLE: Duration = Duration::from_millis(300);

/// Machine code that this program's own compiler made. There is no other way to one.
pub struct Compiled(Vec<u8>);

/// Compiles components, one at a time.
pub struct Compiler {
    /// The program that is run as the child. None compiles in this process, without limits.
    program: Option<PathBuf>,
    limits: config::Plugins,
    cache: Option<Cache>,
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

    fn in_process(component: &[u8]) -> Result<Self, CompileError> {
        let compile = || wasmtime::Engine::new(&compiler_config())?.precompile_component(component);
        compile().map(Self).map_err(|error| CompileError::Refused(format!("{error:#}")))
    }
}

// === impl Compiler ===

impl Compiler {
    /// `program` is run as the child; for the gateway that's itself. With a private directory, what was compiled is kept there.
    pub fn new(program: PathBuf, limits: &config::Plugins, private: Option<&PrivateDirectory>) -> Self {
        let cache = private.and_then(Cache::within);
        Self { program: Some(program), limits: limits.clone(), cache, one_at_a_time: Mutex::new(()) }
    }

    /// For benchmarks and tests, which have no program of ours to run as a child: never for components of strangers.
    pub fn in_process(limits: &config::Plugins) -> Self {
        Self { program: None, limits: limits.clone(), cache: None, one_at_a_time: Mutex::new(()) }
    }

    /// Compiles a component. Takes 20 to 100 ms for a Rust plugin, seconds for an interpreter.
    pub async fn compile(&self, component: &[u8]) -> Result<Compiled, CompileError> {
        let _turn = self.one_at_a_time.lock().await;
        if let Some(known) = self.cache.as_ref().and_then(|cache| cache.find(component)) {
            return Ok(known);
        }
        let compiled = self.compile_anew(component).await?;
        if let Some(cache) = &self.cache {
            cache.keep(component, &compiled);
        }
        Ok(compiled)
    }

    async fn compile_anew(&self, component: &[u8]) -> Result<Compiled, CompileError> {
        let Some(program) = &self.program else { return Compiled::in_process(component) };
        if let Ok(done) = tokio::time::timeout(GENTLE, self.run(program, component, "lowest")).await {
            return done;
        }
        let timeout = Duration::from_secs(self.limits.compile_timeout_s);
        match tokio::time::timeout(timeout, self.run(program, component, "normal")).await {
            Ok(done) => done,
            Err(_) => Err(CompileError::TooSlow(self.limits.compile_timeout_s)),
        }
    }

    async fn run(&self, program: &Path, component: &[u8], priority: &str) -> Result<Compiled, CompileError> {
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
        let stdin = child.stdin.take();
        let feed = async move {
            if let Some(mut stdin) = stdin {
                // A child that dies early closes the pipe; its exit status tells more than this error.
                let _ = stdin.write_all(component).await;
            }
        };
        let ((), output) = tokio::join!(feed, child.wait_with_output());
        let output = output.map_err(CompileError::NotStarted)?;
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
        // Without it, compilation only competes with traffic: not a reason to refuse.
        let _ = nice(19);
    }
    let mut component = Vec::new();
    std::io::stdin().read_to_end(&mut component).map_err(|error| format!("standard input: {error}"))?;
    let compiled = Compiled::in_process(&component).map_err(|error| error.to_string())?;
    std::io::stdout().write_all(compiled.bytes()).map_err(|error| format!("standard output: {error}"))
}
