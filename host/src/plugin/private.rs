//! A directory that only this program's user may look into, for what outlives the process. Whatever is written is there whole or
//! not at all, whenever the process ends.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags, fchmod, fstat},
    io::Errno,
};

/// The name of the directory within the configured one, which may be anybody's: Kubernetes' volumes often are.
const NAME: &str = "plugins";
/// Compiled components, within it.
pub const COMPILED: &str = "compiled";
const PRIVATE: Mode = Mode::RWXU;
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

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
    /// Makes it where it isn't there. Where it's ours and others may look into it, as after Kubernetes gave a volume's files to a group,
    /// it's closed again, and compiled components, which others may have written, are gone.
    ///
    /// # Errors
    /// It's a link, somebody else's, or can't be closed to others.
    pub fn within(configured: &Path) -> Result<Self, NotPrivate> {
        let path = configured.join(NAME);
        Self::open(configured, &path).map_err(|why| NotPrivate { path: path.clone(), why })?;
        Ok(Self(path))
    }

    fn open(configured: &Path, path: &Path) -> Result<(), String> {
        fs::create_dir_all(configured).and_then(|()| Self::make(path)).map_err(|error| error.to_string())?;
        let directory = rustix::fs::open(path, DIRECTORY, Mode::empty()).map_err(|error| match error {
            Errno::NOTDIR | Errno::LOOP => "found a link or a file, expected a directory".to_owned(),
            error => error.to_string(),
        })?;
        let mode = owned_mode(&directory)?;
        if is_open_to_others(mode) {
            tracing::warn!(
                path = %path.display(), found = format!("{mode:o}"), expected = "700",
                "plugins.state_directory: others could look into it: it's closed to them, and compiled components are removed"
            );
            fchmod(&directory, PRIVATE)
                .map_err(|error| format!("found mode {mode:o}, expected 700, which can't be set: {error}"))?;
            let mode = owned_mode(&directory)?;
            if is_open_to_others(mode) {
                return Err(format!("found mode {mode:o}, expected 700, which this volume doesn't keep"));
            }
            let removed = fs::remove_dir_all(path.join(COMPILED));
            if let Err(error) = removed.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) }) {
                return Err(format!("{COMPILED}, which others could write to, can't be removed: {error}"));
            }
        }
        Ok(())
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

/// Of a directory that must be ours.
fn owned_mode(directory: &OwnedFd) -> Result<u32, String> {
    let found = fstat(directory).map_err(|error| error.to_string())?;
    let ours = rustix::process::geteuid().as_raw();
    if found.st_uid != ours {
        return Err(format!("found the directory of user {}, expected that of user {ours}", found.st_uid));
    }
    Ok(found.st_mode & 0o777)
}

fn is_open_to_others(mode: u32) -> bool {
    mode & 0o077 != 0
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
    use std::os::unix::fs::PermissionsExt;

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
    fn what_others_could_look_into_is_closed_to_them_without_machine_code() {
        let outside = tempfile::tempdir().unwrap();
        let private = PrivateDirectory::within(outside.path()).unwrap();
        private.write("good", b"digest").unwrap();
        let compiled = private.directory(COMPILED).unwrap();
        fs::write(compiled.join("code"), "of somebody").unwrap();
        let path = outside.path().join(NAME);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o2770)).unwrap();
        let private = PrivateDirectory::within(outside.path()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(private.read("good").unwrap().unwrap(), b"digest");
        assert!(!compiled.exists(), "others may have written it");
    }

    #[test]
    fn what_is_no_directory_of_ours_is_not_used() {
        let outside = tempfile::tempdir().unwrap();
        let path = outside.path().join(NAME);
        let refused = || PrivateDirectory::within(outside.path()).unwrap_err().to_string();
        fs::create_dir(outside.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("elsewhere"), &path).unwrap();
        assert!(refused().ends_with("plugins: found a link or a file, expected a directory"), "{}", refused());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        assert!(refused().ends_with("plugins: found a link or a file, expected a directory"), "{}", refused());
        fs::remove_file(&path).unwrap();
        if rustix::process::geteuid().is_root() {
            fs::create_dir(&path).unwrap();
            std::os::unix::fs::chown(&path, Some(1), None).unwrap();
            assert!(refused().ends_with("found the directory of user 1, expected that of user 0"), "{}", refused());
        }
    }
}
