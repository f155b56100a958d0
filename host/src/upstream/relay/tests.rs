//! Over real sockets: what one side does arrives at the other.

use std::{cell::Cell, future::pending, io, rc::Rc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::oneshot,
    task::{JoinHandle, LocalSet},
};

use super::*;

const LONG: Duration = Duration::from_secs(3600);

/// The outer ends of a relay, and what it comes to.
struct Relaying {
    client: TcpStream,
    upstream: TcpStream,
    leave: oneshot::Sender<Goodbye>,
    relayed: JoinHandle<Relayed>,
    data: Rc<Cell<Moved>>,
}

async fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (outer, inner) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (outer.unwrap(), inner.unwrap().0)
}

async fn relaying(speech: Speech, idle: Duration) -> Relaying {
    let ((client, from_client), (upstream, to_upstream)) = (connected().await, connected().await);
    let (leave, left) = oneshot::channel();
    let data = Rc::new(Cell::new(Moved::default()));
    let counted = Rc::clone(&data);
    let meter = move |moved: Moved| {
        let Moved { from_client, from_upstream } = counted.get();
        let from_client = from_client + moved.from_client;
        counted.set(Moved { from_client, from_upstream: from_upstream + moved.from_upstream });
    };
    let goodbye = async {
        match left.await {
            Ok(why) => why,
            Err(_) => pending().await,
        }
    };
    let relayed = tokio::task::spawn_local(relay(from_client, to_upstream, speech, idle, meter, goodbye));
    Relaying { client, upstream, leave, relayed, data }
}

async fn read_all(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.map(|_| bytes)
}

#[tokio::test]
async fn a_half_that_ends_leaves_the_other_open() {
    LocalSet::new()
        .run_until(async {
            for client_ends_first in [true, false] {
                let Relaying { mut client, mut upstream, leave: _leave, relayed, .. } = relaying(Speech::Bytes, LONG).await;
                let (first, second) = if client_ends_first { (&mut client, &mut upstream) } else { (&mut upstream, &mut client) };
                first.write_all(b"question").await.unwrap();
                first.shutdown().await.unwrap();
                assert_eq!(read_all(second).await.unwrap(), b"question");
                second.write_all(b"a late answer").await.unwrap();
                second.shutdown().await.unwrap();
                assert_eq!(read_all(first).await.unwrap(), b"a late answer");
                assert_eq!(relayed.await.unwrap().end, End::Finished);
            }
        })
        .await;
}

#[tokio::test]
async fn a_reset_is_a_reset_on_the_other_side() {
    LocalSet::new()
        .run_until(async {
            for is_clients in [true, false] {
                let Relaying { mut client, mut upstream, leave: _leave, relayed, .. } = relaying(Speech::Bytes, LONG).await;
                client.write_all(b"x").await.unwrap();
                upstream.read_exact(&mut [0]).await.unwrap();
                let (gone, mut left) = if is_clients { (client, upstream) } else { (upstream, client) };
                SockRef::from(&gone).set_linger(Some(Duration::ZERO)).unwrap();
                drop(gone);
                let error = read_all(&mut left).await.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
                assert_eq!(relayed.await.unwrap().end, if is_clients { End::ClientBroke } else { End::UpstreamBroke });
            }
        })
        .await;
}

#[tokio::test]
async fn large_transfers_both_ways_arrive_whole() {
    const SIZE: usize = 24 << 20;
    LocalSet::new()
        .run_until(async {
            let Relaying { client, upstream, leave: _leave, relayed, data } = relaying(Speech::Bytes, LONG).await;
            let bytes = |seed: u64| {
                let mut random = fastrand::Rng::with_seed(seed);
                let mut bytes = vec![0; SIZE];
                random.fill(&mut bytes);
                bytes
            };
            let exchange = async |stream: TcpStream, sends: Vec<u8>, expects: Vec<u8>| {
                let (mut from, mut to) = stream.into_split();
                let send = async {
                    to.write_all(&sends).await.unwrap();
                    to.shutdown().await.unwrap();
                };
                let mut got = Vec::with_capacity(SIZE);
                let (_, read) = tokio::join!(send, from.read_to_end(&mut got));
                read.unwrap();
                assert!(got == expects);
            };
            tokio::join!(exchange(client, bytes(1), bytes(2)), exchange(upstream, bytes(2), bytes(1)));
            let all = Moved { from_client: SIZE as u64, from_upstream: SIZE as u64 };
            assert_eq!((relayed.await.unwrap(), data.get()), (Relayed { moved: all, end: End::Finished }, all));
        })
        .await;
}

#[tokio::test]
async fn nothing_is_read_for_a_side_that_does_not_read() {
    LocalSet::new()
        .run_until(async {
            let Relaying { client, mut upstream, leave: _leave, .. } = relaying(Speech::Bytes, LONG).await;
            let mut sent = 0;
            // Full once: buffers on the way may still take some.
            let mut refused = 0;
            while refused < 50 {
                match client.try_write(&[7; 64 * 1024]) {
                    Ok(count) => (sent, refused) = (sent + count, 0),
                    Err(_) => {
                        refused += 1;
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                }
                assert!(sent < 256 << 20, "somebody keeps it all");
            }
            drop(client);
            assert_eq!(read_all(&mut upstream).await.unwrap().len(), sent);
        })
        .await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_ends() {
    LocalSet::new()
        .run_until(async {
            let mut quiet = relaying(Speech::Bytes, Duration::from_millis(20)).await;
            assert_eq!(read_all(&mut quiet.client).await.unwrap(), b"");
            assert_eq!(quiet.relayed.await.unwrap().end, End::Idle);
        })
        .await;
}

#[tokio::test]
async fn a_goodbye_ends_bytes_in_order() {
    LocalSet::new()
        .run_until(async {
            let mut live = relaying(Speech::Bytes, LONG).await;
            live.upstream.write_all(b"the last").await.unwrap();
            let mut last = [0; 8];
            live.client.read_exact(&mut last).await.unwrap();
            live.leave.send(Goodbye::Gone).unwrap();
            assert_eq!(read_all(&mut live.client).await.unwrap(), b"");
            assert_eq!(read_all(&mut live.upstream).await.unwrap(), b"");
            assert_eq!(live.relayed.await.unwrap().end, End::Left(Goodbye::Gone));
        })
        .await;
}

#[tokio::test]
async fn a_goodbye_waits_for_the_end_of_a_frame() {
    LocalSet::new()
        .run_until(async {
            let mut live = relaying(Speech::WebSocket, LONG).await;
            // A text frame of ten bytes, of which four have come.
            live.upstream.write_all(b"\x81\x0a0123").await.unwrap();
            let mut begun = [0; 6];
            live.client.read_exact(&mut begun).await.unwrap();
            live.leave.send(Goodbye::Denied).unwrap();
            let mut to_upstream = [0; 2];
            live.upstream.read_exact(&mut to_upstream).await.unwrap();
            assert_eq!((to_upstream[0], to_upstream[1] & 0x80), (0x88, 0x80), "a masked close");
            // The frame's rest, and one that nobody will see.
            live.upstream.write_all(b"456789\x81\x05never").await.unwrap();
            let rest = read_all(&mut live.client).await.unwrap();
            assert_eq!(&rest[..10], b"456789\x88\x12\x03\xf0");
            assert_eq!(rest.len(), 6 + 2 + 18, "nothing comes behind the close");
            assert_eq!(live.relayed.await.unwrap().end, End::Left(Goodbye::Denied));
            assert_eq!(live.data.get().from_upstream, 10);
        })
        .await;
}
