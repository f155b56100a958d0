//! Which certificate a client gets: the one for the name that it asks for, exactly or by a wildcard, and otherwise the first.

use std::{collections::HashMap, sync::Arc};

use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::files::Certificate;

/// Certificates by the names in them.
#[derive(Debug)]
pub(super) struct ByName {
    exact: HashMap<Box<str>, Arc<CertifiedKey>>,
    /// By what follows `*.`; the star stands for one label (RFC 9525, section 6.3).
    wildcard: HashMap<Box<str>, Arc<CertifiedKey>>,
    first: Option<Arc<CertifiedKey>>,
}

// === impl ByName ===

impl ByName {
    /// Of two certificates for one name the earlier counts.
    pub fn new(certificates: &[Certificate]) -> Self {
        let first = certificates.first().map(|certificate| Arc::clone(&certificate.key));
        let (mut exact, mut wildcard) = (HashMap::new(), HashMap::new());
        for certificate in certificates {
            for name in &certificate.names {
                let (into, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut wildcard, parent),
                    None => (&mut exact, name.as_ref()),
                };
                into.entry(name.into()).or_insert_with(|| Arc::clone(&certificate.key));
            }
        }
        Self { exact, wildcard, first }
    }

    fn choose(&self, name: Option<&str>) -> Option<&Arc<CertifiedKey>> {
        let by_name = name.map(str::to_ascii_lowercase).and_then(|name| {
            let by_wildcard = || self.wildcard.get(name.split_once('.')?.1);
            self.exact.get(name.as_str()).or_else(by_wildcard)
        });
        by_name.or(self.first.as_ref())
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name()).cloned()
    }
}
