//! Certificates with an authority behind them, and clients that trust it and may show one of their own.

use std::{io, net::SocketAddr, sync::Arc};

use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, both as PEM.
#[derive(Clone)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

/// Speaks TLS, and HTTP/1.1 inside.
#[derive(Clone)]
pub struct TlsClient(Arc<ClientConfig>);

/// What came of a request.
#[derive(Debug)]
pub struct Told {
    pub status: u16,
    pub body: String,
    /// The server's certificate as DER.
    pub shown: Vec<u8>,
}

// === impl Authority ===

impl Default for Authority {
    fn default() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }
}

impl Authority {
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these names, in its subject the first.
    pub fn issue(&self, names: &[&str]) -> Pair {
        self.issue_with(names, |_| {})
    }

    pub fn issue_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, names[0]);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Pair { certificate: params.signed_by(&key, &self.0).unwrap().pem(), key: key.serialize_pem() }
    }

    /// Trusts this authority alone, and shows this certificate where it's asked for one.
    pub fn client(&self, shown: Option<&Pair>) -> TlsClient {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions();
        let builder = builder.unwrap().with_root_certificates(roots);
        TlsClient(Arc::new(match shown {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![pair.der()], key).unwrap()
            }
        }))
    }
}

// === impl Pair ===

impl Pair {
    pub fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()
    }
}

// === impl TlsClient ===

impl TlsClient {
    /// # Errors
    /// There's no connection, or the handshake failed on this side.
    pub async fn connect(&self, port: u16, name: &str) -> io::Result<TlsStream<TcpStream>> {
        self.connect_to(SocketAddr::from(([127, 0, 0, 1], port)), name).await
    }

    /// The same at another address.
    ///
    /// # Errors
    /// There's no connection, or the handshake failed on this side.
    pub async fn connect_to(&self, address: SocketAddr, name: &str) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        TlsConnector::from(self.0.clone()).connect(ServerName::try_from(name.to_owned()).unwrap(), stream).await
    }

    /// One request on a connection of its own.
    ///
    /// # Errors
    /// The handshake failed, on either side.
    pub async fn get(&self, port: u16, name: &str, path: &str) -> Result<Told, Box<dyn std::error::Error>> {
        let stream = self.connect(port, name).await?;
        let shown = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = http::Request::get(path).header("host", format!("{name}:{port}")).body(Empty::<bytes::Bytes>::new())?;
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = String::from_utf8(body.collect().await?.to_bytes().to_vec())?;
        Ok(Told { status: parts.status.as_u16(), body, shown })
    }
}
