//! What the configuration says about requests, in the shape in which each request needs it. Made once, before any port is
//! bound.

use std::{net::IpAddr, time::Duration};

use http::HeaderValue;
use ipnet::IpNet;

use crate::{
    config::{Config, Http2, Poll},
    upstream::Bounds,
};

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
    pub polls: Vec<Poll>,
    pub http2: Http2,
    /// Whose decisions' ids are told, by role.
    pub told_roles: Vec<String>,
    trusted: Vec<IpNet>,
    proxies: Vec<IpNet>,
}

/// The domain under which sessions have hosts of their own.
pub struct BaseDomain {
    /// With a dot in front, in lower case.
    suffix: String,
    scheme: &'static str,
    /// The suffix with the port.
    behind_label: String,
    /// Whether a login at the public URL is seen by the sessions' hosts.
    pub shares_login: bool,
}

// === impl Settings ===

impl Settings {
    pub fn new(config: &Config) -> Self {
        let public_origin = config.public_origin();
        let public_authority = public_origin.split_once("://").map_or(public_origin.as_str(), |(_, authority)| authority);
        let base_domain = config.base_domain.as_ref().zip(config.session_hosts()).map(|(domain, (scheme, behind_label))| {
            BaseDomain { suffix: format!(".{domain}"), scheme, behind_label, shares_login: config.cookie_domain().is_some() }
        });
        let http = &config.http;
        Self {
            proto: HeaderValue::from_static(if config.is_https() { "https" } else { "http" }),
            is_https: config.is_https(),
            public_authority: public_authority.to_ascii_lowercase(),
            base_domain,
            bounds: Bounds::new(http),
            request_head: Duration::from_millis(http.timeouts.request_head_ms),
            keep_alive: Duration::from_millis(http.timeouts.keep_alive_ms),
            connections: http.limits.connections,
            head_bytes: http.limits.head_bytes,
            headers: http.limits.headers,
            target_bytes: http.limits.target_bytes,
            body_bytes: http.limits.body_bytes,
            polls: config.activity.polls.clone(),
            http2: http.http2.clone(),
            told_roles: config.plugins.records.show_to_roles.clone(),
            trusted: http.trusted_proxies.clone(),
            proxies: http.proxy_protocol_from.clone(),
            public_origin,
        }
    }

    /// Whether an address is a proxy whose word counts.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address))
    }

    /// Whether a peer's connections begin with a header of the PROXY protocol.
    pub fn speaks_proxy_protocol(&self, peer: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(&peer))
    }

    /// The label under the base domain that an authority names, if it's one of a session: the gateway's own host isn't, even
    /// where it's under the base domain itself.
    pub fn label<'a>(&self, authority: &'a str) -> Option<&'a str> {
        let base = self.base_domain.as_ref()?;
        let host = without_port(authority);
        let label = host.strip_suffix(base.suffix.as_str()).filter(|label| !label.is_empty())?;
        (host != without_port(&self.public_authority)).then_some(label)
    }

    /// The origin of a session's own host. None for the gateway's own.
    pub fn host_origin(&self, label: &str) -> Option<String> {
        let BaseDomain { suffix, scheme, behind_label, .. } = self.base_domain.as_ref()?;
        let public = without_port(&self.public_authority);
        let is_public = public.strip_suffix(suffix.as_str()) == Some(label);
        (!is_public).then(|| format!("{scheme}://{label}{behind_label}"))
    }
}

/// A host without its port, `[::1]` with its brackets.
pub fn without_port(authority: &str) -> &str {
    match authority.rfind(':') {
        Some(at) if !authority[at..].contains(']') => &authority[..at],
        _ => authority,
    }
}
