//! Clients that mean harm: what the gateway remembers for each of their connections is bounded, and others are served.

use std::{fs, future::Future};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};
use wicketgate_tests::Client;

use super::Peers;

const CONNECTIONS: usize = 64;
/// For each of them, at any moment.
const MOST_KIB: u64 = 2 * 1024;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// GET of a session that isn't there (RFC 7541, appendix A and section 6.2.2).
fn head() -> Vec<u8> {
    let mut block = vec![0x82, 0x86];
    for (name, value) in [(0x04, "/service/nothing/"), (0x01, "gate.test")] {
        block.extend_from_slice(&[name, u8::try_from(value.len()).unwrap()]);
        block.extend_from_slice(value.as_bytes());
    }
    block
}

/// The same with 57 KB of lines, none of them in a table.
fn large_head() -> Vec<u8> {
    let mut block = head();
    for _ in 0..19 {
        // 3000 as an integer of seven bits and more: 127, then 2873 in groups of seven bits.
        block.extend_from_slice(b"\x00\x03x-a\x7f\xb9\x16");
        block.extend_from_slice(&[b'a'; 3000]);
    }
    block
}

/// The same with so many lines as its size allows, each of them one byte long (`age`, without a value).
fn many_lines() -> Vec<u8> {
    [head(), vec![0x95; 1_800]].concat()
}

/// A head in as many frames as it needs.
fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> = block.chunks(16_384).collect();
    let mut frames = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let (kind, mut now) = if number == 0 { (HEADERS, flags) } else { (CONTINUATION, 0) };
        if number + 1 == parts.len() {
            now |= END_HEADERS;
        }
        frames.extend(frame(kind, now, stream, part));
    }
    frames
}

fn streams() -> impl Iterator<Item = u32> {
    (0..).map(|number| 2 * number + 1)
}

async fn connection(port: u16) -> (OwnedReadHalf, OwnedWriteHalf) {
    let (read, mut write) = TcpStream::connect(("127.0.0.1", port)).await.unwrap().into_split();
    let begin = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, &[])].concat();
    write.write_all(&begin).await.unwrap();
    (read, write)
}

/// What the kernel says of a process's memory, in KiB.
fn memory(pid: u32, key: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

/// Runs an attack on so many connections, and says how much more memory there was at most.
async fn attacked<F: Future<Output = ()> + Send + 'static>(
    peers: &Peers,
    attack: impl Fn(OwnedReadHalf, OwnedWriteHalf) -> F,
) -> u64 {
    let (pid, port) = (peers.gateway.pid(), peers.gateway.port);
    fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
    let before = memory(pid, "VmRSS");
    let mut attacks = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (read, write) = connection(port).await;
        attacks.spawn(attack(read, write));
    }
    let reply = Client::default().get(&peers.gateway.at("/service/s1/echo")).await;
    assert_eq!(reply.status, 200, "others are served meanwhile");
    while let Some(ended) = attacks.join_next().await {
        ended.unwrap();
    }
    memory(pid, "VmHWM").saturating_sub(before)
}

/// Reads whatever comes, so that only the gateway's own limits count.
fn drain(mut read: OwnedReadHalf) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut block = vec![0; 64 * 1024];
        while read.read(&mut block).await.is_ok_and(|count| count > 0) {}
    })
}

#[tokio::test]
async fn a_flood_of_requests_that_are_taken_back_costs_little() {
    let peers = Peers::open_to_all().await;
    let more = attacked(&peers, |read, mut write| async move {
        let drained = drain(read);
        for stream in streams().take(20_000) {
            let mut pair = frame(HEADERS, END_STREAM | END_HEADERS, stream, &head());
            pair.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
            // It ends when the gateway has seen enough of it.
            if write.write_all(&pair).await.is_err() {
                break;
            }
        }
        drop(write);
        drained.await.unwrap();
    })
    .await;
    println!("taken back: {} KiB for each connection", more / CONNECTIONS as u64);
    assert!(more < CONNECTIONS as u64 * MOST_KIB, "{more} KiB");
}

#[tokio::test]
async fn a_flood_of_large_heads_costs_little() {
    for (what, block, count) in [("large heads", large_head(), 512), ("many lines", many_lines(), 3_000)] {
        heads_cost_little(what, block, count).await;
    }
}

async fn heads_cost_little(what: &str, block: Vec<u8>, count: usize) {
    let peers = Peers::open_to_all().await;
    let more = attacked(&peers, |read, mut write| {
        let block = block.clone();
        async move {
            let drained = drain(read);
            for stream in streams().take(count) {
                if write.write_all(&headers(stream, 0, &block)).await.is_err() {
                    break;
                }
            }
            drop(write);
            drained.await.unwrap();
        }
    })
    .await;
    println!("{what}: {} KiB for each connection", more / CONNECTIONS as u64);
    assert!(more < CONNECTIONS as u64 * MOST_KIB, "{more} KiB");
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off() {
    let peers = Peers::open_to_all().await;
    let more = attacked(&peers, |read, mut write| async move {
        let drained = drain(read);
        write.write_all(&frame(HEADERS, 0, 1, &head())).await.unwrap();
        let line = [&b"\x00\x03x-a\x7f\xb9\x16"[..], &[b'a'; 3000]].concat();
        while write.write_all(&frame(CONTINUATION, 0, 1, &line)).await.is_ok() {}
        drained.await.unwrap();
    })
    .await;
    println!("an endless head: {} KiB for each connection", more / CONNECTIONS as u64);
    assert!(more < CONNECTIONS as u64 * MOST_KIB, "{more} KiB");
}

#[tokio::test]
async fn a_client_that_asks_and_never_reads_costs_little() {
    let peers = Peers::open_to_all().await;
    let more = attacked(&peers, |read, mut write| async move {
        // Answers and acknowledgements have nowhere to go, so at some point nothing is taken any more.
        let asking = async {
            for stream in streams().take(20_000) {
                let mut both = frame(HEADERS, END_STREAM | END_HEADERS, stream, &head());
                both.extend(frame(PING, 0, 0, &[0; 8]));
                if write.write_all(&both).await.is_err() {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(std::time::Duration::from_secs(3), asking).await;
        drop(read);
    })
    .await;
    println!("never reads: {} KiB for each connection", more / CONNECTIONS as u64);
    assert!(more < CONNECTIONS as u64 * MOST_KIB, "{more} KiB");
}
