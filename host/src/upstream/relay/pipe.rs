//! Pipes of the kernel's, through which bytes go from one socket to another without a copy. A pipe is two descriptors and up to
//! a mebibyte: connections have one only while they move something, and a thread keeps a few for the next.

use std::{cell::RefCell, io, os::fd::OwnedFd};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::net::TcpStream;

/// One pipe.
pub struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    /// Bytes in it.
    pub held: usize,
}

/// What an unprivileged process may have (`/proc/sys/fs/pipe-max-size`). A smaller one works, too.
const PIPE_BYTES: usize = 1 << 20;

/// Empty pipes that a thread keeps.
const KEPT: usize = 16;

thread_local! {
    static EMPTY: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

// === impl Pipe ===

impl Pipe {
    /// None when the system has none to give.
    pub fn get() -> Option<Self> {
        if let Some(pipe) = EMPTY.with_borrow_mut(Vec::pop) {
            return Some(pipe);
        }
        let (read, write) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).ok()?;
        let _ = fcntl_setpipe_size(&write, PIPE_BYTES);
        Some(Self { read, write, held: 0 })
    }

    /// Keeps an empty pipe for the next; one with something in it is closed.
    pub fn put(self) {
        if self.held == 0 {
            EMPTY.with_borrow_mut(|empty| {
                if empty.len() < KEPT {
                    empty.push(self);
                }
            });
        }
    }

    /// As much as there is. Zero: the stream has ended.
    pub fn read_from(&mut self, stream: &TcpStream) -> io::Result<usize> {
        let count = splice(stream, None, &self.write, None, PIPE_BYTES, SpliceFlags::NONBLOCK | SpliceFlags::MOVE)?;
        self.held += count;
        Ok(count)
    }

    pub fn write_to(&mut self, stream: &TcpStream) -> io::Result<usize> {
        let count = splice(&self.read, None, stream, None, self.held, SpliceFlags::NONBLOCK | SpliceFlags::MOVE)?;
        self.held -= count;
        Ok(count)
    }
}
