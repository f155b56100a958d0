//! TCP servers on loopback that do as a test says, and clients that see how a connection ends.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};

use crate::PATIENCE;

/// A server whose every connection a test holds in its hands.
pub struct Listener(TcpListener);

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    InOrder,
    Reset,
}

/// A server that says this to each client and hangs up; answers its port. It runs on the test's own runtime.
pub async fn speaker(text: &'static str) -> u16 {
    speaker_at(Ipv4Addr::LOCALHOST, text).await
}

/// The same at another address of loopback.
pub async fn speaker_at(address: Ipv4Addr, text: &'static str) -> u16 {
    let listener = Listener::at(address).await;
    let port = listener.port();
    tokio::spawn(async move {
        loop {
            let mut stream = listener.accept().await;
            let _ = stream.write_all(text.as_bytes()).await;
        }
    });
    port
}

/// What such a server says; None where nobody listens. Empty where the connection is closed without a word.
pub async fn greeting(port: u16) -> Option<String> {
    let stream = match TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
        Ok(stream) => stream,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return None,
        Err(error) => panic!("port {port}: {error}"),
    };
    let (text, _) = rest(stream).await;
    Some(String::from_utf8(text).unwrap())
}

/// A connection to a port of loopback.
pub async fn connect(port: u16) -> TcpStream {
    connect_from(Ipv4Addr::LOCALHOST, port).await
}

/// The same as the client of this address.
pub async fn connect_from(client: Ipv4Addr, port: u16) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((client, 0).into()).unwrap();
    let stream = socket.connect((Ipv4Addr::LOCALHOST, port).into()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Everything up to the end, and what end that is.
///
/// # Panics
/// When it doesn't end.
pub async fn rest(mut stream: TcpStream) -> (Vec<u8>, Ended) {
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the connection stays open");
    match read {
        Ok(_) => (bytes, Ended::InOrder),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => (bytes, Ended::Reset),
        Err(error) => panic!("{error}"),
    }
}

/// Exactly so many bytes.
///
/// # Panics
/// When they don't come.
pub async fn read(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    timeout(PATIENCE, stream.read_exact(&mut bytes)).await.expect("nothing comes").unwrap();
    bytes
}

/// The head of a request, or of a response, with the empty line behind it.
///
/// # Panics
/// When it doesn't come.
pub async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(read(stream, 1).await);
    }
    String::from_utf8(head).unwrap()
}

/// Whether what goes in at one end comes out at the other, both ways.
pub async fn is_carried(one: &mut TcpStream, other: &mut TcpStream) {
    one.write_all(b"there").await.unwrap();
    assert_eq!(read(other, 5).await, b"there");
    other.write_all(b"back").await.unwrap();
    assert_eq!(read(one, 4).await, b"back");
}

/// Closes a connection by a reset.
pub fn break_off(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

// === impl Listener ===

impl Listener {
    pub async fn bind() -> Self {
        Self::at(Ipv4Addr::LOCALHOST).await
    }

    /// On a free port of an address of this machine.
    pub async fn at(address: impl Into<IpAddr>) -> Self {
        Self(TcpListener::bind((address.into(), 0)).await.unwrap())
    }

    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub fn port(&self) -> u16 {
        self.address().port()
    }

    /// The next connection.
    ///
    /// # Panics
    /// When there is none.
    pub async fn accept(&self) -> TcpStream {
        let accepted = self.0.accept().await;
        let (stream, _) = accepted.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// A client's connection by a port of the gateway, and the one that the gateway makes of it.
    pub async fn pair(&self, port: u16) -> (TcpStream, TcpStream) {
        let client = connect(port).await;
        let upstream = timeout(PATIENCE, self.accept()).await.expect("nobody connects to the upstream");
        (client, upstream)
    }

    /// Whether nobody has connected since the last time. A connection that was made before shows at once: it's in the backlog.
    pub async fn is_alone(&self) -> bool {
        timeout(Duration::ZERO, self.0.accept()).await.is_err()
    }
}
