//! A directory that only this program's user may look into, for what outlives the process. Whatever is written is there whole or
//! not at all, whenever the process ends.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// The name of the directory within the configured one, which may be anybody's: Kubernetes' volumes often are.
const NAME: &str = "plugins";

/// A private directory.
#[derive(Clone, Debug)]
pub struct PrivateDirectory(PathBuf);

/// It can't be made, or isn't private.
#[derive(Debug, thiserror::Error)]
#[error("plugins.state_directory: {path}: {why}")]
pub struct NotPrivate {
    path: PathBuf,
    why: String,
}

// === impl PrivateDirectory ===

impl PrivateDirectory {
    /// Makes it where it isn't there.
    ///
    /// # Errors
    /// It's a link, somebody else's, or others may look into it.
    pub fn within(configured: &Path) -> Result<Self, NotPrivate> {
        let path = configured.join(NAME);
        let wrong = |why: String| NotPrivate { path: path.clone(), why };
        fs::create_dir_all(configured).map_err(|error| wrong(error.to_string()))?;
        Self::make(&path).map_err(|error| wrong(error.to_string()))?;
        let found = fs::symlink_metadata(&path).map_err(|error| wrong(error.to_string()))?;
        let ours = rustix::process::geteuid().as_raw();
        if !found.is_dir() {
            return Err(wrong("found a link or a file, expected a directory".into()));
        }
        if found.uid() != ours {
            return Err(wrong(format!("found the directory of user {}, expected that of user {ours}", found.uid())));
        }
        if found.permissions().mode() & 0o077 != 0 {
            return Err(wrong(format!("found mode {:o}, expected 700", found.permissions().mode() & 0o777)));
        }
        Ok(Self(path))
    }

    fn make(path: &Path) -> std::io::Result<()> {
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            made => made,
        }
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A directory within it, as private.
    ///
    /// # Errors
    /// It can't be made.
    pub fn directory(&self, name: &str) -> std::io::Result<PathBuf> {
        let path = self.0.join(name);
        Self::make(&path)?;
        Ok(path)
    }

    /// A file's content; None when there's no such file.
    ///
    /// # Errors
    /// It can't be read.
    pub fn read(&self, name: &str) -> std::io::Result<Option<Vec<u8>>> {
        let mut content = Vec::new();
        match fs::File::open(self.0.join(name)) {
            Ok(mut file) => file.read_to_end(&mut content).map(|_| Some(content)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Puts a file there whole: who reads it sees the one before or this one.
    ///
    /// # Errors
    /// It can't be written; the one before is still there.
    pub fn write(&self, name: &str, content: &[u8]) -> std::io::Result<()> {
        write_whole(&self.0.join(name), content)
    }

    /// # Errors
    /// It's there and can't be removed.
    pub fn remove(&self, name: &str) -> std::io::Result<()> {
        match fs::remove_file(self.0.join(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

/// Writes a file under another name, to the disk, and renames it.
///
/// # Errors
/// It can't be written.
pub fn write_whole(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    let directory = path.parent().map(fs::File::open).transpose()?;
    directory.map_or(Ok(()), |directory| directory.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_there_whole_and_private() {
        let outside = tempfile::tempdir().unwrap();
        let private = PrivateDirectory::within(&outside.path().join("deep")).unwrap();
        assert_eq!(private.read("file").unwrap(), None);
        for content in ["one", "two"] {
            private.write("file", content.as_bytes()).unwrap();
            assert_eq!(private.read("file").unwrap().unwrap(), content.as_bytes());
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(private.path()), mode(&private.path().join("file"))), (0o700, 0o600));
        assert_eq!(fs::read_dir(private.path()).unwrap().count(), 1, "nothing unfinished is left");
        private.remove("file").unwrap();
        private.remove("file").unwrap();
        assert!(PrivateDirectory::within(&outside.path().join("deep")).is_ok(), "it's there already");
    }

    #[test]
    fn what_others_may_look_into_is_not_used() {
        let outside = tempfile::tempdir().unwrap();
        let path = outside.path().join(NAME);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
        let error = PrivateDirectory::within(outside.path()).unwrap_err().to_string();
        assert!(error.ends_with("plugins: found mode 750, expected 700"), "{error}");
        fs::remove_dir(&path).unwrap();
        std::os::unix::fs::symlink(outside.path().join("elsewhere"), &path).unwrap();
        fs::create_dir(outside.path().join("elsewhere")).unwrap();
        assert!(PrivateDirectory::within(outside.path()).unwrap_err().to_string().contains("found a link"));
    }
}
