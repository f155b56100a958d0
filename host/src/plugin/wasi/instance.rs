//! One running instance of a plugin that imports WASI, on one of the threads for them: as `plugin/instance.rs`, with calls that can be
//! put off and given up at any point.

use std::sync::{Arc, OnceLock, atomic::AtomicUsize};

use wasmtime::{
    Store, UpdateDeadline,
    component::{ComponentNamedList, Instance as Linked, InstancePre, Lift, Lower, TypedFunc},
};
use wasmtime_wasi::{I32Exit, ResourceTableError};

use super::host::{Refused, WasiState};
use crate::{
    domain::Timestamp,
    plugin::{
        Kind, PluginName,
        bindings::v0_1::{authentication, discovery, routing, types},
        engine::call_output_bytes,
        fault::{Fault, FaultKind},
        host_calls::{CallState, HostState, Verification},
        instance::{self, Budget, CONFIGURE_MS, MOST_CALLS},
        loaded::{Declaration, LoadError, interface_name},
        question::{Answer, Ask, Question},
    },
};

/// What a thread needs to know of a plugin.
pub struct Blueprint {
    pub name: Arc<PluginName>,
    pub key: u64,
    pub kind: Kind,
    pub config: String,
    pub memory_bytes: usize,
    /// What of WASI it imports.
    pub imports: Vec<String>,
    pub pre: InstancePre<WasiState>,
    /// Set when it was configured first.
    pub admitted: OnceLock<Admitted>,
    /// Calls that wait or run.
    pub calls: AtomicUsize,
}

/// What the first configuration said.
pub struct Admitted {
    pub verifications: Arc<[Verification]>,
    pub declaration: Declaration,
}

/// What came of a call, with what the host saw.
pub type Asked = (Result<Answer, Fault>, CallState);

/// A guest with its memory.
pub struct WasiInstance {
    store: Store<WasiState>,
    configure: TypedFunc<(String,), (Result<types::Declaration, types::Error>,)>,
    decide: Decide,
    plugin: Arc<PluginName>,
    calls: u64,
}

type Function<Q, A> = TypedFunc<(Q,), (Result<A, types::Error>,)>;

enum Decide {
    Authenticate(Function<authentication::Request, authentication::Decision>),
    Route(Function<routing::Request, routing::Decision>),
    Filter(Function<discovery::Candidate, discovery::Verdict>),
}

// === impl Blueprint ===

impl Blueprint {
    pub fn fault(&self, kind: FaultKind, message: impl Into<String>) -> Fault {
        Fault::new(&self.name, kind, message)
    }

    /// The answer to this question.
    pub fn expect<Q: Ask>(&self, answer: Answer) -> Result<Q::Answer, Fault> {
        Q::Answer::try_from(answer).map_err(|_| self.fault(FaultKind::Instance, "answered another question"))
    }
}

// === impl WasiInstance ===

impl WasiInstance {
    /// An instance that isn't configured yet.
    pub async fn instantiate(engine: &wasmtime::Engine, plugin: &Blueprint, now: Timestamp) -> Result<Self, Fault> {
        let verifications = plugin.admitted.get().map(|admitted| Arc::clone(&admitted.verifications)).unwrap_or_default();
        let host = HostState::new(Arc::clone(&plugin.name), verifications, plugin.memory_bytes);
        let mut store = Store::new(engine, WasiState::new(host));
        store.limiter(|state| &mut state.host);
        store.set_hostcall_fuel(call_output_bytes());
        store.epoch_deadline_callback(|context| {
            context.data().meter.end_turn()?;
            Ok(UpdateDeadline::Yield(1))
        });
        begin(&mut store, CallState::at(now), Budget::new(CONFIGURE_MS));
        let linked = run(&mut store, async |store| plugin.pre.instantiate_async(store).await).await;
        let functions = linked.and_then(|linked| {
            let configure = function(&mut store, &linked, plugin.kind, "configure")?;
            Ok((configure, Decide::of(&mut store, &linked, plugin.kind)?))
        });
        let (configure, decide) = functions.map_err(|error| instance::stillborn(&plugin.name, &error))?;
        Ok(Self { store, configure, decide, plugin: Arc::clone(&plugin.name), calls: 0 })
    }

    /// An instance ready for calls, which declared what the plugin declared at first.
    pub async fn ready(engine: &wasmtime::Engine, plugin: &Blueprint, now: Timestamp) -> Result<Self, Fault> {
        let mut instance = Self::instantiate(engine, plugin, now).await?;
        let declared = instance.configure(plugin, now).await;
        match plugin.admitted.get() {
            Some(admitted) => instance::compare(&plugin.name, declared, &admitted.declaration)?,
            None => return Err(plugin.fault(FaultKind::Instance, "it was never configured")),
        }
        Ok(instance)
    }

    /// Calls `configure` and parses what it declares.
    pub async fn configure(&mut self, plugin: &Blueprint, now: Timestamp) -> Result<Declaration, LoadError> {
        begin(&mut self.store, CallState::at(now), Budget::new(CONFIGURE_MS));
        let (configure, config) = (self.configure, plugin.config.clone());
        let answer = run(&mut self.store, async |store| configure.call_async(store, (config,)).await).await;
        let (declared,) = answer.map_err(|error| fault(&self.plugin, &error))?;
        let declared = declared.map_err(|error| LoadError::Configure(instance::error_in_words(error)))?;
        Declaration::parse(declared, plugin.kind)
    }

    /// Asks, and answers with what the host saw during the call.
    pub async fn ask(&mut self, question: Question, state: CallState, budget: Budget) -> Asked {
        let now = state.now;
        let answer = self.answer(question, state, budget).await;
        (answer, std::mem::replace(&mut self.store.data_mut().host.call, CallState::at(now)))
    }

    async fn answer(&mut self, question: Question, state: CallState, budget: Budget) -> Result<Answer, Fault> {
        self.calls += 1;
        begin(&mut self.store, state, budget);
        let answer = match (&self.decide, question) {
            (Decide::Authenticate(function), Question::Authenticate(request)) => {
                let answer = run(&mut self.store, async |store| function.call_async(store, (request,)).await).await;
                answer.map(|(answer,)| answer.map(Answer::Authentication))
            }
            (Decide::Route(function), Question::Route(request)) => {
                let answer = run(&mut self.store, async |store| function.call_async(store, (request,)).await).await;
                answer.map(|(answer,)| answer.map(Answer::Routing))
            }
            (Decide::Filter(function), Question::Filter(candidate)) => {
                let answer = run(&mut self.store, async |store| function.call_async(store, (candidate,)).await).await;
                answer.map(|(answer,)| answer.map(Answer::Verdict))
            }
            _ => return Err(Fault::new(&self.plugin, FaultKind::Instance, "called as another kind")),
        };
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(instance::undecided(&self.plugin, error)),
            Err(error) => Err(fault(&self.plugin, &error)),
        }
    }

    /// Whether it should be replaced though nothing went wrong.
    pub fn is_worn_out(&self) -> bool {
        self.calls >= MOST_CALLS
    }
}

impl Decide {
    fn of(store: &mut Store<WasiState>, linked: &Linked, kind: Kind) -> wasmtime::Result<Self> {
        Ok(match kind {
            Kind::Authenticator => Self::Authenticate(function(store, linked, kind, "authenticate")?),
            Kind::RoutingPolicy => Self::Route(function(store, linked, kind, "route")?),
            Kind::DiscoveryFilter => Self::Filter(function(store, linked, kind, "filter")?),
        })
    }
}

/// A function of the interface that plugins of the kind export.
fn function<P, R>(store: &mut Store<WasiState>, linked: &Linked, kind: Kind, name: &str) -> wasmtime::Result<TypedFunc<P, R>>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    let missing = |what: &str| wasmtime::format_err!("doesn't export {what}");
    let interface = interface_name(kind);
    let (_, interface_at) = linked.get_export(&mut *store, None, &interface).ok_or_else(|| missing(&interface))?;
    let (_, at) = linked.get_export(&mut *store, Some(&interface_at), name).ok_or_else(|| missing(name))?;
    linked.get_typed_func(store, at)
}

fn begin(store: &mut Store<WasiState>, call: CallState, budget: Budget) {
    store.data_mut().begin(call, budget);
    store.set_epoch_deadline(1);
}

/// Runs the guest within its budget; what it printed is in the log then, whatever became of it.
async fn run<T>(
    store: &mut Store<WasiState>,
    call: impl AsyncFnOnce(&mut Store<WasiState>) -> wasmtime::Result<T>,
) -> wasmtime::Result<T> {
    let (meter, clock) = (store.data().meter.clone(), store.data().clock.clone());
    let answer = meter.run(&clock, call(store)).await;
    store.data_mut().end();
    answer.map_err(wasmtime::Error::from).flatten()
}

fn fault(plugin: &Arc<PluginName>, error: &wasmtime::Error) -> Fault {
    let mut fault = instance::fault(plugin, error);
    if let Some(I32Exit(code)) = error.downcast_ref() {
        (fault.kind, fault.message) = (FaultKind::Trap, format!("called exit with {code}"));
    } else if error.is::<Refused>() || error.is::<ResourceTableError>() {
        fault.kind = FaultKind::Trap;
    }
    fault
}
