//! Load and origins for the measurements of TCP, called by `tests/bench/tcp`: one thread, no protocol but the least of it. It
//! doesn't know what stands between.
//!
//! `echo ADDRESS` sends back what it gets. `upgrade ADDRESS` switches each connection's first request to a WebSocket that stays
//! silent. `connect ADDRESS SECONDS AT_A_TIME` makes connections, each with one small echo, and prints how many it made. `hold
//! ADDRESS COUNT` reads a request's head from standard input, opens as many WebSockets with it, prints how many are open, and
//! keeps them until its input ends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::{
    cell::Cell,
    io::{Read, Result},
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinSet, LocalSet},
};

/// A key press and its echo, about as large as SSH makes them.
const MESSAGE: &[u8] = &[b'x'; 64];

/// So many handshakes of WebSockets at a time.
const OPENING: usize = 32;

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let run = async {
        match arguments.as_slice() {
            ["echo", address] => serve(address, echo).await,
            ["upgrade", address] => serve(address, upgrade).await,
            ["connect", address, seconds, at_a_time] => {
                let lasting = Duration::from_secs(seconds.parse().unwrap());
                println!("{}", connect(address.parse().unwrap(), lasting, at_a_time.parse().unwrap()).await);
            }
            ["hold", address, count] => hold(address.parse().unwrap(), count.parse().unwrap()).await,
            _ => panic!("found {arguments:?}, expected echo, upgrade, connect or hold with their arguments"),
        }
    };
    LocalSet::new().block_on(&runtime, run);
}

async fn serve<F: Future<Output = Result<()>> + 'static>(address: &str, talk: fn(TcpStream) -> F) {
    let listener = TcpListener::bind(address).await.unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        // An error is the client's end.
        tokio::task::spawn_local(async move { talk(stream).await.unwrap_or_default() });
    }
}

async fn echo(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 1024];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..read]).await?;
    }
}

async fn upgrade(mut stream: TcpStream) -> Result<()> {
    head(&mut stream).await?;
    stream.write_all(SWITCHED.as_bytes()).await?;
    // Nobody says anything more; this ends with the connection.
    stream.read(&mut [0]).await.map(drop)
}

/// Everything up to the first empty line, and nothing after it: whoever sends one waits for the answer.
async fn head(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
    while !head.ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(&buffer[..read]);
    }
    Ok(head)
}

/// How many connections were made, used and closed. One that fails ends the measurement: it would be a cheap one.
async fn connect(address: SocketAddr, lasting: Duration, at_a_time: usize) -> u64 {
    let (made, until) = (Rc::new(Cell::new(0)), Instant::now() + lasting);
    let mut clients = JoinSet::new();
    for _ in 0..at_a_time {
        let made = Rc::clone(&made);
        clients.spawn_local(async move {
            while Instant::now() < until {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                stream.write_all(MESSAGE).await.unwrap();
                let mut answer = [0; MESSAGE.len()];
                stream.read_exact(&mut answer).await.unwrap();
                assert_eq!(answer, MESSAGE);
                made.set(made.get() + 1);
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.expect("a connection failed");
    }
    made.get()
}

async fn hold(address: SocketAddr, count: usize) {
    let mut request = String::new();
    let mut input = std::io::stdin();
    // One line with escapes, so that the input may stay open.
    let mut byte = [0];
    while input.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        request.push(char::from(byte[0]));
    }
    let request = request.replace("\\r\\n", "\r\n");
    let mut open = Vec::with_capacity(count);
    while open.len() < count {
        let opening = OPENING.min(count - open.len());
        let handshakes = (0..opening).map(|_| socket(address, &request));
        open.extend(futures_util::future::join_all(handshakes).await);
    }
    println!("{}", open.len());
    tokio::task::spawn_blocking(move || input.read_to_end(&mut Vec::new())).await.unwrap().unwrap();
}

async fn socket(address: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = head(&mut stream).await.expect("an answer to the handshake");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 101 "), "the handshake was answered with {answer}");
    stream
}
