//! What ends by itself, and what follows from it: a shadow is promoted or dropped, a probation ends well or the set before returns.

use std::time::Duration;

use tokio::task::JoinHandle;

use super::*;

/// A set that should be taken back and couldn't be is tried again after this time.
const ROLLBACK_AGAIN: Duration = Duration::from_secs(10);

/// Ends with whoever waits for it.
pub(super) struct Task<T>(JoinHandle<T>);

/// Something that ended by itself.
pub enum Verdict {
    /// Of the set with this digest.
    Shadow(String, shadow::Verdict),
    Probation(probation::Verdict),
}

// === impl Lifecycle ===

impl Lifecycle {
    /// Waits until a shadow or a probation is over; for ever, where there is none.
    pub async fn verdict(&mut self) -> Verdict {
        let shadow = async {
            match &mut self.shadow {
                Some(shadow) => {
                    let verdict = shadow.verdict.ended().await;
                    let stopped = || shadow::Verdict::Drop("the comparison ended".into(), Comparison::default());
                    Verdict::Shadow(shadow.candidate.files.digest.clone(), verdict.unwrap_or_else(stopped))
                }
                None => std::future::pending().await,
            }
        };
        let probation = async {
            match &mut self.probation {
                Some(probation) => Verdict::Probation(probation.verdict.ended().await.unwrap_or(probation::Verdict::Keep)),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            verdict = shadow => verdict,
            verdict = probation => verdict,
        }
    }

    /// Does what a verdict says. The error is why the files in the directory aren't what decides.
    pub async fn follow(&mut self, verdict: Verdict) -> Result<(), (String, RefusedSet)> {
        match verdict {
            Verdict::Shadow(digest, _) if !self.is_in_shadow(&digest) => Ok(()),
            Verdict::Shadow(digest, verdict) => {
                let Some(Shadow { candidate, activation, .. }) = self.shadow.take() else { return Ok(()) };
                self.end_shadow(candidate, &activation, verdict).await.map_err(|refused| (digest, refused))
            }
            Verdict::Probation(verdict) => {
                let Some(Probation { good, .. }) = self.probation.take() else { return Ok(()) };
                match verdict {
                    probation::Verdict::Keep => {
                        self.keep_active().await;
                        self.status.found_good();
                    }
                    probation::Verdict::RollBack(why) => self.roll_back(good, why).await,
                }
                Ok(())
            }
        }
    }

    async fn end_shadow(&mut self, candidate: Active, activation: &Activation, verdict: shadow::Verdict) -> Result<(), RefusedSet> {
        match verdict {
            shadow::Verdict::Promote(comparison) => {
                self.metrics.compared(comparison.replayed, comparison.differences);
                tell(&candidate.files.digest, &comparison);
                self.take_over(candidate, activation, comparison).await
            }
            shadow::Verdict::Drop(why, comparison) => {
                self.metrics.compared(comparison.replayed, comparison.differences);
                self.metrics.refused();
                let why = format!("dropped from the shadow: {why}");
                self.reject(Rejected { digest: candidate.files.digest.clone(), why }, What::Dropped).await;
                Ok(())
            }
        }
    }

    async fn roll_back(&mut self, good: Active, why: String) {
        let Some(bad) = self.active.clone() else { return };
        // What is in the shadow was compared with the wrong set.
        self.forget_shadow();
        tracing::error!(generation = %bad.set.generation(), back_to = %good.set.generation(), why, "plugin set taken back");
        if let Err(error) = self.activate(good.clone(), false).await {
            // It worked before: whatever is wrong now, the set that is on is no worse than none.
            tracing::error!(%error, "the plugin set before can't be taken back: the new one goes on deciding for now");
            self.active = Some(bad);
            let again = async {
                tokio::time::sleep(ROLLBACK_AGAIN).await;
                probation::Verdict::RollBack(why)
            };
            self.probation = Some(Probation { good, verdict: Task::new(tokio::task::spawn_local(again)) });
            return;
        }
        self.metrics.rolled_back();
        self.reject(Rejected { digest: bad.files.digest.clone(), why }, What::RolledBack).await;
    }

    async fn reject(&mut self, rejected: Rejected, what: What) {
        // What was told outlives a restart.
        if let Some(saved) = &self.saved {
            saved.reject(Some(&rejected)).await;
        }
        self.status.refused(Some(&rejected.digest), what, &rejected.why);
        self.status.rejects(rejected.clone());
        self.rejected = Some(rejected);
    }
}

// === impl Task ===

impl<T> Task<T> {
    pub fn new(task: JoinHandle<T>) -> Self {
        Self(task)
    }

    /// None when it was cut off.
    async fn ended(&mut self) -> Option<T> {
        (&mut self.0).await.ok()
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
