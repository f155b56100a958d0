//! The threads that carry traffic. The control thread reaches them only to have a plugin set prepared, and to end them.

use std::{rc::Rc, sync::Arc, thread::JoinHandle, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    task::LocalSet,
};

use crate::plugin::{Engine, Fault, Kind, PluginSet, Worker};

/// The kinds that workers call; filters run on the control thread.
const KINDS: [Kind; 2] = [Kind::Authenticator, Kind::RoutingPolicy];

/// A thread can't be awaited: whether it has ended is looked at so often.
const END_POLL: Duration = Duration::from_millis(20);

/// All worker threads.
pub struct Workers(Vec<Handle>);

struct Handle {
    prepare: mpsc::Sender<Prepare>,
    thread: JoinHandle<()>,
}

struct Prepare {
    set: Arc<PluginSet>,
    done: oneshot::Sender<Result<(), Fault>>,
}

/// A thread couldn't be started.
#[derive(Debug, thiserror::Error)]
#[error("worker thread {number}: {error}")]
pub struct WorkerError {
    number: usize,
    error: std::io::Error,
}

// === impl Workers ===

impl Workers {
    /// Starts a thread for each of `listeners`. `serve` runs on it with its number, on a runtime of its own, until it returns.
    pub fn start<L, S, F>(engine: &Arc<Engine>, listeners: Vec<L>, serve: S) -> Result<Self, WorkerError>
    where
        L: Send + 'static,
        S: Fn(usize, L, Rc<Worker>) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + 'static,
    {
        let start = |(number, listener)| {
            let (prepare, wanted) = mpsc::channel(1);
            let (engine, serve) = (Arc::clone(engine), serve.clone());
            let failed = |error| WorkerError { number, error };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
            let run = move || {
                let worker = Rc::new(Worker::new(engine));
                let local = LocalSet::new();
                local.spawn_local(prepare_sets(Rc::clone(&worker), wanted));
                local.block_on(&runtime, serve(number, listener, worker));
            };
            let thread = std::thread::Builder::new().name(format!("worker-{number}")).spawn(run).map_err(failed)?;
            Ok(Handle { prepare, thread })
        };
        listeners.into_iter().enumerate().map(start).collect::<Result<_, _>>().map(Self)
    }

    /// Has every worker instantiate and configure a set, so that the first request under it finds everything ready.
    ///
    /// # Errors
    /// The first worker that couldn't: the set isn't used then.
    pub async fn prepare(&self, set: &Arc<PluginSet>) -> Result<(), String> {
        let mut answers = Vec::new();
        for handle in &self.0 {
            let (done, answer) = oneshot::channel();
            handle.prepare.send(Prepare { set: Arc::clone(set), done }).await.map_err(|_| "a worker has ended".to_owned())?;
            answers.push(answer);
        }
        for answer in answers {
            match answer.await {
                Ok(Ok(())) => {}
                Ok(Err(fault)) => return Err(fault.to_string()),
                Err(_) => return Err("a worker has ended".to_owned()),
            }
        }
        Ok(())
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Waits until all have ended.
    pub async fn ended(&self) {
        while self.0.iter().any(|handle| !handle.thread.is_finished()) {
            tokio::time::sleep(END_POLL).await;
        }
    }
}

async fn prepare_sets(worker: Rc<Worker>, mut wanted: mpsc::Receiver<Prepare>) {
    while let Some(Prepare { set, done }) = wanted.recv().await {
        // Who asked may have gone: then nobody uses the set.
        let _ = done.send(worker.prepare(&set, &KINDS));
    }
}
