//! What every published endpoint must look like.

use wicketgate_plugin::{Attributes, Reason};

/// The attributes that are looked at here.
pub const ATTRIBUTES: [&str; 6] =
    ["status", "session.id", "endpoint.name", "endpoint.protocol", "endpoint.address", "endpoint.port"];

const SESSION_ID_MAX: usize = 128;
/// As long as a label of a host name may be (RFC 1035, section 2.3.4), because a name becomes one.
const ENDPOINT_NAME_MAX: usize = 63;
const PORT_DIGITS_MAX: usize = 5;

/// # Errors
/// The reason for which the candidate is dropped.
pub fn check(attributes: &Attributes) -> Result<(), Reason> {
    if attributes.all("status") != ["running"] {
        return Err(Reason::new("not-running"));
    }
    let id = one(attributes, "session.id").unwrap_or_default();
    if id.is_empty() || !is_name(id, SESSION_ID_MAX) {
        return Err(Reason::new("bad-session-id"));
    }
    // Absent or empty: the session's default endpoint.
    if !attributes.all("endpoint.name").is_empty()
        && !one(attributes, "endpoint.name").is_some_and(|name| is_name(name, ENDPOINT_NAME_MAX))
    {
        return Err(Reason::new("bad-endpoint-name"));
    }
    if !matches!(one(attributes, "endpoint.protocol"), Some("http" | "tcp")) {
        return Err(Reason::new("bad-protocol"));
    }
    // What the address may be is the host's to judge: it knows the networks.
    if one(attributes, "endpoint.address").is_none_or(str::is_empty) {
        return Err(Reason::new("no-address"));
    }
    if !one(attributes, "endpoint.port").is_some_and(is_port) {
        return Err(Reason::new("bad-port"));
    }
    Ok(())
}

/// The value of an attribute that must have exactly one.
fn one<'a>(attributes: &'a Attributes, name: &str) -> Option<&'a str> {
    match attributes.all(name) {
        [value] => Some(value),
        _ => None,
    }
}

fn is_name(text: &str, max: usize) -> bool {
    text.len() <= max && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// 1 to 65535 in decimal, in its one form: no sign, no blank, no leading zero.
fn is_port(text: &str) -> bool {
    text.len() <= PORT_DIGITS_MAX
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && !text.starts_with('0')
        && text.parse::<u16>().is_ok()
}
