//! One running instance of one plugin: its store, its calls, its budget. An instance that didn't return by itself is spent.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use wasmtime::{Store, Trap, UpdateDeadline};

use super::{
    PluginName,
    bindings::v0_1::{self, authentication, discovery, routing, types},
    engine::{Engine, TICK, call_output_bytes},
    fault::{Fault, FaultKind},
    host_calls::{CallState, HostState, OverMemory},
    loaded::{Declaration, LoadError, Plugin, Pre},
};
use crate::domain::Timestamp;

/// A guest with its memory. It belongs to one thread.
pub struct Instance {
    store: Store<HostState>,
    guest: Guest,
    plugin: Arc<PluginName>,
    calls: u64,
}

enum Guest {
    DiscoveryFilter(v0_1::DiscoveryFilter),
    Authenticator(v0_1::Authenticator),
    RoutingPolicy(v0_1::RoutingPolicy),
}

/// What a call may take. It counts the processor's time, not the clock's: on a busy machine a call that is waiting for its turn
/// is no fault of the plugin's, and a 503 would make the shortage worse. The clock only bounds it far above.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    began: Instant,
    allowance: Duration,
    /// This thread's processor time when the first half of the allowance was over by the clock. Most calls end before, and
    /// never pay for reading it.
    mark: Option<Duration>,
}

/// The call's budget was used up.
#[derive(Debug, thiserror::Error)]
#[error("the budget of {0:?} is used up")]
pub(super) struct OverBudget(pub Duration);

/// By the clock, a call may take so many times its budget.
const MOST_BUDGETS: u32 = 50;

/// An instance is replaced after so many calls, so that a leak in a guest stays small.
pub(super) const MOST_CALLS: u64 = 1_000_000;
/// What `configure` may take, in milliseconds: every worker configures its own instance between requests.
pub(super) const CONFIGURE_MS: u64 = 100;

// === impl Budget ===

impl Budget {
    pub fn new(ms: u64) -> Self {
        Self { began: Instant::now(), allowance: Duration::from_millis(ms), mark: None }
    }

    /// Since the call began.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub fn allowance(&self) -> Duration {
        self.allowance
    }

    /// What the call may take by the clock.
    pub fn longest(&self) -> Duration {
        self.allowance * MOST_BUDGETS
    }

    /// When the call is over by the clock.
    pub fn end(&self) -> Instant {
        self.began + self.longest()
    }

    fn half(&self) -> Duration {
        self.allowance / 2
    }

    /// At the end of the first half: notes the processor's time. From then on: whether there is some left.
    fn look(&mut self) -> Result<Duration, OverBudget> {
        let spent = thread_time();
        let Some(mark) = self.mark else {
            self.mark = Some(spent);
            return Ok(self.half());
        };
        let used = spent.saturating_sub(mark);
        if used >= self.half() || Instant::now() >= self.end() {
            return Err(OverBudget(self.allowance));
        }
        Ok(self.half() - used)
    }
}

/// The processor's time that this thread has had.
pub(super) fn thread_time() -> Duration {
    Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// A time in epoch ticks; the tick under way counts, since a deadline of none could strike at once.
fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_millis() / TICK.as_millis()).unwrap_or(u64::MAX) + 1
}

// === impl Instance ===

impl Instance {
    /// An instance that isn't configured yet.
    pub fn instantiate(engine: &Engine, plugin: &Plugin, now: Timestamp) -> Result<Self, Fault> {
        let state = HostState::new(Arc::clone(&plugin.name), plugin.verifications(), plugin.spec.memory_bytes);
        let mut store = Store::new(engine.wasm(), state);
        store.limiter(|state| state);
        store.set_hostcall_fuel(call_output_bytes());
        store.epoch_deadline_callback(|mut context| {
            let left = context.data_mut().call.budget.look()?;
            Ok(UpdateDeadline::Continue(ticks(left)))
        });
        store.data_mut().call = CallState::at(now);
        begin_budget(&mut store, Budget::new(CONFIGURE_MS));
        let guest = match &plugin.pre {
            Pre::DiscoveryFilter(pre) => pre.instantiate(&mut store).map(Guest::DiscoveryFilter),
            Pre::Authenticator(pre) => pre.instantiate(&mut store).map(Guest::Authenticator),
            Pre::RoutingPolicy(pre) => pre.instantiate(&mut store).map(Guest::RoutingPolicy),
            Pre::Wasi(_) => Err(wasmtime::format_err!("it imports WASI, and this is a thread for plugins without")),
        };
        match guest {
            Ok(guest) => Ok(Self { store, guest, plugin: Arc::clone(&plugin.name), calls: 0 }),
            Err(error) => Err(stillborn(&plugin.name, &error)),
        }
    }

    /// An instance ready for calls, which declared what the plugin declared at first.
    pub fn ready(engine: &Engine, plugin: &Plugin, now: Timestamp) -> Result<Self, Fault> {
        let mut instance = Self::instantiate(engine, plugin, now)?;
        let declared = instance.configure(plugin);
        compare(&plugin.name, declared, plugin.declaration())?;
        Ok(instance)
    }

    /// Calls `configure` and parses what it declares.
    pub fn configure(&mut self, plugin: &Plugin) -> Result<Declaration, LoadError> {
        begin_budget(&mut self.store, Budget::new(CONFIGURE_MS));
        let config = &plugin.spec.config;
        let answer = match &self.guest {
            Guest::DiscoveryFilter(guest) => guest.wicketgate_plugin_discovery().call_configure(&mut self.store, config),
            Guest::Authenticator(guest) => guest.wicketgate_plugin_authentication().call_configure(&mut self.store, config),
            Guest::RoutingPolicy(guest) => guest.wicketgate_plugin_routing().call_configure(&mut self.store, config),
        };
        let declared = answer.map_err(|error| fault(&self.plugin, &error))?;
        let declared = declared.map_err(|error| LoadError::Configure(error_in_words(error)))?;
        Declaration::parse(declared, plugin.spec.kind)
    }

    pub fn authenticate(
        &mut self,
        request: &authentication::Request,
        call: CallState,
        budget: Budget,
    ) -> Result<authentication::Decision, Fault> {
        self.begin(call, budget);
        let Guest::Authenticator(guest) = &self.guest else { return Err(self.wrong_kind()) };
        let answer = guest.wicketgate_plugin_authentication().call_authenticate(&mut self.store, request);
        self.answer(answer)
    }

    pub fn route(&mut self, request: &routing::Request, call: CallState, budget: Budget) -> Result<routing::Decision, Fault> {
        self.begin(call, budget);
        let Guest::RoutingPolicy(guest) = &self.guest else { return Err(self.wrong_kind()) };
        let answer = guest.wicketgate_plugin_routing().call_route(&mut self.store, request);
        self.answer(answer)
    }

    pub fn filter(
        &mut self,
        candidate: &discovery::Candidate,
        call: CallState,
        budget: Budget,
    ) -> Result<discovery::Verdict, Fault> {
        self.begin(call, budget);
        let Guest::DiscoveryFilter(guest) = &self.guest else { return Err(self.wrong_kind()) };
        let answer = guest.wicketgate_plugin_discovery().call_filter(&mut self.store, candidate);
        self.answer(answer)
    }

    /// What the host saw during the last call.
    pub fn call_state(&mut self) -> &mut CallState {
        &mut self.store.data_mut().call
    }

    /// What its linear memories hold. They never shrink.
    pub fn memory_bytes(&self) -> usize {
        self.store.data().memory_bytes
    }

    /// Whether it should be replaced though nothing went wrong.
    pub fn is_worn_out(&self) -> bool {
        self.calls >= MOST_CALLS
    }

    fn begin(&mut self, call: CallState, budget: Budget) {
        self.calls += 1;
        self.store.data_mut().call = call;
        begin_budget(&mut self.store, budget);
    }

    fn answer<T>(&self, answer: wasmtime::Result<Result<T, types::Error>>) -> Result<T, Fault> {
        match answer {
            Ok(answer) => answer.map_err(|error| undecided(&self.plugin, error)),
            Err(error) => Err(fault(&self.plugin, &error)),
        }
    }

    fn wrong_kind(&self) -> Fault {
        Fault::new(&self.plugin, FaultKind::Instance, "called as another kind")
    }
}

fn begin_budget(store: &mut Store<HostState>, budget: Budget) {
    store.set_epoch_deadline(ticks(budget.half()));
    store.data_mut().call.budget = budget;
}

/// Whether an instance declared what the plugin declared at first.
pub(super) fn compare(
    plugin: &Arc<PluginName>,
    declared: Result<Declaration, LoadError>,
    first: &Declaration,
) -> Result<(), Fault> {
    let fault = |kind, message: String| Fault::new(plugin, kind, message);
    match declared {
        Ok(declared) if declared == *first => Ok(()),
        Ok(_) => {
            let message = "declared something else than when it was admitted: a declaration is a function of its configuration";
            Err(fault(FaultKind::Output, message.into()))
        }
        Err(LoadError::Fault(fault)) => Err(fault),
        Err(other) => Err(fault(FaultKind::Instance, other.to_string())),
    }
}

/// The guest answered that it can't decide.
pub(super) fn undecided(plugin: &Arc<PluginName>, error: types::Error) -> Fault {
    let kind = match error {
        types::Error::Unavailable(_) => FaultKind::Unavailable,
        _ => FaultKind::Error,
    };
    Fault::new(plugin, kind, error_in_words(error))
}

/// A fault before there was an instance.
pub(super) fn stillborn(plugin: &Arc<PluginName>, error: &wasmtime::Error) -> Fault {
    let mut fault = fault(plugin, error);
    if matches!(fault.kind, FaultKind::Trap | FaultKind::Output) {
        fault.kind = FaultKind::Instance;
    }
    fault
}

pub(super) fn fault(plugin: &Arc<PluginName>, error: &wasmtime::Error) -> Fault {
    let kind = if error.downcast_ref::<OverMemory>().is_some() {
        FaultKind::Memory
    } else if error.downcast_ref::<OverBudget>().is_some() {
        FaultKind::Deadline
    } else {
        match error.downcast_ref::<Trap>() {
            Some(_) => FaultKind::Trap,
            // What isn't a trap of the guest's code is its answer: too much of it, or malformed.
            None => FaultKind::Output,
        }
    };
    let message: String = format!("{error:#}").chars().take(500).collect();
    Fault::new(plugin, kind, message.replace('\n', " "))
}

pub(super) fn error_in_words(error: types::Error) -> String {
    let short = |text: String| text.chars().take(500).map(|char| if char.is_control() { ' ' } else { char }).collect::<String>();
    match error {
        types::Error::InvalidConfig(invalid) => {
            let key = if invalid.key.is_empty() { "the configuration".to_owned() } else { invalid.key };
            format!("{}: found {}, expected {}", short(key), short(invalid.found), short(invalid.expected))
        }
        types::Error::Unavailable(why) | types::Error::Other(why) => short(why),
    }
}
