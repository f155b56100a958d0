//! How the gateway is reached from outside: parsed once, so that no other room has to ask whether there's a path in it.

use std::{fmt, net::IpAddr, ops::Deref, str::FromStr};

use serde::{Deserialize, Serialize};
use url::Url;

/// Scheme, host and port as people reach the gateway; no path, query, fragment, user or password.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicUrl {
    origin: String,
    host: String,
    port: Option<u16>,
    https: bool,
}

/// A DNS name in lower case, without a dot at its end.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct BaseDomain(String);

// === impl PublicUrl ===

impl PublicUrl {
    /// `https://host:port` without a slash at its end; the scheme's own port is left out.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Lower case; an IPv6 address has its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// None when it's the scheme's own.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    pub fn is_https(&self) -> bool {
        self.https
    }
}

impl TryFrom<String> for PublicUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bad = |why: &str| format!("{why}; expected how people reach the gateway, such as https://gate.example.org");
        let url = Url::parse(&text).map_err(|error| bad(&format!("found {text:?}, which isn't a URL ({error})")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("found a URL with a user or password in it"));
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad(&format!("found {text:?}, whose scheme is neither http nor https")));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(bad(&format!("found {text:?}, which has more than scheme, host and port")));
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        if host.is_empty() {
            return Err(bad(&format!("found {text:?}, which has no host")));
        }
        Ok(Self { origin: url.origin().ascii_serialization(), host, port: url.port(), https: url.scheme() == "https" })
    }
}

impl From<PublicUrl> for String {
    fn from(url: PublicUrl) -> Self {
        url.origin
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

// === impl BaseDomain ===

impl BaseDomain {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the host is this domain or a name within it.
    pub fn holds(&self, host: &str) -> bool {
        match host.strip_suffix(self.as_str()) {
            Some(rest) => rest.is_empty() || rest.ends_with('.'),
            None => false,
        }
    }
}

impl TryFrom<String> for BaseDomain {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bad = |why: &str| Err(format!("found {text:?}, {why}; expected a DNS name such as apps.example.org"));
        let name = text.to_ascii_lowercase();
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if IpAddr::from_str(name.trim_start_matches('[').trim_end_matches(']')).is_ok() {
            return bad("which is an address: names can't be made below it");
        }
        // Browsers read a host whose last label is a number as an IPv4 address in one of its older spellings.
        if name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit())) {
            return bad("whose last label is a number");
        }
        // A label of 63 and its dot must fit in front, and 253 is the most that DNS can carry (RFC 1035, section 2.3.4).
        if name.len() > 253 - 64 || !name.split('.').all(label) {
            return bad("which isn't a DNS name of at most 189 characters");
        }
        Ok(Self(name))
    }
}

impl From<BaseDomain> for String {
    fn from(domain: BaseDomain) -> Self {
        domain.0
    }
}

impl Deref for BaseDomain {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BaseDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_is_an_origin_and_nothing_else() {
        let url = PublicUrl::try_from("HTTPS://Gate.Example.org:443/".to_owned()).unwrap();
        assert_eq!((url.origin(), url.host(), url.is_https()), ("https://gate.example.org", "gate.example.org", true));
        for bad in
            ["gate.example.org", "ftp://gate", "https://gate/x", "https://gate/?q", "https://gate/#f", "https://u:secret@gate"]
        {
            let error = PublicUrl::try_from(bad.to_owned()).unwrap_err();
            assert!(error.contains("expected how people reach") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_base_domain_is_a_name_below_which_names_can_be_made() {
        let domain = BaseDomain::try_from("Apps.example.org".to_owned()).unwrap();
        assert!(domain.holds("apps.example.org") && domain.holds("a.apps.example.org"));
        assert!(!domain.holds("badapps.example.org") && !domain.holds("example.org") && !domain.holds(""));
        for bad in ["", ".", "10.0.0.1", "[::1]", "::1", "a..b", "-a.b", "a_b.c", "a.b.", "a/b", "a:80", "127.1", &"a.".repeat(120)]
        {
            assert!(BaseDomain::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}
