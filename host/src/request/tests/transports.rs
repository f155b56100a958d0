//! Sessions that speak TLS: whose certificate will do, and what never shares a connection.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::support::{Setup, mirror, run, upstream};
use crate::{
    certificates::{Pair, authority, issue, server},
    domain::{DownstreamTls, Transport, UpstreamHttp, UpstreamTls},
};

const VERIFY: Transport = Transport {
    upstream_tls: UpstreamTls::Verify,
    upstream_http: UpstreamHttp::Http1,
    proxy_protocol: None,
    downstream_tls: DownstreamTls::Off,
    listen_port: None,
};
const INSECURE: Transport = Transport { upstream_tls: UpstreamTls::Insecure, ..VERIFY };

/// TLS in front of a session, and how many handshakes came to something.
async fn secured(session: SocketAddr, pair: &Pair) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server(pair, &["http/1.1"])));
    let handshakes = Arc::new(AtomicUsize::new(0));
    let counted = handshakes.clone();
    tokio::task::spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, counted) = (acceptor.clone(), counted.clone());
            tokio::task::spawn_local(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                counted.fetch_add(1, Relaxed);
                let mut plain = TcpStream::connect(session).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut plain).await;
            });
        }
    });
    (address, handshakes)
}

#[test]
fn a_session_is_reached_by_tls_with_a_certificate_for_its_declared_host() {
    run(async {
        let ca = authority();
        for (names, declared, trusted, transport, status) in [
            (&["session.test"][..], "session.test", true, VERIFY, "200"),
            (&["127.0.0.1"], "127.0.0.1", true, VERIFY, "200"),
            (&["session.test"], "another.test", true, VERIFY, "502"),
            (&["session.test"], "127.0.0.1", true, VERIFY, "502"),
            (&["session.test"], "session.test", false, VERIFY, "502"),
            (&["session.test"], "another.test", false, INSECURE, "200"),
        ] {
            let (upstream, _) = secured(mirror().await, &issue(&ca, names)).await;
            let mut setup = Setup { transport, upstream_name: declared, ..Setup::new(upstream) };
            setup.authorities.extend(trusted.then(|| ca.der().clone()));
            let answer = setup.start().get("/service/t1/", "").await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{names:?} as {declared}: {answer}");
            assert!(status == "200" || answer.contains("The session could not be reached by TLS."), "{answer}");
        }
    });
}

#[test]
fn a_session_without_tls_is_not_spoken_to_without_it() {
    run(async {
        let plain = upstream(|mut wire| async move {
            assert_eq!(wire.exactly(1).await, [0x16], "not the record of a handshake");
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        });
        let running = Setup { transport: INSECURE, ..Setup::new(plain.await) }.start();
        let answer = running.get("/service/t1/", "").await;
        assert!(answer.starts_with("HTTP/1.1 502") && answer.contains("The session could not be reached by TLS."), "{answer}");
    });
}

#[test]
fn connections_that_were_verified_otherwise_are_not_shared() {
    run(async {
        let ca = authority();
        let (upstream, handshakes) = secured(mirror().await, &issue(&ca, &["session.test"])).await;
        let running = Setup {
            transport: INSECURE,
            api_transport: VERIFY,
            upstream_name: "session.test",
            authorities: vec![ca.der().clone()],
            ..Setup::new(upstream)
        }
        .start();
        for (path, connections) in [("/service/t1/", 1), ("/service/t1/", 1), ("/service/t1.api/", 2), ("/service/t1.api/", 2)] {
            assert!(running.get(path, "").await.starts_with("HTTP/1.1 200"));
            assert_eq!(handshakes.load(Relaxed), connections, "{path}");
        }
    });
}
