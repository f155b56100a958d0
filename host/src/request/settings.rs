//! What the configuration says about requests, in the shape in which each request needs it. Made once, before any port is
//! bound.

use std::{net::IpAddr, time::Duration};

use http::HeaderValue;
use ipnet::IpNet;

use crate::{config::Config, upstream::Bounds};

pub struct Settings {
    /// Scheme, host and port without a slash at the end.
    pub public_origin: String,
    /// Host and port of the public URL, in lower case; no port where it's the scheme's own.
    pub public_authority: String,
    pub is_https: bool,
    /// The scheme of the public URL for `X-Forwarded-Proto`: proxies in front that aren't trusted don't say it.
    pub proto: HeaderValue,
    pub base_domain: Option<BaseDomain>,
    pub bounds: Bounds,
    pub request_head: Duration,
    pub keep_alive: Duration,
    pub connections: usize,
    pub head_bytes: usize,
    pub headers: usize,
    pub target_bytes: usize,
    pub body_bytes: Option<u64>,
    trusted: Vec<IpNet>,
}

/// The domain under which sessions have hosts of their own.
pub struct BaseDomain {
    /// With a dot in front, in lower case.
    suffix: String,
    /// `:port` of the public URL, or nothing.
    port: String,
}

// === impl Settings ===

impl Settings {
    pub fn new(config: &Config) -> Self {
        let public_origin = config.public_origin();
        let (scheme, authority) = public_origin.split_once("://").unwrap_or(("http", &public_origin));
        let public_authority = authority.split('/').next().unwrap_or(authority).to_ascii_lowercase();
        let is_https = scheme.eq_ignore_ascii_case("https");
        let port = config.public_url.as_ref().and_then(url::Url::port).map(|port| format!(":{port}")).unwrap_or_default();
        let base_domain = config.base_domain.as_ref().map(|domain| BaseDomain {
            suffix: format!(".{}", domain.trim_matches('.').to_ascii_lowercase()),
            port: if config.public_url.is_some() { port } else { format!(":{}", config.http.listen.port()) },
        });
        let http = &config.http;
        Self {
            proto: HeaderValue::from_static(if is_https { "https" } else { "http" }),
            is_https,
            public_authority,
            base_domain,
            bounds: Bounds::new(http),
            request_head: Duration::from_millis(http.timeouts.request_head_ms),
            keep_alive: Duration::from_millis(http.timeouts.keep_alive_ms),
            connections: http.limits.connections,
            head_bytes: http.limits.head_bytes,
            headers: http.limits.headers,
            target_bytes: http.limits.target_bytes,
            body_bytes: http.limits.body_bytes,
            trusted: http.trusted_proxies.clone(),
            public_origin,
        }
    }

    /// Whether an address is a proxy whose word counts.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address))
    }

    /// The label under the base domain that an authority names, if it's one of a session.
    pub fn label<'a>(&self, authority: &'a str) -> Option<&'a str> {
        let base = self.base_domain.as_ref()?;
        let host = without_port(authority);
        host.strip_suffix(base.suffix.as_str()).filter(|label| !label.is_empty())
    }

    /// The origin of a session's own host.
    pub fn host_origin(&self, label: &str) -> Option<String> {
        let BaseDomain { suffix, port } = self.base_domain.as_ref()?;
        let scheme = if self.is_https { "https" } else { "http" };
        Some(format!("{scheme}://{label}{suffix}{port}"))
    }
}

/// A host without its port, `[::1]` with its brackets.
pub fn without_port(authority: &str) -> &str {
    match authority.rfind(':') {
        Some(at) if !authority[at..].contains(']') => &authority[..at],
        _ => authority,
    }
}
