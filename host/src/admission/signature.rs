//! Detached signatures over what a set is made of: ECDSA on P-256 with SHA-256, DER in base64, as `cosign sign-blob --key` and
//! `openssl dgst -sha256 -sign` make them.
//!
//! The manifest decides grants, order and configuration, so it's what must be signed first. What it pins by a digest is signed with
//! it; any other component needs a signature of its own. Only components of strangers are in question: the gateway's own need none.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};

use super::{
    directory::{Files, MANIFEST},
    manifest::{Component, Entry},
};
use crate::config::{self, FileError, PemFile, SignatureKey};

/// A signature on this curve has 72 bytes at most.
const LONGEST: usize = 1024;

/// Keys one of which must have signed. None: signatures aren't looked at.
#[derive(Default)]
pub struct Keys(Vec<ParsedPublicKey>);

/// Something isn't signed as the configuration requires.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{signed}: {found}, expected a signature by a key of plugins.signatures.keys in {member}{otherwise}")]
pub struct Unsigned {
    signed: String,
    found: &'static str,
    member: String,
    otherwise: &'static str,
}

/// A key that can't be one.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(
        "{0}: found something else, expected an ECDSA public key on P-256 as PEM (-----BEGIN PUBLIC KEY-----), or such a file's path"
    )]
    Other(String),
}

// === impl Keys ===

impl Keys {
    /// Reads the configured keys.
    ///
    /// # Errors
    /// The first that isn't a public key of the one kind that is taken.
    pub fn read(config: &config::Signatures) -> Result<Self, KeyError> {
        let keys = config.keys.iter().enumerate().map(|(at, key)| {
            let name = format!("plugins.signatures.keys[{at}]");
            let pem = match key {
                SignatureKey::Pem(text) => text.clone().into_bytes(),
                SignatureKey::File(path) => PemFile::read(name.clone(), path)?.into_bytes(),
            };
            let other = || KeyError::Other(name.clone());
            let der = SubjectPublicKeyInfoDer::from_pem_slice(&pem).map_err(|_| other())?;
            ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, der.as_ref()).map_err(|_| other())
        });
        Ok(Self(keys.collect::<Result<_, KeyError>>()?))
    }

    /// Whether anything has to be signed.
    pub fn are_required(&self) -> bool {
        !self.0.is_empty()
    }

    /// Before anything that the manifest says is done.
    ///
    /// # Errors
    /// The manifest isn't signed, and should be.
    pub fn check_manifest(&self, files: &Files) -> Result<(), Unsigned> {
        self.check(MANIFEST, files.manifest.as_bytes(), &files.members, "")
    }

    /// Before a component is looked into. The manifest was checked before.
    ///
    /// # Errors
    /// Neither it nor its digest is signed, and should be.
    pub fn check_component(&self, entry: &Entry, component: &[u8], members: &BTreeMap<String, Vec<u8>>) -> Result<(), Unsigned> {
        match &entry.component {
            Component::Builtin(_) | Component::Oci(_) => Ok(()),
            Component::File(_) if entry.sha256.is_some() => Ok(()),
            Component::File(file) => {
                let name = file.strip_suffix(".zst").unwrap_or(file);
                self.check(name, component, members, ", or its sha256 in the signed manifest")
            }
        }
    }

    fn check(
        &self,
        signed: &str,
        content: &[u8],
        members: &BTreeMap<String, Vec<u8>>,
        otherwise: &'static str,
    ) -> Result<(), Unsigned> {
        if !self.are_required() {
            return Ok(());
        }
        let member = format!("{signed}.sig");
        let found = match members.get(&member).map(|text| decode(text)) {
            None => "found no signature",
            Some(None) => "found a signature that isn't base64",
            Some(Some(signature)) if self.0.iter().any(|key| key.verify_sig(content, &signature).is_ok()) => return Ok(()),
            Some(Some(_)) => "found a signature of other content or by another key",
        };
        Err(Unsigned { signed: signed.to_owned(), found, member, otherwise })
    }
}

/// With or without line ends, as tools write them.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let text: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).take(LONGEST).collect();
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests;
