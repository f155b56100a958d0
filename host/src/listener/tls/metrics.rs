//! Handshakes by how they ended, and when certificates end.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{TlsError, files::Certificate};

#[derive(Clone, Debug, Default)]
pub(super) struct Metrics {
    handshakes: Family<ResultLabel, Counter>,
    loads: Family<ResultLabel, Counter>,
    refused: Gauge,
    ends: Family<NameLabel, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NameLabel {
    name: String,
}

// === impl Metrics ===

impl Metrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("tls_handshakes", "TLS handshakes of clients by how they ended", metrics.handshakes.clone());
        registry.register("tls_loads", "Certificate files that changed, by whether they are used", metrics.loads.clone());
        registry.register("tls_refused", "Whether what stands in the certificate files isn't what serves", metrics.refused.clone());
        registry.register(
            "tls_certificate_end_timestamp_seconds",
            "When the certificate for a name ends, in seconds since 1970",
            metrics.ends.clone(),
        );
        metrics
    }

    pub fn handshake(&self, failed: Option<&TlsError>) {
        let result = match failed {
            None => "ok",
            Some(TlsError::TooSlow) => "too-slow",
            Some(TlsError::Failed(error)) if error.kind() == std::io::ErrorKind::InvalidData => "refused",
            Some(TlsError::Failed(_)) => "gone",
        };
        self.handshakes.get_or_create(&ResultLabel { result }).inc();
    }

    /// These certificates serve from now on.
    pub fn serves(&self, certificates: &[Certificate]) {
        self.refused.set(0);
        self.ends.clear();
        // Of two certificates for one name the earlier serves.
        for certificate in certificates.iter().rev() {
            for name in &certificate.names {
                self.ends.get_or_create(&NameLabel { name: name.to_string() }).set(certificate.validity.not_after_s);
            }
        }
    }

    pub fn loaded(&self) {
        self.loads.get_or_create(&ResultLabel { result: "ok" }).inc();
    }

    pub fn refused(&self) {
        self.refused.set(1);
        self.loads.get_or_create(&ResultLabel { result: "error" }).inc();
    }
}
