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

use super::{bindings::v0_1, host_calls::HostState, wasi, worker::INSTANCES};
use crate::config;

/// The epoch ticks so often; budgets are counted in ticks.
pub const TICK: Duration = Duration::from_millis(1);
/// Plugins of one set at most: what the pool is sized for.
pub const MOST_PLUGINS: usize = 16;
/// Sets of which a worker has instances at most: the one that decides, the one that is prepared to, and one that is asked again by a
/// request that it decided about.
const WORKER_SETS: usize = 3;
/// Sets that run in the background at most: one in the shadow and the one that it's compared with, the one before on probation, and,
/// while those are being ended, a new one that is tried and replayed, with that which decides.
const BACKGROUND_SETS: usize = 6;
/// Sets whose plugins with WASI have instances: the one that decides, the one to return to, a new one, and one that is still draining.
const WASI_SETS: usize = 4;
/// Each takes 4 GiB of addresses, of which a process has 128 TiB. With more than 80 workers there are fewer than two for each
/// instance, with more than 160 sets may be smaller than `MOST_PLUGINS`.
const MOST_MEMORIES: u32 = 16 << 10;
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
    let instances = u32::try_from(instances(workers)).unwrap_or(u32::MAX / 4);
    // A call that can be put off has a stack of its own, as long as it runs; so has a first `configure`.
    let stacks = u32::try_from(wasi::count(workers) * wasi::INSTANCES * MOST_PLUGINS * WASI_SETS + 1).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances * 4)
        .total_memories((instances * 2).min(MOST_MEMORIES))
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

/// Slots of the pool cost addresses, and memory only while they're used.
fn instances(workers: usize) -> usize {
    let of_a_set = INSTANCES * MOST_PLUGINS;
    // The control thread is one as well. A call that is made again has an instance of its own.
    let on_workers = (workers + 1) * (of_a_set * WORKER_SETS + 1);
    // Of each thread for plugins with WASI: those that are kept, and as many again that run one call only.
    let with_wasi = wasi::count(workers) * 2 * wasi::INSTANCES * MOST_PLUGINS * WASI_SETS;
    // A first `configure` is one more.
    on_workers + of_a_set * BACKGROUND_SETS + with_wasi + 1
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

#[cfg(test)]
mod tests;
