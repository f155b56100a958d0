//! The Wasm engine: one for the process, with its clock, its pool and one linker per kind of plugin. It knows how to make
//! compiled code runnable, and nothing of what a plugin decides.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use wasmtime::{
    InstanceAllocationStrategy, PoolingAllocationConfig,
    component::{Component, HasSelf, Linker},
};

use super::{bindings::v0_1, host_calls::HostState, wasi};
use crate::config;

/// The epoch ticks so often; budgets are counted in ticks.
pub const TICK: Duration = Duration::from_millis(1);
/// Plugins of one set at most: what the pool is sized for.
pub const MOST_PLUGINS: usize = 16;
/// Sets alive at a time at most: the one that serves, the one that is being admitted, one that is still draining.
const LIVE_SETS: usize = 3;
const WASM_STACK_BYTES: usize = 512 * 1024;
/// Rust's components have one; those of other languages have small ones beside it, of the adapters that their tools link in.
const MEMORIES: u32 = 4;
/// What a guest may hand to the host in one call, in bytes: the host allocates it before it can judge it.
const CALL_OUTPUT_BYTES: usize = 256 * 1024;

/// What runs plugins. Cheap to share, never cloned: it lives in an `Arc` for the life of the process.
pub struct Engine {
    wasm: wasmtime::Engine,
    pub(super) authenticators: Linker<HostState>,
    pub(super) filters: Linker<HostState>,
    pub(super) policies: Linker<HostState>,
    /// For plugins that import WASI.
    pub(super) with_wasi: wasi::Linkers,
    pub(super) wasi_threads: wasi::Threads,
    pub(super) limits: config::Plugins,
    next_key: AtomicU64,
}

/// The engine can't be made on this machine.
#[derive(Debug, thiserror::Error)]
#[error("the Wasm engine can't start: {0}")]
pub struct EngineError(String);

// === impl Engine ===

impl Engine {
    /// An engine with room for `workers` threads, and the thread that ticks its epoch.
    pub fn new(limits: &config::Plugins, workers: usize) -> Result<Self, EngineError> {
        let start = || -> wasmtime::Result<Self> {
            let mut config = compiler_config();
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits, workers)));
            let wasm = wasmtime::Engine::new(&config)?;
            tick(&wasm)?;
            let mut authenticators = Linker::new(&wasm);
            v0_1::Authenticator::add_to_linker::<_, HasSelf<_>>(&mut authenticators, |state: &mut HostState| state)?;
            let mut filters = Linker::new(&wasm);
            v0_1::DiscoveryFilter::add_to_linker::<_, HasSelf<_>>(&mut filters, |state: &mut HostState| state)?;
            let mut policies = Linker::new(&wasm);
            v0_1::RoutingPolicy::add_to_linker::<_, HasSelf<_>>(&mut policies, |state: &mut HostState| state)?;
            let with_wasi = wasi::Linkers::new(&wasm)?;
            let wasi_threads = wasi::Threads::new(&wasm, workers);
            let (limits, next_key) = (limits.clone(), AtomicU64::new(1));
            Ok(Self { wasm, authenticators, filters, policies, with_wasi, wasi_threads, limits, next_key })
        };
        start().map_err(|error| EngineError(format!("{error:#}")))
    }

    pub(super) fn wasm(&self) -> &wasmtime::Engine {
        &self.wasm
    }

    /// A number that no other loaded plugin of this process has.
    pub(super) fn fresh_key(&self) -> u64 {
        self.next_key.fetch_add(1, Ordering::Relaxed)
    }

    /// Makes machine code runnable that this program compiled itself.
    #[expect(unsafe_code, reason = "machine code can't be checked: the safety comment says why it's ours")]
    pub(super) fn runnable(&self, compiled: &super::compile::Compiled) -> Result<Component, String> {
        // SAFETY: `Compiled` is only made from the output of our own compiler, through a pipe that nobody else holds or a
        // private directory keyed by digest; bytes from a plugin directory never become a `Compiled`.
        unsafe { Component::deserialize(&self.wasm, compiled.bytes()) }.map_err(|error| format!("{error:#}"))
    }
}

/// The settings that compiling and running must share.
pub fn compiler_config() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config.wasm_component_model(true);
    config.epoch_interruption(true);
    config.max_wasm_stack(WASM_STACK_BYTES);
    // Backtraces in logs name the guest's functions; an attacker's loop must not make us collect deep ones.
    config.wasm_backtrace_max_frames(std::num::NonZeroUsize::new(8));
    config
}

/// What one call may copy out of a guest.
pub fn call_output_bytes() -> usize {
    CALL_OUTPUT_BYTES
}

fn pool(limits: &config::Plugins, workers: usize) -> PoolingAllocationConfig {
    let plugins = MOST_PLUGINS * LIVE_SETS;
    // For each worker, and for the control thread that filters and admits: an instance and a spare of each plugin. For each thread of
    // plugins with WASI: those that are kept, and as many again that run one call only.
    let instances = (workers + 2) * 2 * plugins + wasi::count(workers) * 2 * wasi::INSTANCES * plugins;
    let instances = u32::try_from(instances).unwrap_or(u32::MAX);
    // A call that can be put off has a stack of its own, as long as it runs; so has a first `configure`.
    let stacks = u32::try_from(wasi::count(workers) * wasi::INSTANCES * plugins + 1).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances * 4)
        .total_memories(instances * 2)
        .total_tables(instances * 2)
        .total_stacks(stacks)
        .max_memory_size(limits.memory_mib << 20)
        .max_memories_per_component(MEMORIES)
        .max_core_instances_per_component(64)
        .max_tables_per_component(8)
        .table_elements(20_000)
        // Reuse without a system call: the pages that a default plugin touches stay.
        .linear_memory_keep_resident(64 * 1024)
        .table_keep_resident(16 * 1024);
    pool
}

/// A thread of the operating system, because a busy worker could starve a task. It ends with the engine.
fn tick(engine: &wasmtime::Engine) -> std::io::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new().name("plugin-clock".into()).spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    })?;
    Ok(())
}
