//! Whether somebody read a mounted manifest, as the kernel tells (inotify(7)): for what a gateway reads and says nothing of.

use std::{mem::MaybeUninit, os::fd::OwnedFd, path::Path};

use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};

/// Of one directory at a time.
pub struct Reads {
    notices: OwnedFd,
    watched: i32,
}

impl Reads {
    pub fn new() -> Self {
        Self { notices: init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap(), watched: -1 }
    }

    /// From now on in this directory. The watch of the one before ends with that.
    pub fn watch(&mut self, directory: &Path) {
        self.seen();
        self.watched = add_watch(&self.notices, directory, WatchFlags::CLOSE_NOWRITE).unwrap();
    }

    /// Since this was asked last.
    pub fn seen(&self) -> bool {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&self.notices, &mut buffer);
        let mut seen = false;
        // It ends with EAGAIN.
        while let Ok(event) = reader.next() {
            let name = event.file_name().is_some_and(|name| name.to_bytes() == b"plugins.yaml");
            seen |= event.wd() == self.watched && event.events().contains(ReadFlags::CLOSE_NOWRITE) && name;
        }
        seen
    }
}
