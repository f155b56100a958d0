//! Inputs to try a plugin with, made of what it declared: a plain request, then nothing at all, then each declared input as nobody
//! expects it.

use std::sync::Arc;

use super::{
    tokens::{self, TOKEN},
    values,
};
use crate::{
    admission::cases::CASE_NOW,
    domain::{
        Attributes, Identity, Principal,
        decision::Kind,
        record::{Bytes, Field, Http, Inputs, Known, MayRead, Tcp},
    },
    plugin::{NamePattern, Plugin},
};

/// Inputs with what is odd about them.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    pub what: String,
    pub inputs: Inputs,
}

/// What a plugin declared, as far as trials are made of it.
struct Declared<'a> {
    kind: Kind,
    /// Names: of a prefix, one that begins with it.
    cookies: Vec<String>,
    headers: Vec<String>,
    query: Vec<String>,
    attributes: &'a [String],
    plugin: &'a Plugin,
}

/// Everything that a plugin is tried with.
pub fn trials(plugin: &Plugin) -> Vec<Trial> {
    let declared = Declared::by(plugin);
    let mut all = vec![Trial { what: "a plain request".into(), inputs: declared.plain() }];
    declared.add_absences(&mut all);
    declared.add_attributes(&mut all);
    if plugin.spec.kind != Kind::DiscoveryFilter {
        declared.add_fields(&mut all);
        declared.add_texts(&mut all);
        declared.add_connections(&mut all);
    }
    if plugin.spec.kind == Kind::Authenticator {
        declared.add_tokens(&mut all);
    }
    if plugin.spec.kind == Kind::RoutingPolicy {
        declared.add_identities(&mut all);
    }
    all
}

// === impl Declared ===

impl<'a> Declared<'a> {
    fn by(plugin: &'a Plugin) -> Self {
        let inputs = &plugin.declaration().inputs;
        let name = |pattern: &NamePattern| match pattern {
            NamePattern::Exact(name) => name.clone(),
            NamePattern::Prefix(prefix) => format!("{prefix}of-one"),
        };
        Self {
            kind: plugin.spec.kind,
            cookies: inputs.cookies.iter().map(name).collect(),
            headers: inputs.headers.iter().map(|name| name.as_str().to_owned()).collect(),
            query: inputs.query.clone(),
            attributes: &inputs.attributes,
            plugin,
        }
    }

    fn plain(&self) -> Inputs {
        let is_filter = self.kind == Kind::DiscoveryFilter;
        let principal = Principal { company: Some("c1".into()), role: Some("user".into()), ..principal("ada") };
        Inputs {
            kind: self.kind,
            now_ms: CASE_NOW,
            known: Known::Everything,
            http: (!is_filter).then(plain_http),
            tcp: None,
            session: Some(plain_session()),
            identity: (self.kind == Kind::RoutingPolicy).then(|| Identity::Principal(Arc::new(principal))),
            may_read_session: (self.kind == Kind::RoutingPolicy).then_some(MayRead::Yes),
            tokens: Vec::new(),
        }
    }

    fn with_http(&self, change: impl FnOnce(&mut Http)) -> Inputs {
        let mut inputs = self.plain();
        change(inputs.http.get_or_insert_default());
        inputs
    }

    fn add_absences(&self, all: &mut Vec<Trial>) {
        let mut add = |what: &str, inputs: Inputs| all.push(Trial { what: what.into(), inputs });
        add("no session", Inputs { session: None, ..self.plain() });
        add("a session without attributes", Inputs { session: Some(Attributes::default()), ..self.plain() });
        if self.kind != Kind::DiscoveryFilter {
            let bare = Inputs { session: None, identity: None, may_read_session: None, ..self.plain() };
            add("a request with nothing in it", Inputs { http: Some(Http::default()), ..bare.clone() });
            add("a connection with nothing known of it", Inputs { http: None, tcp: Some(Tcp::default()), ..bare });
        }
    }

    /// Tasks write most attributes themselves.
    fn add_attributes(&self, all: &mut Vec<Trial>) {
        for (what, text) in values::texts() {
            for name in self.attributes {
                let mut session = plain_session();
                session.set(name, [text.as_str()]);
                all.push(Trial {
                    what: format!("session {name}: {what}"),
                    inputs: Inputs { session: Some(session), ..self.plain() },
                });
            }
        }
        for name in self.attributes {
            let mut session = plain_session();
            session.set(name, (0..1_000).map(|number| format!("value-{number}")));
            all.push(Trial {
                what: format!("session {name}: 1,000 values"),
                inputs: Inputs { session: Some(session), ..self.plain() },
            });
        }
    }

    fn add_fields(&self, all: &mut Vec<Trial>) {
        let field = |name: &String, value: &[u8]| Field(name.clone(), Bytes(value.to_vec()));
        for (what, value) in values::bytes() {
            for name in &self.cookies {
                let inputs = self.with_http(|http| http.cookies.0.push(field(name, &value)));
                all.push(Trial { what: format!("cookie {name}: {what}"), inputs });
            }
            for name in &self.headers {
                let inputs = self.with_http(|http| http.headers.0.push(field(name, &value)));
                all.push(Trial { what: format!("header {name}: {what}"), inputs });
            }
            for name in &self.query {
                let inputs = self.with_http(|http| http.query.0.push(field(name, &value)));
                all.push(Trial { what: format!("query {name}: {what}"), inputs });
            }
        }
        for (what, value) in [("100 times each", &b"Bearer a.b.c"[..]), ("100 times each, empty", b"")] {
            let many = |names: &[String]| names.iter().flat_map(|name| vec![field(name, value); 100]).collect::<Vec<_>>();
            let inputs = self.with_http(|http| {
                http.cookies.0 = many(&self.cookies);
                http.headers.0 = many(&self.headers);
                http.query.0 = many(&self.query);
            });
            all.push(Trial { what: format!("cookies, headers and parameters {what}"), inputs });
        }
    }

    fn add_texts(&self, all: &mut Vec<Trial>) {
        let inputs = &self.plugin.declaration().inputs;
        type Put = fn(&mut Http, String);
        let parts: [(&str, bool, Put); 5] = [
            ("method", inputs.method, |http, text| http.method = Some(text)),
            ("authority", inputs.authority, |http, text| http.authority = Some(text)),
            ("path", inputs.path.is_some(), |http, text| http.path = Some(format!("/{text}"))),
            ("upgrade", inputs.upgrade, |http, text| http.upgrade = Some(text)),
            ("tls-name", inputs.tls_name, |http, text| http.tls_name = Some(text)),
        ];
        for (name, _, put) in parts.into_iter().filter(|(_, declared, _)| *declared) {
            for (what, text) in values::texts() {
                all.push(Trial { what: format!("{name}: {what}"), inputs: self.with_http(|http| put(http, text)) });
            }
        }
    }

    fn add_connections(&self, all: &mut Vec<Trial>) {
        let tcp = Tcp {
            tls_name: Some("gate.example".into()),
            client_address: Some([192, 0, 2, 1].into()),
            client_certificate: None,
            listener_port: Some(10_022),
        };
        let v6: std::net::IpAddr = [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into();
        let certificates = [Vec::new(), vec![0x30, 0x82, 0xff, 0xff, 0x30], vec![0x30; 20_000]];
        let certificates = certificates.into_iter().map(|der| Tcp { client_certificate: Some(Bytes(der)), ..tcp.clone() });
        let others = [tcp.clone(), Tcp { client_address: Some(v6), ..tcp.clone() }, Tcp { listener_port: Some(0), ..tcp.clone() }];
        for (number, tcp) in others.into_iter().chain(certificates).enumerate() {
            let http = Http {
                tls_name: tcp.tls_name.clone(),
                client_address: tcp.client_address,
                client_certificate: tcp.client_certificate.clone(),
                listener_port: tcp.listener_port,
                ..plain_http()
            };
            let what = if tcp.client_certificate.is_some() { "a certificate that is none" } else { "another address or port" };
            let plain = self.plain();
            let over_http = Inputs { http: Some(http), ..plain.clone() };
            all.push(Trial { what: format!("a request, {what} ({number})"), inputs: over_http });
            all.push(Trial {
                what: format!("a TCP connection, {what} ({number})"),
                inputs: Inputs { http: None, tcp: Some(tcp), ..plain },
            });
        }
    }

    /// The same token wherever a credential may stand, with all that the key sets may say of it.
    fn add_tokens(&self, all: &mut Vec<Trial>) {
        let declaration = self.plugin.declaration();
        let key_sets: Vec<&str> = declaration.verifications.iter().map(|(name, _)| name.as_str()).collect();
        let mut claims: Vec<_> = Vec::new();
        for path in declaration.verifications.iter().flat_map(|(_, requirements)| &requirements.claims) {
            if !claims.contains(&path) {
                claims.push(path);
            }
        }
        let field = |name: &String, value: String| Field(name.clone(), Bytes(value.into_bytes()));
        for (what, answer) in tokens::answers(&claims) {
            let inputs = Inputs {
                tokens: tokens::of_each(&key_sets, &answer),
                ..self.with_http(|http| {
                    http.cookies.0 = self.cookies.iter().map(|name| field(name, TOKEN.into())).collect();
                    http.headers.0 = self.headers.iter().map(|name| field(name, format!("Bearer {TOKEN}"))).collect();
                    http.query.0 = self.query.iter().map(|name| field(name, TOKEN.into())).collect();
                })
            };
            all.push(Trial { what: format!("a token: {what}"), inputs });
        }
    }

    /// What an authenticator may have said, within what the host lets through.
    fn add_identities(&self, all: &mut Vec<Trial>) {
        let mut claims = Attributes::default();
        (0..64).for_each(|number| claims.set(&format!("claim-{number}"), vec!["x".repeat(1_000); 4]));
        let people = [
            ("with a long id", principal(&"x".repeat(256))),
            (
                "with 256 groups",
                Principal { groups: (0..256).map(|number| format!("group-{number}")).collect(), ..principal("ada") },
            ),
            ("with many claims", Principal { claims, ..principal("ada") }),
            ("with empty names", Principal { name: Some(String::new()), role: Some(String::new()), ..principal("ada") }),
            ("who is the owner", principal("owner")),
            ("with another script", Principal { name: Some("\u{202e}\u{1f600}".into()), ..principal("\"'<>&;") }),
        ];
        let known = people.into_iter().map(|(what, person)| (what, Identity::Principal(Arc::new(person))));
        for (what, identity) in known.chain([("who isn't known", Identity::Anonymous)]) {
            for (fact, may_read) in
                [("may read", MayRead::Yes), ("may not read", MayRead::No), ("nobody knows", MayRead::Unavailable("down".into()))]
            {
                let inputs = Inputs { identity: Some(identity.clone()), may_read_session: Some(may_read), ..self.plain() };
                all.push(Trial { what: format!("somebody {what} ({fact})"), inputs });
            }
        }
    }
}

fn principal(id: &str) -> Principal {
    let claims = Attributes::default();
    Principal { id: id.into(), name: None, company: None, role: None, groups: Vec::new(), claims }
}

fn plain_http() -> Http {
    Http {
        method: Some("GET".into()),
        authority: Some("gate.example".into()),
        path: Some("/lab".into()),
        client_address: Some([192, 0, 2, 1].into()),
        listener_port: Some(443),
        ..Http::default()
    }
}

fn plain_session() -> Attributes {
    let mut session = Attributes::default();
    for (name, value) in [
        ("source", "file"),
        ("session.id", "s1"),
        ("session.name", "a notebook"),
        ("session.created", "1800000000000"),
        ("status", "running"),
        ("owner", "owner"),
        ("company", "c1"),
        ("project", "p1"),
        ("queue", "gpu"),
        ("tag", "one"),
        ("endpoint.name", ""),
        ("endpoint.protocol", "http"),
        ("endpoint.address", "192.0.2.7"),
        ("endpoint.port", "8888"),
        ("access", "company"),
    ] {
        session.set(name, [value]);
    }
    session
}
