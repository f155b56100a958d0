//! From the files to what handshakes use. A reading is compared with the one before; only a whole that fits together is
//! taken: each key belongs to its certificate, and each list of authorities can be used.

use std::{sync::Arc, time::SystemTime};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::CertifiedKey,
};

use super::{Serving, chosen::ByName, validity::Validity};
use crate::config::{self, ClientCertificates, FileError, PemFile};

/// Why the files can't be used: a key, a file, what was found and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("tls: {0}")]
    Setup(String),
}

/// One reading of all files.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Files {
    pairs: Vec<(PemFile, PemFile)>,
    client_ca: Option<PemFile>,
}

/// What a reading came to.
pub(super) struct Loaded {
    pub serving: Arc<Serving>,
    pub certificates: Vec<Certificate>,
    /// What is served all the same and should be looked at.
    pub warnings: Vec<String>,
}

/// A certificate with its key.
pub(super) struct Certificate {
    pub key: Arc<CertifiedKey>,
    /// The DNS names in it, in lower case, some with `*.` in front.
    pub names: Vec<Box<str>>,
    pub validity: Validity,
}

/// What is spoken inside HTTPS, best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

// === impl Files ===

impl Files {
    pub fn read(config: &config::Tls) -> Result<Self, FileError> {
        let pair = |(number, files): (usize, &config::CertificateFiles)| {
            let key = |name| format!("tls.certificates[{number}].{name}");
            Ok((PemFile::read(key("certificate"), &files.certificate)?, PemFile::read(key("key"), &files.key)?))
        };
        let client_ca = config.client_ca.as_deref().map(|path| PemFile::read("tls.client_ca".into(), path));
        Ok(Self {
            pairs: config.certificates.iter().enumerate().map(pair).collect::<Result<_, FileError>>()?,
            client_ca: client_ca.transpose()?,
        })
    }

    pub fn load(&self, asked: ClientCertificates) -> Result<Loaded, Unusable> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut certificates = Vec::new();
        let mut warnings = Vec::new();
        for (certificate, key) in &self.pairs {
            let loaded = Certificate::new(certificate, key, &provider)?;
            let odd = loaded.validity.warning(SystemTime::now());
            let unnamed = (loaded.names.is_empty() && !certificates.is_empty())
                .then(|| "found no DNS name in it, so that no client ever gets it; expected at least one".to_owned());
            warnings.extend(odd.into_iter().chain(unnamed).map(|warning| certificate.error(warning).to_string()));
            certificates.push(loaded);
        }
        let verifier = self.client_ca.as_ref().map(|file| verifier(file, asked, &provider)).transpose()?;
        let serving = Arc::new(Serving::new(&certificates, verifier, &provider)?);
        Ok(Loaded { serving, certificates, warnings })
    }
}

fn verifier(
    file: &PemFile,
    asked: ClientCertificates,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Unusable> {
    let mut roots = RootCertStore::empty();
    for authority in file.certificates()? {
        roots.add(authority).map_err(|error| file.error(format!("found a certificate that can't be an authority ({error})")))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = match asked {
        ClientCertificates::Optional => builder.allow_unauthenticated(),
        ClientCertificates::Required => builder,
    };
    builder.build().map_err(|error| file.error(format!("found authorities that can't be used ({error})")).into())
}

// === impl Certificate ===

impl Certificate {
    fn new(file: &PemFile, key_file: &PemFile, provider: &CryptoProvider) -> Result<Self, Unusable> {
        let chain = file.certificates()?;
        let key = key_file.private_key()?;
        let broken = |why: &dyn std::fmt::Display| file.error(format!("found a certificate that can't be read ({why})"));
        let own = chain.first().ok_or_else(|| broken(&"none"))?.clone();
        let parsed = webpki::EndEntityCert::try_from(&own).map_err(|error| broken(&error))?;
        let names = parsed.valid_dns_names().map(|name| name.to_ascii_lowercase().into()).collect();
        let validity = Validity::of(&own).ok_or_else(|| broken(&"it doesn't say when it's valid"))?;
        Ok(Self { key: Arc::new(paired(chain, key, key_file, provider)?), names, validity })
    }
}

/// The key must be the certificate's own: a pair that is changed half-way is told from one that can be used.
fn paired(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    key_file: &PemFile,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, FileError> {
    CertifiedKey::from_der(chain, key, provider).map_err(|error| {
        key_file.error(match error {
            rustls::Error::InconsistentKeys(_) => {
                "found the key of another certificate, expected that of the certificate beside it".to_owned()
            }
            _ => "found a private key of an unknown kind, expected RSA, ECDSA (P-256, P-384, P-521) or Ed25519".to_owned(),
        })
    })
}

// === impl Serving ===

impl Serving {
    fn new(
        certificates: &[Certificate],
        verifier: Option<Arc<dyn ClientCertVerifier>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, Unusable> {
        let failed = |error: rustls::Error| Unusable::Setup(error.to_string());
        let builder = ServerConfig::builder_with_provider(Arc::clone(provider)).with_safe_default_protocol_versions();
        let builder = builder.map_err(failed)?;
        let asks_clients = verifier.is_some();
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut raw = builder.with_cert_resolver(Arc::new(ByName::new(certificates)));
        // Sessions are resumed by tickets, which any worker can open and which take no memory. A resumed session isn't
        // verified again: where clients show certificates, each handshake is a whole one.
        raw.session_storage = Arc::new(NoServerSessionStorage {});
        if asks_clients {
            raw.send_tls13_tickets = 0;
        } else {
            raw.ticketer = aws_lc_rs::Ticketer::new().map_err(failed)?;
        }
        let mut http = raw.clone();
        http.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Self { http: Arc::new(http), raw: Arc::new(raw) })
    }
}
