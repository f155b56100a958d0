//! One direction of a relay: reads from one side and writes to the other, through the thread's buffer or through a pipe of the
//! kernel's.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{Interest, ReadBuf};

use super::{
    Goodbye, Socket, Speech,
    pipe::Pipe,
    websocket::{Frames, Masking, close_frame},
};

/// See the module.
pub struct Direction {
    /// What was read and couldn't be written yet; mostly empty, and then without memory.
    waiting: Vec<u8>,
    written: usize,
    pipe: Option<Pipe>,
    /// Reads in a row that filled the buffer.
    full_reads: u32,
    is_dirty: bool,
    state: State,
    frames: Option<Frames>,
    masking: Masking,
    leaving: Option<Goodbye>,
    /// Everything that went through.
    pub bytes: u64,
    data: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The reader ended; what waits goes out, then the writer's half is closed.
    Ending,
    Closed,
}

/// Where a direction broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Reading,
    Writing,
}

/// What a read came to.
enum Read {
    Some,
    End,
}

/// The largest TLS record, four times: enough to keep a fast sender busy, little enough to stay in the processor's cache.
const BUFFER_BYTES: usize = 64 * 1024;

/// After so many full reads a transfer is taken for a sustained one.
const SUSTAINED_READS: u32 = 4;

/// After so many bytes of one direction, others on this thread get their turn.
const TURN_BYTES: u64 = 1 << 20;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; BUFFER_BYTES].into());
}

// === impl Direction ===

impl Direction {
    /// `masking` is how frames of this direction are written.
    pub fn new(speech: Speech, masking: Masking) -> Self {
        Self {
            waiting: Vec::new(),
            written: 0,
            pipe: None,
            full_reads: 0,
            is_dirty: false,
            state: State::Open,
            frames: (speech == Speech::WebSocket).then(Frames::default),
            masking,
            leaving: None,
            bytes: 0,
            data: 0,
        }
    }

    /// No more is read than the frame that is under way; then comes the goodbye.
    pub fn leave(&mut self, why: Goodbye) {
        self.leaving = Some(why);
    }

    /// User data since the last call.
    pub fn take_data(&mut self) -> u64 {
        std::mem::take(&mut self.data)
    }

    /// Moves what can be moved; ready when the reader ended and the writer was told.
    pub fn poll(&mut self, cx: &mut Context<'_>, from: &mut impl Socket, to: &mut impl Socket) -> Poll<Result<(), Step>> {
        let turn_ends = self.bytes + TURN_BYTES;
        while self.bytes < turn_ends {
            ready!(self.write_waiting(cx, to)).map_err(|_| Step::Writing)?;
            match self.state {
                State::Open if self.may_leave() => self.say_goodbye(),
                State::Open => match ready!(self.read(cx, from, to))? {
                    Read::Some => {}
                    Read::End => self.state = State::Ending,
                },
                State::Ending => {
                    // A side that's gone already needs no end.
                    let _ = ready!(Pin::new(&mut *to).poll_shutdown(cx));
                    self.state = State::Closed;
                }
                State::Closed => return Poll::Ready(Ok(())),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Everything that was read before goes first, from wherever it waits.
    fn write_waiting(&mut self, cx: &mut Context<'_>, to: &mut impl Socket) -> Poll<io::Result<()>> {
        while self.written < self.waiting.len() {
            let count = ready!(Pin::new(&mut *to).poll_write(cx, &self.waiting[self.written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
            self.bytes += count as u64;
            self.is_dirty = true;
        }
        if !self.waiting.is_empty() {
            (self.waiting, self.written) = (Vec::new(), 0);
        }
        if let (Some(pipe), Some(stream)) = (&mut self.pipe, to.plain()) {
            while pipe.held > 0 {
                match stream.try_io(Interest::WRITABLE, || pipe.write_to(stream)) {
                    Ok(count) => {
                        self.bytes += count as u64;
                        self.data += count as u64;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(stream.poll_write_ready(cx))?,
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn read(&mut self, cx: &mut Context<'_>, from: &mut impl Socket, to: &mut impl Socket) -> Poll<Result<Read, Step>> {
        if self.full_reads >= SUSTAINED_READS
            && self.frames.is_none()
            && to.plain().is_some()
            && let Some(stream) = from.plain()
        {
            return self.read_to_pipe(cx, stream);
        }
        // No longer sustained: an empty pipe stayed behind.
        self.give_pipe_back();
        BUFFER.with_borrow_mut(|buffer| {
            let mut filled = ReadBuf::new(buffer);
            match Pin::new(&mut *from).poll_read(cx, &mut filled) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Step::Reading)),
                Poll::Pending => {
                    if self.is_dirty {
                        ready!(Pin::new(&mut *to).poll_flush(cx)).map_err(|_| Step::Writing)?;
                        self.is_dirty = false;
                    }
                    return Poll::Pending;
                }
            }
            let read = filled.filled();
            if read.is_empty() {
                return Poll::Ready(Ok(Read::End));
            }
            self.full_reads = if read.len() == BUFFER_BYTES { self.full_reads + 1 } else { 0 };
            let upto = self.note(read);
            self.write_or_keep(cx, upto, to).map_err(|_| Step::Writing)?;
            Poll::Ready(Ok(Read::Some))
        })
    }

    /// Counts user data. While leaving, what stands behind the frame that was under way is left out.
    fn note<'a>(&mut self, read: &'a [u8]) -> &'a [u8] {
        match &mut self.frames {
            None => {
                self.data += read.len() as u64;
                read
            }
            Some(frames) => {
                let upto = if self.leaving.is_some() { frames.to_boundary(read) } else { frames.see(read).1 };
                self.data += frames.take_data();
                &read[..upto]
            }
        }
    }

    fn write_or_keep(&mut self, cx: &mut Context<'_>, mut bytes: &[u8], to: &mut impl Socket) -> io::Result<()> {
        while !bytes.is_empty() {
            match Pin::new(&mut *to).poll_write(cx, bytes) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    self.bytes += count as u64;
                    self.is_dirty = true;
                    bytes = &bytes[count..];
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {
                    self.waiting.extend_from_slice(bytes);
                    break;
                }
            }
        }
        Ok(())
    }

    /// The pipe is empty whenever this is called, so that only the socket can have nothing to give. A pipe is kept for no longer
    /// than there's something to move.
    fn read_to_pipe(&mut self, cx: &mut Context<'_>, stream: &tokio::net::TcpStream) -> Poll<Result<Read, Step>> {
        loop {
            let Some(pipe) = self.pipe.take().or_else(Pipe::get) else {
                // No descriptor left: through the buffer, then.
                self.full_reads = 0;
                return Poll::Ready(Ok(Read::Some));
            };
            let pipe = self.pipe.insert(pipe);
            match stream.try_io(Interest::READABLE, || pipe.read_from(stream)) {
                Ok(0) => {
                    self.give_pipe_back();
                    return Poll::Ready(Ok(Read::End));
                }
                Ok(count) => {
                    if count < BUFFER_BYTES / 8 {
                        self.full_reads -= 1;
                    } else {
                        self.full_reads = SUSTAINED_READS * 4;
                    }
                    return Poll::Ready(Ok(Read::Some));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.give_pipe_back();
                    ready!(stream.poll_read_ready(cx)).map_err(|_| Step::Reading)?;
                }
                Err(_) => return Poll::Ready(Err(Step::Reading)),
            }
        }
    }

    fn give_pipe_back(&mut self) {
        if let Some(pipe) = self.pipe.take() {
            pipe.put();
        }
    }

    fn may_leave(&self) -> bool {
        self.leaving.is_some() && self.frames.as_ref().is_none_or(Frames::is_between)
    }

    fn say_goodbye(&mut self) {
        if let (Some(why), Some(_)) = (self.leaving, &self.frames) {
            self.waiting = close_frame(why, self.masking);
        }
        self.state = State::Ending;
    }
}
