//! When the gateway should end: SIGTERM and SIGINT as a value that every room can wait for.

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

/// How far the end has come. It only ever moves on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    #[default]
    Serving,
    /// Nothing new is taken on; what is under way may finish.
    Draining,
    /// Asked twice: what is still under way is cut off.
    Hurrying,
}

/// Sees the end come. Cheap to clone; works on any thread.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<Phase>);

/// Brings the end about. When it's dropped, that is the end as well.
#[derive(Debug)]
pub struct Trigger(watch::Sender<Phase>);

/// The signals that ask for an end.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

/// A pair of its own, for tests and for ends that no signal asked for.
pub fn channel() -> (Trigger, Shutdown) {
    let (sender, receiver) = watch::channel(Phase::default());
    (Trigger(sender), Shutdown(receiver))
}

/// Handles signals from now on, in place of their ending the process.
///
/// # Errors
/// When the process may not handle signals.
pub fn signals() -> std::io::Result<Signals> {
    Ok(Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
}

// === impl Signals ===

impl Signals {
    /// Moves the trigger on at each signal, for ever. Run it on the control thread.
    pub async fn advance(mut self, trigger: Trigger) {
        loop {
            let name = tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
            };
            let phase = trigger.advance();
            let what = if phase == Phase::Draining { "what is under way may end; a second signal cuts it off" } else { "at once" };
            tracing::info!(signal = name, "asked to stop: {what}");
        }
    }
}

// === impl Trigger ===

impl Trigger {
    /// One phase further.
    pub fn advance(&self) -> Phase {
        self.0.send_modify(|phase| {
            *phase = match phase {
                Phase::Serving => Phase::Draining,
                Phase::Draining | Phase::Hurrying => Phase::Hurrying,
            }
        });
        *self.0.borrow()
    }
}

// === impl Shutdown ===

impl Shutdown {
    pub fn phase(&self) -> Phase {
        if self.0.has_changed().is_err() { Phase::Hurrying } else { *self.0.borrow() }
    }

    /// Waits until this phase, or a later one, has come.
    pub async fn reached(&mut self, phase: Phase) {
        // An error means that the trigger is gone: then nothing is left to wait for.
        let _ = self.0.wait_for(|now| *now >= phase).await;
    }

    /// Waits until nothing new should be taken on.
    pub async fn draining(&mut self) {
        self.reached(Phase::Draining).await;
    }

    /// Waits until what is under way should be cut off.
    pub async fn hurrying(&mut self) {
        self.reached(Phase::Hurrying).await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn the_first_request_drains_and_the_second_hurries() {
        let (trigger, mut shutdown) = channel();
        assert_eq!(shutdown.phase(), Phase::Serving);
        assert!(shutdown.draining().now_or_never().is_none());
        assert_eq!(trigger.advance(), Phase::Draining);
        assert!(shutdown.draining().now_or_never().is_some());
        assert!(shutdown.hurrying().now_or_never().is_none());
        assert_eq!([trigger.advance(), trigger.advance()], [Phase::Hurrying; 2]);
        assert!(shutdown.hurrying().now_or_never().is_some());
    }

    #[test]
    fn a_trigger_that_is_gone_is_the_end() {
        let (trigger, mut shutdown) = channel();
        drop(trigger);
        assert!(shutdown.hurrying().now_or_never().is_some());
        assert_eq!(shutdown.phase(), Phase::Hurrying);
    }

    #[tokio::test]
    async fn a_signal_to_the_process_drains() {
        let (trigger, mut shutdown) = channel();
        let signals = signals().unwrap();
        tokio::select! {
            () = signals.advance(trigger) => unreachable!(),
            () = async {
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::INT).unwrap();
                shutdown.draining().await;
                assert_eq!(shutdown.phase(), Phase::Draining);
            } => {}
        }
    }
}
