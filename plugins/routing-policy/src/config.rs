//! The configuration.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use wicketgate_plugin::{Configuration, Error, Section};

use crate::headers::HeaderEdits;
use crate::network::Network;

/// The words of `allow`, in the order of [`WAYS`].
const WAY_NAMES: [&str; 7] = ["owner", "admins", "shared", "company", "group", "readers", "everyone"];
const WAYS: [Way; 7] = [Way::Owner, Way::Admins, Way::Shared, Way::Company, Way::Group, Way::Readers, Way::Everyone];

/// The words of `tcp_access`, in the order of [`TCP_ACCESSES`].
const TCP_ACCESS_NAMES: [&str; 4] = ["open", "known-address", "client-certificate", "identity"];
const TCP_ACCESSES: [TcpAccess; 4] = [TcpAccess::Open, TcpAccess::KnownAddress, TcpAccess::ClientCertificate, TcpAccess::Identity];

/// The whole configuration. Every key may be left out.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who may enter; any one suffices.
    pub allow: Vec<Way>,
    /// The roles of `admins`.
    pub admin_roles: Vec<String>,
    /// The session attribute of `group`.
    pub group_attribute: String,
    pub allow_users: Vec<String>,
    pub allow_groups: Vec<String>,
    pub allow_roles: Vec<String>,
    /// These may not enter, whatever else is said.
    pub deny_users: Vec<String>,
    pub deny_groups: Vec<String>,
    pub deny_roles: Vec<String>,
    /// Nobody but admins may enter for now; who could otherwise is shown this text.
    pub closed: Option<String>,
    /// What somebody is told who may not enter. None: the same as for a session that doesn't exist.
    pub message: Option<String>,
    pub tcp_access: TcpAccess,
    /// The networks of `tcp_access: known-address`.
    pub known_addresses: Vec<Network>,
    pub request_headers: HeaderEdits,
    pub response_headers: HeaderEdits,
    pub request_body_bytes: Option<u64>,
    pub response_timeout_ms: Option<u64>,
    /// After how many seconds to decide again. None: when the inputs change.
    pub recheck_after_s: Option<u64>,
}

/// One way to be admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Who the session belongs to.
    Owner,
    /// Who has one of the `admin_roles`.
    Admins,
    /// Whom the session's `access` says: `public` is everybody, also nobody known; `company` is the owner's company.
    Shared,
    /// The session's company, whatever its `access` says.
    Company,
    /// The groups that the session's `group_attribute` names.
    Group,
    /// Whom the API server lets read the session.
    Readers,
    /// Everybody who is known.
    Everyone,
}

/// Who may open TCP connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpAccess {
    /// Anybody who reaches the port: the protocol behind it authenticates.
    Open,
    /// Clients in one of the `known_addresses`.
    KnownAddress,
    /// Clients with a certificate that the gateway verified.
    ClientCertificate,
    /// People whom an authenticator knows (by their certificate), and who may enter as over HTTP.
    Identity,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            allow: vec![Way::Owner, Way::Admins, Way::Shared],
            admin_roles: ["system", "root", "admin", "superuser"].map(ToOwned::to_owned).into(),
            group_attribute: "label.group".to_owned(),
            allow_users: Vec::new(),
            allow_groups: Vec::new(),
            allow_roles: Vec::new(),
            deny_users: Vec::new(),
            deny_groups: Vec::new(),
            deny_roles: Vec::new(),
            closed: None,
            message: None,
            tcp_access: TcpAccess::Open,
            known_addresses: Vec::new(),
            request_headers: HeaderEdits::default(),
            response_headers: HeaderEdits::default(),
            request_body_bytes: None,
            response_timeout_ms: None,
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
        let mut allow = Vec::new();
        let given = section.words("allow", &WAY_NAMES, &mut allow);
        if given {
            self.allow = allow.into_iter().filter_map(|way| WAYS.get(way).copied()).collect();
        }
        section.texts("admin_roles", &mut self.admin_roles);
        section.text("group_attribute", &mut self.group_attribute);
        section.texts("allow_users", &mut self.allow_users);
        section.texts("allow_groups", &mut self.allow_groups);
        section.texts("allow_roles", &mut self.allow_roles);
        section.texts("deny_users", &mut self.deny_users);
        section.texts("deny_groups", &mut self.deny_groups);
        section.texts("deny_roles", &mut self.deny_roles);
        section.optional_text("closed", &mut self.closed);
        section.optional_text("message", &mut self.message);
        self.read_tcp(section);
        section.section("request_headers", &mut self.request_headers, HeaderEdits::read);
        section.section("response_headers", &mut self.response_headers, HeaderEdits::read);
        section.number("request_body_bytes", u64::MAX, &mut self.request_body_bytes);
        section.number("response_timeout_ms", u32::MAX.into(), &mut self.response_timeout_ms);
        section.number("recheck_after_s", u32::MAX.into(), &mut self.recheck_after_s);
    }

    fn read_tcp(&mut self, section: &mut Section<'_>) {
        let mut access = 0;
        section.word("tcp_access", &TCP_ACCESS_NAMES, &mut access);
        self.tcp_access = TCP_ACCESSES.get(access).copied().unwrap_or(TcpAccess::Identity);
        let mut networks = Vec::new();
        section.texts("known_addresses", &mut networks);
        for text in &networks {
            match Network::parse(text) {
                Some(network) => self.known_addresses.push(network),
                None => section.refuse("known_addresses", text, "addresses or networks (10.0.0.0/8, 2001:db8::/32)"),
            }
        }
        if self.tcp_access == TcpAccess::KnownAddress && networks.is_empty() {
            section.refuse("known_addresses", "nothing", "a list, for `tcp_access: known-address`");
        }
    }
}
