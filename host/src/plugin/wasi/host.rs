//! What WASI is here, and the linkers that offer it beside the contract.

use wasmtime::component::{Component, HasSelf, InstancePre, Linker, ResourceTable, ResourceType, types::ComponentItem};
use wasmtime_wasi::{
    WasiCtx, WasiCtxView, WasiView,
    cli::{WasiCli, WasiCliView as _},
    filesystem::{WasiFilesystem, WasiFilesystemView as _},
    p2::{
        DynInputStream, DynOutputStream, DynPollable, IoError,
        bindings::{cli, clocks, filesystem, random},
    },
};

use super::{
    clock::{Clock, ClockView, HasClock},
    is_closed,
    meter::Meter,
    output::{Output, Pipe, Stream},
};
use crate::plugin::{
    Kind,
    bindings::v0_1,
    host_calls::{CallState, HostState},
    instance::Budget,
};

/// The same for everybody and always: nothing may depend on it.
const SEED: u64 = 0x7769_636b_6574;
/// The host allocates them.
const MOST_RANDOM_BYTES: u64 = 64 * 1024;
/// Streams, timers and errors that a guest holds at a time. The table is on the host's side, and lives as long as the instance.
const MOST_RESOURCES: usize = 1024;

/// What the host keeps for one instance.
pub struct WasiState {
    pub host: HostState,
    pub clock: Clock,
    pub meter: Meter,
    output: Output,
    random: Random,
    ctx: WasiCtx,
    table: ResourceTable,
}

/// The same numbers in every call.
struct Random(fastrand::Rng);

/// The contract of each kind, with WASI.
pub struct Linkers {
    authenticators: Linker<WasiState>,
    filters: Linker<WasiState>,
    policies: Linker<WasiState>,
}

/// The guest asked for what no plugin gets.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("called {0}, which isn't granted to any plugin")]
    Closed(String),
    #[error("asked for {0} random bytes, at most {MOST_RANDOM_BYTES}")]
    RandomBytes(u64),
}

// === impl WasiState ===

impl WasiState {
    pub fn new(host: HostState) -> Self {
        let output = Output::default();
        let pipe = |stream| Pipe { output: output.clone(), stream };
        // Whatever isn't set is empty or closed.
        let ctx = WasiCtx::builder().stdout(pipe(Stream::Out)).stderr(pipe(Stream::Error)).build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(MOST_RESOURCES);
        Self { host, clock: Clock::default(), meter: Meter::new(), output, random: Random::restart(), ctx, table }
    }

    /// Everything that a guest could see is as in any other call with the same inputs.
    pub fn begin(&mut self, mut call: CallState, budget: Budget) {
        call.budget = budget;
        self.clock.set(call.now);
        self.meter.begin(budget);
        self.random = Random::restart();
        self.host.call = call;
    }

    /// What the guest printed goes into the log.
    pub fn end(&mut self) {
        self.output.log(&mut self.host);
    }

    fn clocks(&mut self) -> ClockView<'_> {
        ClockView { clock: &self.clock, table: &mut self.table }
    }
}

impl WasiView for WasiState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.ctx, table: &mut self.table }
    }
}

// === impl Linkers ===

impl Linkers {
    pub fn new(engine: &wasmtime::Engine) -> wasmtime::Result<Self> {
        let mut authenticators = wasi(engine)?;
        v0_1::Authenticator::add_to_linker::<_, HasSelf<HostState>>(&mut authenticators, |state| &mut state.host)?;
        let mut filters = wasi(engine)?;
        v0_1::DiscoveryFilter::add_to_linker::<_, HasSelf<HostState>>(&mut filters, |state| &mut state.host)?;
        let mut policies = wasi(engine)?;
        v0_1::RoutingPolicy::add_to_linker::<_, HasSelf<HostState>>(&mut policies, |state| &mut state.host)?;
        Ok(Self { authenticators, filters, policies })
    }

    pub fn link(&self, component: &Component, kind: Kind) -> wasmtime::Result<InstancePre<WasiState>> {
        let mut linker = match kind {
            Kind::Authenticator => self.authenticators.clone(),
            Kind::DiscoveryFilter => self.filters.clone(),
            Kind::RoutingPolicy => self.policies.clone(),
        };
        close(&mut linker, component)?;
        linker.instantiate_pre(component)
    }
}

/// WASI alone. Nothing of sockets is in it.
fn wasi(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<WasiState>> {
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    // Streams, polling and standard streams; its clocks and randomness are replaced by ours.
    wasmtime_wasi::p2::add_to_linker_proxy_interfaces_async(l)?;
    cli::environment::add_to_linker::<_, WasiCli>(l, WasiState::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(l, WasiState::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(l, WasiState::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(l, WasiState::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(l, WasiState::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(l, WasiState::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(l, WasiState::cli)?;
    filesystem::preopens::add_to_linker::<_, WasiFilesystem>(l, WasiState::filesystem)?;
    filesystem::types::add_to_linker::<_, WasiFilesystem>(l, WasiState::filesystem)?;
    l.allow_shadowing(true);
    clocks::wall_clock::add_to_linker::<_, HasClock>(l, WasiState::clocks)?;
    clocks::monotonic_clock::add_to_linker::<_, HasClock>(l, WasiState::clocks)?;
    random::random::add_to_linker::<_, HasSelf<Random>>(l, |state| &mut state.random)?;
    random::insecure::add_to_linker::<_, HasSelf<Random>>(l, |state| &mut state.random)?;
    random::insecure_seed::add_to_linker::<_, HasSelf<Random>>(l, |state| &mut state.random)?;
    l.allow_shadowing(false);
    Ok(linker)
}

/// Gives what a component imports of closed interfaces: functions that trap.
fn close(linker: &mut Linker<WasiState>, component: &Component) -> wasmtime::Result<()> {
    let engine = component.engine();
    for (import, item) in component.component_type().imports(engine).filter(|(import, _)| is_closed(import)) {
        let ComponentItem::ComponentInstance(interface) = item.ty else { continue };
        let mut instance = linker.instance(import)?;
        for (name, item) in interface.exports(engine) {
            match item.ty {
                ComponentItem::ComponentFunc(_) => {
                    let called = format!("{import}.{name}");
                    instance.func_new(name, move |_, _, _, _| Err(Refused::Closed(called.clone()).into()))?;
                }
                ComponentItem::Resource(_) => instance.resource(name, resource(name), |_, _| Ok(()))?,
                _ => {}
            }
        }
    }
    Ok(())
}

/// The type behind a resource of a closed interface: what it takes over from `wasi:io` is what it is there.
fn resource(name: &str) -> ResourceType {
    match name {
        "pollable" => ResourceType::host::<DynPollable>(),
        "input-stream" => ResourceType::host::<DynInputStream>(),
        "output-stream" => ResourceType::host::<DynOutputStream>(),
        "error" => ResourceType::host::<IoError>(),
        // Nobody ever has one.
        _ => ResourceType::host::<Refused>(),
    }
}

// === impl Random ===

impl Random {
    fn restart() -> Self {
        Self(fastrand::Rng::with_seed(SEED))
    }

    fn bytes(&mut self, count: u64) -> wasmtime::Result<Vec<u8>> {
        if count > MOST_RANDOM_BYTES {
            return Err(Refused::RandomBytes(count).into());
        }
        let mut bytes = vec![0; usize::try_from(count)?];
        self.0.fill(&mut bytes);
        Ok(bytes)
    }
}

impl random::random::Host for Random {
    fn get_random_bytes(&mut self, count: u64) -> wasmtime::Result<Vec<u8>> {
        self.bytes(count)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.0.u64(..))
    }
}

impl random::insecure::Host for Random {
    fn get_insecure_random_bytes(&mut self, count: u64) -> wasmtime::Result<Vec<u8>> {
        self.bytes(count)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.0.u64(..))
    }
}

impl random::insecure_seed::Host for Random {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((SEED, SEED))
    }
}
