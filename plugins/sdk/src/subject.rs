//! What is to be decided about, reduced to the declared inputs.

use crate::prelude::*;

/// What is to be decided about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    Http(HttpRequest),
    Tcp(TcpConnection),
}

/// The declared inputs of an HTTP request. What wasn't declared, or isn't there, is `None` or empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpRequest {
    pub method: Option<String>,
    pub authority: Option<String>,
    pub path: Option<String>,
    pub upgrade: Option<String>,
    pub tls_name: Option<String>,
    pub client_address: Option<String>,
    /// In DER (RFC 5280).
    pub client_certificate: Option<Vec<u8>>,
    pub listener_port: Option<u16>,
    pub cookies: Vec<Field>,
    /// Names in lower case.
    pub headers: Vec<Field>,
    pub query: Vec<Field>,
}

/// The declared inputs of a TCP connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TcpConnection {
    pub listener_port: Option<u16>,
    pub client_address: Option<String>,
    pub tls_name: Option<String>,
    /// In DER (RFC 5280).
    pub client_certificate: Option<Vec<u8>>,
}

/// One occurrence of a named value. An absent value has no entry, an empty one an entry without bytes, a repeated one an
/// entry for each, in the order sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub value: Vec<u8>,
}

/// Named attributes, each with its values. One that was declared and is absent isn't in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes(Vec<Attribute>);

/// One attribute, as the contract has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    pub name: String,
    pub values: Vec<String>,
}

// === impl Subject ===

impl Subject {
    pub fn client_address(&self) -> Option<&str> {
        match self {
            Self::Http(http) => http.client_address.as_deref(),
            Self::Tcp(tcp) => tcp.client_address.as_deref(),
        }
    }
}

// === impl HttpRequest ===

impl HttpRequest {
    /// The values of every cookie of this name.
    pub fn cookies<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        values(&self.cookies, name)
    }

    /// The values of every header line of this name, which is given in lower case.
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        values(&self.headers, name)
    }

    /// The values of every query parameter of this name.
    pub fn query<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        values(&self.query, name)
    }
}

fn values<'a>(fields: &'a [Field], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter(move |field| field.name == name).map(|field| field.value.as_slice())
}

// === impl Field ===

impl Field {
    pub fn new(name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), value: value.into() }
    }

    /// The value as text, where it is text.
    pub fn text(&self) -> Option<&str> {
        core::str::from_utf8(&self.value).ok()
    }
}

// === impl Attributes ===

impl Attributes {
    /// All values of an attribute; none where it's absent.
    pub fn all(&self, name: &str) -> &[String] {
        self.0.iter().find(|it| it.name == name).map_or(&[], |it| &it.values)
    }

    /// The first value of an attribute.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.all(name).first().map(String::as_str)
    }

    /// Whether one of the attribute's values is this.
    pub fn has(&self, name: &str, value: &str) -> bool {
        self.all(name).iter().any(|it| it == value)
    }

    pub fn push(&mut self, name: impl Into<String>, values: Vec<String>) {
        self.0.push(Attribute { name: name.into(), values });
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|it| (it.name.as_str(), it.values.as_slice()))
    }
}

impl FromIterator<(String, Vec<String>)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (String, Vec<String>)>>(attributes: I) -> Self {
        Self(attributes.into_iter().map(|(name, values)| Attribute { name, values }).collect())
    }
}

impl IntoIterator for Attributes {
    type Item = (String, Vec<String>);
    type IntoIter = core::iter::Map<alloc::vec::IntoIter<Attribute>, fn(Attribute) -> Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().map(|it| (it.name, it.values))
    }
}

#[cfg(target_arch = "wasm32")]
impl From<Vec<Attribute>> for Attributes {
    fn from(attributes: Vec<Attribute>) -> Self {
        Self(attributes)
    }
}

#[cfg(target_arch = "wasm32")]
impl From<Attributes> for Vec<Attribute> {
    fn from(attributes: Attributes) -> Self {
        attributes.0
    }
}
