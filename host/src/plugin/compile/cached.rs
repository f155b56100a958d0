//! Compiled components in the private directory, by the component's digest and by all that machine code depends on. Only what this
//! program wrote there is taken: a file begins with a digest of the rest, so that a torn one is compiled anew.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::SystemTime,
};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

use super::Compiled;
use crate::plugin::{
    engine::compiler_config,
    private::{COMPILED, PrivateDirectory},
};

/// What is kept: some sets of large plugins.
const MOST_FILES: usize = 64;
const MOST_BYTES: u64 = 1 << 30;

/// Where compiled components are kept.
pub struct Cache {
    directory: PrivateDirectory,
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
        let directory = private.directory(COMPILED).inspect_err(|error| {
            tracing::warn!(path = %private.path().join(COMPILED).display(), %error, "compiled components aren't kept");
        });
        Some(Self { directory: directory.ok()?, made_by: made_by.finish() })
    }

    fn name(&self, component: &[u8]) -> String {
        let component = digest(&SHA256, component);
        let hex: String = component.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{hex}-{:016x}", self.made_by)
    }

    pub fn find(&self, component: &[u8]) -> Option<Compiled> {
        let name = self.name(component);
        let anew = |why: &dyn std::fmt::Display| {
            tracing::warn!(path = %self.directory.path().join(&name).display(), %why, "a compiled component isn't used: it's compiled anew");
        };
        let mut content = self.directory.read(&name).inspect_err(|error| anew(error)).ok()??;
        let (expected, code) = content.split_at_checked(SHA256_OUTPUT_LEN)?;
        if digest(&SHA256, code).as_ref() != expected {
            anew(&"it isn't whole");
            return None;
        }
        // It was needed just now: others go first.
        let _ = self.directory.set_modified(&name, SystemTime::now());
        Some(Compiled(content.split_off(SHA256_OUTPUT_LEN)))
    }

    pub fn keep(&self, component: &[u8], compiled: &Compiled) {
        let name = self.name(component);
        let content = [digest(&SHA256, &compiled.0).as_ref(), &compiled.0].concat();
        let room = MOST_BYTES.saturating_sub(content.len() as u64);
        let kept = self.directory.write(&name, &content);
        let kept = kept.and_then(|()| self.directory.make_room(MOST_FILES - 1, room, |other| other == name));
        if let Err(error) = kept {
            let path = self.directory.path().join(&name);
            tracing::warn!(path = %path.display(), %error, "a compiled component can't be kept: it'll be compiled again");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn what_was_compiled_is_found_and_a_torn_file_is_not() {
        let outside = tempfile::tempdir().unwrap();
        let cache = Cache::within(&PrivateDirectory::within(outside.path()).unwrap()).unwrap();
        assert!(cache.find(b"component").is_none());
        cache.keep(b"component", &Compiled(b"code".to_vec()));
        assert_eq!(cache.find(b"component").unwrap().bytes(), b"code");
        assert!(cache.find(b"another").is_none());
        let path = cache.directory.path().join(cache.name(b"component"));
        let whole = fs::read(&path).unwrap();
        for torn in [&whole[..whole.len() - 1], &whole[..3], b"", &[&whole[..], b"x"].concat()] {
            fs::write(&path, torn).unwrap();
            assert!(cache.find(b"component").is_none());
        }
        let other = Cache { made_by: cache.made_by + 1, directory: cache.directory.clone() };
        fs::write(&path, whole).unwrap();
        assert!(other.find(b"component").is_none() && cache.find(b"component").is_some());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
        assert!(cache.find(b"component").is_none(), "others may have written it");
        fs::remove_file(&path).unwrap();
        let elsewhere = outside.path().join("elsewhere");
        fs::write(&elsewhere, [digest(&SHA256, b"another's").as_ref(), b"another's"].concat()).unwrap();
        std::os::unix::fs::symlink(elsewhere, &path).unwrap();
        assert!(cache.find(b"component").is_none(), "a link");
    }

    #[test]
    fn so_much_is_kept() {
        let outside = tempfile::tempdir().unwrap();
        let cache = Cache::within(&PrivateDirectory::within(outside.path()).unwrap()).unwrap();
        for component in [b"old", b"new"] {
            cache.keep(component, &Compiled(Vec::new()));
        }
        // Of a length that takes no room on the disk.
        let path = cache.directory.path().join(cache.name(b"old"));
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_len(MOST_BYTES).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        cache.keep(b"newest", &Compiled(Vec::new()));
        let mut names = [cache.name(b"new"), cache.name(b"newest")];
        names.sort();
        let mut found = cache.directory.names().unwrap();
        found.sort();
        assert_eq!(found, names);
    }

    #[test]
    fn so_many_are_kept() {
        let outside = tempfile::tempdir().unwrap();
        let cache = Cache::within(&PrivateDirectory::within(outside.path()).unwrap()).unwrap();
        for number in 0..MOST_FILES + 3 {
            cache.keep(&number.to_be_bytes(), &Compiled(Vec::new()));
        }
        assert_eq!(cache.directory.names().unwrap().len(), MOST_FILES);
    }
}
