//! TLS towards sessions: what is trusted, and the handshake. The gateway shows no certificate of its own.

use std::sync::Arc;

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::peer::{Check, Secured};

/// What is spoken inside, as it's offered to the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    Http1,
    Http2,
    /// The gateway doesn't know.
    Other,
}

/// How TLS is spoken with every upstream. Made once, shared by all workers.
pub struct Tls {
    /// None: there's no authority to trust.
    verify: Option<Configs>,
    any: Configs,
}

/// By what is spoken inside. Each has sessions of its own to resume: one that was never verified mustn't pass for one that was.
struct Configs {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    other: Arc<ClientConfig>,
}

/// TLS can't be set up.
#[derive(Debug, thiserror::Error)]
#[error("tls.extra_ca: {0}")]
pub struct TlsSetup(String);

/// Takes every certificate. That the peer has its key is verified all the same: the library needs that to agree on keys.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

// === impl Tls ===

impl Tls {
    /// Trusts the system's authorities and these.
    ///
    /// # Errors
    /// An authority that can't be one.
    pub fn new(extra: Vec<CertificateDer<'static>>) -> Result<Self, TlsSetup> {
        let failed = |error: &dyn std::fmt::Display| TlsSetup(error.to_string());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        for authority in extra {
            roots.add(authority).map_err(|error| TlsSetup(format!("found a certificate that can't be an authority ({error})")))?;
        }
        let system = rustls_native_certs::load_native_certs();
        for error in &system.errors {
            tracing::warn!(%error, "an authority of the system's can't be used");
        }
        roots.add_parsable_certificates(system.certs);
        let any: Arc<dyn ServerCertVerifier> = Arc::new(AnyCertificate(provider.signature_verification_algorithms));
        let any = Configs::new(&provider, any).map_err(|error| failed(&error))?;
        if roots.is_empty() {
            tracing::warn!("this system has no authorities: no session with upstream_tls verify can be reached");
            return Ok(Self { verify: None, any });
        }
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let verify = Configs::new(&provider, builder.build().map_err(|error| failed(&error))?);
        Ok(Self { verify: Some(verify.map_err(|error| failed(&error))?), any })
    }

    /// The handshake. Cancelled by dropping it.
    ///
    /// # Errors
    /// The peer doesn't speak TLS, has no good certificate, or went away.
    pub async fn connect(&self, stream: TcpStream, with: &Secured, inside: Inside) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(with.name.as_ref())
            .map_err(|_| std::io::Error::other("the declared host can't be a certificate's name"))?
            .to_owned();
        let configs = match with.check {
            Check::Verify => self.verify.as_ref().ok_or_else(|| std::io::Error::other("there's no authority to trust"))?,
            Check::Any => &self.any,
        };
        let config = match inside {
            Inside::Http1 => &configs.http1,
            Inside::Http2 => &configs.http2,
            Inside::Other => &configs.other,
        };
        TlsConnector::from(Arc::clone(config)).connect(name, stream).await
    }
}

// === impl Configs ===

impl Configs {
    fn new(provider: &Arc<CryptoProvider>, verifier: Arc<dyn ServerCertVerifier>) -> Result<Self, rustls::Error> {
        let config = |protocols: &[&[u8]]| {
            let builder =
                ClientConfig::builder_with_provider(Arc::clone(provider)).with_safe_default_protocol_versions()?.dangerous();
            let mut config = builder.with_custom_certificate_verifier(Arc::clone(&verifier)).with_no_client_auth();
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            Ok::<_, rustls::Error>(Arc::new(config))
        };
        Ok(Self { http1: config(&[b"http/1.1"])?, http2: config(&[b"h2"])?, other: config(&[])? })
    }
}

// === impl AnyCertificate ===

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
