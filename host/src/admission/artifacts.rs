//! Artifacts of registries for the loader: pulled at most once, kept on disk or in memory, held against their digest at each use.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::pki_types::CertificateDer;

use super::{artifact::Artifact, pull::Request, pull_secret, reference::Reference};
use crate::config;

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
    directory: Option<PathBuf>,
    memory: Mutex<Memory>,
}

/// What is kept without a directory, by digest.
#[derive(Default)]
struct Memory {
    kept: BTreeMap<String, Vec<u8>>,
    /// Those of the last good set.
    good: BTreeSet<String>,
}

// === impl Artifacts ===

impl Artifacts {
    /// `program` is run as the child; for the gateway that's itself. `state` is its private directory.
    pub fn new(program: PathBuf, limits: &config::Plugins, authorities: &[CertificateDer<'_>], state: Option<&Path>) -> Self {
        let authorities = authorities.iter().map(|authority| STANDARD.encode(authority)).collect();
        let directory = state.map(|state| state.join("artifacts"));
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
    pub fn settle<'a>(&self, references: impl Iterator<Item = &'a Reference>) {
        let good: BTreeSet<String> = references.map(|reference| reference.sha256.clone()).collect();
        let Some(directory) = &self.directory else {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.good = good;
            return memory.make_room(0);
        };
        for digest in &good {
            let file = fs::File::options().append(true).open(directory.join(digest));
            if let Err(error) = file.and_then(|file| file.set_modified(SystemTime::now())) {
                tracing::debug!(%error, digest, "when an artifact was used isn't noted");
            }
        }
        if let Err(error) = make_room(directory, &good)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %directory.display(), %error, "kept artifacts can't be tidied");
        }
    }

    fn most_bytes(&self) -> usize {
        self.limits.component_mib << 20
    }

    /// None when it isn't there, or isn't even an artifact.
    async fn kept(&self, reference: &Reference) -> Option<Result<Vec<u8>, String>> {
        let Some(directory) = &self.directory else {
            let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            return Some(Artifact::from_bytes(memory.kept.get(&reference.sha256)?)?.into_component(reference));
        };
        let (path, reference) = (directory.join(&reference.sha256), reference.clone());
        let read = move || Some(Artifact::from_bytes(&fs::read(path).ok()?)?.into_component(&reference));
        tokio::task::spawn_blocking(read).await.ok().flatten()
    }

    /// What can't be kept is pulled again next time: no reason to refuse.
    async fn keep(&self, reference: &Reference, bytes: Vec<u8>) {
        let Some(directory) = &self.directory else {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.make_room(bytes.len());
            memory.kept.insert(reference.sha256.clone(), bytes);
            return;
        };
        let (path, name) = (directory.clone(), reference.sha256.clone());
        let written = tokio::task::spawn_blocking(move || write(&path, &name, &bytes)).await;
        if let Err(error) = written.unwrap_or_else(|error| Err(io::Error::other(error))) {
            tracing::warn!(path = %directory.display(), %error, "an artifact can't be kept: after a restart it's pulled again");
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

/// Whole or not at all, whenever the process ends.
fn write(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let beside = directory.join(format!(".{name}"));
    let mut file = fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    io::Write::write_all(&mut file, bytes)?;
    // Not yet part of a set that decided: the first to make room.
    file.set_modified(SystemTime::UNIX_EPOCH)?;
    file.sync_all()?;
    fs::rename(beside, directory.join(name))
}

fn make_room(directory: &Path, good: &BTreeSet<String>) -> io::Result<()> {
    let mut others = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !good.contains(&name) {
            let metadata = entry.metadata()?;
            others.push((metadata.modified()?, metadata.len(), entry.path()));
        }
    }
    others.sort_by_key(|other| std::cmp::Reverse(other.0));
    let mut bytes = 0_u64;
    for (at, (_, length, path)) in others.into_iter().enumerate() {
        bytes = bytes.saturating_add(length);
        if at >= MOST_KEPT || bytes > MOST_BYTES_KEPT {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_is_kept_the_good_sets_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("artifacts");
        let name = |number: usize| format!("{number:064}");
        for number in 0..MOST_KEPT + 5 {
            write(&path, &name(number), b"content").unwrap();
        }
        let good = Reference { registry: "registry.example".into(), repository: "policy".into(), sha256: name(3) };
        let artifacts = Artifacts::new(PathBuf::new(), &config::Plugins::default(), &[], Some(directory.path()));
        artifacts.settle([&good].into_iter());
        assert_eq!(fs::read_dir(&path).unwrap().count(), MOST_KEPT + 1);
        // What was good before goes after what never was.
        let next = Reference { sha256: name(9), ..good.clone() };
        write(&path, &next.sha256, b"content").unwrap();
        artifacts.settle([&next].into_iter());
        for number in 100..100 + 2 * MOST_KEPT {
            write(&path, &name(number), b"content").unwrap();
        }
        artifacts.settle([&next].into_iter());
        assert!(path.join(name(3)).exists() && path.join(name(9)).exists());
        assert_eq!(fs::read_dir(&path).unwrap().count(), MOST_KEPT + 1);
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
