//! Compiled components in the private directory, by the component's digest and by all that machine code depends on. Only what this
//! program wrote there is taken: a file begins with a digest of the rest, so that a torn one is compiled anew.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    time::SystemTime,
};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

use super::Compiled;
use crate::plugin::{
    engine::compiler_config,
    private::{COMPILED, PrivateDirectory, write_whole},
};

/// Files that are kept: some sets of large plugins.
const MOST_FILES: usize = 64;

/// Where compiled components are kept.
pub struct Cache {
    directory: PathBuf,
    /// Version and settings of the compiler, and the processor's features.
    made_by: u64,
}

// === impl Cache ===

impl Cache {
    /// None when there's no compiler to compare with, or no place.
    pub fn within(private: &PrivateDirectory) -> Option<Self> {
        let engine = wasmtime::Engine::new(&compiler_config()).ok()?;
        let mut made_by = DefaultHasher::new();
        env!("CARGO_PKG_VERSION").hash(&mut made_by);
        engine.precompile_compatibility_hash().hash(&mut made_by);
        Some(Self { directory: private.directory(COMPILED).ok()?, made_by: made_by.finish() })
    }

    fn path(&self, component: &[u8]) -> PathBuf {
        let component = digest(&SHA256, component);
        let hex: String = component.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        self.directory.join(format!("{hex}-{:016x}", self.made_by))
    }

    pub fn find(&self, component: &[u8]) -> Option<Compiled> {
        let path = self.path(component);
        let mut content = fs::read(&path).ok()?;
        let (expected, code) = content.split_at_checked(SHA256_OUTPUT_LEN)?;
        if digest(&SHA256, code).as_ref() != expected {
            tracing::warn!(path = %path.display(), "a compiled component isn't whole: it's compiled anew");
            return None;
        }
        // It was needed just now: others go first.
        let _ = fs::File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        Some(Compiled(content.split_off(SHA256_OUTPUT_LEN)))
    }

    pub fn keep(&self, component: &[u8], compiled: &Compiled) {
        let path = self.path(component);
        let content = [digest(&SHA256, &compiled.0).as_ref(), &compiled.0].concat();
        if let Err(error) = write_whole(&path, &content) {
            tracing::warn!(path = %path.display(), %error, "a compiled component can't be kept: it'll be compiled again");
        }
        self.tidy();
    }

    /// What was needed least recently goes.
    fn tidy(&self) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        let age = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.sort_by_cached_key(|path| age(path));
        let surplus = files.len().saturating_sub(MOST_FILES);
        files.iter().take(surplus).for_each(|path| drop(fs::remove_file(path)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_compiled_is_found_and_a_torn_file_is_not() {
        let outside = tempfile::tempdir().unwrap();
        let cache = Cache::within(&PrivateDirectory::within(outside.path()).unwrap()).unwrap();
        assert!(cache.find(b"component").is_none());
        cache.keep(b"component", &Compiled(b"code".to_vec()));
        assert_eq!(cache.find(b"component").unwrap().bytes(), b"code");
        assert!(cache.find(b"another").is_none());
        let path = cache.path(b"component");
        let whole = fs::read(&path).unwrap();
        for torn in [&whole[..whole.len() - 1], &whole[..3], b"", &[&whole[..], b"x"].concat()] {
            fs::write(&path, torn).unwrap();
            assert!(cache.find(b"component").is_none());
        }
        let other = Cache { made_by: cache.made_by + 1, directory: cache.directory.clone() };
        fs::write(&path, whole).unwrap();
        assert!(other.find(b"component").is_none() && cache.find(b"component").is_some());
    }

    #[test]
    fn so_many_are_kept() {
        let outside = tempfile::tempdir().unwrap();
        let cache = Cache::within(&PrivateDirectory::within(outside.path()).unwrap()).unwrap();
        for number in 0..MOST_FILES + 3 {
            cache.keep(&number.to_be_bytes(), &Compiled(Vec::new()));
        }
        assert_eq!(fs::read_dir(&cache.directory).unwrap().count(), MOST_FILES);
    }
}
