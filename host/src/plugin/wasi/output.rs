//! What a guest prints: lines in the gateway's log, as many and as long as those that it may write there by `log`.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    async_trait,
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

use crate::plugin::{
    bindings::v0_1::log::Level,
    host_calls::{HostState, LOG_LINE_BYTES, LOG_LINES_PER_CALL},
};

/// What a write may take at a time; nothing of it has to wait.
const WRITE_BYTES: usize = 64 * 1024;

/// Both streams of one guest, since its last call.
#[derive(Clone, Default)]
pub struct Output(Arc<Mutex<Printed>>);

#[derive(Default)]
struct Printed {
    /// Of the two streams: what hasn't ended in a line break yet.
    unfinished: [Vec<u8>; 2],
    lines: Vec<(Stream, Vec<u8>)>,
    left_out: u64,
}

#[derive(Clone, Copy)]
pub enum Stream {
    Out = 0,
    Error = 1,
}

/// One stream, as the guest holds it.
pub struct Pipe {
    pub output: Output,
    pub stream: Stream,
}

// === impl Output ===

impl Output {
    /// Writes what was printed into the log, and forgets it.
    pub fn log(&self, host: &mut HostState) {
        let printed = {
            let mut printed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for stream in [Stream::Out, Stream::Error] {
                if !printed.unfinished[stream as usize].is_empty() {
                    printed.end_line(stream);
                }
            }
            std::mem::take(&mut *printed)
        };
        for (stream, line) in printed.lines {
            let level = match stream {
                Stream::Out => Level::Info,
                Stream::Error => Level::Warn,
            };
            host.write_line(level, &String::from_utf8_lossy(&line));
        }
        if printed.left_out > 0 {
            host.leave_out(printed.left_out);
        }
    }
}

// === impl Printed ===

impl Printed {
    fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(at) = memchr::memchr(b'\n', rest) {
            self.extend(stream, &rest[..at]);
            self.end_line(stream);
            rest = &rest[at + 1..];
        }
        self.extend(stream, rest);
    }

    fn extend(&mut self, stream: Stream, bytes: &[u8]) {
        let line = &mut self.unfinished[stream as usize];
        // One byte more than is kept of a line, so that none is taken for empty, and none grows.
        let room = (LOG_LINE_BYTES + 1).saturating_sub(line.len());
        line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end_line(&mut self, stream: Stream) {
        let line = std::mem::take(&mut self.unfinished[stream as usize]);
        if self.lines.len() < LOG_LINES_PER_CALL as usize {
            self.lines.push((stream, line));
        } else {
            self.left_out += 1;
        }
    }
}

// === impl Pipe ===

impl IsTerminal for Pipe {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Pipe {
    /// Only WASI 0.3 asks for this one.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Self { output: self.output.clone(), stream: self.stream })
    }
}

#[async_trait]
impl Pollable for Pipe {
    async fn ready(&mut self) {}
}

impl OutputStream for Pipe {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        self.output.0.lock().unwrap_or_else(PoisonError::into_inner).write(self.stream, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}
