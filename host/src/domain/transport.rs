//! How bytes get to and from an endpoint, as its source declares it. It concerns that endpoint's own upstream and clients
//! alone, so whoever owns the session may say it.

use serde::Deserialize;

/// What is spoken on both sides of the gateway, beside the endpoint's protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Transport {
    /// Towards the upstream.
    pub upstream_tls: UpstreamTls,
    /// HTTP endpoints only.
    pub upstream_http: UpstreamHttp,
    /// The header that a TCP upstream wants in front of each connection.
    pub proxy_protocol: Option<ProxyVersion>,
    /// What clients of a TCP endpoint speak.
    pub downstream_tls: DownstreamTls,
    /// The port that a TCP endpoint asks for. None: any of the range.
    pub listen_port: Option<u16>,
}

/// Whether TLS is spoken with an upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpstreamTls {
    #[default]
    Off,
    /// The certificate must be for the declared host, from an authority that the gateway trusts.
    Verify,
    /// Any certificate will do.
    Insecure,
}

/// The version of HTTP that an upstream speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpstreamHttp {
    #[default]
    Http1,
    /// With prior knowledge, without TLS or with (RFC 9113, section 3.3).
    Http2,
}

/// The version of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyVersion {
    V1,
    V2,
}

/// Whether the gateway ends TLS for the clients of a TCP endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DownstreamTls {
    /// Bytes pass as they are.
    #[default]
    Off,
    /// Clients speak TLS with the gateway, upstreams see what's inside.
    Terminate,
}
