//! The PROXY protocol of a trusted peer (HAProxy's specification, versions 1 and 2): who the client is, said in front of the
//! connection's own bytes. Exactly the header is read, so that what follows is still there for whoever comes next.

use std::{io, net::SocketAddr};

use ppp::{HeaderResult, v1, v2};
use tokio::{io::AsyncReadExt, net::TcpStream};

/// What isn't a header.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("expected a header of the PROXY protocol from this peer (proxy_protocol_from), found {0}")]
    Malformed(&'static str),
    #[error("the header of the PROXY protocol broke off: {0}")]
    BrokeOff(#[from] io::Error),
}

/// As long as any header's beginning is the same for all that may follow.
const BEGINNING: usize = 12;

/// `PROXY TCP6 …`: two addresses and ports in full, and the line's end (specification, section 2.1).
const LONGEST_V1: usize = 107;

/// Of version 2 before its addresses (section 2.2).
const FIXED_V2: usize = 16;

/// Of version 2 with its extensions, of which nothing is used here.
const LONGEST_V2: usize = 4096;

/// The client, or None where the peer speaks for itself (health checks).
///
/// # Errors
/// Anything but a header, or a connection that ends within it.
pub async fn read(stream: &mut TcpStream) -> Result<Option<SocketAddr>, Error> {
    let mut header = vec![0; BEGINNING];
    stream.read_exact(&mut header).await?;
    if header == v2::PROTOCOL_PREFIX {
        header.resize(FIXED_V2, 0);
        stream.read_exact(&mut header[BEGINNING..]).await?;
        let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
        if FIXED_V2 + length > LONGEST_V2 {
            return Err(Error::Malformed("one that is too long"));
        }
        header.resize(FIXED_V2 + length, 0);
        stream.read_exact(&mut header[FIXED_V2..]).await?;
    } else if header.starts_with(v1::PROTOCOL_PREFIX.as_bytes()) {
        read_line(stream, &mut header).await?;
    } else {
        return Err(Error::Malformed("other bytes"));
    }
    client(&header)
}

/// Up to the line's end, without reading a byte behind it.
async fn read_line(stream: &mut TcpStream, header: &mut Vec<u8>) -> Result<(), Error> {
    let mut seen = [0; LONGEST_V1];
    while !header.ends_with(b"\r\n") {
        if header.len() >= LONGEST_V1 {
            return Err(Error::Malformed("a line that is too long"));
        }
        let count = stream.peek(&mut seen[..LONGEST_V1 - header.len()]).await?;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let upto = seen[..count].iter().position(|byte| *byte == b'\n').map_or(count, |at| at + 1);
        let have = header.len();
        header.resize(have + upto, 0);
        stream.read_exact(&mut header[have..]).await?;
    }
    Ok(())
}

fn client(header: &[u8]) -> Result<Option<SocketAddr>, Error> {
    match HeaderResult::parse(header) {
        HeaderResult::V1(Ok(header)) => Ok(match header.addresses {
            v1::Addresses::Tcp4(tcp) => Some(SocketAddr::from((tcp.source_address, tcp.source_port))),
            v1::Addresses::Tcp6(tcp) => Some(canonical(SocketAddr::from((tcp.source_address, tcp.source_port)))),
            v1::Addresses::Unknown => None,
        }),
        HeaderResult::V2(Ok(header)) if header.command == v2::Command::Local => Ok(None),
        HeaderResult::V2(Ok(header)) => match header.addresses {
            v2::Addresses::IPv4(ip) => Ok(Some(SocketAddr::from((ip.source_address, ip.source_port)))),
            v2::Addresses::IPv6(ip) => Ok(Some(canonical(SocketAddr::from((ip.source_address, ip.source_port))))),
            v2::Addresses::Unspecified | v2::Addresses::Unix(_) => Err(Error::Malformed("a header without an IP address")),
        },
        HeaderResult::V1(Err(_)) | HeaderResult::V2(Err(_)) => Err(Error::Malformed("a header that isn't well-formed")),
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    use super::*;

    /// What is read of these bytes, and what is left for whoever comes next.
    async fn read_of(pieces: &[&[u8]]) -> (Result<Option<SocketAddr>, String>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let sent = async {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.set_nodelay(true).unwrap();
            for piece in pieces {
                client.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            client.shutdown().await.unwrap();
        };
        let received = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let client = read(&mut stream).await.map_err(|error| error.to_string());
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            (client, rest)
        };
        tokio::join!(received, sent).0
    }

    fn v2_header(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        [v2::PROTOCOL_PREFIX, &[command, family], &length, payload].concat()
    }

    #[tokio::test]
    async fn the_client_is_read_and_what_follows_is_left() {
        let line = b"PROXY TCP4 192.0.2.7 192.0.2.8 4711 22\r\n";
        let ipv4 = v2_header(0x21, 0x11, &[192, 0, 2, 7, 192, 0, 2, 8, 0x12, 0x67, 0, 22]);
        let with_extensions = v2_header(0x21, 0x11, &[192, 0, 2, 7, 192, 0, 2, 8, 0x12, 0x67, 0, 22, 4, 0, 1, 9]);
        for header in [&line[..], &ipv4, &with_extensions] {
            let expected = (Ok(Some("192.0.2.7:4711".parse().unwrap())), b"SSH-2.0-x\r\nmore".to_vec());
            assert_eq!(read_of(&[header, b"SSH-2.0-x\r\nmore"]).await, expected);
            assert_eq!(read_of(&[&[header, &b"SSH-2.0-x\r\nmore"[..]].concat()]).await, expected);
            let bytes: Vec<&[u8]> = header.chunks(1).chain([&b"SSH-2.0-x\r\nmore"[..]]).collect();
            assert_eq!(read_of(&bytes).await, expected);
        }
    }

    #[tokio::test]
    async fn a_peer_that_speaks_for_itself_is_the_client() {
        assert_eq!(read_of(&[b"PROXY UNKNOWN\r\n"]).await.0, Ok(None));
        assert_eq!(read_of(&[&v2_header(0x20, 0, &[])]).await.0, Ok(None));
    }

    #[tokio::test]
    async fn anything_else_is_an_error() {
        let endless = [&b"PROXY TCP4 "[..], &[b'1'; 400]].concat();
        let oversized = v2_header(0x21, 0x11, &[0; 5000]);
        for bad in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"SSH-2.0-OpenSSH_9\r\n",
            b"PROXY TCP4 300.0.2.7 192.0.2.8 4711 22\r\n",
            b"PROXY TCP4 192.0.2.7 192.0.2.8 4711\r\n",
            b"PROXY",
            b"",
            &endless,
            &oversized,
            &v2_header(0x21, 0x11, &[192, 0, 2]),
            &v2_header(0x31, 0x11, &[192, 0, 2, 7, 192, 0, 2, 8, 0, 1, 0, 2]),
            &v2_header(0x21, 0x31, &[0; 216]),
        ] {
            assert!(read_of(&[bad]).await.0.is_err(), "{:?}", String::from_utf8_lossy(bad));
        }
    }
}
