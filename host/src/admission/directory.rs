//! A plugin directory read as one set, as kubelet mounts a ConfigMap: the real files stand in a directory of their own, to which
//! `..data` points, and a change is one rename of that link. Everything is read through one resolution of it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

const MANIFEST: &str = "plugins.yaml";
/// All files of a directory together, in bytes.
const LARGEST_SET: u64 = 256 << 20;
const MOST_FILES: usize = 64;
/// A directory that changes while it's read is read again, so many times.
const TRIES: usize = 3;

/// The files of one set.
#[derive(Debug, PartialEq)]
pub struct Files {
    pub manifest: String,
    /// By name, without the manifest.
    pub components: BTreeMap<String, Vec<u8>>,
    /// SHA-256 over names and contents: equal digests are equal sets.
    pub digest: String,
}

/// The directory can't be read as a set.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error("{0}: {1}")]
    Unreadable(PathBuf, std::io::Error),
    #[error("{0}: is empty; a configured directory never falls back to the defaults")]
    Empty(PathBuf),
    #[error("{0}: has no plugins.yaml")]
    NoManifest(PathBuf),
    #[error("{0}: plugins.yaml isn't UTF-8 text")]
    NotText(PathBuf),
    #[error("{path}: {found}, expected at most {expected}")]
    TooLarge { path: PathBuf, found: String, expected: String },
    #[error("{0}: changed while it was read")]
    Restless(PathBuf),
    #[error("{0}")]
    ConfigMaps(String),
}

// === impl Files ===

impl Files {
    /// Reads a directory whole.
    ///
    /// # Errors
    /// What is wrong with it; nothing of it is used then.
    pub fn read(directory: &Path) -> Result<Self, DirectoryError> {
        let mut last = None;
        for _ in 0..TRIES {
            match Self::read_once(directory) {
                // The link moved on and the old files were removed, or a file changed under us: look again.
                Err(error @ (DirectoryError::Unreadable(..) | DirectoryError::Restless(_))) => last = Some(error),
                done => return done,
            }
        }
        Err(last.unwrap_or_else(|| DirectoryError::Restless(directory.to_owned())))
    }

    fn read_once(directory: &Path) -> Result<Self, DirectoryError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            |error| DirectoryError::Unreadable(path, error)
        };
        let link = directory.join("..data");
        let mounted = link.symlink_metadata().is_ok();
        let real = if mounted { link.canonicalize().map_err(unreadable(&link))? } else { directory.to_owned() };
        let before = listing(&real)?;
        if before.is_empty() {
            return Err(DirectoryError::Empty(directory.to_owned()));
        }
        if before.len() > MOST_FILES {
            let found = format!("{} files", before.len());
            return Err(DirectoryError::TooLarge { path: directory.to_owned(), found, expected: MOST_FILES.to_string() });
        }
        let bytes: u64 = before.values().map(|(length, _)| length).sum();
        if bytes > LARGEST_SET {
            let expected = LARGEST_SET.to_string();
            return Err(DirectoryError::TooLarge { path: directory.to_owned(), found: format!("{bytes} bytes"), expected });
        }
        let mut components = BTreeMap::new();
        for name in before.keys() {
            let path = real.join(name);
            components.insert(name.clone(), std::fs::read(&path).map_err(unreadable(&path))?);
        }
        // A plain directory has no rename to hide behind: what was read counts only if nothing changed meanwhile.
        if !mounted && listing(&real)? != before {
            return Err(DirectoryError::Restless(directory.to_owned()));
        }
        Self::assemble(directory, components)
    }

    /// A set from the members of ConfigMaps, as the directory in which they're mounted would show it.
    ///
    /// # Errors
    /// As `read`.
    pub fn from_members(directory: &Path, members: &BTreeMap<String, Vec<u8>>) -> Result<Self, DirectoryError> {
        let taken = members.iter().filter(|(name, _)| is_member(name)).map(|(name, content)| (name.clone(), content.clone()));
        let taken: BTreeMap<String, Vec<u8>> = taken.collect();
        if taken.is_empty() {
            return Err(DirectoryError::Empty(directory.to_owned()));
        }
        Self::assemble(directory, taken)
    }

    fn assemble(directory: &Path, mut components: BTreeMap<String, Vec<u8>>) -> Result<Self, DirectoryError> {
        let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        for (name, content) in &components {
            for part in [name.as_bytes(), content] {
                digest.update(&(part.len() as u64).to_be_bytes());
                digest.update(part);
            }
        }
        let digest = hex(digest.finish().as_ref());
        let manifest = components.remove(MANIFEST).ok_or_else(|| DirectoryError::NoManifest(directory.to_owned()))?;
        let manifest = String::from_utf8(manifest).map_err(|_| DirectoryError::NotText(directory.to_owned()))?;
        Ok(Self { manifest, components, digest })
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a set is made of, with what changes when it does. Other files, as a component that is still being copied under another
/// name, make no other set.
fn listing(directory: &Path) -> Result<BTreeMap<String, (u64, Option<std::time::SystemTime>)>, DirectoryError> {
    let unreadable = |error| DirectoryError::Unreadable(directory.to_owned(), error);
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !is_member(&name) {
            continue;
        }
        let metadata = std::fs::metadata(entry.path()).map_err(unreadable)?;
        if metadata.is_file() {
            files.insert(name, (metadata.len(), metadata.modified().ok()));
        }
    }
    Ok(files)
}

fn is_member(name: &str) -> bool {
    !name.starts_with('.') && (name == MANIFEST || name.ends_with(".wasm"))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn mount(directory: &Path, generation: &str, files: &[(&str, &str)]) {
        let real = directory.join(generation);
        fs::create_dir(&real).unwrap();
        for (name, content) in files {
            fs::write(real.join(name), content).unwrap();
            let _ = symlink(Path::new("..data").join(name), directory.join(name));
        }
        symlink(generation, directory.join("..data_tmp")).unwrap();
        fs::rename(directory.join("..data_tmp"), directory.join("..data")).unwrap();
    }

    #[test]
    fn a_mounted_set_is_read_through_its_link() {
        let directory = tempfile::tempdir().unwrap();
        mount(directory.path(), "..1", &[("plugins.yaml", "one"), ("a.wasm", "A")]);
        let first = Files::read(directory.path()).unwrap();
        assert_eq!((first.manifest.as_str(), first.components.len()), ("one", 1));
        mount(directory.path(), "..2", &[("plugins.yaml", "one"), ("a.wasm", "A")]);
        assert_eq!(Files::read(directory.path()).unwrap(), first, "equal content is an equal set");
        fs::write(directory.path().join("..2/b.wasm.new"), "half").unwrap();
        fs::write(directory.path().join("..2/.b.wasm"), "half").unwrap();
        assert_eq!(Files::read(directory.path()).unwrap(), first, "what is still being written is no part of it");
        mount(directory.path(), "..3", &[("plugins.yaml", "one")]);
        let third = Files::read(directory.path()).unwrap();
        assert!(third.components.is_empty() && third.digest != first.digest);
    }

    #[test]
    fn an_empty_directory_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(Files::read(directory.path()), Err(DirectoryError::Empty(_))));
        mount(directory.path(), "..1", &[("a.wasm", "A")]);
        assert!(matches!(Files::read(directory.path()), Err(DirectoryError::NoManifest(_))));
        fs::remove_dir_all(directory.path().join("..1")).unwrap();
        assert!(matches!(Files::read(directory.path()), Err(DirectoryError::Unreadable(..))));
        assert!(matches!(Files::read(&directory.path().join("nowhere")), Err(DirectoryError::Unreadable(..))));
    }
}
