//! The configuration, with the defaults that fit a ClearML server.

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use wicketgate_plugin::{Error, Principal};

/// The contract's limits.
const VERIFICATIONS_MAX: usize = 8;
const LEEWAY_MAX_S: u32 = 300;

/// The whole configuration. Every key may be left out.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Cookies that may hold a token. One that ends in `*` is a prefix.
    pub cookies: Vec<Cookie>,
    /// Whether `Authorization: Bearer` may hold a token.
    pub bearer: bool,
    /// Key sets of the gateway's configuration; each is tried, in this order.
    pub key_sets: Vec<KeySet>,
    /// The token's `aud` must hold one of these; empty: it isn't looked at. A key set may have its own.
    pub audiences: Vec<String>,
    /// The token's `iss` must be one of these; empty: it isn't looked at. A key set may have its own.
    pub issuers: Vec<String>,
    /// How far the clocks may be apart, in seconds, at most 300.
    pub leeway_s: u32,
    pub claims: Claims,
    /// Where people log in; none: the gateway's own page.
    pub login: Option<String>,
    /// The realm that `WWW-Authenticate` names.
    pub realm: String,
    /// Whom to deny although the token is good.
    pub deny: People,
    /// Whom to admit at all; an empty list is no condition, and every list that isn't empty must be met.
    pub require: People,
    /// After how many seconds to look again; none: when the token expires.
    pub recheck_after_s: Option<u32>,
}

/// A cookie's name, or how it begins.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Cookie {
    Named(String),
    Prefixed(String),
}

/// One key set: its name alone, or with its own audiences and issuers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySet {
    pub name: String,
    pub audiences: Option<Vec<String>>,
    pub issuers: Option<Vec<String>>,
}

/// Where in the claims an identity stands: paths with a dot between, of which the first that the token has counts.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Claims {
    pub id: Vec<String>,
    pub name: Vec<String>,
    pub company: Vec<String>,
    pub role: Vec<String>,
    pub groups: Vec<String>,
    /// Further claims for routing policies, which find them under the path's own name.
    pub extra: Vec<String>,
}

/// A set of people.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct People {
    pub users: Vec<String>,
    pub companies: Vec<String>,
    pub roles: Vec<String>,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        let cookies = ["wicketgate_session", "clearml_token_basic", "clearml-token-k8s", "allegro_token*"];
        Self {
            cookies: cookies.map(|name| Cookie::from(name.to_owned())).into(),
            bearer: true,
            key_sets: ["gateway", "clearml"].map(KeySet::named).into(),
            audiences: Vec::new(),
            issuers: Vec::new(),
            leeway_s: 0,
            claims: Claims::default(),
            login: None,
            realm: "wicketgate".to_owned(),
            deny: People::default(),
            require: People::default(),
            recheck_after_s: None,
        }
    }
}

impl Config {
    /// What the types don't say.
    pub fn check(&self) -> Result<(), Error> {
        let count = self.key_sets.len();
        if count == 0 || count > VERIFICATIONS_MAX {
            return Err(Error::invalid_config("key_sets", count.to_string(), "one to eight key sets"));
        }
        if self.cookies.is_empty() && !self.bearer {
            return Err(Error::invalid_config("cookies", "an empty list", "a cookie's name, or `bearer: true`"));
        }
        if self.cookies.iter().any(|cookie| !is_token(cookie.text())) {
            return Err(Error::invalid_config("cookies", "a name that isn't one", "letters, digits and !#$%&'*+-.^_`|~"));
        }
        if self.leeway_s > LEEWAY_MAX_S {
            return Err(Error::invalid_config("leeway_s", self.leeway_s.to_string(), "at most 300"));
        }
        if self.claims.id.is_empty() {
            return Err(Error::invalid_config("claims.id", "an empty list", "at least one path"));
        }
        // It's put between quotes in a header.
        if !self.realm.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\') {
            return Err(Error::invalid_config("realm", "a character that a header can't quote", "printable ASCII text"));
        }
        Ok(())
    }

    /// The reason's code, if this person is one whom the configuration refuses.
    pub fn refuses(&self, principal: &Principal) -> Option<&'static str> {
        let listed = |list: &[String], value: Option<&str>| value.is_some_and(|value| list.iter().any(|it| it == value));
        let missing = |list: &[String], value: Option<&str>| !list.is_empty() && !listed(list, value);
        let (user, company, role) = (Some(principal.id.as_str()), principal.company.as_deref(), principal.role.as_deref());
        if listed(&self.deny.users, user) || missing(&self.require.users, user) {
            Some("user-denied")
        } else if listed(&self.deny.companies, company) || missing(&self.require.companies, company) {
            Some("company-denied")
        } else if listed(&self.deny.roles, role) || missing(&self.require.roles, role) {
            Some("role-denied")
        } else {
            None
        }
    }
}

/// A token in the sense of RFC 9110, section 5.6.2: what a cookie's name is. The `*` of a prefix has gone by now, and the
/// empty prefix would be every cookie.
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

// === impl Cookie ===

impl From<String> for Cookie {
    fn from(name: String) -> Self {
        match name.strip_suffix('*') {
            Some(prefix) => Self::Prefixed(prefix.to_owned()),
            None => Self::Named(name),
        }
    }
}

impl Cookie {
    fn text(&self) -> &str {
        match self {
            Self::Named(text) | Self::Prefixed(text) => text,
        }
    }

    pub fn is(&self, name: &str) -> bool {
        match self {
            Self::Named(it) => it == name,
            Self::Prefixed(prefix) => name.starts_with(prefix.as_str()),
        }
    }
}

// === impl KeySet ===

impl KeySet {
    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), audiences: None, issuers: None }
    }
}

impl<'de> Deserialize<'de> for KeySet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // It's read through serde's own adapter, which knows nothing of the kit's rule about unknown keys.
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Whole {
            name: String,
            audiences: Option<Vec<String>>,
            issuers: Option<Vec<String>>,
        }

        struct NameOrWhole;

        impl<'de> Visitor<'de> for NameOrWhole {
            type Value = KeySet;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a key set's name, or a mapping with name, audiences, issuers")
            }

            fn visit_str<E>(self, name: &str) -> Result<KeySet, E> {
                Ok(KeySet::named(name))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<KeySet, A::Error> {
                let Whole { name, audiences, issuers } = Whole::deserialize(MapAccessDeserializer::new(map))?;
                Ok(KeySet { name, audiences, issuers })
            }
        }

        deserializer.deserialize_any(NameOrWhole)
    }
}

// === impl Claims ===

impl Default for Claims {
    fn default() -> Self {
        let paths = |paths: &[&str]| paths.iter().map(|&path| path.to_owned()).collect();
        Self {
            id: paths(&["identity.user", "sub"]),
            name: paths(&["identity.user_name", "name"]),
            company: paths(&["identity.company", "company"]),
            role: paths(&["identity.role", "role"]),
            groups: paths(&["groups"]),
            extra: Vec::new(),
        }
    }
}
