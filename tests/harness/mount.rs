//! A directory as the kubelet mounts a ConfigMap: each file is a symlink through `..data`, which leads to a directory with a
//! time in its name. A change is a new directory and one rename of `..data`.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// Removed when it's dropped.
pub struct ConfigMap {
    directory: TempDir,
    version: u32,
}

impl ConfigMap {
    pub fn new<C: AsRef<[u8]>>(files: &[(&str, C)]) -> Self {
        let mut map = Self { directory: tempfile::tempdir().unwrap(), version: 0 };
        map.replace(files);
        map
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Puts other files in place of all, in the kubelet's order: write, swap, then mend the names and drop the old version.
    pub fn replace<C: AsRef<[u8]>>(&mut self, files: &[(&str, C)]) {
        let before = fs::read_link(self.path().join("..data")).ok();
        self.version += 1;
        let version = format!("..2026_07_01_00_00_00.{:09}", self.version);
        fs::create_dir(self.path().join(&version)).unwrap();
        for (name, content) in files {
            fs::write(self.path().join(&version).join(name), content).unwrap();
        }
        symlink(&version, self.path().join("..data_tmp")).unwrap();
        fs::rename(self.path().join("..data_tmp"), self.path().join("..data")).unwrap();
        for (name, _) in files {
            if self.file(name).symlink_metadata().is_err() {
                symlink(Path::new("..data").join(name), self.file(name)).unwrap();
            }
        }
        for entry in fs::read_dir(self.path()).unwrap() {
            let name = entry.unwrap().file_name();
            let name = name.to_str().unwrap();
            if !name.starts_with("..") && !files.iter().any(|(kept, _)| *kept == name) {
                fs::remove_file(self.file(name)).unwrap();
            }
        }
        if let Some(before) = before {
            fs::remove_dir_all(self.path().join(before)).unwrap();
        }
    }
}
