//! One set after the other: from a directory's files to the set that decides, through the stages of its admission, and back again
//! where it fails its watch. Holds what runs, what is in its shadow and what is on probation; who looks at the directory is `watch`.

mod verdict;

use std::{
    pin::{Pin, pin},
    sync::Arc,
};

use self::verdict::Task;
pub use self::verdict::Verdict;
use super::{
    activation::{Activation, Mode},
    directory::Files,
    load::{Loaded, Loader, RefusedSet},
    probation,
    replay::{Comparison, Replayer},
    saved::{Rejected, Saved},
    shadow,
    status::{AdmissionStatus, Metrics, Stage, What},
    trial,
};
use crate::{
    domain::{decision::Kind, record::Record},
    plugin::{Following, PluginSet},
};

/// Records that a new set's plugins are tried by, of each kind.
const TRIAL_RECORDS: usize = 64;
/// Records that wait until the probation begins to look at them.
const ROOM: usize = 4096;

/// Makes a set the one that decides. It answers when that is so, or why it isn't.
pub type Activate = Box<dyn Fn(Arc<PluginSet>) -> Pin<Box<dyn Future<Output = Result<(), String>>>>>;

/// What runs, and what may come to.
pub struct Lifecycle {
    loader: Arc<Loader>,
    pub activate: Activate,
    pub status: AdmissionStatus,
    pub metrics: Metrics,
    pub saved: Option<Saved>,
    active: Option<Active>,
    shadow: Option<Shadow>,
    probation: Option<Probation>,
    rejected: Option<Rejected>,
}

#[derive(Clone)]
struct Active {
    set: Arc<PluginSet>,
    files: Arc<Files>,
    mode: Mode,
}

/// A set that is compared with what the active one decides.
struct Shadow {
    candidate: Active,
    activation: Activation,
    verdict: Task<shadow::Verdict>,
}

/// The active set's first time, with the one to return to.
struct Probation {
    good: Active,
    verdict: Task<probation::Verdict>,
}

// === impl Lifecycle ===

impl Lifecycle {
    pub fn new(loader: Loader, activate: Activate, status: AdmissionStatus, metrics: Metrics, saved: Option<Saved>) -> Self {
        let rejected = saved.as_ref().and_then(Saved::rejected);
        let loader = Arc::new(loader);
        Self { loader, activate, status, metrics, saved, active: None, shadow: None, probation: None, rejected }
    }

    pub fn is_active(&self, digest: &str) -> bool {
        self.active.as_ref().is_some_and(|active| active.files.digest == digest)
    }

    pub fn is_in_shadow(&self, digest: &str) -> bool {
        self.shadow.as_ref().is_some_and(|shadow| shadow.candidate.files.digest == digest)
    }

    /// The set that was taken back, when these are its files. Any others make it forgotten.
    pub async fn rejected(&mut self, digest: &str) -> Option<&Rejected> {
        if self.rejected.as_ref().is_some_and(|rejected| rejected.digest != digest) {
            self.rejected = None;
            self.status.forgets_rejected();
            if let Some(saved) = &self.saved {
                saved.reject(None).await;
            }
        }
        self.rejected.as_ref()
    }

    /// What was in the shadow isn't wanted any more.
    pub fn forget_shadow(&mut self) {
        if self.shadow.take().is_some() {
            self.status.rests();
            self.metrics.in_shadow(false);
        }
    }

    /// The default plugins, which are never changed while they run.
    pub async fn admit_builtin(&mut self, cookies: &[String]) -> Result<(), RefusedSet> {
        let set = self.loader.load_builtin(cookies).await?;
        let files = Arc::new(Files::default());
        self.activate(Active { set, files, mode: Mode::Immediate }, false).await
    }

    /// Takes files through all stages, up to where they decide or are in the shadow of what decides.
    pub async fn admit(&mut self, files: Arc<Files>) -> Result<(), RefusedSet> {
        self.forget_shadow();
        let outcome = self.admit_in_stages(files).await;
        if outcome.is_err() {
            self.status.rests();
        }
        outcome
    }

    async fn admit_in_stages(&mut self, files: Arc<Files>) -> Result<(), RefusedSet> {
        let digest = files.digest.clone();
        self.status.stage(&digest, Stage::Loading, None);
        let (loader, read) = (Arc::clone(&self.loader), Arc::clone(&files));
        let loading = async move { loader.load_files(&read).await };
        let Loaded { set, activation, tried } = self.meanwhile(loading).await?;
        let mode = activation.mode;
        if self.active.is_none() && mode != Mode::Immediate && self.has_other_good(&digest).await {
            // After a restart: what isn't verified yet doesn't become so by it.
            self.fall_back().await;
            if self.active.is_none() {
                let why = "the saved set, with which it had to be compared, can't be used (activation.mode: verified or shadow)";
                return Err(RefusedSet::Unproven(why.into()));
            }
        }
        self.status.stage(&digest, Stage::Trying, Some(mode));
        let engine = Arc::clone(&self.loader.engine);
        self.meanwhile(trial::run(engine, Arc::clone(&set), tried, records(&set, TRIAL_RECORDS))).await?;
        let candidate = Active { set, files, mode };
        let Some((active, comparison)) = self.compare(&candidate, &activation).await? else {
            return self.begin(candidate, &activation).await;
        };
        self.status.starts_comparison(&digest, &comparison);
        self.metrics.compared(comparison.replayed, comparison.differences);
        tell(&digest, &comparison);
        match mode {
            Mode::Immediate => {}
            Mode::Verified => {
                let (most, least) = (activation.most_differences, activation.least_replayed_percent);
                if let Some(why) = comparison.breaks(most, 0) {
                    return Err(RefusedSet::Differs(why));
                }
                let nobody = "nobody is recorded yet who is let in, by whom it could be verified (activation.mode: verified)";
                let nobody = (comparison.admissions == 0).then(|| nobody.to_owned());
                if let Some(why) = comparison.breaks(most, least).or(nobody) {
                    return Err(RefusedSet::Unproven(why));
                }
            }
            Mode::Shadow => {
                self.cast_shadow(candidate, activation, &active);
                return Ok(());
            }
        }
        self.take_over(candidate, &activation, comparison).await
    }

    /// Runs what was recorded through a new set and the one that decides; None where none does. Answers with the latter.
    async fn compare(&mut self, candidate: &Active, activation: &Activation) -> Result<Option<(Active, Comparison)>, RefusedSet> {
        while let Some(active) = self.active.clone() {
            self.status.stage(&candidate.files.digest, Stage::Replaying, Some(candidate.mode));
            let replayer = Replayer::new(&self.loader.engine, Arc::clone(&candidate.set), Arc::clone(&active.set));
            let recorded = records(&candidate.set, activation.replay);
            let compared = self.meanwhile(replayer.compare(recorded, Comparison::default())).await;
            let (_, comparison) = compared.ok_or(trial::TrialError::Stopped)?;
            // Not when that one was taken back meanwhile.
            if self.is_active(&active.files.digest) {
                return Ok(Some((active, comparison)));
            }
        }
        Ok(None)
    }

    /// Works on a new set, and ends a probation that is over meanwhile: the one set doesn't wait for the other.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            let verdict = tokio::select! {
                done = &mut work => return done,
                verdict = self.verdict() => verdict,
            };
            if let Err((_, error)) = self.follow(verdict).await {
                tracing::error!(%error, "plugin set refused");
            }
        }
    }

    /// The first set of this process. Where another one was the good one before, this one is still on probation.
    async fn begin(&mut self, candidate: Active, activation: &Activation) -> Result<(), RefusedSet> {
        let good = self.saved_good().await.filter(|good| good.digest != candidate.files.digest);
        let good = match good {
            Some(files) if activation.watches() => {
                let loaded = self.loader.load_files(&files).await;
                let loaded = loaded.inspect_err(|error| tracing::warn!(%error, "the saved plugin set can't be used"));
                loaded.ok().map(|Loaded { set, activation, .. }| Active { set, files: Arc::new(files), mode: activation.mode })
            }
            _ => None,
        };
        let following = candidate.set.follow_for(good.as_ref().map_or(&candidate.set, |good| &good.set), ROOM);
        let set = Arc::clone(&candidate.set);
        self.activate(candidate, false).await?;
        match good {
            Some(good) => self.watch(good, &set, activation, following, Comparison::default()),
            None => self.keep_active().await,
        }
        Ok(())
    }

    fn cast_shadow(&mut self, candidate: Active, activation: Activation, active: &Active) {
        let digest = &candidate.files.digest;
        self.status.stage(digest, Stage::InShadow, Some(Mode::Shadow));
        self.status.starts_comparison(digest, &Comparison::default());
        self.metrics.in_shadow(true);
        let engine = Arc::clone(&self.loader.engine);
        let (new, old) = (Arc::clone(&candidate.set), Arc::clone(&active.set));
        let verdict = shadow::follow(engine, new, old, activation.clone(), self.status.clone());
        self.shadow = Some(Shadow { candidate, activation, verdict: Task::new(tokio::task::spawn_local(verdict)) });
    }

    /// Activates a set in place of one that decides, and puts it on probation.
    async fn take_over(&mut self, candidate: Active, activation: &Activation, comparison: Comparison) -> Result<(), RefusedSet> {
        // A set that is still on probation isn't one to return to.
        let good = self.probation.as_ref().map(|probation| probation.good.clone()).or_else(|| self.active.clone());
        let following = candidate.set.follow_for(good.as_ref().map_or(&candidate.set, |good| &good.set), ROOM);
        let set = Arc::clone(&candidate.set);
        self.activate(candidate, false).await?;
        let watched = good.filter(|good| activation.watches() && good.files.digest != set.digest);
        match watched {
            Some(good) => self.watch(good, &set, activation, following, comparison),
            None => self.keep_active().await,
        }
        Ok(())
    }

    fn watch(&mut self, good: Active, set: &Arc<PluginSet>, activation: &Activation, following: Following, comparison: Comparison) {
        self.status.starts_watch(set, &good.set, activation);
        let verdict = probation::follow(
            Arc::clone(&self.loader.engine),
            Arc::clone(&good.set),
            set.generation().0,
            activation.clone(),
            following,
            comparison.known,
            self.status.clone(),
        );
        self.probation = Some(Probation { good, verdict: Task::new(tokio::task::spawn_local(verdict)) });
    }

    async fn activate(&mut self, next: Active, is_saved: bool) -> Result<(), RefusedSet> {
        self.status.stage(&next.set.digest, Stage::Activating, Some(next.mode));
        (self.activate)(Arc::clone(&next.set)).await.map_err(RefusedSet::Activation)?;
        let names: Vec<String> = next.set.plugins().map(|plugin| plugin.name.to_string()).collect();
        tracing::info!(generation = %next.set.generation(), plugins = names.join(" "), "plugin set activated");
        self.metrics.activated(&next.set, is_saved);
        self.status.activated(Arc::clone(&next.set), next.mode, is_saved);
        self.active = Some(next);
        self.probation = None;
        Ok(())
    }

    /// The active set is one to return to, also after a restart.
    async fn keep_active(&self) {
        let Some(active) = &self.active else { return };
        self.loader.settle(&active.files).await;
        if let Some(saved) = &self.saved {
            saved.keep(&active.files).await;
        }
    }

    async fn saved_good(&self) -> Option<Files> {
        self.saved.as_ref()?.good().await
    }

    async fn has_other_good(&self, digest: &str) -> bool {
        match &self.saved {
            Some(saved) => saved.has_other_good(digest).await,
            None => false,
        }
    }

    /// Where nothing decides, the saved set does.
    pub async fn fall_back(&mut self) {
        if self.active.is_some() {
            return;
        }
        let Some(files) = self.saved_good().await else { return };
        let loaded = self.loader.load_files(&files).await;
        let served = match loaded {
            Ok(Loaded { set, activation, .. }) => {
                self.activate(Active { set, files: Arc::new(files), mode: activation.mode }, true).await
            }
            Err(refused) => Err(refused),
        };
        match served {
            Ok(()) => tracing::warn!("the saved plugin set decides, not what stands in the plugin directory"),
            Err(error) => tracing::error!(%error, "the saved plugin set can't be used"),
        }
    }
}

/// The last records of each kind.
fn records(set: &PluginSet, most: usize) -> Vec<Arc<Record>> {
    Kind::ALL.into_iter().flat_map(|kind| set.recorder().last(kind, most)).collect()
}

fn tell(digest: &str, comparison: &Comparison) {
    let Comparison { records, replayed, differences, .. } = comparison;
    tracing::info!(digest = digest.get(..12), records, replayed, differences, "plugin set compared by recorded decisions");
    for one in &comparison.shown {
        tracing::info!(id = one.id, about = one.about, before = one.before, after = one.after, "comes out otherwise");
    }
}
