//! What a connection through the gateway does is what a direct one would: halves end, breaks break, and who doesn't read isn't
//! written to.

use std::{
    cell::Cell,
    io,
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
    time::Duration,
};

use socket2::{Domain, Socket, Type};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    task::LocalSet,
    time::timeout,
};
use wicketgate_tests::{
    Listener, PATIENCE, PortRange, eventually, free_port,
    tcp::{Ended, break_off, connect, is_carried, read, rest},
};

use super::{Site, session};

const MIB: usize = 1024 * 1024;

/// A session that this test is the server of.
async fn site() -> (Site, Listener) {
    let session = Listener::bind().await;
    (Site::before(session.port()).await, session)
}

#[tokio::test]
async fn a_client_that_has_said_everything_still_hears_the_answer() {
    let (site, session) = site().await;
    let (mut client, mut upstream) = session.pair(site.port).await;
    client.write_all(b"everything").await.unwrap();
    client.shutdown().await.unwrap();
    let mut asked = Vec::new();
    timeout(PATIENCE, upstream.read_to_end(&mut asked)).await.expect("the end isn't told").unwrap();
    assert_eq!(asked, b"everything");
    // In pieces, each of which must arrive before the next: nothing closes behind the client's back.
    for piece in ["some", "more"] {
        upstream.write_all(piece.as_bytes()).await.unwrap();
        assert_eq!(read(&mut client, 4).await, piece.as_bytes());
    }
    drop(upstream);
    assert_eq!(rest(client).await, (Vec::new(), Ended::InOrder));
    eventually("an end in order", async || (ended(&site, "finished").await == 1).then_some(())).await;
}

#[tokio::test]
async fn a_session_that_has_said_everything_still_hears_the_client() {
    let (site, session) = site().await;
    let (mut client, mut upstream) = session.pair(site.port).await;
    upstream.write_all(b"everything").await.unwrap();
    upstream.shutdown().await.unwrap();
    let mut said = Vec::new();
    timeout(PATIENCE, client.read_to_end(&mut said)).await.expect("the end isn't told").unwrap();
    assert_eq!(said, b"everything");
    for piece in ["some", "more"] {
        client.write_all(piece.as_bytes()).await.unwrap();
        assert_eq!(read(&mut upstream, 4).await, piece.as_bytes());
    }
    drop(client);
    assert_eq!(rest(upstream).await, (Vec::new(), Ended::InOrder));
    eventually("an end in order", async || (ended(&site, "finished").await == 1).then_some(())).await;
}

#[tokio::test]
async fn what_breaks_on_one_side_breaks_on_the_other() {
    let (site, session) = site().await;
    let (mut client, mut upstream) = session.pair(site.port).await;
    is_carried(&mut client, &mut upstream).await;
    break_off(upstream);
    assert_eq!(rest(client).await, (Vec::new(), Ended::Reset));
    eventually("it's counted", async || (ended(&site, "upstream-broke").await == 1).then_some(())).await;

    let (mut client, mut upstream) = session.pair(site.port).await;
    is_carried(&mut client, &mut upstream).await;
    break_off(client);
    assert_eq!(rest(upstream).await, (Vec::new(), Ended::Reset));
    eventually("it's counted", async || (ended(&site, "client-broke").await == 1).then_some(())).await;
}

/// More than the system's buffers hold between four ends.
const BACKLOG: usize = 128 * MIB;

#[tokio::test]
async fn who_does_not_read_is_not_written_to() {
    LocalSet::new()
        .run_until(async {
            let (site, session) = site().await;
            let (client, upstream) = session.pair(site.port).await;
            let (from_client, to_client) = client.into_split();
            let (from_upstream, to_upstream) = upstream.into_split();
            stops_until_it_is_read(to_client, from_upstream).await;
            stops_until_it_is_read(to_upstream, from_client).await;
        })
        .await;
}

async fn stops_until_it_is_read(to: impl AsyncWrite + Unpin + 'static, mut from: impl AsyncRead + Unpin) {
    let sent = Rc::new(Cell::new(0));
    let writing = tokio::task::spawn_local(write_blocks(to, BACKLOG, Rc::clone(&sent)));
    let (mut before, mut still) = (0, 0);
    eventually("nothing more is taken", async || {
        assert!(sent.get() < BACKLOG, "all of it was taken, and nobody read");
        still = if sent.get() > 0 && sent.get() == before { still + 1 } else { 0 };
        before = sent.get();
        (still == 25).then_some(())
    })
    .await;
    read_blocks(&mut from, BACKLOG).await;
    writing.await.unwrap();
}

const LARGE: usize = 256 * MIB;

#[tokio::test]
async fn much_goes_both_ways_at_once_and_arrives_as_it_was() {
    let (site, session) = site().await;
    let (client, upstream) = session.pair(site.port).await;
    let (mut from_client, to_client) = client.into_split();
    let (mut from_upstream, to_upstream) = upstream.into_split();
    let all = async {
        tokio::join!(
            write_blocks(to_client, LARGE, Rc::default()),
            read_blocks(&mut from_upstream, LARGE),
            write_blocks(to_upstream, LARGE, Rc::default()),
            read_blocks(&mut from_client, LARGE),
        );
    };
    timeout(3 * PATIENCE, all).await.expect("it stopped on the way");
    drop((from_client, from_upstream));
    eventually("both directions are counted", async || {
        let moved = [site.gateway.metric("wicketgate_tcp_bytes_total{direction=\"in\"}").await, bytes_out(&site).await];
        (moved == [LARGE as u64; 2]).then_some(())
    })
    .await;
}

async fn bytes_out(site: &Site) -> u64 {
    site.gateway.metric("wicketgate_tcp_bytes_total{direction=\"out\"}").await
}

const BLOCK: usize = 64 * 1024;

/// A block that is like no other: its number at both ends, and bytes of no short period between.
fn number(block: &mut [u8], number: usize) {
    let number = number.to_be_bytes();
    block[..8].copy_from_slice(&number);
    block[BLOCK - 8..].copy_from_slice(&number);
}

fn blank() -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(BLOCK).collect()
}

/// Answers the half again: dropped, it ends.
async fn write_blocks<W: AsyncWrite + Unpin>(mut to: W, bytes: usize, sent: Rc<Cell<usize>>) -> W {
    let mut block = blank();
    for at in 0..bytes / BLOCK {
        number(&mut block, at);
        let mut rest = &block[..];
        while !rest.is_empty() {
            let count = to.write(rest).await.unwrap();
            rest = &rest[count..];
            sent.set(sent.get() + count);
        }
    }
    to
}

async fn read_blocks(from: &mut (impl AsyncRead + Unpin), bytes: usize) {
    let (mut expected, mut block) = (blank(), vec![0; BLOCK]);
    for at in 0..bytes / BLOCK {
        number(&mut expected, at);
        timeout(PATIENCE, from.read_exact(&mut block)).await.expect("nothing comes").unwrap();
        assert!(block == expected, "block {at} isn't what was sent");
    }
}

#[tokio::test]
async fn one_on_which_nothing_moves_is_closed() {
    let session_ = Listener::bind().await;
    let config = PortRange::free(4).config_with("timeouts: {idle_ms: 300}");
    let site = Site::with(&config, &[session("s1", session_.port(), "")]).await;
    let (client, upstream) = session_.pair(site.port).await;
    assert_eq!(rest(client).await, (Vec::new(), Ended::InOrder));
    assert_eq!(rest(upstream).await, (Vec::new(), Ended::InOrder));
    eventually("it's counted", async || (ended(&site, "idle").await == 1).then_some(())).await;
}

/// How many connections ended in a way.
async fn ended(site: &Site, how: &str) -> u64 {
    site.gateway.metric(&format!("wicketgate_tcp_ended_total{{reason=\"{how}\"}}")).await
}

#[tokio::test]
async fn one_to_a_session_that_nobody_can_reach_is_closed() {
    let (full, _waiting) = full().await;
    let range = PortRange::free(4);
    let config = range.config()
        + "public_url: 'http://127.0.0.1:{port}'\nhttp: {listen: '127.0.0.1:{port}', workers: 2, timeouts: {upstream_connect_ms: 200}}\n";
    let site = Site::with(&config, &[session("s1", free_port(), ""), session("s2", full, "")]).await;
    let unreachable = super::leased(&site.gateway, "s2").await;
    for (port, reason) in [(site.port, "connect-refused"), (unreachable, "connect-timeout")] {
        let (said, _) = rest(connect(port).await).await;
        assert_eq!(said, b"", "{reason}");
        let sample = format!("wicketgate_tcp_refused_total{{reason=\"{reason}\"}}");
        eventually(&sample, async || (site.gateway.metric(&sample).await == 1).then_some(())).await;
    }
}

/// A server whose backlog is full, so that the system answers nobody any more.
async fn full() -> (u16, (Socket, Vec<TcpStream>)) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut waiting: Vec<TcpStream> = Vec::new();
    loop {
        match timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
            Ok(stream) => waiting.push(stream.unwrap_or_else(|error: io::Error| panic!("{error}"))),
            Err(_) => return (address.port(), (socket, waiting)),
        }
    }
}
