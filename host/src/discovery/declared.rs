//! An endpoint as somebody writes it down: in the file of sessions, or in a pod's annotation.

use serde::Deserialize;

use super::{
    candidates::{describe, is_host_label},
    dial,
};
use crate::domain::{
    Attributes, Candidate, DownstreamTls, EndpointId, EndpointName, Protocol, ProxyVersion, SessionId, SourceKind, Transport,
    UpstreamHttp, UpstreamPath, UpstreamTls,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Absent: the default endpoint, reached without a name.
    #[serde(default)]
    pub name: String,
    #[serde(default = "http")]
    pub protocol: Protocol,
    /// A pod's endpoints have the pod's.
    pub address: Option<String>,
    pub port: u16,
    #[serde(default)]
    upstream_path: UpstreamPath,
    host_label: Option<String>,
    #[serde(default)]
    upstream_tls: UpstreamTls,
    #[serde(default)]
    upstream_http: UpstreamHttp,
    proxy_protocol: Option<ProxyVersion>,
    /// `terminate`: clients of a TCP endpoint speak TLS with the gateway.
    #[serde(default)]
    tls: DownstreamTls,
    /// A TCP endpoint's port at the gateway. Absent: any of the range.
    listen_port: Option<std::num::NonZeroU16>,
    /// In place of the session's.
    access: Option<String>,
}

/// A value that can't be.
#[derive(Debug, PartialEq, Eq)]
pub struct Misfit {
    pub key: &'static str,
    pub found: String,
    pub expected: &'static str,
}

// === impl Endpoint ===

impl Endpoint {
    /// The candidate of this session at `host`, with the session's attributes and its own.
    pub fn candidate(
        &self,
        source: SourceKind,
        session: &SessionId,
        host: &str,
        attributes: &Attributes,
    ) -> Result<Candidate, Misfit> {
        let wrong = |key, found: &str, expected| Misfit { key, found: format!("`{found}`"), expected };
        let name =
            EndpointName::parse(&self.name).ok_or_else(|| wrong("name", &self.name, "at most 63 letters, digits, `_` and `-`"))?;
        if self.port == 0 {
            return Err(wrong("port", "0", "1 to 65535"));
        }
        if let Some(label) = self.host_label.as_deref().filter(|label| !is_host_label(label)) {
            return Err(wrong("host_label", label, "1 to 63 lower-case letters, digits and `-`"));
        }
        if let Err(refusal) = dial::parse(host) {
            return Err(Misfit { key: "address", found: format!("`{host}` ({refusal})"), expected: "an IP address or a DNS name" });
        }
        let mut candidate = Candidate {
            source,
            id: EndpointId { session: session.clone(), name },
            protocol: self.protocol,
            host: host.to_owned(),
            port: self.port,
            machine: None,
            upstream_path: self.upstream_path,
            transport: self.transport(),
            host_label: self.host_label.clone(),
            attributes: attributes.clone(),
        };
        if let Some(access) = &self.access {
            candidate.attributes.set("access", [access.as_str()]);
        }
        describe(&mut candidate);
        Ok(candidate)
    }

    fn transport(&self) -> Transport {
        Transport {
            upstream_tls: self.upstream_tls,
            upstream_http: self.upstream_http,
            proxy_protocol: self.proxy_protocol,
            downstream_tls: self.tls,
            listen_port: self.listen_port.map(std::num::NonZero::get),
        }
    }
}

fn http() -> Protocol {
    Protocol::Http
}
