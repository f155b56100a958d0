//! A stream that is read in turns. hyper reads and decodes as long as there's something, and only then the requests that came of
//! it run: a head of a few bytes can stand for a hundred kilobytes of lines (RFC 7541, section 7.3), so what is read in one turn
//! bounds what a connection can make the gateway remember.

use std::{
    cell::Cell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A line of two bytes on the wire takes a hundred in memory: this comes to less than 2 MiB.
const BYTES_PER_TURN: usize = 16 * 1024;

/// Reads no more in a turn.
pub struct Paced<S> {
    stream: S,
    turn: Turn,
}

/// What may still be read in this turn.
#[derive(Clone, Default)]
pub struct Turn(Rc<Cell<usize>>);

// === impl Turn ===

impl Turn {
    /// Another one.
    pub fn begin(&self) {
        self.0.set(BYTES_PER_TURN);
    }
}

// === impl Paced ===

impl<S> Paced<S> {
    pub fn new(stream: S, turn: Turn) -> Self {
        Self { stream, turn }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let left = self.turn.0.get();
        if left == 0 {
            // Behind everybody else who waits for this thread.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let most = left.min(buffer.remaining());
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
        let read = Pin::new(&mut self.stream).poll_read(cx, &mut part);
        let count = part.filled().len();
        buffer.advance(count);
        self.turn.0.set(left - count);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
