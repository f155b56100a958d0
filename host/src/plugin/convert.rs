//! Between the contract's types and the host's. Whatever a guest answers is checked here: what breaks the contract is a fault,
//! never half a decision.

use std::{collections::HashSet, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue};

use super::{
    bindings::v0_1::{authentication, discovery, routing, types},
    facts::Answer,
    inputs::{Gathered, Inputs, NamePattern, PathExtent},
};
use crate::domain::{
    Attributes, EndpointName, Identity, Principal, Timestamp, UpstreamPath,
    decision::{Challenge, Forwarding, HeaderEdit, Keeping, Lifetime, Limits, Reason, Routing, Verdict},
};

/// Hosts that a decision may send people to, besides this gateway's own paths.
#[derive(Clone, Debug, Default)]
pub struct KnownHosts {
    /// Lower case, without port.
    pub names: HashSet<String>,
    /// `.example.org` for every host below it.
    pub suffix: Option<String>,
}

/// An answer that breaks the contract: what and how.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("{what}: found {found}, expected {expected}")]
pub struct BadAnswer {
    what: &'static str,
    found: String,
    expected: &'static str,
}

type Checked<T> = Result<T, BadAnswer>;

const REASON_DETAIL_BYTES: usize = 1024;
const MOST_GROUPS: usize = 256;
const MOST_CLAIMS: usize = 64;
const MOST_EDITS: usize = 64;
const MOST_LABELS: usize = 32;
const TEXT_BYTES: usize = 1024;

/// Set by the gateway or by the protocol: a policy that could change these could forge an identity or break framing.
const UNTOUCHABLE: [&str; 14] = [
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
];

fn bad(what: &'static str, found: impl Into<String>, expected: &'static str) -> BadAnswer {
    let found: String = found.into().chars().take(80).flat_map(char::escape_debug).collect();
    BadAnswer { what, found, expected }
}

// === declaration ===

/// Parses what a plugin declares to read.
pub fn inputs(declared: Vec<types::Input>, kind_sees_identity: bool) -> Checked<Inputs> {
    if declared.len() > 64 {
        return Err(bad("declaration.inputs", format!("{} inputs", declared.len()), "at most 64"));
    }
    let mut inputs = Inputs::default();
    for input in declared {
        declare(&mut inputs, input, kind_sees_identity)?;
    }
    Ok(inputs)
}

fn declare(inputs: &mut Inputs, input: types::Input, kind_sees_identity: bool) -> Checked<()> {
    use types::Input;
    let credential = |named: &types::NamedInput| named.sensitivity == types::Sensitivity::Credential;
    match input {
        Input::Cookie(named) | Input::CookiePrefix(named) if named.name.is_empty() => {
            return Err(bad("declaration.inputs.cookie", "an empty name", "a name"));
        }
        Input::Cookie(named) => {
            let is_credential = credential(&named);
            let pattern = NamePattern::Exact(named.name);
            inputs.credentials.cookies.extend(is_credential.then(|| pattern.clone()));
            inputs.cookies.push(pattern);
        }
        Input::CookiePrefix(named) => {
            let is_credential = credential(&named);
            let pattern = NamePattern::Prefix(named.name);
            inputs.credentials.cookies.extend(is_credential.then(|| pattern.clone()));
            inputs.cookies.push(pattern);
        }
        Input::Header(named) => {
            let is_credential = credential(&named);
            let name: HeaderName =
                named.name.parse().map_err(|_| bad("declaration.inputs.header", &named.name, "a header name"))?;
            if name == http::header::COOKIE {
                return Err(bad("declaration.inputs.header", "cookie", "cookies declared by their names"));
            }
            inputs.credentials.headers.extend(is_credential.then(|| name.clone()));
            inputs.headers.push(name);
        }
        Input::QueryParameter(named) => {
            inputs.credentials.query.extend(credential(&named).then(|| named.name.clone()));
            inputs.query.push(named.name);
        }
        Input::Method => inputs.method = true,
        Input::Authority => inputs.authority = true,
        Input::Path(types::PathExtent::Full) => inputs.path = Some(PathExtent::Full),
        Input::Path(types::PathExtent::Segments(count)) => inputs.path = Some(PathExtent::Segments(count)),
        Input::Upgrade => inputs.upgrade = true,
        Input::TlsName => inputs.tls_name = true,
        Input::ClientAddress => inputs.client_address = true,
        Input::ClientCertificate => inputs.client_certificate = true,
        Input::ListenerPort => inputs.listener_port = true,
        Input::Identity if !kind_sees_identity => {
            return Err(bad("declaration.inputs", "identity", "an input of this kind: only routing policies see identities"));
        }
        Input::Identity => inputs.identity = true,
        Input::SessionAttribute(name) => inputs.attributes.push(name),
    }
    Ok(())
}

// === towards the guest ===

fn fields(values: &[(&str, &[u8])]) -> Vec<types::Field> {
    values.iter().map(|(name, value)| types::Field { name: (*name).to_owned(), value: value.to_vec() }).collect()
}

/// The gathered inputs as the contract has them.
pub fn subject(gathered: &Gathered<'_>) -> types::Subject {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let client_address = gathered.client_address.map(|address| address.to_canonical().to_string());
    let client_certificate = gathered.client_certificate.map(<[u8]>::to_vec);
    if gathered.is_tcp {
        return types::Subject::Tcp(types::TcpConnection {
            listener_port: gathered.listener_port,
            client_address,
            tls_name: owned(gathered.tls_name),
            client_certificate,
        });
    }
    types::Subject::Http(types::HttpRequest {
        method: owned(gathered.method),
        authority: owned(gathered.authority),
        path: owned(gathered.path),
        upgrade: owned(gathered.upgrade),
        tls_name: owned(gathered.tls_name),
        client_address,
        client_certificate,
        listener_port: gathered.listener_port,
        cookies: fields(&gathered.cookies),
        headers: fields(&gathered.headers),
        query: gathered.query.iter().map(|(name, value)| types::Field { name: (*name).to_owned(), value: value.clone() }).collect(),
    })
}

/// The declared attributes that are there.
pub fn attributes(attributes: &Attributes, declared: &[String]) -> Vec<types::Attribute> {
    let owned = |name: &String| {
        let values: Vec<String> = attributes.values(name).iter().map(|value| value.to_string()).collect();
        (!values.is_empty()).then(|| types::Attribute { name: name.clone(), values })
    };
    declared.iter().filter_map(owned).collect()
}

pub fn identity(identity: &Identity) -> types::Identity {
    let Identity::Principal(principal) = identity else { return types::Identity::Anonymous };
    let claim = |(name, values): (&str, &[Arc<str>])| types::Attribute {
        name: name.to_owned(),
        values: values.iter().map(|value| value.to_string()).collect(),
    };
    types::Identity::Principal(types::Principal {
        id: principal.id.clone(),
        name: principal.name.clone(),
        company: principal.company.clone(),
        role: principal.role.clone(),
        groups: principal.groups.clone(),
        claims: principal.claims.iter().map(claim).collect(),
    })
}

pub fn fact_answer(answer: &Answer<bool>) -> types::FactAnswer {
    match &answer.value {
        Ok(true) => types::FactAnswer::Yes,
        Ok(false) => types::FactAnswer::No,
        Err(why) => types::FactAnswer::Unavailable(why.clone()),
    }
}

// === from the guest ===

pub fn reason(reason: types::Reason) -> Checked<Reason> {
    let code = reason.code;
    let kebab = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(1..=64).contains(&code.len()) || !code.bytes().all(kebab) {
        return Err(bad("reason.code", code, "1 to 64 of a-z, 0-9 and -"));
    }
    let detail = reason.detail.map(|text| clip(text, REASON_DETAIL_BYTES).into());
    Ok(Reason { code: code.into(), detail })
}

pub fn lifetime(lifetime: types::Lifetime, now: Timestamp) -> Checked<Lifetime> {
    let valid_until = lifetime.valid_until.map(Timestamp);
    if valid_until.is_some_and(|until| until <= now) {
        return Err(bad("lifetime.valid-until", "an instant in the past", "one in the future, or none"));
    }
    Ok(Lifetime { valid_until, recheck_after: lifetime.recheck_after_s.map(|s| Duration::from_secs(s.into())) })
}

pub fn principal(principal: types::Principal) -> Checked<Principal> {
    let id = principal.id;
    if !(1..=256).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad("principal.id", id, "1 to 256 visible ASCII characters"));
    }
    if principal.groups.len() > MOST_GROUPS || principal.claims.len() > MOST_CLAIMS {
        return Err(bad("principal", "too many groups or claims", "at most 256 groups and 64 claims"));
    }
    Ok(Principal {
        id,
        name: text("principal.name", principal.name)?,
        company: text("principal.company", principal.company)?,
        role: text("principal.role", principal.role)?,
        groups: principal.groups.into_iter().map(|group| line("principal.groups", group)).collect::<Checked<_>>()?,
        claims: collect_attributes(principal.claims, "")?,
    })
}

pub fn challenge(challenge: authentication::Challenge, hosts: &KnownHosts) -> Checked<Challenge> {
    if challenge.schemes.len() > 8 {
        return Err(bad("challenge.schemes", format!("{} schemes", challenge.schemes.len()), "at most 8"));
    }
    let scheme = |text: String| match HeaderValue::from_str(&text) {
        Ok(value) if (1..=TEXT_BYTES).contains(&text.len()) => Ok(value),
        _ => Err(bad("challenge.schemes", text, "a value of WWW-Authenticate of at most 1024 bytes")),
    };
    let mut schemes = challenge.schemes.into_iter().map(scheme).collect::<Checked<Vec<_>>>()?;
    if schemes.is_empty() {
        schemes.push(HeaderValue::from_static("Bearer"));
    }
    let login = match challenge.login {
        Some(url) if !hosts.know(&url) => {
            return Err(bad("challenge.login", url, "an http(s) URL on a host that the gateway knows (public_url, login.hosts)"));
        }
        login => login.map(Into::into),
    };
    Ok(Challenge { reason: reason(challenge.reason)?, login, schemes })
}

/// None is an abstention.
pub fn routing(decision: routing::Decision, now: Timestamp, hosts: &KnownHosts) -> Checked<(Option<Routing>, Lifetime)> {
    let routing = match decision {
        routing::Decision::Abstain(_) => return Ok((None, Lifetime::default())),
        routing::Decision::Unauthenticated(why) => (Routing::Unauthenticated(reason(why)?), Lifetime::default()),
        routing::Decision::Reject(rejection) => {
            let message = text("rejection.message", rejection.message)?.map(Into::into);
            (Routing::Reject { reason: reason(rejection.reason)?, message }, lifetime(rejection.lifetime, now)?)
        }
        routing::Decision::Redirect(redirection) => {
            let expected = "a path of this gateway, or an http(s) URL on a host that the gateway knows";
            let location = redirection.location;
            let is_visible = location.bytes().all(|byte| byte.is_ascii_graphic());
            let own_path = is_visible && location.starts_with('/') && !location.starts_with("//") && !location.contains('\\');
            let header = HeaderValue::from_str(&location).ok().filter(|_| own_path || hosts.know(&location));
            let location = header.ok_or_else(|| bad("redirection.location", location, expected))?;
            (Routing::Redirect { reason: reason(redirection.reason)?, location }, lifetime(redirection.lifetime, now)?)
        }
        routing::Decision::Forward(forwarding) => {
            let lifetime = lifetime(forwarding.lifetime, now)?;
            (Routing::Forward(Arc::new(self::forwarding(forwarding)?)), lifetime)
        }
    };
    Ok((Some(routing.0), routing.1))
}

fn forwarding(forwarding: routing::Forwarding) -> Checked<Forwarding> {
    let endpoint = forwarding.endpoint.map(|name| {
        EndpointName::parse(&name).ok_or_else(|| bad("forwarding.endpoint", name, "an endpoint's name, or empty for the default"))
    });
    let limits = forwarding.limits.map_or(Limits::default(), |limits| Limits {
        request_body_bytes: limits.request_body_bytes,
        response_timeout: limits.response_timeout_ms.map(|ms| Duration::from_millis(ms.into())),
    });
    Ok(Forwarding {
        reason: reason(forwarding.reason)?,
        endpoint: endpoint.transpose()?,
        request_headers: edits(forwarding.request_headers)?,
        response_headers: edits(forwarding.response_headers)?,
        limits,
    })
}

fn edits(edits: Vec<routing::HeaderEdit>) -> Checked<Vec<HeaderEdit>> {
    if edits.len() > MOST_EDITS {
        return Err(bad("forwarding.headers", format!("{} edits", edits.len()), "at most 64"));
    }
    edits.into_iter().map(edit).collect()
}

fn edit(edit: routing::HeaderEdit) -> Checked<HeaderEdit> {
    let name = |name: String| match name.parse::<HeaderName>() {
        Ok(parsed) if !is_untouchable(parsed.as_str()) => Ok(parsed),
        _ => Err(bad("forwarding.headers", name, "a header that isn't of framing, connection, forwarding or identity")),
    };
    let value = |value: Vec<u8>| {
        HeaderValue::from_bytes(&value)
            .map_err(|_| bad("forwarding.headers", String::from_utf8_lossy(&value), "bytes that a header value may hold"))
    };
    Ok(match edit {
        routing::HeaderEdit::Set(field) => HeaderEdit::Set(name(field.name)?, value(field.value)?),
        routing::HeaderEdit::Append(field) => HeaderEdit::Append(name(field.name)?, value(field.value)?),
        routing::HeaderEdit::Remove(field) => HeaderEdit::Remove(name(field)?),
    })
}

fn is_untouchable(name: &str) -> bool {
    UNTOUCHABLE.contains(&name) || name.starts_with("x-forwarded-") || name.starts_with("x-wicketgate-")
}

pub fn verdict(verdict: discovery::Verdict) -> Checked<Verdict> {
    let keeping = match verdict {
        discovery::Verdict::Drop(why) => return Ok(Verdict::Drop(reason(why)?)),
        discovery::Verdict::Keep(keeping) => keeping,
    };
    if keeping.labels.len() > MOST_LABELS {
        return Err(bad("keeping.labels", format!("{} labels", keeping.labels.len()), "at most 32"));
    }
    Ok(Verdict::Keep(Keeping {
        reason: reason(keeping.reason)?,
        name: text("keeping.name", keeping.name)?,
        access: text("keeping.access", keeping.access)?,
        upstream_path: keeping.upstream_path.map(|path| match path {
            discovery::UpstreamPath::Strip => UpstreamPath::Strip,
            discovery::UpstreamPath::Keep => UpstreamPath::Keep,
        }),
        labels: collect_attributes(keeping.labels, "label.")?,
    }))
}

fn collect_attributes(attributes: Vec<types::Attribute>, prefix: &str) -> Checked<Attributes> {
    let mut collected = Attributes::default();
    for attribute in attributes {
        let name = line("attribute name", attribute.name)?;
        let values = attribute.values.into_iter().map(|value| line("attribute value", value)).collect::<Checked<Vec<_>>>()?;
        let name = if name.starts_with(prefix) { name } else { format!("{prefix}{name}") };
        collected.set(&name, values);
    }
    Ok(collected)
}

fn text(what: &'static str, value: Option<String>) -> Checked<Option<String>> {
    value.map(|value| line(what, value)).transpose()
}

/// One line of text: these end up in headers, logs and pages.
fn line(what: &'static str, value: String) -> Checked<String> {
    if value.len() > TEXT_BYTES || value.chars().any(char::is_control) {
        return Err(bad(what, value, "at most 1024 bytes without control characters"));
    }
    Ok(value)
}

fn clip(mut text: String, bytes: usize) -> String {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

// === impl KnownHosts ===

impl KnownHosts {
    fn know(&self, location: &str) -> bool {
        let Ok(url) = url::Url::parse(location) else { return false };
        let known = |host: &str| self.names.contains(host) || self.suffix.as_ref().is_some_and(|suffix| host.ends_with(suffix));
        matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.host_str().is_some_and(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_on_other_hosts_are_refused() {
        let hosts = KnownHosts { names: ["app.example".into()].into(), suffix: Some(".gate.example".into()) };
        for known in ["https://app.example/login", "http://s1.gate.example/"] {
            assert!(hosts.know(known), "{known}");
        }
        for strange in [
            "//app.example",
            "javascript:alert(1)",
            "https://app.example@evil.example/",
            "https://xgate.example/",
            "ftp://app.example/",
        ] {
            assert!(!hosts.know(strange), "{strange}");
        }
    }

    #[test]
    fn a_policy_cannot_touch_identity_or_framing() {
        for name in ["Host", "transfer-encoding", "X-Wicketgate-User", "x-forwarded-for", "bad name", "connection"] {
            assert!(edit(routing::HeaderEdit::Remove(name.into())).is_err(), "{name}");
        }
        assert!(edit(routing::HeaderEdit::Remove("x-frame-options".into())).is_ok());
        let split = types::Field { name: "x-a".into(), value: b"1\r\nx-b: 2".to_vec() };
        assert!(edit(routing::HeaderEdit::Set(split)).is_err());
    }

    #[test]
    fn answers_that_break_the_contract_say_what_was_expected() {
        let error = reason(types::Reason { code: "Not Kebab".into(), detail: None }).unwrap_err();
        assert_eq!(error.to_string(), "reason.code: found Not Kebab, expected 1 to 64 of a-z, 0-9 and -");
        let id = types::Principal { id: "a b".into(), name: None, company: None, role: None, groups: vec![], claims: vec![] };
        assert!(principal(id).is_err());
        let past = types::Lifetime { valid_until: Some(1), recheck_after_s: None };
        assert!(lifetime(past, Timestamp(2)).is_err());
    }
}
