//! A way to a server that a test can break: what comes in at one address goes to another, until it's cut or hangs.

use std::net::{IpAddr, SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
};

/// What happens to bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Open,
    /// Connections are closed, and new ones as soon as they are there.
    Cut,
    /// Nothing moves, on old connections and new ones, and nobody is told.
    Stuck,
}

/// Runs until it's dropped, on a thread of its own.
pub struct Relay {
    pub address: SocketAddr,
    way: watch::Sender<Way>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

// === impl Relay ===

impl Relay {
    /// Listens at a free port of this address.
    pub fn start(at: IpAddr, to: SocketAddr) -> Self {
        let listener = std::net::TcpListener::bind((at, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (way, ways) = watch::channel(Way::Open);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = accept(listener, to, ways) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, way, stop: Some(stop), thread: Some(thread) }
    }

    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, to: SocketAddr, ways: watch::Receiver<Way>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let ways = ways.clone();
        tokio::spawn(async move {
            let mut until = ways.clone();
            tokio::select! {
                () = carry(client, to, ways) => {}
                // Both ends are dropped, and with them their connections.
                _ = until.wait_for(|way| *way == Way::Cut) => {}
            }
        });
    }
}

async fn carry(client: TcpStream, to: SocketAddr, mut ways: watch::Receiver<Way>) {
    if ways.wait_for(|way| *way == Way::Open).await.is_err() {
        return;
    }
    // Where nobody listens, the client's connection is closed, too.
    let Ok(server) = TcpStream::connect(to).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(copy(from_client, to_server, ways.clone()), copy(from_server, to_client, ways));
}

async fn copy(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, mut ways: watch::Receiver<Way>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if ways.wait_for(|way| *way == Way::Open).await.is_err() || to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
