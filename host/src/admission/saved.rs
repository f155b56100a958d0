//! What outlives the gateway's process: the set that was found good last, and the one that was rejected. Written whole, so that
//! whenever the process ends there's one set or the other.

use std::sync::Arc;

use super::directory::{DirectoryError, Files, MANIFEST};
use crate::{background::PLUGINS, plugin::PrivateDirectory};

/// Which of the saved sets is the good one.
const GOOD: &str = "good";
const REJECTED: &str = "rejected";
const SETS: &str = "sets";

/// The private directory as admission uses it.
#[derive(Clone, Debug)]
pub struct Saved(PrivateDirectory);

/// A set that was taken back or dropped from the shadow, and isn't tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    pub digest: String,
    pub why: String,
}

// === impl Saved ===

impl Saved {
    pub fn new(private: PrivateDirectory) -> Self {
        Self(private)
    }

    /// The set that was found good last, if it's still whole. As all that follows, off the thread that asks: a disk may be slow.
    pub async fn good(&self) -> Option<Files> {
        let saved = self.clone();
        PLUGINS.run(move || saved.read_good()).await.ok()?
    }

    /// Whether a set was found good last that isn't this one, be it whole or not. Where that can't be told there is one: without it
    /// nothing is verified.
    pub async fn has_other_good(&self, digest: &str) -> bool {
        let saved = self.clone();
        let good = PLUGINS.run(move || saved.good_digest()).await;
        good.map_or(true, |good| good.is_some_and(|good| good != digest))
    }

    fn good_digest(&self) -> Option<String> {
        String::from_utf8(self.read(GOOD)?).ok().filter(|digest| is_digest(digest))
    }

    fn read_good(&self) -> Option<Files> {
        let digest = self.good_digest()?;
        match self.set(&digest) {
            Ok(files) if files.digest == digest => Some(files),
            Ok(_) => {
                tracing::error!(digest, "the saved plugin set isn't what was saved: it isn't used");
                None
            }
            Err(error) => {
                tracing::error!(%error, "the saved plugin set can't be read");
                None
            }
        }
    }

    /// Saves a set as the good one, in place of the one before.
    pub async fn keep(&self, files: &Arc<Files>) {
        let (saved, files) = (self.clone(), Arc::clone(files));
        if let Err(error) = in_background(move || saved.write_good(&files)).await {
            tracing::error!(%error, "the plugin set can't be saved: after a restart with a broken directory an older one serves, or none");
        }
    }

    fn write_good(&self, files: &Files) -> std::io::Result<()> {
        let sets = self.0.directory(SETS)?;
        // What stands there under its digest may have been cut short: it's written anew, each file whole.
        let place = sets.directory(&files.digest)?;
        for (name, content) in &files.members {
            place.write(name, content)?;
        }
        place.write(MANIFEST, files.manifest.as_bytes())?;
        self.0.write(GOOD, files.digest.as_bytes())?;
        for other in sets.names()?.iter().filter(|name| **name != files.digest) {
            let _ = sets.remove(other);
        }
        Ok(())
    }

    /// What isn't tried again. At the start only: it's read on the thread that asks.
    pub fn rejected(&self) -> Option<Rejected> {
        let text = String::from_utf8(self.read(REJECTED)?).ok()?;
        let (digest, why) = text.split_once('\n')?;
        is_digest(digest).then(|| Rejected { digest: digest.to_owned(), why: why.to_owned() })
    }

    pub async fn reject(&self, rejected: Option<&Rejected>) {
        let text = rejected.map(|Rejected { digest, why }| format!("{digest}\n{why}"));
        let private = self.0.clone();
        let write = move || match text {
            Some(text) => private.write(REJECTED, text.as_bytes()),
            None => private.remove(REJECTED),
        };
        if let Err(error) = in_background(write).await {
            tracing::error!(%error, "what was rejected can't be saved: a restart may try it again");
        }
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        self.0.read(name).inspect_err(|error| tracing::error!(name, %error, "what was saved can't be read")).ok()?
    }

    fn set(&self, digest: &str) -> Result<Files, DirectoryError> {
        let path = self.0.path().join(SETS).join(digest);
        let unreadable = |error| DirectoryError::Unreadable(path.clone(), error);
        let place = self.0.directory(SETS).and_then(|sets| sets.directory(digest)).map_err(unreadable)?;
        let found = place.files().map_err(unreadable)?;
        Files::of_members(&path, found.iter().map(|kept| (kept.name.as_str(), kept.bytes)), |name| {
            place.read(name).map(Option::unwrap_or_default).map_err(unreadable)
        })
    }
}

// === impl Rejected ===

impl Rejected {
    /// For operators.
    pub fn in_words(&self) -> String {
        format!("it isn't tried again until the directory changes: {}", self.why)
    }
}

async fn in_background(write: impl FnOnce() -> std::io::Result<()> + Send + 'static) -> std::io::Result<()> {
    PLUGINS.run(write).await.unwrap_or_else(|stopped| Err(stopped.into()))
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, path::Path};

    use super::*;

    fn files(manifest: &str) -> Arc<Files> {
        let members = [(MANIFEST, manifest), ("a.wasm", "A"), ("cases.yaml", "c")];
        let members: BTreeMap<String, Vec<u8>> = members.map(|(name, content)| (name.to_owned(), content.into())).into();
        Arc::new(Files::from_members(Path::new("here"), &members).unwrap())
    }

    #[tokio::test]
    async fn the_last_good_set_is_what_is_read() {
        let outside = tempfile::tempdir().unwrap();
        let saved = Saved::new(PrivateDirectory::within(outside.path()).unwrap());
        assert_eq!(saved.good().await, None);
        for manifest in ["one", "two", "two"] {
            saved.keep(&files(manifest)).await;
            assert_eq!(saved.good().await.map(Arc::new), Some(files(manifest)));
        }
        assert_eq!(fs::read_dir(outside.path().join("plugins/sets")).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_set_that_is_not_what_was_saved_is_not_used() {
        let outside = tempfile::tempdir().unwrap();
        let saved = Saved::new(PrivateDirectory::within(outside.path()).unwrap());
        saved.keep(&files("one")).await;
        let place = outside.path().join("plugins/sets").join(&files("one").digest);
        fs::write(place.join("a.wasm"), "B").unwrap();
        assert_eq!(saved.good().await, None);
        fs::remove_dir_all(&place).unwrap();
        assert_eq!(saved.good().await, None);
        saved.keep(&files("one")).await;
        for bad in ["../../elsewhere", "", "zz"] {
            fs::write(outside.path().join("plugins/good"), bad).unwrap();
            assert_eq!(saved.good().await, None, "{bad:?}");
        }
    }

    #[tokio::test]
    async fn a_process_that_ends_at_any_point_leaves_a_set() {
        let outside = tempfile::tempdir().unwrap();
        let saved = Saved::new(PrivateDirectory::within(outside.path()).unwrap());
        saved.keep(&files("one")).await;
        // As if the next one had been cut off: some of its files, unfinished ones, and no word that it's the good one.
        let place = outside.path().join("plugins/sets").join(&files("two").digest);
        fs::create_dir(&place).unwrap();
        fs::write(place.join("a.wasm"), "").unwrap();
        fs::write(outside.path().join("plugins/good.unfinished"), "xx").unwrap();
        assert_eq!(saved.good().await.map(Arc::new), Some(files("one")));
        saved.keep(&files("two")).await;
        assert_eq!(saved.good().await.map(Arc::new), Some(files("two")));
    }

    #[tokio::test]
    async fn what_was_rejected_is_remembered() {
        let outside = tempfile::tempdir().unwrap();
        let saved = Saved::new(PrivateDirectory::within(outside.path()).unwrap());
        let rejected = Rejected { digest: "ab".repeat(32), why: "failed:\ntwice".into() };
        saved.reject(Some(&rejected)).await;
        assert_eq!(saved.rejected(), Some(rejected));
        saved.reject(None).await;
        assert_eq!(saved.rejected(), None);
    }
}
