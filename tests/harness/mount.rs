//! A directory as the kubelet mounts a ConfigMap: all files change at once, by the name of `..data`. What stands here is held
//! against the kubelet's own code by the cluster tests.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use tempfile::TempDir;

use crate::programs::need;

/// Of the files, where a volume says nothing else.
const MODE: u32 = 0o644;

/// Removed when it's dropped.
pub struct ConfigMap {
    directory: TempDir,
}

impl ConfigMap {
    pub fn new<C: AsRef<[u8]>>(files: &[(&str, C)]) -> Self {
        let mut map = Self { directory: tempfile::tempdir().unwrap() };
        // Whoever the containers run as.
        fs::set_permissions(map.path(), Permissions::from_mode(0o777)).unwrap();
        map.replace(files);
        map
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Puts other files in place of all, in the kubelet's order: write, swap, name what is new, drop the names of what is gone,
    /// then the old version. Nothing is touched where nothing changes.
    pub fn replace<C: AsRef<[u8]>>(&mut self, files: &[(&str, C)]) {
        let (before, old) = self.now();
        let goes = |name: &String| files.iter().all(|(kept, _)| kept != name);
        let same = |(name, content): &(&str, C)| fs::read(self.file("..data").join(name)).is_ok_and(|now| now == content.as_ref());
        if before.is_some() && !old.iter().any(goes) && files.iter().all(same) {
            return;
        }
        let version = self.write(files);
        self.mount(&version);
    }

    /// Writes another version, which isn't mounted yet. Answers where.
    pub fn write<C: AsRef<[u8]>>(&self, files: &[(&str, C)]) -> PathBuf {
        let date = Command::new(need("date", "coreutils")).args(["--utc", "+..%Y_%m_%d_%H_%M_%S."]).output().unwrap();
        let prefix = String::from_utf8(date.stdout).unwrap();
        let version = tempfile::Builder::new().prefix(prefix.trim()).tempdir_in(self.path()).unwrap().keep();
        fs::set_permissions(&version, Permissions::from_mode(0o755)).unwrap();
        for (name, content) in files {
            fs::write(version.join(name), content).unwrap();
            fs::set_permissions(version.join(name), Permissions::from_mode(MODE)).unwrap();
        }
        version
    }

    /// Puts a written version in place of the one that is mounted, whether or not anything changes by it. Answers when it was
    /// there to be read.
    pub fn mount(&mut self, version: &Path) -> Instant {
        let (before, old) = self.now();
        let new = names(version);
        let at = self.point_to(version.file_name().unwrap());
        for name in &new {
            if self.file(name).symlink_metadata().is_err() {
                symlink(Path::new("..data").join(name), self.file(name)).unwrap();
            }
        }
        for name in old.difference(&new) {
            fs::remove_file(self.file(name)).unwrap();
        }
        if let Some(before) = before {
            fs::remove_dir_all(before).unwrap();
        }
        at
    }

    /// What no kubelet does: `..data` leads nowhere.
    pub fn tear(&mut self) -> Instant {
        let (before, _) = self.now();
        let at = self.point_to("..nowhere".as_ref());
        if let Some(before) = before {
            fs::remove_dir_all(before).unwrap();
        }
        at
    }

    /// The version that is mounted, with the names in it.
    fn now(&self) -> (Option<PathBuf>, BTreeSet<String>) {
        let version = fs::read_link(self.file("..data")).ok().map(|version| self.path().join(version));
        let version = version.filter(|version| version.exists());
        let names = version.as_deref().map(names).unwrap_or_default();
        (version, names)
    }

    fn point_to(&self, version: &OsStr) -> Instant {
        symlink(version, self.file("..data_tmp")).unwrap();
        let at = Instant::now();
        fs::rename(self.file("..data_tmp"), self.file("..data")).unwrap();
        at
    }
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
