//! Handshakes over real sockets, with certificates made here.

use std::{io::Write, path::Path, sync::Arc};

use rustls::{ClientConfig, pki_types::ServerName};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use super::*;
use crate::{
    certificates::{Pair, authority, client, issue, issue_with},
    config::{CertificateFiles, ClientCertificates},
};

fn put(directory: &TempDir, name: &str, text: &str) -> std::path::PathBuf {
    let path = directory.path().join(name);
    std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
    path
}

/// Certificates in a directory, and a configuration that names them.
fn configured(directory: &TempDir, pairs: &[Pair]) -> config::Tls {
    let files = pairs.iter().enumerate().map(|(number, pair)| CertificateFiles {
        certificate: put(directory, &format!("{number}.pem"), &pair.certificate),
        key: put(directory, &format!("{number}.key"), &pair.key),
    });
    config::Tls { certificates: files.collect(), ..config::Tls::default() }
}

fn serving(config: &config::Tls) -> (Tls, Follower) {
    Tls::new(config, &mut Registry::default()).unwrap().unwrap()
}

fn complaint(config: &config::Tls, directory: &TempDir) -> String {
    let place = format!("{}/", directory.path().display());
    Tls::check(config).unwrap_err().to_string().replace(&place, "")
}

/// One handshake: what the server knows, and the certificate that the client was shown.
async fn meet(tls: &Tls, alpn: Alpn, client: ClientConfig, name: &str) -> (Result<Accepted, TlsError>, Option<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connect = async {
        let stream = TlsConnector::from(Arc::new(client)).connect(name, TcpStream::connect(address).await.unwrap()).await.ok()?;
        Some((stream.get_ref().1.peer_certificates()?.first()?.to_vec(), stream))
    };
    let accept = async { tls.accept(listener.accept().await.unwrap().0, alpn).await };
    let (accepted, connected) = tokio::join!(accept, connect);
    (accepted, connected.map(|(shown, _)| shown))
}

#[tokio::test]
async fn the_certificate_is_the_one_for_the_name() {
    let (directory, authority) = (TempDir::new().unwrap(), authority());
    let pairs = [
        issue(&authority, &["gate.test", "shared.test"]),
        issue(&authority, &["*.apps.test", "shared.test"]),
        issue(&authority, &["One.Apps.test"]),
    ];
    let (tls, _follower) = serving(&configured(&directory, &pairs));
    for (name, wanted) in [("gate.test", 0), ("shared.test", 0), ("two.apps.test", 1), ("one.apps.test", 2)] {
        let (accepted, shown) = meet(&tls, Alpn::Http, client(&authority, &["http/1.1"], None), name).await;
        assert_eq!(accepted.unwrap().name.as_deref(), Some(name));
        assert_eq!(shown, Some(pairs[wanted].der().to_vec()), "{name}");
    }
    // The star is for one label; the first certificate serves everybody else, who won't take it.
    for name in ["a.b.apps.test", "apps.test", "elsewhere.test"] {
        let (accepted, shown) = meet(&tls, Alpn::Http, client(&authority, &["http/1.1"], None), name).await;
        assert!(accepted.is_err() && shown.is_none(), "{name}");
    }
}

#[tokio::test]
async fn only_what_the_gateway_speaks_is_agreed_to() {
    let (directory, authority) = (TempDir::new().unwrap(), authority());
    let (tls, _follower) = serving(&configured(&directory, &[issue(&authority, &["gate.test"])]));
    for (alpn, offered, outcome) in [
        (Alpn::Http, &["http/1.1", "h2"][..], Some(true)),
        (Alpn::Http, &["http/1.1"], Some(false)),
        (Alpn::Http, &[], Some(false)),
        (Alpn::Http, &["acme-tls/1"], None),
        (Alpn::None, &["h2"], Some(false)),
        (Alpn::None, &["postgresql"], Some(false)),
    ] {
        let (accepted, _) = meet(&tls, alpn, client(&authority, offered, None), "gate.test").await;
        assert_eq!(accepted.ok().map(|accepted| accepted.is_http2), outcome, "{alpn:?} {offered:?}");
    }
}

#[tokio::test]
async fn a_client_certificate_is_verified_before_it_is_told() {
    let (directory, authority, other) = (TempDir::new().unwrap(), authority(), crate::certificates::authority());
    let mut config = configured(&directory, &[issue(&authority, &["gate.test"])]);
    config.client_ca = Some(put(&directory, "ca.pem", &authority.pem()));
    let (good, bad) = (issue(&authority, &["ada"]), issue(&other, &["ada"]));
    for (asked, shown, is_accepted) in [
        (ClientCertificates::Optional, None, true),
        (ClientCertificates::Optional, Some(&good), true),
        (ClientCertificates::Optional, Some(&bad), false),
        (ClientCertificates::Required, None, false),
        (ClientCertificates::Required, Some(&good), true),
    ] {
        config.client_certificates = asked;
        let (tls, _follower) = serving(&config);
        let (accepted, _) = meet(&tls, Alpn::Http, client(&authority, &[], shown), "gate.test").await;
        assert_eq!(accepted.is_ok(), is_accepted, "{asked:?}");
        if let Ok(accepted) = accepted {
            assert_eq!(accepted.certificate.map(|found| found.to_vec()), shown.map(|pair: &Pair| pair.der().to_vec()));
        }
    }
}

#[tokio::test]
async fn a_change_is_taken_whole_or_not_at_all() {
    let (directory, authority) = (TempDir::new().unwrap(), authority());
    let [old, new] = [(); 2].map(|()| issue(&authority, &["gate.test"]));
    let config = configured(&directory, std::slice::from_ref(&old));
    let (tls, mut follower) = serving(&config);
    let shown = async || meet(&tls, Alpn::Http, client(&authority, &[], None), "gate.test").await.1.unwrap();
    // Half-way: the certificate is there and its key isn't.
    put(&directory, "0.pem", &new.certificate);
    follower.look().await;
    assert_eq!(shown().await, old.der().to_vec());
    std::fs::remove_file(&config.certificates[0].key).unwrap();
    follower.look().await;
    assert_eq!(shown().await, old.der().to_vec());
    put(&directory, "0.key", &new.key);
    follower.look().await;
    assert_eq!(shown().await, new.der().to_vec());
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_what_was_found_and_expected() {
    let (directory, authority) = (TempDir::new().unwrap(), authority());
    let [one, two] = [(); 2].map(|()| issue(&authority, &["gate.test"]));
    let with =
        |certificate: &str, key: &str| configured(&directory, &[Pair { certificate: certificate.to_owned(), key: key.to_owned() }]);
    let cut = &one.certificate[..one.certificate.len() - 40];
    for (certificate, key, wanted) in [
        (
            &*one.certificate,
            &*two.key,
            "tls.certificates[0].key: 0.key: found the key of another certificate, expected that of the certificate beside it",
        ),
        (
            "",
            &one.key,
            "tls.certificates[0].certificate: 0.pem: found an empty file, expected certificates as PEM (-----BEGIN CERTIFICATE-----)",
        ),
        (
            &one.key,
            &one.key,
            "tls.certificates[0].certificate: 0.pem: found a private key, expected certificates as PEM (-----BEGIN CERTIFICATE-----)",
        ),
        (
            &one.certificate,
            &one.certificate,
            "tls.certificates[0].key: 0.key: found a certificate, expected a private key as PEM (-----BEGIN PRIVATE KEY-----), not encrypted",
        ),
        (
            cut,
            &one.key,
            "tls.certificates[0].certificate: 0.pem: found PEM that can't be read (a section has no end), expected certificates",
        ),
    ] {
        assert_eq!(complaint(&with(certificate, key), &directory), wanted);
    }
    let broken = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    assert!(complaint(&with(broken, &one.key), &directory).contains("found a certificate that can't be read"));
    let mut config = with(&one.certificate, &one.key);
    config.client_ca = Some(Path::new("/nowhere/ca.pem").to_owned());
    assert!(complaint(&config, &directory).starts_with("tls.client_ca: /nowhere/ca.pem: it can't be read: "));
}

#[test]
fn what_clients_refuse_is_served_with_a_warning() {
    let (directory, authority) = (TempDir::new().unwrap(), authority());
    let ended = issue_with(&authority, &["old.test"], |params| params.not_after = rcgen::date_time_ymd(2021, 3, 1));
    let coming = issue_with(&authority, &["new.test"], |params| params.not_before = rcgen::date_time_ymd(2999, 1, 1));
    let warnings = Tls::check(&configured(&directory, &[ended, coming])).unwrap();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("tls.certificates[0].certificate") && warnings[0].contains("expired"), "{}", warnings[0]);
    assert!(warnings[1].contains("valid in") && warnings[1].contains("days only"), "{}", warnings[1]);
}
