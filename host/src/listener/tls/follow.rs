//! Follows the certificate files: at each change in their directories, and slowly besides. A mounted secret changes by a
//! swapped symlink beside the files: so the directories are watched, and all files read anew each time.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{RecursiveMode, Watcher};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use super::{Tls, Unusable, files::Files};
use crate::config;

/// A set of changes is over when nothing happened for so long.
const QUIET: Duration = Duration::from_millis(40);
/// A directory that never rests is read all the same.
const LONGEST_UNREST: Duration = Duration::from_millis(400);

/// The task that takes what changes in the files.
pub struct Follower {
    tls: Tls,
    config: Arc<config::Tls>,
    last: Result<Files, Unusable>,
}

// === impl Follower ===

impl Follower {
    /// `files` is what serves.
    pub(super) fn new(tls: Tls, config: &config::Tls, files: Files) -> Self {
        Self { tls, config: Arc::new(config.clone()), last: Ok(files) }
    }

    /// Follows the files for the life of the gateway, on the control thread.
    pub async fn run(mut self) {
        let directories = directories(&self.config);
        let (changed, mut changes) = mpsc::channel(1);
        let mut watchers: Vec<_> = directories.iter().map(|directory| (directory, None)).collect();
        loop {
            for (directory, watcher) in &mut watchers {
                // One that wasn't there, or was replaced, is watched from when it's there.
                if watcher.is_none() || !directory.exists() {
                    *watcher = watch(directory, changed.clone());
                }
            }
            self.look().await;
            if timeout(Duration::from_secs(self.config.poll_s), changes.recv()).await.is_ok() {
                let began = Instant::now();
                while began.elapsed() < LONGEST_UNREST && timeout(QUIET, changes.recv()).await.is_ok() {}
            }
        }
    }

    /// Reads the files and takes what is new in them; what can't be used is said once, and changes nothing.
    pub(super) async fn look(&mut self) {
        let config = Arc::clone(&self.config);
        let Ok(read) = tokio::task::spawn_blocking(move || Files::read(&config)).await else { return };
        let found = read.map_err(Unusable::from);
        if self.last == found {
            return;
        }
        let loaded = found.as_ref().map_err(Clone::clone).and_then(|files| files.load(self.config.client_certificates));
        self.last = found;
        match loaded {
            Ok(loaded) => {
                self.tls.0.take(loaded);
                self.tls.0.metrics.loaded();
                tracing::info!("the certificate files changed: new handshakes use them");
            }
            Err(error) => {
                self.tls.0.metrics.refused();
                tracing::error!(%error, "the certificate files changed and can't be used: what was there before goes on serving");
            }
        }
    }
}

fn directories(config: &config::Tls) -> BTreeSet<PathBuf> {
    let files = config.certificates.iter().flat_map(|pair| [&pair.certificate, &pair.key]).chain(&config.client_ca);
    let directory = |file: &PathBuf| match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    files.map(directory).collect()
}

/// None when it can't be watched: polling still sees the changes.
fn watch(directory: &Path, changed: mpsc::Sender<()>) -> Option<notify::RecommendedWatcher> {
    let handler = move |event: notify::Result<notify::Event>| {
        // Reading the files is an event as well.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            // A full channel says already what this would say.
            let _ = changed.try_send(());
        }
    };
    let watched = notify::recommended_watcher(handler).and_then(|mut watcher| {
        watcher.watch(directory, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    watched.inspect_err(|error| tracing::warn!(directory = %directory.display(), %error, "not watched, only polled")).ok()
}
