//! Watches the plugin directory and admits what changes in it. Runs on the control thread for the life of the gateway.

use std::{
    path::{Path, PathBuf},
    pin::Pin,
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
    load::{Loader, RefusedSet},
    status::{AdmissionStatus, Metrics},
};
use crate::{
    kubernetes::config_maps::{Members, Seen},
    plugin::PluginSet,
};

/// A set of changes is over when nothing happened for so long.
const QUIET: Duration = Duration::from_millis(40);
/// A directory that never rests is read all the same.
const LONGEST_UNREST: Duration = Duration::from_millis(400);
/// What was refused is tried again after this time: the reason may have lain outside (memory, a key set not loaded yet).
const SECOND_CHANCE: Duration = Duration::from_secs(60);

/// kubelet brings a change to the mount after its sync period and what its cache adds: a minute or two.
const MOUNT_IS_BEHIND: Duration = Duration::from_secs(180);

/// Makes a set the one that decides. It answers when that is so, or why it isn't.
pub type Activate = Box<dyn Fn(Arc<PluginSet>) -> Pin<Box<dyn Future<Output = Result<(), String>>>>>;

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
    pub loader: Loader,
    pub source: Source,
    pub activate: Activate,
    pub status: AdmissionStatus,
    pub metrics: Metrics,
}

/// What is known through Kubernetes' API of the mounted ConfigMaps.
struct ConfigMaps {
    seen: watch::Receiver<Seen>,
    /// When their watch worked last.
    healthy: Option<Instant>,
}

/// What was last found in the directory.
#[derive(Default)]
struct Found {
    active: Option<String>,
    refused: Option<(String, Instant)>,
}

// === impl Admission ===

impl Admission {
    /// Admits the first set and then every change. Returns only when the default plugins were activated, which don't change.
    pub async fn run(self) {
        match &self.source {
            Source::Builtin { cookies } => {
                self.status.starts("builtin".into());
                let loaded = self.loader.load_builtin(cookies).await;
                if let Err(refused) = self.settle(loaded).await {
                    self.refuse(&refused);
                }
            }
            Source::Directory { path, poll, config_maps } => {
                self.status.starts(path.display().to_string());
                self.watch(path, *poll, config_maps.clone()).await;
            }
        }
    }

    async fn watch(&self, path: &Path, poll: Duration, config_maps: Option<watch::Receiver<Seen>>) {
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
            self.look(path, members, &mut found).await;
            if !path.exists() {
                watcher = None;
            }
            let noticed = tokio::select! {
                noticed = timeout(poll, changes.recv()) => noticed.is_ok(),
                () = ConfigMaps::changed(&mut config_maps) => false,
            };
            if noticed {
                let began = Instant::now();
                while began.elapsed() < LONGEST_UNREST && timeout(QUIET, changes.recv()).await.is_ok() {}
            }
        }
    }

    /// Reads the directory, or what its ConfigMaps hold, and admits what is new in it.
    async fn look(&self, path: &Path, members: Option<Result<Members, String>>, found: &mut Found) {
        let read_from = path.to_owned();
        let read = move || match members {
            Some(Ok(members)) => Files::from_members(&read_from, &members),
            Some(Err(why)) => Err(DirectoryError::ConfigMaps(why)),
            None => Files::read(&read_from),
        };
        let files = match tokio::task::spawn_blocking(read).await {
            Ok(Ok(files)) => files,
            Ok(Err(error)) => {
                let why = error.to_string();
                self.refuse_once(why.clone(), &RefusedSet::from(error), found);
                return;
            }
            Err(_) => return,
        };
        if found.active.as_ref() == Some(&files.digest) {
            if found.refused.take().is_some() {
                tracing::info!("the plugin directory is back at the active set");
                self.status.refused(None);
                self.metrics.settled();
            }
            return;
        }
        let again = |(digest, at): &(String, Instant)| *digest == files.digest && at.elapsed() < SECOND_CHANCE;
        if found.refused.as_ref().is_some_and(again) {
            return;
        }
        let loaded = self.loader.load_files(&files).await;
        match self.settle(loaded).await {
            Ok(()) => *found = Found { active: Some(files.digest), refused: None },
            Err(refused) => self.refuse_once(files.digest, &refused, found),
        }
    }

    async fn settle(&self, loaded: Result<Arc<PluginSet>, RefusedSet>) -> Result<(), RefusedSet> {
        let set = loaded?;
        (self.activate)(Arc::clone(&set)).await.map_err(RefusedSet::Activation)?;
        let names: Vec<String> = set.plugins().map(|plugin| plugin.name.to_string()).collect();
        tracing::info!(generation = %set.generation(), plugins = names.join(" "), "plugin set activated");
        self.metrics.activated(&set);
        self.status.activated(set);
        Ok(())
    }

    /// Says it once for each different finding, and again after a while.
    fn refuse_once(&self, what: String, refused: &RefusedSet, found: &mut Found) {
        let said = |(earlier, at): &(String, Instant)| *earlier == what && at.elapsed() < SECOND_CHANCE;
        if found.refused.as_ref().is_some_and(said) {
            return;
        }
        found.refused = Some((what, Instant::now()));
        self.refuse(refused);
    }

    fn refuse(&self, refused: &RefusedSet) {
        let kept = match self.status.active() {
            Some(set) => format!("generation {} goes on deciding", set.generation()),
            None => "there is no earlier set: requests get 503".to_owned(),
        };
        tracing::error!(error = %refused, kept, "plugin set refused");
        self.status.refused(Some(refused.to_string()));
        self.metrics.refused();
    }
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
