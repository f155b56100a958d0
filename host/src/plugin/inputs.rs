//! Declared inputs: what a plugin said it reads, and exactly these taken out of a subject. What is gathered here is all that a
//! plugin gets to see, and all that the cache key is made of.

mod words;

use http::HeaderName;

use super::subject::{HttpSubject, Subject};
use crate::domain::{Attributes, Identity, Principal};

/// The inputs of one declaration, parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    pub cookies: Vec<NamePattern>,
    pub headers: Vec<HeaderName>,
    pub query: Vec<String>,
    pub method: bool,
    pub authority: bool,
    pub path: Option<PathExtent>,
    pub upgrade: bool,
    pub tls_name: bool,
    pub client_address: bool,
    pub client_certificate: bool,
    pub listener_port: bool,
    pub identity: bool,
    pub attributes: Vec<String>,
    /// Those of the above that were marked as credentials.
    pub credentials: CredentialInputs,
}

/// What counts as a credential: it isn't shown, and workloads don't get it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialInputs {
    pub cookies: Vec<NamePattern>,
    pub headers: Vec<HeaderName>,
    pub query: Vec<String>,
}

/// A name, or the beginning of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamePattern {
    Exact(String),
    Prefix(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathExtent {
    Segments(u32),
    Full,
}

/// The declared inputs of one subject, borrowed from it.
#[derive(Default)]
pub struct Gathered<'a> {
    pub is_tcp: bool,
    pub method: Option<&'a str>,
    pub authority: Option<&'a str>,
    pub path: Option<&'a str>,
    pub upgrade: Option<&'a str>,
    pub tls_name: Option<&'a str>,
    pub client_address: Option<std::net::IpAddr>,
    pub client_certificate: Option<&'a [u8]>,
    pub listener_port: Option<u16>,
    pub cookies: Vec<(&'a str, &'a [u8])>,
    pub headers: Vec<(&'a str, &'a [u8])>,
    /// Percent-decoded.
    pub query: Vec<(&'a str, Vec<u8>)>,
}

// === impl NamePattern ===

impl NamePattern {
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == name,
            Self::Prefix(prefix) => name.starts_with(prefix.as_str()),
        }
    }
}

// === impl CredentialInputs ===

impl CredentialInputs {
    pub fn has_cookie(&self, name: &str) -> bool {
        self.cookies.iter().any(|pattern| pattern.matches(name))
    }

    pub fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|known| known == name)
    }

    pub fn has_query(&self, name: &str) -> bool {
        self.query.iter().any(|known| known == name)
    }

    /// Adds another plugin's.
    pub fn extend(&mut self, other: &Self) {
        let missing = |known: &[NamePattern], pattern: &&NamePattern| !known.contains(pattern);
        let cookies: Vec<_> = other.cookies.iter().filter(|pattern| missing(&self.cookies, pattern)).cloned().collect();
        self.cookies.extend(cookies);
        self.headers.extend(other.headers.iter().cloned());
        self.query.extend(other.query.iter().cloned());
        self.headers.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        self.headers.dedup();
        self.query.sort();
        self.query.dedup();
    }
}

// === impl Inputs ===

impl Inputs {
    /// No input at all.
    pub const NOTHING: Self = Self {
        cookies: Vec::new(),
        headers: Vec::new(),
        query: Vec::new(),
        method: false,
        authority: false,
        path: None,
        upgrade: false,
        tls_name: false,
        client_address: false,
        client_certificate: false,
        listener_port: false,
        identity: false,
        attributes: Vec::new(),
        credentials: CredentialInputs { cookies: Vec::new(), headers: Vec::new(), query: Vec::new() },
    };

    /// Takes what was declared out of a subject.
    pub fn gather<'a>(&'a self, subject: &'a Subject<'a>) -> Gathered<'a> {
        let connection = subject.connection();
        let mut gathered = Gathered {
            tls_name: connection.tls_name.as_deref().filter(|_| self.tls_name),
            client_address: self.client_address.then_some(connection.client),
            client_certificate: connection.client_certificate.as_deref().filter(|_| self.client_certificate),
            listener_port: self.listener_port.then_some(connection.listener_port),
            ..Gathered::default()
        };
        match subject {
            Subject::Http(http) => self.gather_http(http, &mut gathered),
            Subject::Tcp(_) => gathered.is_tcp = true,
        }
        gathered
    }

    fn gather_http<'a>(&'a self, http: &'a HttpSubject<'a>, gathered: &mut Gathered<'a>) {
        gathered.method = self.method.then(|| http.method.as_str());
        gathered.authority = self.authority.then_some(http.authority);
        gathered.path = self.path.map(|extent| extent.of(http.path));
        gathered.upgrade = http.upgrade.filter(|_| self.upgrade);
        if !self.cookies.is_empty() {
            let wanted = |name: &str| self.cookies.iter().any(|pattern| pattern.matches(name));
            gathered.cookies.extend(cookies(http.headers).filter(|(name, _)| wanted(name)));
        }
        for name in &self.headers {
            gathered.headers.extend(http.headers.get_all(name).iter().map(|value| (name.as_str(), value.as_bytes())));
        }
        if let (false, Some(query)) = (self.query.is_empty(), http.query) {
            for name in &self.query {
                gathered.query.extend(parameters(query, name).map(|value| (name.as_str(), value)));
            }
        }
    }
}

impl PathExtent {
    pub fn of(self, path: &str) -> &str {
        let Self::Segments(count) = self else { return path };
        let end = memchr::memchr_iter(b'/', path.as_bytes()).nth(count as usize);
        end.map_or(path, |end| &path[..end])
    }
}

// === impl Gathered ===

impl Gathered<'_> {
    /// The texts that may be tokens: credential cookies and query parameters, and what stands behind `Bearer`.
    pub fn tokens<'s>(&'s self, credentials: &'s CredentialInputs) -> impl Iterator<Item = &'s str> {
        let cookies = self.cookies.iter().filter(|(name, _)| credentials.has_cookie(name));
        let headers = self.headers.iter().filter(|(name, _)| credentials.has_header(name));
        let query = self.query.iter().filter(|(name, _)| credentials.has_query(name));
        cookies
            .filter_map(|(_, value)| std::str::from_utf8(value).ok())
            .chain(headers.filter_map(|(_, value)| std::str::from_utf8(value).ok().map(bearer_or_whole)))
            .chain(query.filter_map(|(_, value)| std::str::from_utf8(value).ok()))
    }

    /// What stands behind `Bearer` in each `Authorization` line, if that was declared.
    pub fn bearers(&self) -> impl Iterator<Item = &str> {
        let lines = self.headers.iter().filter(|(name, _)| *name == "authorization");
        lines.filter_map(|(_, value)| bearer(std::str::from_utf8(value).ok()?))
    }

    /// Writes every input with its length before it, so that no two different sets of inputs look the same.
    pub fn encode(&self, key: &mut Vec<u8>) {
        key.push(u8::from(self.is_tcp));
        for text in [self.method, self.authority, self.path, self.upgrade, self.tls_name] {
            encode_option(key, text.map(str::as_bytes));
        }
        encode_option(key, self.client_certificate);
        match self.client_address {
            None => key.push(0),
            Some(std::net::IpAddr::V4(address)) => encode_option(key, Some(&address.octets())),
            Some(std::net::IpAddr::V6(address)) => encode_option(key, Some(&address.octets())),
        }
        encode_option(key, self.listener_port.map(u16::to_be_bytes).as_ref().map(<[u8; 2]>::as_slice));
        for fields in [&self.cookies, &self.headers] {
            encode_length(key, fields.len());
            for (name, value) in fields {
                encode_bytes(key, name.as_bytes());
                encode_bytes(key, value);
            }
        }
        encode_length(key, self.query.len());
        for (name, value) in &self.query {
            encode_bytes(key, name.as_bytes());
            encode_bytes(key, value);
        }
    }
}

/// Writes the declared attributes.
pub fn encode_attributes(key: &mut Vec<u8>, attributes: &Attributes, declared: &[String]) {
    for name in declared {
        let values = attributes.values(name);
        encode_length(key, values.len());
        values.iter().for_each(|value| encode_bytes(key, value.as_bytes()));
    }
}

/// Writes everything that a policy may see of an identity.
pub fn encode_identity(key: &mut Vec<u8>, identity: &Identity) {
    let Identity::Principal(principal) = identity else {
        key.push(0);
        return;
    };
    let Principal { id, name, company, role, groups, claims } = principal.as_ref();
    key.push(1);
    encode_bytes(key, id.as_bytes());
    for text in [name, company, role] {
        encode_option(key, text.as_deref().map(str::as_bytes));
    }
    encode_length(key, groups.len());
    groups.iter().for_each(|group| encode_bytes(key, group.as_bytes()));
    encode_length(key, claims.iter().count());
    for (name, values) in claims.iter() {
        encode_bytes(key, name.as_bytes());
        encode_length(key, values.len());
        values.iter().for_each(|value| encode_bytes(key, value.as_bytes()));
    }
}

fn encode_option(key: &mut Vec<u8>, bytes: Option<&[u8]>) {
    key.push(u8::from(bytes.is_some()));
    if let Some(bytes) = bytes {
        encode_bytes(key, bytes);
    }
}

pub fn encode_bytes(key: &mut Vec<u8>, bytes: &[u8]) {
    encode_length(key, bytes.len());
    key.extend_from_slice(bytes);
}

fn encode_length(key: &mut Vec<u8>, length: usize) {
    key.extend_from_slice(&(length as u64).to_be_bytes());
}

/// The cookies of a request, in the order sent (RFC 6265, section 5.4). A part without `=` is a value without a name, as
/// browsers send it, and never matches a declared name.
pub fn cookies(headers: &http::HeaderMap) -> impl Iterator<Item = (&str, &[u8])> {
    let parts = headers.get_all(http::header::COOKIE).iter().flat_map(|line| cookie_parts(line.as_bytes()));
    parts.filter_map(|part| {
        let at = memchr::memchr(b'=', part)?;
        let name = std::str::from_utf8(part[..at].trim_ascii()).ok().filter(|name| !name.is_empty())?;
        Some((name, part[at + 1..].trim_ascii()))
    })
}

/// What stands between semicolons in a `Cookie` or `Set-Cookie` line, without white space around it.
pub fn cookie_parts(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = memchr::memchr_iter(b';', line).chain([line.len()]);
    ends.scan(0, |start, end| {
        let part = line[*start..end].trim_ascii();
        *start = end + 1;
        Some(part)
    })
}

fn parameters<'a>(query: &'a str, wanted: &'a str) -> impl Iterator<Item = Vec<u8>> + 'a {
    url::form_urlencoded::parse(query.as_bytes())
        .filter(move |(name, _)| name == wanted)
        .map(|(_, value)| value.into_owned().into_bytes())
}

/// The token of `Bearer <token>` (RFC 6750, section 2.1).
pub fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim_ascii().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn bearer_or_whole(value: &str) -> &str {
    bearer(value).unwrap_or(value)
}

#[cfg(test)]
mod tests;
