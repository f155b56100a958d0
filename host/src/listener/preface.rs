//! Which version of HTTP a client without TLS begins with: one that speaks HTTP/2 says so in its first 24 bytes (RFC 9113,
//! section 3.4). What was read for that is read again by whoever serves the connection.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    time::timeout,
};

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream whose first bytes were read already.
pub struct Rewound<S> {
    stream: S,
    first: [u8; PREFACE.len()],
    /// What of them is still to be read.
    start: usize,
    end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Http1,
    Http2,
}

/// Reads until it's clear what the client speaks. None when it says nothing for so long (`idle`, then `head` once it began),
/// or went away.
pub async fn version<S: AsyncRead + Unpin>(mut stream: S, idle: Duration, head: Duration) -> Option<(Rewound<S>, Version)> {
    let mut first = [0; PREFACE.len()];
    let mut end = timeout(idle, stream.read(&mut first)).await.ok()?.ok()?;
    let rest = async {
        while 0 < end && end < PREFACE.len() && PREFACE.starts_with(&first[..end]) {
            match stream.read(&mut first[end..]).await? {
                0 => break,
                count => end += count,
            }
        }
        io::Result::Ok(())
    };
    timeout(head, rest).await.ok()?.ok()?;
    let version = if first[..end] == PREFACE[..] { Version::Http2 } else { Version::Http1 };
    (end > 0).then_some((Rewound { stream, first, start: 0, end }, version))
}

// === impl Rewound ===

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.start == self.end {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let count = buffer.remaining().min(self.end - self.start);
        buffer.put_slice(&self.first[self.start..self.start + count]);
        self.start += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn begins(parts: &[&[u8]]) -> (Option<Version>, Vec<u8>) {
        let mut script = scripted(parts);
        let Some((mut rewound, version)) = version(&mut script, Duration::from_secs(9), Duration::from_secs(9)).await else {
            return (None, Vec::new());
        };
        let mut read = Vec::new();
        rewound.read_to_end(&mut read).await.unwrap();
        (Some(version), read)
    }

    /// A stream that is read in these parts.
    fn scripted(parts: &[&[u8]]) -> impl AsyncRead + Unpin + use<> {
        let parts: Vec<Vec<u8>> = parts.iter().map(|part| part.to_vec()).collect();
        let (reader, mut writer) = tokio::io::duplex(64);
        tokio::spawn(async move {
            for part in parts {
                tokio::io::AsyncWriteExt::write_all(&mut writer, &part).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        reader
    }

    #[tokio::test]
    async fn the_preface_in_any_parts_is_http2_and_everything_else_is_not() {
        let (one, two) = PREFACE.split_at(3);
        for (parts, wanted) in [
            (&[&PREFACE[..], b"frames"][..], Some(Version::Http2)),
            (&[one, two, b"frames"], Some(Version::Http2)),
            (&[b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"], Some(Version::Http1)),
            (&[b"P", b"OST / HTTP/1.1\r\n\r\n"], Some(Version::Http1)),
            (&[b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"], Some(Version::Http1)),
            (&[b"PRI"], Some(Version::Http1)),
            (&[], None),
        ] {
            let (found, read) = begins(parts).await;
            assert_eq!(found, wanted, "{parts:?}");
            assert_eq!(read, parts.concat(), "{parts:?}");
        }
    }
}
