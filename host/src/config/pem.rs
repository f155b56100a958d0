//! PEM files that the configuration names. Read by whoever uses them, some of them again and again; every error says which
//! key named the file, what was found and what was expected, and never shows what stands in a key's file.

use std::{
    fmt,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};

/// The system's own bundle of authorities has a quarter of it; a log file given by mistake has more.
const LARGEST_FILE: u64 = 1 << 20;

/// A file that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct FileError {
    /// The key that names it.
    pub key: String,
    pub path: PathBuf,
    pub message: String,
}

/// A file's content, with where it came from.
#[derive(Clone, PartialEq, Eq)]
pub struct PemFile {
    key: String,
    path: PathBuf,
    bytes: Vec<u8>,
}

// === impl FileError ===

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.key, self.path.display(), self.message)
    }
}

// === impl PemFile ===

impl PemFile {
    /// # Errors
    /// A file that can't be read, or is too large for what it should hold.
    pub fn read(key: String, path: &Path) -> Result<Self, FileError> {
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes));
        let file = Self { key, path: path.to_owned(), bytes };
        match read {
            Err(error) => Err(file.error(format!("it can't be read: {error}"))),
            Ok(_) if file.bytes.len() as u64 > LARGEST_FILE => {
                Err(file.error(format!("found more than {LARGEST_FILE} bytes, expected a PEM file")))
            }
            Ok(_) => Ok(file),
        }
    }

    /// # Errors
    /// A file without certificates, or with something broken among them.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, FileError> {
        let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&self.bytes).collect();
        match found {
            Ok(certificates) if certificates.is_empty() => {
                Err(self.error(format!("found {}, expected certificates as PEM (-----BEGIN CERTIFICATE-----)", self.kind())))
            }
            Ok(certificates) => Ok(certificates),
            Err(error) => Err(self.error(format!("found PEM that can't be read ({}), expected certificates", said(&error)))),
        }
    }

    /// # Errors
    /// A file without a private key.
    pub fn private_key(&self) -> Result<PrivateKeyDer<'static>, FileError> {
        PrivateKeyDer::from_pem_slice(&self.bytes).map_err(|_| {
            self.error(format!("found {}, expected a private key as PEM (-----BEGIN PRIVATE KEY-----), not encrypted", self.kind()))
        })
    }

    /// What stands in it, unparsed.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub fn error(&self, message: String) -> FileError {
        FileError { key: self.key.clone(), path: self.path.clone(), message }
    }

    /// What was found, without a word of it.
    fn kind(&self) -> &'static str {
        let holds = |text: &str| memchr::memmem::find(&self.bytes, text.as_bytes()).is_some();
        if self.bytes.is_empty() {
            "an empty file"
        } else if holds("-----BEGIN ENCRYPTED PRIVATE KEY-----") || holds("Proc-Type: 4,ENCRYPTED") {
            "an encrypted key"
        } else if holds("PRIVATE KEY-----") {
            "a private key"
        } else if holds("-----BEGIN CERTIFICATE-----") {
            "a certificate"
        } else {
            "something else"
        }
    }
}

/// The error's own text quotes what was found.
fn said(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no end",
        pem::Error::IllegalSectionStart { .. } => "a section's first line is broken",
        pem::Error::Base64Decode(_) => "what is in it isn't base64",
        _ => "it's broken",
    }
}

impl super::Tls {
    /// The authorities of `extra_ca`.
    ///
    /// # Errors
    /// The first file that can't be used.
    pub fn extra_authorities(&self) -> Result<Vec<CertificateDer<'static>>, FileError> {
        let mut authorities = Vec::new();
        for (number, path) in self.extra_ca.iter().enumerate() {
            authorities.extend(PemFile::read(format!("tls.extra_ca[{number}]"), path)?.certificates()?);
        }
        Ok(authorities)
    }
}
