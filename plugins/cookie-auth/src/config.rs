//! The configuration, with the defaults that fit a ClearML server.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use wicketgate_plugin::text::decimal;
use wicketgate_plugin::{Configuration, Error, Principal, Section};

use crate::certificate::CertificateName;

/// The contract's limits.
const VERIFICATIONS_MAX: usize = 8;
const LEEWAY_MAX_S: u64 = 300;

/// The words of `certificate_name`, in the order of [`CERTIFICATE_NAMES`].
const CERTIFICATE_NAME_WORDS: [&str; 5] = ["off", "common-name", "email", "dns-name", "uri"];
const CERTIFICATE_NAMES: [Option<CertificateName>; 5] = [
    None,
    Some(CertificateName::CommonName),
    Some(CertificateName::Email),
    Some(CertificateName::DnsName),
    Some(CertificateName::Uri),
];

/// The whole configuration. Every key may be left out.
#[derive(Debug, Clone)]
pub struct Config {
    /// Cookies that may hold a token. One that ends in `*` is a prefix.
    pub cookies: Vec<String>,
    /// Whether `Authorization: Bearer` may hold a token.
    pub bearer: bool,
    /// Key sets of the gateway's configuration; each is tried, in this order.
    pub key_sets: Vec<KeySet>,
    /// The token's `aud` must hold one of these; empty: it isn't looked at. A key set may have its own.
    pub audiences: Vec<String>,
    /// The token's `iss` must be one of these; empty: it isn't looked at. A key set may have its own.
    pub issuers: Vec<String>,
    /// How far the clocks may be apart, in seconds, at most 300; none: not at all.
    pub leeway_s: Option<u64>,
    pub claims: Claims,
    /// Who a client's verified certificate is for, where no token says who somebody is; none: certificates aren't looked at.
    pub certificate_name: Option<CertificateName>,
    /// Where people log in; none: the gateway's own page.
    pub login: Option<String>,
    /// The realm that `WWW-Authenticate` names.
    pub realm: String,
    /// Whom to deny although the token is good.
    pub deny: People,
    /// Whom to admit at all; an empty list is no condition, and every list that isn't empty must be met.
    pub require: People,
    /// After how many seconds to look again; none: when the token expires.
    pub recheck_after_s: Option<u64>,
}

/// One key set: its name alone, or with its own audiences and issuers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySet {
    pub name: String,
    pub audiences: Option<Vec<String>>,
    pub issuers: Option<Vec<String>>,
}

/// Where in the claims an identity stands: paths with a dot between, of which the first that the token has counts.
#[derive(Debug, Clone)]
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
#[derive(Debug, Clone, Default)]
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
            cookies: cookies.map(ToOwned::to_owned).into(),
            bearer: true,
            key_sets: ["gateway", "clearml"].map(|name| KeySet::named(name.to_owned())).into(),
            audiences: Vec::new(),
            issuers: Vec::new(),
            leeway_s: None,
            claims: Claims::default(),
            certificate_name: None,
            login: None,
            realm: "wicketgate".to_owned(),
            deny: People::default(),
            require: People::default(),
            recheck_after_s: None,
        }
    }
}

impl Configuration for Config {
    fn from_json(text: &str) -> Result<Self, Error> {
        Section::whole(text, Self::read)
    }
}

impl Config {
    fn read(&mut self, section: &mut Section<'_>) {
        section.texts("cookies", &mut self.cookies);
        section.flag("bearer", &mut self.bearer);
        section.texts_or_sections("key_sets", &mut self.key_sets, KeySet::named, KeySet::read);
        section.texts("audiences", &mut self.audiences);
        section.texts("issuers", &mut self.issuers);
        section.number("leeway_s", LEEWAY_MAX_S, &mut self.leeway_s);
        section.section("claims", &mut self.claims, Claims::read);
        let mut name = 0;
        section.word("certificate_name", &CERTIFICATE_NAME_WORDS, &mut name);
        self.certificate_name = CERTIFICATE_NAMES.get(name).copied().flatten();
        section.optional_text("login", &mut self.login);
        section.text("realm", &mut self.realm);
        section.section("deny", &mut self.deny, People::read);
        section.section("require", &mut self.require, People::read);
        section.number("recheck_after_s", u32::MAX.into(), &mut self.recheck_after_s);
        self.check(section);
    }

    /// What the types don't say.
    fn check(&self, section: &mut Section<'_>) {
        let count = self.key_sets.len();
        if count == 0 || count > VERIFICATIONS_MAX {
            section.refuse("key_sets", &decimal(count as u64), "one to eight key sets");
        }
        if self.key_sets.iter().any(|key_set| key_set.name.is_empty()) {
            section.refuse("key_sets", "a key set without a name", "a name for each");
        }
        if self.cookies.is_empty() && !self.bearer {
            section.refuse("cookies", "an empty list", "a cookie's name, or `bearer: true`");
        }
        if self.cookies.iter().any(|entry| !is_token(entry.strip_suffix('*').unwrap_or(entry))) {
            section.refuse("cookies", "a name that isn't one", "letters, digits and !#$%&'*+-.^_`|~");
        }
        if self.claims.id.is_empty() {
            section.refuse("claims", "no path in `id`", "at least one");
        }
        // It's put between quotes in a header.
        if !self.realm.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\') {
            section.refuse("realm", "a character that a header can't quote", "printable ASCII text");
        }
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

/// How the cookies of one entry are chosen: by their name, or by how it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cookie<'a> {
    Named(&'a str),
    Prefixed(&'a str),
}

impl<'a> Cookie<'a> {
    pub fn of(entry: &'a str) -> Self {
        match entry.strip_suffix('*') {
            Some(prefix) => Self::Prefixed(prefix),
            None => Self::Named(entry),
        }
    }

    pub fn is(self, name: &str) -> bool {
        match self {
            Self::Named(it) => it == name,
            Self::Prefixed(prefix) => name.starts_with(prefix),
        }
    }
}

// === impl KeySet ===

impl KeySet {
    fn named(name: String) -> Self {
        Self { name, ..Self::default() }
    }

    fn read(&mut self, section: &mut Section<'_>) {
        section.text("name", &mut self.name);
        section.optional_texts("audiences", &mut self.audiences);
        section.optional_texts("issuers", &mut self.issuers);
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

impl Claims {
    fn read(&mut self, section: &mut Section<'_>) {
        section.texts("id", &mut self.id);
        section.texts("name", &mut self.name);
        section.texts("company", &mut self.company);
        section.texts("role", &mut self.role);
        section.texts("groups", &mut self.groups);
        section.texts("extra", &mut self.extra);
    }
}

// === impl People ===

impl People {
    fn read(&mut self, section: &mut Section<'_>) {
        section.texts("users", &mut self.users);
        section.texts("companies", &mut self.companies);
        section.texts("roles", &mut self.roles);
    }
}
