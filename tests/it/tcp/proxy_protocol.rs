//! Who the client is, where proxies stand in between: heard from those that are trusted, told to sessions that ask for it.

use std::net::Ipv4Addr;

use tokio::{io::AsyncWriteExt, net::TcpStream};
use wicketgate_tests::{
    ConfigMap, Listener, PATIENCE, PortRange, eventually,
    tcp::{connect_from, read, rest},
};

use super::{Site, session};
use crate::site::{DEFAULTS, manifest, only};

const TRUSTED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 8);
/// Whom the policy lets in, and whom it doesn't.
const KNOWN: [u8; 4] = [192, 0, 2, 7];
const UNKNOWN: [u8; 4] = [198, 51, 100, 7];

fn v1(client: [u8; 4]) -> Vec<u8> {
    format!("PROXY TCP4 {} 192.0.2.1 4711 22\r\n", Ipv4Addr::from(client)).into()
}

fn v2(client: [u8; 4]) -> Vec<u8> {
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &client, &[192, 0, 2, 1, 0x12, 0x67, 0, 22]].concat()
}

/// A gateway that trusts one peer, lets in this policy's clients, and has one session.
async fn site(policy: &str, endpoint: &str) -> (Site, Listener, ConfigMap) {
    let plugins = manifest(&[
        DEFAULTS[0].to_owned(),
        DEFAULTS[1].to_owned(),
        format!("{{name: policy, kind: routing-policy, builtin: routing-policy, config: {{{policy}}}}}"),
    ]);
    let plugins = ConfigMap::new(&only(plugins));
    let config = format!(
        "plugins: {{directory: '{}'}}\nkey_sets: {{people: {{kind: secret, secret: of-no-importance}}}}\n{}",
        plugins.path().display(),
        PortRange::free(4).config_with(&format!("proxy_protocol_from: [{TRUSTED}/32]"))
    );
    let upstream = Listener::bind().await;
    let site = Site::with(&config, &[session("s1", upstream.port(), endpoint)]).await;
    (site, upstream, plugins)
}

const KNOWN_ONLY: &str = "tcp_access: known-address, known_addresses: [192.0.2.0/24]";

/// Says this from there, and answers what the session gets.
async fn arrives(site: &Site, session: &Listener, from: Ipv4Addr, said: &[u8], expected: &[u8]) -> TcpStream {
    let mut client = connect_from(from, site.port).await;
    client.write_all(said).await.unwrap();
    let mut upstream = tokio::time::timeout(PATIENCE, session.accept()).await.expect("it isn't let in");
    assert_eq!(read(&mut upstream, expected.len()).await, expected);
    client
}

/// Says this from there, and is turned away without anybody connecting to the session.
async fn is_refused(site: &Site, session: &Listener, from: Ipv4Addr, said: &[u8]) {
    let mut client = connect_from(from, site.port).await;
    // It may be gone before all is said.
    let _ = client.write_all(said).await;
    assert_eq!(rest(client).await.0, b"", "{:?}", String::from_utf8_lossy(said));
    assert!(session.is_alone().await, "{:?} reached the session", String::from_utf8_lossy(said));
}

#[tokio::test]
async fn a_trusted_peer_says_who_the_client_is() {
    let (site, session, _plugins) = site(KNOWN_ONLY, "").await;
    for header in [v1, v2] {
        let said = [&header(KNOWN)[..], b"SSH-2.0-client\r\n"].concat();
        drop(arrives(&site, &session, TRUSTED, &said, b"SSH-2.0-client\r\n").await);
        is_refused(&site, &session, TRUSTED, &header(UNKNOWN)).await;
    }
    // A line each, with the client and not the peer.
    eventually("four lines of the access log", async || {
        let log = site.gateway.log();
        let lines = |client: [u8; 4]| log.matches(&format!("client={} ", Ipv4Addr::from(client))).count();
        (lines(KNOWN) >= 2 && lines(UNKNOWN) >= 2).then_some(())
    })
    .await;
    assert!(!site.gateway.log().contains(&format!("client={TRUSTED}")), "the peer isn't the client");
}

#[tokio::test]
async fn a_trusted_peer_that_says_anything_else_is_refused() {
    let (site, session, _plugins) = site("tcp_access: open", "").await;
    let too_long = [&b"PROXY TCP4 "[..], &[b'1'; 200]].concat();
    for said in [&b"SSH-2.0-client\r\n"[..], b"GET / HTTP/1.1\r\n\r\n", b"PROXY TCP4 not-an-address 1 2 3\r\n", &too_long] {
        is_refused(&site, &session, TRUSTED, said).await;
    }
    let sample = "wicketgate_tcp_refused_total{reason=\"handshake\"}";
    eventually("each is counted", async || (site.gateway.metric(sample).await == 4).then_some(())).await;
    drop(arrives(&site, &session, TRUSTED, &[&v1(KNOWN)[..], b"fine"].concat(), b"fine").await);
}

#[tokio::test]
async fn what_a_stranger_says_is_passed_on_as_it_is() {
    let (site, session, _plugins) = site("tcp_access: open", "").await;
    for header in [v1(KNOWN), v2(KNOWN)] {
        let said = [&header[..], b"and more"].concat();
        drop(arrives(&site, &session, STRANGER, &said, &said).await);
    }
    assert!(!site.gateway.log().contains(&format!("client={} ", Ipv4Addr::from(KNOWN))));
}

#[tokio::test]
async fn a_stranger_does_not_become_somebody_by_a_header() {
    let (site, session, _plugins) = site(KNOWN_ONLY, "").await;
    is_refused(&site, &session, STRANGER, &v1(KNOWN)).await;
    is_refused(&site, &session, STRANGER, &v2(KNOWN)).await;
}

#[tokio::test]
async fn a_session_that_asks_is_told_who_the_client_is() {
    for (version, header) in [("v1", v1 as fn([u8; 4]) -> Vec<u8>), ("v2", v2)] {
        let (site, session, _plugins) = site("tcp_access: open", &format!(", proxy_protocol: {version}")).await;
        let mut client = connect_from(STRANGER, site.port).await;
        client.write_all(b"hello").await.unwrap();
        let client = client.local_addr().unwrap().port();
        let told = |address: Ipv4Addr, port: u16| {
            let upstream = session.port();
            match version {
                "v1" => format!("PROXY TCP4 {address} 127.0.0.1 {port} {upstream}\r\nhello").into_bytes(),
                _ => [
                    &b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..],
                    &address.octets(),
                    &[127, 0, 0, 1],
                    &port.to_be_bytes(),
                    &upstream.to_be_bytes(),
                    b"hello",
                ]
                .concat(),
            }
        };
        let mut upstream = tokio::time::timeout(PATIENCE, session.accept()).await.expect("it isn't let in");
        let expected = told(STRANGER, client);
        assert_eq!(read(&mut upstream, expected.len()).await, expected);
        // Through a proxy as well: the client's own address, port included.
        let expected = told(KNOWN.into(), 4711);
        drop(arrives(&site, &session, TRUSTED, &[&header(KNOWN)[..], b"hello"].concat(), &expected).await);
    }
}
