//! A plugin directory read as one set, as kubelet mounts a ConfigMap: the real files stand in a directory of their own, to which
//! `..data` points, and a change is one rename of that link. Everything is read through one resolution of it.
//!
//! Members are kept as they lie there: `components` unpacks them, `signature` looks at them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

pub const MANIFEST: &str = "plugins.yaml";
/// What a member's name ends in: components, their compressed form, cases and signatures. Others are no part of a set.
const MEMBERS: [&str; 4] = [".wasm", ".wasm.zst", ".yaml", ".sig"];
/// All files of a directory together, in bytes.
const LARGEST_SET: u64 = 256 << 20;
const MOST_FILES: usize = 64;
/// A directory that changes while it's read is read again, so many times.
const TRIES: usize = 3;
/// A file that was written so lately may still be written.
const FRESH: Duration = Duration::from_secs(2);
/// Between two looks at fresh files: a copy that stands still for longer isn't told from one that is done.
const REST: Duration = Duration::from_millis(100);

/// The files of one set.
#[derive(Debug, Default, PartialEq)]
pub struct Files {
    pub manifest: String,
    /// By name, without the manifest: components, cases and signatures, as they lie there.
    pub members: BTreeMap<String, Vec<u8>>,
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
    TooLarge { path: PathBuf, found: String, expected: u64 },
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
        let before = if mounted { listing(&real)? } else { rested(&real, || listing(&real), || std::thread::sleep(REST))? };
        if before.is_empty() {
            return Err(DirectoryError::Empty(directory.to_owned()));
        }
        check_size(directory, before.iter().map(|(name, (length, _))| (name.as_str(), *length)))?;
        let mut members = BTreeMap::new();
        for (name, (length, _)) in &before {
            let path = real.join(name);
            let content = std::fs::read(&path).map_err(unreadable(&path))?;
            if content.len() as u64 != *length {
                return Err(DirectoryError::Restless(directory.to_owned()));
            }
            members.insert(name.clone(), content);
        }
        // A plain directory has no rename to hide behind: what was read counts only if nothing changed meanwhile.
        if !mounted && listing(&real)? != before {
            return Err(DirectoryError::Restless(directory.to_owned()));
        }
        Self::assemble(directory, members)
    }

    /// A set from the members of ConfigMaps, as the directory in which they're mounted would show it.
    ///
    /// # Errors
    /// As `read`.
    pub fn from_members(directory: &Path, members: &BTreeMap<String, Vec<u8>>) -> Result<Self, DirectoryError> {
        let found = members.iter().map(|(name, content)| (name.as_str(), content.len() as u64));
        Self::of_members(directory, found, |name| Ok(members.get(name).cloned().unwrap_or_default()))
    }

    /// A set of files that don't change any more: their names and lengths, and how one is read.
    ///
    /// # Errors
    /// As `read`.
    pub fn of_members<'a>(
        directory: &Path,
        found: impl Iterator<Item = (&'a str, u64)>,
        read: impl Fn(&str) -> Result<Vec<u8>, DirectoryError>,
    ) -> Result<Self, DirectoryError> {
        let taken: Vec<(&str, u64)> = found.filter(|(name, _)| is_member(name)).collect();
        if taken.is_empty() {
            return Err(DirectoryError::Empty(directory.to_owned()));
        }
        check_size(directory, taken.iter().copied())?;
        let members = taken.into_iter().map(|(name, _)| Ok((name.to_owned(), read(name)?)));
        Self::assemble(directory, members.collect::<Result<_, _>>()?)
    }

    fn assemble(directory: &Path, mut members: BTreeMap<String, Vec<u8>>) -> Result<Self, DirectoryError> {
        let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        for (name, content) in &members {
            for part in [name.as_bytes(), content] {
                digest.update(&(part.len() as u64).to_be_bytes());
                digest.update(part);
            }
        }
        let digest = hex(digest.finish().as_ref());
        let manifest = members.remove(MANIFEST).ok_or_else(|| DirectoryError::NoManifest(directory.to_owned()))?;
        let manifest = String::from_utf8(manifest).map_err(|_| DirectoryError::NotText(directory.to_owned()))?;
        Ok(Self { manifest, members, digest })
    }
}

/// Before anything is read.
fn check_size<'a>(directory: &Path, members: impl ExactSizeIterator<Item = (&'a str, u64)>) -> Result<(), DirectoryError> {
    let too_large = |found, expected: u64| DirectoryError::TooLarge { path: directory.to_owned(), found, expected };
    let count = members.len();
    if count > MOST_FILES {
        return Err(too_large(format!("{count} files"), MOST_FILES as u64));
    }
    let (mut bytes, mut largest) = (0_u64, ("", 0));
    for (name, length) in members {
        bytes = bytes.saturating_add(length);
        largest = if length > largest.1 { (name, length) } else { largest };
    }
    if bytes > LARGEST_SET {
        let found = format!("{bytes} bytes in all, the largest being {} with {}", largest.0, largest.1);
        return Err(too_large(found, LARGEST_SET));
    }
    Ok(())
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Names with length and time of the last change.
type Listing = BTreeMap<String, (u64, Option<SystemTime>)>;

/// A plain directory's listing, once nothing in it is being written any more. A mounted one needs no such care: its files never
/// change.
fn rested(
    directory: &Path,
    mut listing: impl FnMut() -> Result<Listing, DirectoryError>,
    rest: impl Fn(),
) -> Result<Listing, DirectoryError> {
    let mut found = listing()?;
    // A time that lies ahead of this clock is another machine's, and says nothing.
    let is_fresh = |(_, at): &(u64, Option<SystemTime>)| at.is_none_or(|at| at.elapsed().is_ok_and(|age| age < FRESH));
    for _ in 0..TRIES {
        if !found.values().any(is_fresh) {
            return Ok(found);
        }
        rest();
        let later = listing()?;
        if later == found {
            return Ok(found);
        }
        found = later;
    }
    Err(DirectoryError::Restless(directory.to_owned()))
}

/// What a set is made of, with what changes when it does. Other files, as a component that is still being copied under another
/// name, make no other set.
fn listing(directory: &Path) -> Result<Listing, DirectoryError> {
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

pub fn is_member(name: &str) -> bool {
    !name.starts_with('.') && MEMBERS.iter().any(|end| name.ends_with(end))
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
        assert_eq!((first.manifest.as_str(), first.members.len()), ("one", 1));
        mount(directory.path(), "..2", &[("plugins.yaml", "one"), ("a.wasm", "A")]);
        assert_eq!(Files::read(directory.path()).unwrap(), first, "equal content is an equal set");
        fs::write(directory.path().join("..2/b.wasm.new"), "half").unwrap();
        fs::write(directory.path().join("..2/.b.wasm"), "half").unwrap();
        assert_eq!(Files::read(directory.path()).unwrap(), first, "what is still being written is no part of it");
        mount(directory.path(), "..3", &[("plugins.yaml", "one")]);
        let third = Files::read(directory.path()).unwrap();
        assert!(third.members.is_empty() && third.digest != first.digest);
    }

    #[test]
    fn cases_signatures_and_compressed_components_are_members() {
        let names = ["plugins.yaml", "a.wasm.zst", "a.yaml", "a.wasm.sig", "plugins.yaml.sig"];
        let members = names.iter().chain(&["README.md", "b.zst", ".c.wasm", "d.wasm.bak"]);
        let members = members.map(|name| ((*name).to_owned(), name.as_bytes().to_vec())).collect();
        let files = Files::from_members(Path::new("/mount"), &members).unwrap();
        assert_eq!(files.members.len(), names.len() - 1);
        assert!(names[1..].iter().all(|name| files.members.contains_key(*name)), "{:?}", files.members.keys());
    }

    #[test]
    fn a_set_that_is_too_large_is_refused_with_the_numbers() {
        let directory = Path::new("/mount");
        let largest = [("a.wasm", LARGEST_SET - 10), ("plugins.yaml", 11)];
        assert_eq!(
            check_size(directory, largest.into_iter()).unwrap_err().to_string(),
            "/mount: 268435457 bytes in all, the largest being a.wasm with 268435446, expected at most 268435456"
        );
        assert!(check_size(directory, [("a.wasm", LARGEST_SET - 11), ("plugins.yaml", 11)].into_iter()).is_ok());
        let many = vec![("a.wasm", 1); MOST_FILES + 1];
        assert_eq!(check_size(directory, many.into_iter()).unwrap_err().to_string(), "/mount: 65 files, expected at most 64");
    }

    #[test]
    fn a_file_that_is_still_being_written_is_waited_for() {
        let at = |length| Ok(Listing::from([("plugins.yaml".to_owned(), (length, Some(SystemTime::now())))]));
        let rests = std::cell::Cell::new(0);
        let seen = |lengths: &[u64]| {
            let mut lengths = lengths.iter();
            rests.set(0);
            rested(Path::new("/mount"), || at(*lengths.next().unwrap()), || rests.set(rests.get() + 1))
        };
        let still = |length| {
            let old = Some(SystemTime::UNIX_EPOCH);
            rested(Path::new("/mount"), || Ok(Listing::from([(String::new(), (length, old))])), || panic!("nothing is fresh"))
        };
        assert!(still(3).is_ok(), "what is old is taken at once");
        let same = SystemTime::now();
        let twice = || Ok(Listing::from([(String::new(), (7, Some(same)))]));
        assert_eq!(rested(Path::new("/mount"), twice, || ()).unwrap()[""].0, 7, "what didn't grow in a rest is whole");
        assert!(matches!(seen(&[1, 2, 3, 4]), Err(DirectoryError::Restless(_))));
        assert_eq!(rests.get(), TRIES);
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
