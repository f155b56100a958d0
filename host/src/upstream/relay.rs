//! Bytes both ways between two open connections, until both sides ended, one broke, nothing moved for too long, or somebody
//! says that it's time to leave. Called for TCP connections and for everything that HTTP was upgraded to.
//!
//! Faithful: a half that ends is ended on the other side while the other direction goes on, a reset becomes a reset, and who
//! doesn't read isn't written to. Frugal: an idle connection has no buffer, because bytes pass through one that the thread
//! shares; a sustained transfer is moved by the kernel alone (`splice`).

mod direction;
mod pipe;
pub mod websocket;

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Instant,
};

use self::direction::{Direction, Step};
use super::Stream;

/// One side of a relay.
pub trait Socket: AsyncRead + AsyncWrite + Unpin {
    /// The connection itself, where nothing stands between it and the bytes.
    fn plain(&self) -> Option<&TcpStream>;
}

/// What the bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// Anything: the goodbye is the end of the bytes.
    Bytes,
    /// Frames (RFC 6455): the goodbye is one of them.
    WebSocket,
}

/// Why a relay is left before its sides ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goodbye {
    /// A new decision is against it.
    Denied,
    /// The session or its route is gone.
    Gone,
    /// Nothing could decide for too long.
    Undecided,
    /// The gateway ends.
    Draining,
}

/// How a relay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Both sides said all they had.
    Finished,
    ClientBroke,
    UpstreamBroke,
    Idle,
    Left(Goodbye),
}

/// Bytes of user data: a WebSocket's pings and closes aren't.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    pub from_client: u64,
    pub from_upstream: u64,
}

/// What a relay came to. `moved` are all bytes, whatever they meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relayed {
    pub moved: Moved,
    pub end: End,
}

/// How long both sides get to take the goodbye.
const LEAVE: Duration = Duration::from_secs(2);

/// Relays. `meter` is told of user data as it moves; `goodbye` resolves when it's time to leave.
pub async fn relay<C: Socket, U: Socket>(
    mut client: C,
    mut upstream: U,
    speech: Speech,
    idle: Duration,
    meter: impl Fn(Moved),
    goodbye: impl Future<Output = Goodbye>,
) -> Relayed {
    let mut up = Direction::new(speech, websocket::Masking::Client);
    let mut down = Direction::new(speech, websocket::Masking::Server);
    let mut goodbye = pin!(goodbye);
    let mut timer = pin!(tokio::time::sleep(idle));
    let (mut moved_at, mut seen) = (Instant::now(), 0);
    let mut leaving: Option<Goodbye> = None;
    let end = poll_fn(|cx| {
        let ends = (up.poll(cx, &mut client, &mut upstream), down.poll(cx, &mut upstream, &mut client));
        let data = Moved { from_client: up.take_data(), from_upstream: down.take_data() };
        if data != Moved::default() {
            meter(data);
        }
        match ends {
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => {
                return Poll::Ready(leaving.map_or(End::Finished, End::Left));
            }
            (Poll::Ready(Err(step)), _) => {
                return Poll::Ready(if step == Step::Reading { End::ClientBroke } else { End::UpstreamBroke });
            }
            (_, Poll::Ready(Err(step))) => {
                return Poll::Ready(if step == Step::Reading { End::UpstreamBroke } else { End::ClientBroke });
            }
            _ => {}
        }
        if seen != up.bytes + down.bytes {
            (seen, moved_at) = (up.bytes + down.bytes, Instant::now());
        }
        if leaving.is_none()
            && let Poll::Ready(why) = goodbye.as_mut().poll(cx)
        {
            leaving = Some(why);
            up.leave(why);
            down.leave(why);
            timer.as_mut().reset(Instant::now() + LEAVE);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        while timer.as_mut().poll(cx).is_ready() {
            match leaving {
                Some(why) => return Poll::Ready(End::Left(why)),
                None if moved_at.elapsed() >= idle => return Poll::Ready(End::Idle),
                None => timer.as_mut().reset(moved_at + idle),
            }
        }
        Poll::Pending
    })
    .await;
    match end {
        End::ClientBroke => reset(&upstream),
        End::UpstreamBroke => reset(&client),
        End::Left(_) => linger(&mut client, &mut upstream).await,
        End::Finished | End::Idle => {}
    }
    Relayed { moved: Moved { from_client: up.bytes, from_upstream: down.bytes }, end }
}

/// What was broken off on one side is broken off on the other: the close becomes a reset.
fn reset(socket: &impl Socket) {
    if let Some(stream) = socket.plain() {
        // Without it the connection is closed in order, which says less.
        let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
    }
}

/// Bytes that nobody reads turn a close into a reset, which can overtake the goodbye: so they're read until the other side
/// closes, or it took long enough.
async fn linger(client: &mut impl Socket, upstream: &mut impl Socket) {
    let drained = async {
        tokio::join!(drain(client), drain(upstream));
    };
    let _ = tokio::time::timeout(LEAVE / 2, drained).await;
}

async fn drain(socket: &mut impl Socket) {
    let mut scrap = [0; 1024];
    let mut read = async || {
        poll_fn(|cx| {
            let mut buffer = ReadBuf::new(&mut scrap);
            Pin::new(&mut *socket).poll_read(cx, &mut buffer).map_ok(|()| buffer.filled().len())
        })
        .await
    };
    while read().await.is_ok_and(|count| count > 0) {}
}

// === impl Socket ===

impl Socket for TcpStream {
    fn plain(&self) -> Option<&TcpStream> {
        Some(self)
    }
}

impl Socket for Stream {
    fn plain(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(stream) => Some(stream),
            Self::Tls(_) => None,
        }
    }
}

impl Socket for tokio_rustls::server::TlsStream<TcpStream> {
    fn plain(&self) -> Option<&TcpStream> {
        None
    }
}

impl Socket for TokioIo<Upgraded> {
    fn plain(&self) -> Option<&TcpStream> {
        None
    }
}

#[cfg(test)]
mod tests;
