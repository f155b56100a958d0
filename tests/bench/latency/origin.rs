//! The session behind the gateway: a page of 1.5 KB, or, where it's asked for, the mark that the routing policy put on the
//! request. On the generator's own thread: another process would have to take turns with a generator that never sleeps.

use std::{io::Result, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const PAGE: usize = 1536;

/// Serves from now on.
pub async fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::task::spawn_local(async move {
        let page = [answer(PAGE).as_bytes(), &[b'x'; PAGE]].concat();
        let page = std::rc::Rc::new(page);
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let page = std::rc::Rc::clone(&page);
            // An error is the gateway's end of it.
            tokio::task::spawn_local(async move { serve(stream, &page).await.unwrap_or_default() });
        }
    });
    address
}

fn answer(length: usize) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {length}\r\n\r\n")
}

async fn serve(mut stream: TcpStream, page: &[u8]) -> Result<()> {
    stream.set_nodelay(true)?;
    let (mut head, mut buffer) = (Vec::new(), [0; 8192]);
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        head.extend_from_slice(&buffer[..read]);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        if head.starts_with(b"GET /mark ") {
            let mark = mark(&head).unwrap_or_default();
            stream.write_all((answer(mark.len()) + &mark).as_bytes()).await?;
        } else {
            stream.write_all(page).await?;
        }
        head.clear();
    }
}

fn mark(head: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    head.lines().find_map(|line| line.strip_prefix("x-policy:")).map(|mark| mark.trim().to_owned())
}
