//! Clients that speak TLS with the gateway on a leased port: the certificate for the name that they ask for, and their own
//! certificates.

use std::{path::PathBuf, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use wicketgate_tests::{ConfigMap, Listener, PATIENCE, PortRange, Upstream, eventually, tcp::connect};

use super::{Site, session};
use crate::site::{DEFAULTS, manifest, only};

/// Somebody's certificate with its key.
struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

/// An authority, whose own certificate is in a file.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("authority.pem"), issuer.pem()).unwrap();
        Self { issuer, directory }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("authority.pem")
    }

    fn der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// Signs for these names.
    fn sign(&self, names: &[&str], usage: ExtendedKeyUsagePurpose) -> (rcgen::Certificate, KeyPair) {
        self.sign_as("somebody", names, usage)
    }

    /// The same with the subject's common name.
    fn sign_as(&self, subject: &str, names: &[&str], usage: ExtendedKeyUsagePurpose) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        params.extended_key_usages = vec![usage];
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, subject);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn client(&self) -> Identity {
        self.person("somebody")
    }

    fn person(&self, name: &str) -> Identity {
        let (certificate, key) = self.sign_as(name, &["client.example"], ExtendedKeyUsagePurpose::ClientAuth);
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        Identity { certificate: certificate.der().clone(), key }
    }

    /// An entry of `tls.certificates`, for a domain and the names right below it.
    fn server(&self, domain: &str) -> String {
        let (certificate, key) = self.sign(&[domain, &format!("*.{domain}")], ExtendedKeyUsagePurpose::ServerAuth);
        let file = |end: &str, text: String| {
            let path = self.directory.path().join(format!("{domain}.{end}"));
            std::fs::write(&path, text).unwrap();
            path
        };
        let (certificate, key) = (file("crt", certificate.pem()), file("key", key.serialize_pem()));
        format!("{{certificate: '{}', key: '{}'}}", certificate.display(), key.display())
    }
}

/// Does the handshake as a client that trusts this certificate alone.
async fn handshake(
    port: u16,
    name: &str,
    trusted: &CertificateDer<'static>,
    own: Option<&Identity>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots);
    let config = match own {
        None => config.with_no_client_auth(),
        Some(Identity { certificate, key }) => config.with_client_auth_cert(vec![certificate.clone()], key.clone_key()).unwrap(),
    };
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, connect(port).await);
    timeout(PATIENCE, connecting).await.expect("the handshake doesn't end")
}

/// Whether bytes go both ways, and the end of a half is told.
async fn is_carried(mut client: TlsStream<TcpStream>, session: &Listener) {
    let mut upstream = timeout(PATIENCE, session.accept()).await.expect("it isn't let in");
    client.write_all(b"there").await.unwrap();
    client.shutdown().await.unwrap();
    let mut asked = Vec::new();
    timeout(PATIENCE, upstream.read_to_end(&mut asked)).await.expect("the end isn't told").unwrap();
    assert_eq!(asked, b"there", "the session gets what was said inside");
    upstream.write_all(b"and back").await.unwrap();
    drop(upstream);
    let mut answer = Vec::new();
    timeout(PATIENCE, client.read_to_end(&mut answer)).await.expect("it stays open").unwrap();
    assert_eq!(answer, b"and back");
}

#[tokio::test]
async fn each_name_has_its_certificate_and_the_session_gets_plain_bytes() {
    let (alpha, beta) = (Authority::new(), Authority::new());
    let certificates = [alpha.server("alpha.example"), beta.server("beta.example")].join(", ");
    let config = format!("tls: {{certificates: [{certificates}]}}\n{}", PortRange::free(4).config());
    let upstream = Listener::bind().await;
    let site = Site::with(&config, &[session("s1", upstream.port(), ", tls: terminate")]).await;
    for (name, of) in [("alpha.example", &alpha), ("s1.alpha.example", &alpha), ("s1.beta.example", &beta)] {
        let client = handshake(site.port, name, &of.der(), None).await;
        is_carried(client.unwrap_or_else(|error| panic!("{name}: {error}")), &upstream).await;
    }
    let wrong = handshake(site.port, "s1.beta.example", &alpha.der(), None).await;
    assert!(wrong.is_err(), "another name's certificate was shown");
    // Who speaks no TLS gets nowhere.
    let mut plain = connect(site.port).await;
    plain.write_all(b"SSH-2.0-client\r\n").await.unwrap();
    let mut said = Vec::new();
    let _ = timeout(PATIENCE, plain.read_to_end(&mut said)).await.expect("it stays open");
    assert!(upstream.is_alone().await, "bytes that aren't TLS opened a connection to the session");
}

#[tokio::test]
async fn a_policy_that_wants_certificates_lets_nobody_in_without() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let policy = "{name: policy, kind: routing-policy, builtin: routing-policy, config: {tcp_access: client-certificate}}";
    let plugins = ConfigMap::new(&only(manifest(&[DEFAULTS[0], DEFAULTS[1], policy])));
    let config = format!(
        "plugins: {{directory: '{}'}}\nkey_sets: {{people: {{kind: secret, secret: of-no-importance}}}}\n\
         tls: {{certificates: [{}], client_ca: '{}'}}\n{}",
        plugins.path().display(),
        authority.server("gate.example"),
        authority.file().display(),
        PortRange::free(4).config()
    );
    let upstream = Listener::bind().await;
    let site = Site::with(&config, &[session("s1", upstream.port(), ", tls: terminate")]).await;
    for own in [None, Some(stranger.client())] {
        // With TLS 1.3 a client is done before the server has looked at its certificate.
        if let Ok(mut client) = handshake(site.port, "gate.example", &authority.der(), own.as_ref()).await {
            let _ = client.write_all(b"let me in").await;
            let mut said = Vec::new();
            let _ = timeout(PATIENCE, client.read_to_end(&mut said)).await.expect("it stays open");
            assert_eq!(said, b"");
        }
        assert!(upstream.is_alone().await, "somebody without a good certificate reached the session");
    }
    let denied = "wicketgate_tcp_refused_total{reason=\"denied\"}";
    eventually("who has none is denied", async || (site.gateway.metric(denied).await == 1).then_some(())).await;
    let handshake_failed = "wicketgate_tcp_refused_total{reason=\"handshake\"}";
    eventually("who has a bad one is refused", async || (site.gateway.metric(handshake_failed).await == 1).then_some(())).await;
    let client = handshake(site.port, "gate.example", &authority.der(), Some(&authority.client())).await.unwrap();
    is_carried(client, &upstream).await;
}

#[tokio::test]
async fn the_name_in_a_certificate_is_who_somebody_is() {
    let authority = Authority::new();
    let authenticator = "{name: auth, kind: authenticator, builtin: cookie-auth, grants: {key_sets: [people]}, \
                         config: {key_sets: [people], certificate_name: common-name}}";
    let policy = "{name: policy, kind: routing-policy, builtin: routing-policy, config: {tcp_access: identity}}";
    let plugins = ConfigMap::new(&only(manifest(&[DEFAULTS[0], authenticator, policy])));
    let https = wicketgate_tests::free_port();
    let config = format!(
        "plugins: {{directory: '{}'}}\nkey_sets: {{people: {{kind: secret, secret: of-no-importance}}}}\n\
         tls: {{listen: '127.0.0.1:{https}', certificates: [{}], client_ca: '{}'}}\n{}",
        plugins.path().display(),
        authority.server("gate.example"),
        authority.file().display(),
        PortRange::free(4).config()
    );
    let (upstream, pages) = (Listener::bind().await, Upstream::start());
    let web = format!("{{id: web, owner: alice, endpoints: [{{address: 127.0.0.1, port: {}}}]}}", pages.port());
    let site = Site::with(&config, &[session("s1", upstream.port(), ", tls: terminate"), web]).await;
    let page = async |person: Option<&Identity>| {
        let mut client = handshake(https, "gate.example", &authority.der(), person).await.unwrap();
        client.write_all(b"GET /service/web/echo HTTP/1.1\r\nHost: gate.example\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(PATIENCE, client.read_to_end(&mut answer)).await.expect("it stays open");
        String::from_utf8_lossy(&answer).into_owned()
    };
    let (alice, bob) = (authority.person("alice"), authority.person("bob"));
    let hers = page(Some(&alice)).await;
    assert!(hers.starts_with("HTTP/1.1 200") && hers.contains("[\"x-wicketgate-user\",\"alice\"]"), "{hers}");
    assert!(page(Some(&bob)).await.starts_with("HTTP/1.1 404"));
    assert!(page(None).await.starts_with("HTTP/1.1 401"));

    is_carried(handshake(site.port, "gate.example", &authority.der(), Some(&alice)).await.unwrap(), &upstream).await;
    for other in [Some(&bob), None] {
        let mut client = handshake(site.port, "gate.example", &authority.der(), other).await.unwrap();
        let mut said = Vec::new();
        let _ = timeout(PATIENCE, client.read_to_end(&mut said)).await.expect("it stays open");
        assert_eq!(said, b"");
    }
    assert!(upstream.is_alone().await, "somebody else reached alice's session");
}
