//! The threads on which plugins with WASI run, and the way to them and back. What happens there is `keeper`'s.
//!
//! At most two: such plugins bring a C library or a whole interpreter along, and each thread keeps instances of its own. A thread runs
//! many calls at a time, a tick of the epoch each in turn, so that a busy guest delays the others and doesn't stop them.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    time::timeout_at,
};

use super::{
    instance::{Asked, Blueprint},
    keeper::Keeper,
    waiting::wait,
};
use crate::plugin::{
    fault::{Fault, FaultKind},
    host_calls::CallState,
    instance::Budget,
    loaded::{Declaration, LoadError},
    question::Question,
};

const MOST_THREADS: usize = 2;
/// Of one plugin on one thread: calls that run at a time, and instances that are kept.
pub const INSTANCES: usize = 2;
/// Calls of one plugin that wait or run, on all threads. More are refused at once: with their budgets they'd end too late anyway.
const MOST_CALLS: usize = 64;

/// The threads, started when the first plugin with WASI is loaded.
pub struct Threads {
    engine: wasmtime::Engine,
    count: usize,
    lanes: OnceLock<Result<Vec<Lane>, String>>,
}

/// Which instance is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instances {
    /// One that is kept and has served others.
    Kept,
    /// One of its own, thrown away after.
    Fresh,
}

/// The way to one thread. It ends when this is dropped.
struct Lane {
    jobs: mpsc::UnboundedSender<Job>,
    calls: Arc<AtomicUsize>,
}

/// What a thread is sent.
pub enum Job {
    Configure { plugin: Arc<Blueprint>, done: oneshot::Sender<Result<Declaration, LoadError>> },
    Prepare { plugin: Arc<Blueprint>, done: oneshot::Sender<Result<(), Fault>> },
    Call(Box<Call>),
    Replace { plugin: Arc<Blueprint> },
    ForgetGone,
}

pub struct Call {
    pub plugin: Arc<Blueprint>,
    pub question: Question,
    pub state: CallState,
    pub budget: Budget,
    pub instances: Instances,
    pub done: oneshot::Sender<Asked>,
    pub place: Place,
}

/// One of the calls that a plugin may have under way. The queue is bounded by these.
pub struct Place {
    plugin: Arc<Blueprint>,
    calls: Arc<AtomicUsize>,
}

// === impl Threads ===

impl Threads {
    /// For a gateway with so many workers. Nothing is started yet.
    pub fn new(engine: &wasmtime::Engine, workers: usize) -> Self {
        Self { engine: engine.clone(), count: count(workers), lanes: OnceLock::new() }
    }

    /// Configures a plugin for the first time, on one thread. Blocks, no longer than `configure` may take by the clock.
    pub fn configure(&self, plugin: &Arc<Blueprint>) -> Result<Declaration, LoadError> {
        let lane = self.lanes().map_err(LoadError::Link)?.iter().min_by_key(|lane| lane.calls.load(Ordering::Relaxed));
        let (done, answer) = oneshot::channel();
        let job = Job::Configure { plugin: Arc::clone(plugin), done };
        let sent = lane.is_some_and(|lane| lane.jobs.send(job).is_ok());
        match sent.then(|| wait(answer)) {
            Some(Ok(declared)) => declared,
            _ => Err(plugin.fault(FaultKind::Instance, "there is no thread for it").into()),
        }
    }

    /// Has every thread make instances of a plugin, so that the first call finds them. Blocks likewise.
    pub fn prepare(&self, plugin: &Arc<Blueprint>) -> Result<(), LoadError> {
        // One set after the other may be refused: nothing else takes their instances away.
        self.forget_gone();
        let prepare = |lane: &Lane| {
            let (done, answer) = oneshot::channel();
            let _ = lane.jobs.send(Job::Prepare { plugin: Arc::clone(plugin), done });
            answer
        };
        let answers: Vec<_> = self.lanes().map_err(LoadError::Link)?.iter().map(prepare).collect();
        for answer in answers {
            wait(answer).unwrap_or_else(|_| Err(plugin.fault(FaultKind::Instance, "there is no thread for it")))?;
        }
        Ok(())
    }

    /// Asks, and waits without holding up this thread. No longer than the budget allows by the clock.
    pub async fn ask(
        &self,
        plugin: &Arc<Blueprint>,
        question: Question,
        state: CallState,
        budget: Budget,
        instances: Instances,
    ) -> Asked {
        let now = state.now;
        let failed = |fault| (Err(fault), CallState::at(now));
        let answer = match self.send(plugin, question, state, budget, instances) {
            Ok(answer) => answer,
            Err(fault) => return failed(fault),
        };
        // The thread itself keeps to the budget. This is for one that can't any more, where there is a runtime to tell the time.
        let answer = match Handle::try_current() {
            Ok(_) => timeout_at(budget.end().into(), answer).await,
            Err(_) => Ok(answer.await),
        };
        match answer {
            Ok(Ok(asked)) => asked,
            Ok(Err(_)) => failed(plugin.fault(FaultKind::Instance, "its thread gave the call up")),
            Err(_) => failed(late(plugin, budget)),
        }
    }

    /// Lets go of instances of plugins that are gone.
    pub fn forget_gone(&self) {
        // Before the first plugin with WASI there is nothing, and nothing is started for it.
        if let Some(Ok(lanes)) = self.lanes.get() {
            lanes.iter().for_each(|lane| drop(lane.jobs.send(Job::ForgetGone)));
        }
    }

    /// Lets other instances take the place of all that are kept of a plugin.
    pub fn replace(&self, plugin: &Arc<Blueprint>) {
        for lane in self.lanes().unwrap_or_default() {
            let _ = lane.jobs.send(Job::Replace { plugin: Arc::clone(plugin) });
        }
    }

    fn send(
        &self,
        plugin: &Arc<Blueprint>,
        question: Question,
        state: CallState,
        budget: Budget,
        instances: Instances,
    ) -> Result<oneshot::Receiver<Asked>, Fault> {
        let lanes = self.lanes().map_err(|why| plugin.fault(FaultKind::Instance, why))?;
        let gone = || plugin.fault(FaultKind::Instance, "there is no thread for it");
        let lane = lanes.iter().min_by_key(|lane| lane.calls.load(Ordering::Relaxed)).ok_or_else(gone)?;
        let place = Place::take(plugin, lane)?;
        let (done, answer) = oneshot::channel();
        let call = Call { plugin: Arc::clone(plugin), question, state, budget, instances, done, place };
        lane.jobs.send(Job::Call(Box::new(call))).map_err(|_| gone())?;
        Ok(answer)
    }

    fn lanes(&self) -> Result<&[Lane], String> {
        let started = self.lanes.get_or_init(|| (0..self.count).map(|number| start(number, &self.engine)).collect());
        started.as_deref().map_err(Clone::clone)
    }
}

/// How many threads there are at most with so many workers.
pub fn count(workers: usize) -> usize {
    workers.clamp(1, MOST_THREADS)
}

fn start(number: usize, engine: &wasmtime::Engine) -> Result<Lane, String> {
    let failed = |error: std::io::Error| format!("a thread for plugins with WASI: {error}");
    let (jobs, wanted) = mpsc::unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
    let engine = engine.clone();
    let run = move || runtime.block_on(Keeper::new(engine).work(wanted));
    std::thread::Builder::new().name(format!("wasi-{number}")).spawn(run).map_err(failed)?;
    Ok(Lane { jobs, calls: Arc::default() })
}

pub fn late(plugin: &Blueprint, budget: Budget) -> Fault {
    let message = format!("no answer in {:?} by the clock, waiting for a turn included", budget.longest());
    plugin.fault(FaultKind::Deadline, message)
}

// === impl Place ===

impl Place {
    fn take(plugin: &Arc<Blueprint>, lane: &Lane) -> Result<Self, Fault> {
        if plugin.calls.fetch_add(1, Ordering::Relaxed) >= MOST_CALLS {
            plugin.calls.fetch_sub(1, Ordering::Relaxed);
            return Err(plugin.fault(FaultKind::Deadline, format!("{MOST_CALLS} calls wait already")));
        }
        lane.calls.fetch_add(1, Ordering::Relaxed);
        Ok(Self { plugin: Arc::clone(plugin), calls: Arc::clone(&lane.calls) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.plugin.calls.fetch_sub(1, Ordering::Relaxed);
        self.calls.fetch_sub(1, Ordering::Relaxed);
    }
}
