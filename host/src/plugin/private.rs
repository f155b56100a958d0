//! A directory that only this program's user may look into, for what outlives the process. Whatever is written is there whole or
//! not at all, whenever the process ends.
//!
//! Everything is opened beneath a descriptor of the directory, never by its path again: who may write to the directory around it can
//! put another one in its place, and would only be left with that.

use std::{
    fs::{self, File},
    io::{self, Error, ErrorKind, Read, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RawMode, Stat, fchmod, fstat, mkdirat, openat, renameat, statat, unlinkat},
    io::Errno,
};

/// The name of the directory within the configured one, which may be anybody's: Kubernetes' volumes often are.
const NAME: &str = "plugins";
/// Compiled components, within it.
pub const COMPILED: &str = "compiled";
const UNFINISHED: &str = ".unfinished";
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// A pipe in a file's place mustn't hold up who opens it.
const FILE: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// A private directory.
#[derive(Clone, Debug)]
pub struct PrivateDirectory {
    descriptor: Arc<OwnedFd>,
    /// For messages.
    path: PathBuf,
}

/// A file in one.
#[derive(Debug, PartialEq, Eq)]
pub struct Kept {
    pub name: String,
    pub bytes: u64,
    pub modified: SystemTime,
}

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
        let opened = fs::create_dir_all(configured).and_then(|()| open_directory(CWD, &path));
        let descriptor = opened.and_then(|descriptor| {
            reclaim(&descriptor, &path)?;
            Ok(descriptor)
        });
        match descriptor {
            Ok(descriptor) => Ok(Self { descriptor: Arc::new(descriptor), path }),
            Err(error) => Err(NotPrivate { path, why: error.to_string() }),
        }
    }

    /// A directory within it, made where it isn't there.
    ///
    /// # Errors
    /// It can't be made, or isn't ours.
    pub fn directory(&self, name: &str) -> io::Result<Self> {
        let descriptor = open_directory(self.descriptor.as_fd(), Path::new(name))?;
        let found = fstat(&descriptor)?;
        check_owner(&found)?;
        if is_open(&found) {
            // Nobody else could come there: this one is private.
            fchmod(&descriptor, Mode::RWXU)?;
        }
        Ok(Self { descriptor: Arc::new(descriptor), path: self.path.join(name) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file's content; None when there's no such file.
    ///
    /// # Errors
    /// It can't be read, or others could have written it.
    pub fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let opened = openat(&self.descriptor, name, FILE | OFlags::RDONLY, Mode::empty());
        let descriptor = match opened {
            Err(Errno::NOENT) => return Ok(None),
            opened => opened?,
        };
        check_private(&fstat(&descriptor)?, FileType::RegularFile)?;
        let mut content = Vec::new();
        File::from(descriptor).read_to_end(&mut content)?;
        Ok(Some(content))
    }

    /// Puts a file there whole: who reads it sees the one before or this one.
    ///
    /// # Errors
    /// It can't be written; the one before is still there.
    pub fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let unfinished = format!("{name}{UNFINISHED}");
        // What was left there of an earlier try may be open elsewhere.
        self.remove(&unfinished)?;
        let flags = FILE | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let mut file = File::from(openat(&self.descriptor, &unfinished, flags, Mode::RUSR | Mode::WUSR)?);
        file.write_all(content)?;
        file.sync_all()?;
        renameat(&self.descriptor, &unfinished, &self.descriptor, name)?;
        Ok(rustix::fs::fsync(&self.descriptor)?)
    }

    /// A file, or a directory with all that is in it.
    ///
    /// # Errors
    /// It's there and can't be removed.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        remove(self.descriptor.as_fd(), name)
    }

    /// Sets when a file was last needed.
    ///
    /// # Errors
    /// There's no such file.
    pub fn set_modified(&self, name: &str, time: SystemTime) -> io::Result<()> {
        File::from(openat(&self.descriptor, name, FILE | OFlags::RDONLY, Mode::empty())?).set_modified(time)
    }

    /// The names of all that is in it.
    ///
    /// # Errors
    /// It can't be read.
    pub fn names(&self) -> io::Result<Vec<String>> {
        names(self.descriptor.as_fd())
    }

    /// Its files.
    ///
    /// # Errors
    /// It can't be read.
    pub fn files(&self) -> io::Result<Vec<Kept>> {
        let mut files = Vec::new();
        for name in self.names()? {
            let found = statat(&self.descriptor, &name, AtFlags::SYMLINK_NOFOLLOW)?;
            let seconds = u64::try_from(found.st_mtime).unwrap_or_default();
            let since = Duration::new(seconds, u32::try_from(found.st_mtime_nsec).unwrap_or_default());
            let bytes = u64::try_from(found.st_size).unwrap_or_default();
            files.push(Kept { name, bytes, modified: SystemTime::UNIX_EPOCH + since });
        }
        Ok(files)
    }

    /// Removes files that weren't needed for the longest time until so many are left, not counting those that stay anyway.
    ///
    /// # Errors
    /// One can't be removed.
    pub fn make_room(&self, most_files: usize, most_bytes: u64, stays: impl Fn(&str) -> bool) -> io::Result<()> {
        let mut others = self.files()?;
        others.retain(|kept| !stays(&kept.name));
        others.sort_by_key(|kept| std::cmp::Reverse(kept.modified));
        let mut bytes = 0_u64;
        for (at, kept) in others.iter().enumerate() {
            bytes = bytes.saturating_add(kept.bytes);
            if at >= most_files || bytes > most_bytes {
                self.remove(&kept.name)?;
            }
        }
        Ok(())
    }
}

/// Opens it, made where it isn't there; its name is on the disk then, before anything that relies on it.
fn open_directory(at: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    match mkdirat(at, path, Mode::RWXU) {
        Ok(()) => {
            let around = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            rustix::fs::fsync(openat(at, around, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)?;
        }
        Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    openat(at, path, DIRECTORY, Mode::empty()).map_err(|error| match error {
        Errno::NOTDIR | Errno::LOOP => Error::new(ErrorKind::NotADirectory, "found a link or a file, expected a directory"),
        error => error.into(),
    })
}

/// Closes it to others, if it's ours.
fn reclaim(directory: &OwnedFd, path: &Path) -> io::Result<()> {
    let found = fstat(directory)?;
    check_owner(&found)?;
    if !is_open(&found) {
        return Ok(());
    }
    let mode = found.st_mode & 0o777;
    tracing::warn!(
        path = %path.display(), found = format!("{mode:o}"), expected = "700",
        "plugins.state_directory: others could look into it: it's closed to them, and compiled components are removed"
    );
    fchmod(directory, Mode::RWXU)
        .map_err(|error| Error::other(format!("found mode {mode:o}, expected 700, which can't be set: {error}")))?;
    check_private(&fstat(directory)?, FileType::Directory)?;
    remove(directory.as_fd(), COMPILED)
        .map_err(|error| Error::other(format!("{COMPILED}, which others could write to, can't be removed: {error}")))?;
    close_beneath(directory.as_fd())
}

/// Everything in it, too: each file is looked at again when it's read.
fn close_beneath(directory: BorrowedFd<'_>) -> io::Result<()> {
    for name in names(directory)? {
        match openat(directory, &name, FILE | OFlags::RDONLY, Mode::empty()).map(|descriptor| (fstat(&descriptor), descriptor)) {
            Ok((Ok(found), descriptor)) if check_owner(&found).is_ok() => {
                if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
                    fchmod(&descriptor, Mode::RWXU)?;
                    close_beneath(descriptor.as_fd())?;
                } else {
                    fchmod(&descriptor, Mode::RUSR | Mode::WUSR)?;
                }
            }
            // Nothing of ours.
            _ => remove(directory, &name)?,
        }
    }
    Ok(())
}

fn check_private(found: &Stat, expected: FileType) -> io::Result<()> {
    check_owner(found)?;
    let (kind, mode) = (FileType::from_raw_mode(found.st_mode), found.st_mode & 0o777);
    if kind != expected {
        return Err(Error::new(ErrorKind::InvalidData, format!("found a {kind:?}, expected a {expected:?}")));
    }
    if is_open(found) {
        let expected = if kind == FileType::Directory { "700" } else { "600" };
        return Err(Error::new(ErrorKind::PermissionDenied, format!("found mode {mode:o}, expected {expected}")));
    }
    Ok(())
}

fn check_owner(found: &Stat) -> io::Result<()> {
    let ours = rustix::process::geteuid().as_raw();
    if found.st_uid != ours {
        let why = format!("found a directory or file of user {}, expected one of user {ours}", found.st_uid);
        return Err(Error::new(ErrorKind::PermissionDenied, why));
    }
    Ok(())
}

fn is_open(found: &Stat) -> bool {
    found.st_mode & RawMode::from(0o077_u16) != 0
}

fn names(directory: BorrowedFd<'_>) -> io::Result<Vec<String>> {
    let entries = Dir::read_from(directory)?.map(|entry| Ok(entry?.file_name().to_str().map(str::to_owned).ok()));
    let names = entries.filter_map(|name: io::Result<Option<String>>| name.transpose());
    names.filter(|name| !name.as_ref().is_ok_and(|name| name == "." || name == "..")).collect()
}

fn remove(at: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    match unlinkat(at, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    let directory = openat(at, name, DIRECTORY, Mode::empty())?;
    names(directory.as_fd())?.iter().try_for_each(|name| remove(directory.as_fd(), name))?;
    Ok(unlinkat(at, name, AtFlags::REMOVEDIR)?)
}

#[cfg(test)]
mod tests;
