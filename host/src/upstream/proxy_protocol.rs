//! Tells an upstream who the client is, by the PROXY protocol in front of a connection's bytes.

use std::{io, net::SocketAddr};

use ppp::{v1, v2};

use crate::domain::ProxyVersion;

/// The header. The destination is the address that the gateway dials. Both must be of one family: where they aren't, both are
/// written as IPv6.
///
/// # Errors
/// None that could happen with two addresses; the library's.
pub fn header(version: ProxyVersion, client: SocketAddr, upstream: SocketAddr) -> io::Result<Vec<u8>> {
    let (client, upstream) =
        if client.is_ipv4() == upstream.is_ipv4() { (client, upstream) } else { (mapped(client), mapped(upstream)) };
    match version {
        ProxyVersion::V1 => Ok(v1::Addresses::from((client, upstream)).to_string().into_bytes()),
        ProxyVersion::V2 => {
            let command = v2::Version::Two | v2::Command::Proxy;
            v2::Builder::with_addresses(command, v2::Protocol::Stream, (client, upstream)).build()
        }
    }
}

fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddr::from((v4.ip().to_ipv6_mapped(), v4.port())),
        SocketAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_as_the_specification_writes_them() {
        let (client, upstream) = ("192.0.2.7:4711".parse().unwrap(), "10.0.0.1:22".parse().unwrap());
        assert_eq!(header(ProxyVersion::V1, client, upstream).unwrap(), b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 22\r\n");
        let v2 = header(ProxyVersion::V2, client, upstream).unwrap();
        assert_eq!(&v2[..16], b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c");
        assert_eq!(&v2[16..], [192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x67, 0, 22]);
        let mixed = header(ProxyVersion::V1, "[2001:db8::1]:1".parse().unwrap(), upstream).unwrap();
        assert!(mixed.starts_with(b"PROXY TCP6 2001:db8::1 ::ffff:10.0.0.1 1 22"), "{}", String::from_utf8_lossy(&mixed));
    }
}
