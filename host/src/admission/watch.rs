//! Watches the plugin directory and admits what changes in it. Runs on the control thread for the life of the gateway.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{RecursiveMode, Watcher};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout},
};

use super::{
    directory::{DirectoryError, Files},
    lifecycle::{Lifecycle, Verdict},
    load::RefusedSet,
    status::What,
};
use crate::{
    background::PLUGINS,
    kubernetes::config_maps::{Members, Seen},
};

/// A set of changes is over when nothing happened for so long.
const QUIET: Duration = Duration::from_millis(40);
/// A directory that never rests is read all the same.
const LONGEST_UNREST: Duration = Duration::from_millis(400);
/// What was refused is tried again after this time: the reason may have lain outside (memory, a key set not loaded yet).
const SECOND_CHANCE: Duration = Duration::from_secs(60);

/// kubelet brings a change to the mount after its sync period and what its cache adds: a minute or two.
const MOUNT_IS_BEHIND: Duration = Duration::from_secs(180);

/// Where sets come from.
pub enum Source {
    /// The default plugins, which read these cookies (empty: those of their own defaults).
    Builtin { cookies: Vec<String> },
    Directory {
        path: PathBuf,
        poll: Duration,
        /// The ConfigMaps that are mounted there, as Kubernetes' API shows them: sooner than the directory.
        config_maps: Option<watch::Receiver<Seen>>,
    },
}

/// The task that admits sets.
pub struct Admission {
    pub lifecycle: Lifecycle,
    pub source: Source,
}

/// What is known through Kubernetes' API of the mounted ConfigMaps.
struct ConfigMaps {
    seen: watch::Receiver<Seen>,
    /// When their watch worked last.
    healthy: Option<Instant>,
}

/// What was found in the directory last and isn't used.
#[derive(Default)]
struct Found {
    refused: Option<Refused>,
}

struct Refused {
    /// The files' digest, or what is wrong with them.
    what: String,
    at: Instant,
    is_final: bool,
}

// === impl Admission ===

impl Admission {
    /// Admits the first set and then every change. Returns only when the default plugins were activated, which don't change.
    pub async fn run(self) {
        let Self { mut lifecycle, source } = self;
        match source {
            Source::Builtin { cookies } => {
                lifecycle.status.starts("builtin".into());
                if let Err(refused) = lifecycle.admit_builtin(&cookies).await {
                    refuse(&lifecycle, None, &refused);
                }
            }
            Source::Directory { path, poll, config_maps } => {
                lifecycle.status.starts(path.display().to_string());
                watch(&mut lifecycle, &path, poll, config_maps).await;
            }
        }
    }
}

async fn watch(lifecycle: &mut Lifecycle, path: &Path, poll: Duration, config_maps: Option<watch::Receiver<Seen>>) {
    let mut config_maps = config_maps.map(ConfigMaps::new);
    let mut found = Found::default();
    let (notice, mut changes) = mpsc::channel(1);
    let mut watcher = None;
    loop {
        // A directory that wasn't there, or was replaced, is watched from when it's there.
        if watcher.is_none() {
            watcher = watch_directory(path, notice.clone());
        }
        let members = config_maps.as_mut().and_then(ConfigMaps::look);
        found.look(lifecycle, path, members).await;
        if !path.exists() {
            watcher = None;
        }
        let noticed = tokio::select! {
            noticed = timeout(poll, changes.recv()) => noticed.is_ok(),
            () = ConfigMaps::changed(&mut config_maps) => false,
            verdict = lifecycle.verdict() => {
                if matches!(verdict, Verdict::Shadow(..)) {
                    // When its directory changed a moment ago it isn't wanted any more.
                    let members = config_maps.as_mut().and_then(ConfigMaps::look);
                    found.look(lifecycle, path, members).await;
                }
                if let Err((digest, refused)) = lifecycle.follow(verdict).await {
                    found.refuse_once(lifecycle, digest, &refused);
                }
                false
            }
        };
        if noticed {
            let began = Instant::now();
            while began.elapsed() < LONGEST_UNREST && timeout(QUIET, changes.recv()).await.is_ok() {}
        }
    }
}

// === impl Found ===

impl Found {
    /// Reads the directory, or what its ConfigMaps hold, and admits what is new in it.
    async fn look(&mut self, lifecycle: &mut Lifecycle, path: &Path, members: Option<Result<Members, String>>) {
        let read_from = path.to_owned();
        let read = move || match members {
            Some(Ok(members)) => Files::from_members(&read_from, &members),
            Some(Err(why)) => Err(DirectoryError::ConfigMaps(why)),
            None => Files::read(&read_from),
        };
        let files = match PLUGINS.run(read).await {
            Ok(Ok(files)) => files,
            Ok(Err(error)) => {
                // Nobody wants any more what stood there before, unless it's being written.
                if !matches!(error, DirectoryError::Restless(_)) {
                    lifecycle.forget_shadow();
                }
                let why = error.to_string();
                self.refuse_once(lifecycle, why, &RefusedSet::from(error));
                return lifecycle.fall_back().await;
            }
            Err(error) => return tracing::error!(%error, "the plugin directory can't be looked at: what decides goes on"),
        };
        if let Some(rejected) = lifecycle.rejected(&files.digest).await {
            if self.refused.is_none() {
                let (digest, rejected) = (files.digest.clone(), rejected.clone());
                tracing::warn!(why = rejected.why, "this plugin set isn't tried again until the directory changes");
                lifecycle.status.rejects(rejected);
                self.refused = Some(Refused { what: digest, at: Instant::now(), is_final: true });
            }
            lifecycle.forget_shadow();
            return lifecycle.fall_back().await;
        }
        if lifecycle.is_active(&files.digest) {
            lifecycle.forget_shadow();
            if self.refused.take().is_some() {
                tracing::info!("the plugin directory is back at the active set");
                lifecycle.status.settles();
                lifecycle.metrics.settled();
            }
            return;
        }
        if lifecycle.is_in_shadow(&files.digest) || self.has_refused(&files.digest) {
            return;
        }
        let digest = files.digest.clone();
        match lifecycle.admit(Arc::new(files)).await {
            Ok(()) => self.refused = None,
            Err(refused) => {
                self.refuse_once(lifecycle, digest, &refused);
                lifecycle.fall_back().await;
            }
        }
    }

    /// Says it once for each different finding, and again after a while.
    fn refuse_once(&mut self, lifecycle: &Lifecycle, what: String, refused: &RefusedSet) {
        if self.has_refused(&what) {
            return;
        }
        refuse(lifecycle, Some(&what), refused);
        self.refused = Some(Refused { what, at: Instant::now(), is_final: refused.is_final() });
    }

    fn has_refused(&self, what: &str) -> bool {
        let said = |refused: &Refused| refused.what == what && (refused.is_final || refused.at.elapsed() < SECOND_CHANCE);
        self.refused.as_ref().is_some_and(said)
    }
}

fn refuse(lifecycle: &Lifecycle, digest: Option<&str>, refused: &RefusedSet) {
    let kept = match lifecycle.status.active() {
        Some(set) => format!("generation {} goes on deciding", set.generation()),
        None => "there is no earlier set: requests get 503".to_owned(),
    };
    tracing::error!(error = %refused, kept, "plugin set refused");
    let digest = digest.filter(|text| text.len() == 64);
    lifecycle.status.refused(digest, What::Refused, &refused.to_string());
    lifecycle.metrics.refused();
}

// === impl ConfigMaps ===

impl ConfigMaps {
    fn new(seen: watch::Receiver<Seen>) -> Self {
        Self { seen, healthy: None }
    }

    /// What counts instead of the mounted directory. While the watch works that's the ConfigMaps, since the mount may be behind
    /// them; and for a while after, until the mount has surely caught up.
    fn look(&mut self) -> Option<Result<Members, String>> {
        let Seen { members, healthy } = self.seen.borrow_and_update().clone();
        if healthy {
            self.healthy = Some(Instant::now());
        }
        let counts = self.healthy.is_some_and(|at| at.elapsed() < MOUNT_IS_BEHIND);
        members.filter(|_| counts)
    }

    /// For ever, where there are none.
    async fn changed(config_maps: &mut Option<Self>) {
        if let Some(config_maps) = config_maps
            && config_maps.seen.changed().await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }
}

/// None when it can't be watched: polling still sees the changes.
fn watch_directory(path: &Path, notice: mpsc::Sender<()>) -> Option<notify::RecommendedWatcher> {
    let handler = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            // A full channel already says that something changed.
            let _ = notice.try_send(());
        }
    };
    let watched = notify::recommended_watcher(handler).and_then(|mut watcher| {
        watcher.watch(path, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    watched.inspect_err(|error| tracing::warn!(path = %path.display(), %error, "not watched, only polled")).ok()
}
