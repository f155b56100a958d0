//! WebSockets frame by frame (RFC 6455, section 5), as the client or as the upstream, without a will of their own: nothing is
//! answered, checked or put together.

use http::Method;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{Client, Listener, PATIENCE, tcp};

/// One side of an open WebSocket.
pub struct WebSocket<S> {
    stream: S,
    is_client: bool,
}

/// A client's side.
pub type ClientSocket = WebSocket<TokioIo<Upgraded>>;

/// A frame as it came, unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub opcode: u8,
    pub is_masked: bool,
    pub payload: Vec<u8>,
}

pub const TEXT: u8 = 1;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Opens a WebSocket at a URL of the gateway, whose session is this listener: answers both ends.
///
/// # Panics
/// When the client isn't let in.
pub async fn open(client: &Client, url: &str, session: &Listener) -> (ClientSocket, WebSocket<TcpStream>) {
    open_after(client, url, session, async {}).await
}

/// The same with a session that answers once something has happened.
///
/// # Panics
/// When the client isn't let in.
pub async fn open_after(
    client: &Client,
    url: &str,
    session: &Listener,
    happens: impl Future<Output = ()>,
) -> (ClientSocket, WebSocket<TcpStream>) {
    let (asked, upstream) = tokio::join!(ask(client, url), timeout(PATIENCE, answer(session, happens)));
    (asked, upstream.expect("nobody connects to the session"))
}

async fn ask(client: &Client, url: &str) -> ClientSocket {
    let client = client.clone().with("connection", "upgrade").with("upgrade", "websocket").with("sec-websocket-version", "13");
    let client = client.with("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let response = client.open(Method::GET, url, bytes::Bytes::new()).await.unwrap();
    assert_eq!(response.status(), 101, "{url}");
    WebSocket { stream: TokioIo::new(hyper::upgrade::on(response).await.unwrap()), is_client: true }
}

async fn answer(session: &Listener, happens: impl Future<Output = ()>) -> WebSocket<TcpStream> {
    let mut stream = session.accept().await;
    tcp::head(&mut stream).await;
    happens.await;
    // The answer to the key above (RFC 6455, section 1.3).
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                  Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    stream.write_all(switch.as_bytes()).await.unwrap();
    WebSocket { stream, is_client: false }
}

// === impl WebSocket ===

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Sends a whole frame.
    pub async fn send(&mut self, opcode: u8, payload: &[u8]) {
        let frame = self.frame(opcode, payload);
        self.send_bytes(&frame).await;
    }

    /// A frame of this side in bytes, for who wants to send a part of it.
    pub fn frame(&self, opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mask_bit = if self.is_client { 0x80 } else { 0 };
        let mut frame = vec![0x80 | opcode];
        match (payload.len(), u16::try_from(payload.len())) {
            (length @ 0..126, _) => frame.push(mask_bit | u8::try_from(length).unwrap()),
            (_, Ok(length)) => {
                frame.push(mask_bit | 126);
                frame.extend(length.to_be_bytes());
            }
            (length, Err(_)) => {
                frame.push(mask_bit | 127);
                frame.extend(u64::try_from(length).unwrap().to_be_bytes());
            }
        }
        if self.is_client {
            frame.extend(MASK);
            frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        } else {
            frame.extend(payload);
        }
        frame
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The next frame; None at the end of the connection, in order or not, between two frames.
    ///
    /// # Panics
    /// When neither comes, or the end comes within a frame.
    pub async fn next(&mut self) -> Option<Frame> {
        timeout(PATIENCE, self.receive()).await.expect("neither a frame nor the end")
    }

    /// The code of the close frame that is the last thing to come; what comes before it must be what is expected.
    ///
    /// # Panics
    /// When another frame comes, or the connection ends without one, or goes on behind it.
    pub async fn closes(&mut self) -> (u16, Frame) {
        let frame = self.next().await.expect("an end without a close frame");
        assert_eq!(frame.opcode, CLOSE, "{frame:?}");
        let code = frame.payload.first_chunk().map(|code| u16::from_be_bytes(*code)).expect("a close frame without a code");
        assert_eq!(self.next().await, None, "something comes behind the close frame");
        (code, frame)
    }

    async fn receive(&mut self) -> Option<Frame> {
        let opcode = self.stream.read_u8().await.ok()? & 0x0f;
        let second = self.stream.read_u8().await.expect("a whole frame");
        let length = match second & 0x7f {
            126 => self.stream.read_u16().await.expect("a whole frame").into(),
            127 => self.stream.read_u64().await.expect("a whole frame"),
            short => short.into(),
        };
        let is_masked = second & 0x80 != 0;
        let mut mask = [0; 4];
        if is_masked {
            self.stream.read_exact(&mut mask).await.expect("a whole frame");
        }
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut payload).await.expect("a whole frame");
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        Some(Frame { opcode, is_masked, payload })
    }
}

/// Whether a text goes through, both ways.
pub async fn is_carried(client: &mut ClientSocket, upstream: &mut WebSocket<TcpStream>) {
    client.send(TEXT, b"there").await;
    assert_eq!(upstream.next().await, Some(Frame { opcode: TEXT, is_masked: true, payload: b"there".into() }));
    upstream.send(TEXT, b"back").await;
    assert_eq!(client.next().await, Some(Frame { opcode: TEXT, is_masked: false, payload: b"back".into() }));
}
