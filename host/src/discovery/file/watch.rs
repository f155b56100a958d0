//! Follows the file: at each change in its directory, and slowly besides. A ConfigMap changes by a swapped symlink beside the
//! file, an editor by a rename: so the directory is watched, and the file read anew each time.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use notify::Watcher;
use tokio::{io::AsyncReadExt, sync::mpsc};

use super::{LARGEST_FILE, parse};
use crate::{discovery::Report, domain::SourceKind};

/// Runs until nobody reads the reports any more. Each look is reported, so that the status says how old the list is.
pub async fn run(path: PathBuf, poll: Duration, reports: mpsc::Sender<Report>) {
    let mut follower = Follower::new(path, poll);
    loop {
        let text = follower.next().await;
        let outcome = text.and_then(|text| parse(&text).map_err(|error| format!("{}: {error}", follower.path.display())));
        if reports.send(Report::new(SourceKind::File, outcome)).await.is_err() {
            return;
        }
    }
}

/// Reads a file whenever it may have changed.
struct Follower {
    path: PathBuf,
    poll: Duration,
    watcher: Option<notify::RecommendedWatcher>,
    /// Kept, so that the channel doesn't close.
    changed: mpsc::Sender<()>,
    changes: mpsc::Receiver<()>,
    first: bool,
}

impl Follower {
    fn new(path: PathBuf, poll: Duration) -> Self {
        let (changed, changes) = mpsc::channel(1);
        Self { path, poll, watcher: None, changed, changes, first: true }
    }

    /// The text: at once the first time, then after a change, or when the poll's time is over.
    async fn next(&mut self) -> Result<String, String> {
        if !std::mem::take(&mut self.first) {
            let _ = tokio::time::timeout(self.poll, self.changes.recv()).await;
        }
        // Set up before reading, so that a change in between isn't missed; again, if the directory wasn't there.
        if self.watcher.is_none() {
            self.watcher = watch(&self.path, self.changed.clone());
        }
        read(&self.path).await
    }
}

fn watch(path: &Path, changed: mpsc::Sender<()>) -> Option<notify::RecommendedWatcher> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading the file is an event as well.
        if !event.is_ok_and(|event| event.kind.is_access() && !closes_a_write(&event.kind)) {
            // A full channel says already what this would say.
            let _ = changed.try_send(());
        }
    });
    let watched = watcher.and_then(|mut watcher| {
        watcher.watch(directory, notify::RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    watched
        .inspect_err(|error| {
            tracing::warn!(directory = %directory.display(), %error, "changes are seen late: the directory can't be watched");
        })
        .ok()
}

fn closes_a_write(kind: &notify::EventKind) -> bool {
    use notify::event::{AccessKind, AccessMode, EventKind};
    matches!(kind, EventKind::Access(AccessKind::Close(AccessMode::Write)))
}

async fn read(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let mut text = String::new();
    file.take(LARGEST_FILE + 1).read_to_string(&mut text).await.map_err(failed)?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(format!("{}: found more than {LARGEST_FILE} bytes, expected a list of sessions", path.display()));
    }
    Ok(text)
}
