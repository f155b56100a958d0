//! Artifacts of registries for the loader: pulled at most once, kept on disk or in memory, held against their digest at each use.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::pki_types::CertificateDer;

use super::{artifact::Artifact, pull::Request, pull_secret, reference::Reference};
use crate::{background::PLUGINS, config, plugin::PrivateDirectory};

/// What is kept on disk, besides what the last good set needs.
const MOST_KEPT: usize = 32;
const MOST_BYTES_KEPT: u64 = 1 << 30;
/// In memory, with what the last good set needs. Over it the others go.
const MOST_BYTES_IN_MEMORY: usize = 64 << 20;

/// Pulls and keeps.
pub struct Artifacts {
    /// The program that is run as the child that pulls.
    program: PathBuf,
    limits: config::Plugins,
    authorities: Vec<String>,
    /// None: in memory, for the life of the gateway.
    directory: Option<PrivateDirectory>,
    memory: Mutex<Memory>,
}

/// What is known of what is kept.
#[derive(Default)]
struct Memory {
    /// By digest, without a directory.
    kept: BTreeMap<String, Vec<u8>>,
    /// Those of the last good set.
    good: BTreeSet<String>,
}

// === impl Artifacts ===

impl Artifacts {
    /// `program` is run as the child; for the gateway that's itself. `state` is its private directory.
    pub fn new(
        program: PathBuf,
        limits: &config::Plugins,
        authorities: &[CertificateDer<'_>],
        state: Option<&PrivateDirectory>,
    ) -> Self {
        let authorities = authorities.iter().map(|authority| STANDARD.encode(authority)).collect();
        let directory = state.and_then(|state| {
            let opened = state.directory("artifacts");
            opened
                .inspect_err(|error| tracing::warn!(%error, "artifacts are kept in memory only: state_directory's artifacts"))
                .ok()
        });
        Self { program, limits: limits.clone(), authorities, directory, memory: Mutex::default() }
    }

    /// The component that the reference names.
    ///
    /// # Errors
    /// Why it can't be had, in a sentence.
    pub async fn component(&self, reference: &Reference) -> Result<Vec<u8>, String> {
        match self.kept(reference).await {
            Some(Ok(component)) if component.len() <= self.most_bytes() => return Ok(component),
            Some(Ok(component)) => {
                return Err(format!("{} bytes, at most {} (plugins.component_mib)", component.len(), self.most_bytes()));
            }
            Some(Err(why)) => tracing::warn!(%reference, why, "a kept artifact was changed: it's pulled again"),
            None => {}
        }
        let (pull_secrets, registries) = (&self.limits.pull_secrets, &self.limits.registries);
        let login = pull_secret::login(reference, registries, pull_secrets)?;
        let plain_http = registries.get(&reference.registry).is_some_and(|registry| registry.plain_http);
        let most_bytes = self.most_bytes() as u64;
        let request =
            Request { reference: reference.to_string(), login, plain_http, authorities: self.authorities.clone(), most_bytes };
        let limit = self.limits.pull_timeout_s;
        let artifact = tokio::time::timeout(Duration::from_secs(limit), request.in_child(&self.program))
            .await
            .map_err(|_| format!("pulling it took longer than {limit} s (plugins.pull_timeout_s)"))??;
        let bytes = artifact.to_bytes();
        let component = artifact.into_component(reference)?;
        tracing::info!(%reference, bytes = component.len(), "a plugin was pulled");
        self.keep(reference, bytes).await;
        Ok(component)
    }

    /// These are the good set's: of the others, those that weren't for the longest time make room.
    pub async fn settle<'a>(&self, references: impl Iterator<Item = &'a Reference>) {
        let good: BTreeSet<String> = references.map(|reference| reference.sha256.clone()).collect();
        self.memory().good.clone_from(&good);
        let Some(directory) = self.directory.clone() else { return self.memory().make_room(0) };
        let tidy = move || {
            for digest in &good {
                if let Err(error) = directory.set_modified(digest, SystemTime::now()) {
                    tracing::debug!(%error, digest, "when an artifact was used isn't noted");
                }
            }
            if let Err(error) = directory.make_room(MOST_KEPT, MOST_BYTES_KEPT, |name| good.contains(name)) {
                tracing::warn!(path = %directory.path().display(), %error, "kept artifacts can't be tidied");
            }
        };
        let _ = PLUGINS.run(tidy).await;
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn most_bytes(&self) -> usize {
        self.limits.component_mib << 20
    }

    /// None when it isn't there, or isn't even an artifact.
    async fn kept(&self, reference: &Reference) -> Option<Result<Vec<u8>, String>> {
        let Some(directory) = &self.directory else {
            let memory = self.memory();
            return Some(Artifact::from_bytes(memory.kept.get(&reference.sha256)?)?.into_component(reference));
        };
        let (directory, reference) = (directory.clone(), reference.clone());
        let read = move || match directory.read(&reference.sha256) {
            Ok(bytes) => Some(Artifact::from_bytes(&bytes?)?.into_component(&reference)),
            Err(error) => Some(Err(error.to_string())),
        };
        PLUGINS.run(read).await.ok().flatten()
    }

    /// What can't be kept is pulled again next time: no reason to refuse.
    async fn keep(&self, reference: &Reference, bytes: Vec<u8>) {
        let Some(directory) = &self.directory else {
            let mut memory = self.memory();
            memory.make_room(bytes.len());
            memory.kept.insert(reference.sha256.clone(), bytes);
            return;
        };
        let (within, name, good) = (directory.clone(), reference.sha256.clone(), self.memory().good.clone());
        let write = move || {
            let room = MOST_BYTES_KEPT.saturating_sub(bytes.len() as u64);
            within.make_room(MOST_KEPT - 1, room, |other| other == name || good.contains(other))?;
            write(&within, &name, &bytes)
        };
        let written = PLUGINS.run(write).await;
        if let Err(error) = written.unwrap_or_else(|stopped| Err(stopped.into())) {
            tracing::warn!(path = %directory.path().display(), %error, "an artifact can't be kept: after a restart it's pulled again");
        }
    }
}

// === impl Memory ===

impl Memory {
    fn make_room(&mut self, more: usize) {
        let bytes: usize = self.kept.values().map(Vec::len).sum();
        if bytes + more > MOST_BYTES_IN_MEMORY {
            self.kept.retain(|digest, _| self.good.contains(digest));
        }
    }
}

/// Not yet part of a set that decided: the first to make room.
fn write(directory: &PrivateDirectory, name: &str, bytes: &[u8]) -> io::Result<()> {
    directory.write(name, bytes)?;
    directory.set_modified(name, SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_what_is_kept_the_good_sets_stays() {
        let outside = tempfile::tempdir().unwrap();
        let private = PrivateDirectory::within(outside.path()).unwrap();
        let path = private.directory("artifacts").unwrap();
        let name = |number: usize| format!("{number:064}");
        for number in 0..MOST_KEPT + 5 {
            write(&path, &name(number), b"content").unwrap();
        }
        let good = Reference { registry: "registry.example".into(), repository: "policy".into(), sha256: name(3) };
        let artifacts = Artifacts::new(PathBuf::new(), &config::Plugins::default(), &[], Some(&private));
        artifacts.settle([&good].into_iter()).await;
        assert_eq!(path.names().unwrap().len(), MOST_KEPT + 1);
        // What was good before goes after what never was.
        let next = Reference { sha256: name(9), ..good.clone() };
        write(&path, &next.sha256, b"content").unwrap();
        artifacts.settle([&next].into_iter()).await;
        for number in 100..100 + 2 * MOST_KEPT {
            write(&path, &name(number), b"content").unwrap();
        }
        artifacts.settle([&next].into_iter()).await;
        let names = path.names().unwrap();
        assert!(names.contains(&name(3)) && names.contains(&name(9)));
        assert_eq!(path.names().unwrap().len(), MOST_KEPT + 1);
    }

    #[tokio::test]
    async fn what_is_pulled_makes_room_for_itself() {
        let outside = tempfile::tempdir().unwrap();
        let private = PrivateDirectory::within(outside.path()).unwrap();
        let artifacts = Artifacts::new(PathBuf::new(), &config::Plugins::default(), &[], Some(&private));
        let reference = |number: usize| Reference {
            registry: "registry.example".into(),
            repository: "policy".into(),
            sha256: format!("{number:064}"),
        };
        artifacts.keep(&reference(0), b"good".to_vec()).await;
        artifacts.settle([&reference(0)].into_iter()).await;
        let kept = || private.directory("artifacts").unwrap().names().unwrap();
        for number in 1..2 * MOST_KEPT {
            artifacts.keep(&reference(number), b"refused".to_vec()).await;
            assert!(kept().len() <= MOST_KEPT + 1, "{number}");
            assert!(kept().contains(&reference(number).sha256) && kept().contains(&reference(0).sha256), "{number}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut memory = Memory { good: BTreeSet::from(["good".to_owned()]), ..Memory::default() };
        for name in ["good", "bad", "worse"] {
            memory.make_room(MOST_BYTES_IN_MEMORY / 2);
            memory.kept.insert(name.to_owned(), vec![0; MOST_BYTES_IN_MEMORY / 2]);
        }
        assert_eq!(memory.kept.keys().collect::<Vec<_>>(), ["good", "worse"]);
    }
}
