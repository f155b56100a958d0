//! A declared host as text, read as the operating system's `inet_aton` and resolver would read it, or refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Refusal;

/// What the text of a host means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    Address(IpAddr),
    /// Lower case, without a dot at the end.
    Name(String),
}

/// RFC 1035, section 2.3.4.
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// Reads a host without a port, scheme, user or zone.
pub fn parse(text: &str) -> Result<Host, Refusal> {
    if text.is_empty() {
        return Err(Refusal::Malformed("empty"));
    }
    if text.len() > LONGEST_NAME + 1 {
        return Err(Refusal::Malformed("too long"));
    }
    // Digits and dots of other scripts become ASCII in some resolvers: nothing but ASCII is a host here.
    if !text.is_ascii() {
        return Err(Refusal::Malformed("characters beyond ASCII"));
    }
    if text.contains(':') {
        return six(text).map(|address| Host::Address(address.into()));
    }
    let bare = text.strip_suffix('.').unwrap_or(text);
    if numeric(bare) {
        return four(bare).map(|address| Host::Address(address.into())).ok_or(Refusal::Malformed("a malformed IPv4 address"));
    }
    name(bare)
}

/// Whether somebody could take it for an IPv4 address: no top-level domain begins with a digit, only a bare host name may.
fn numeric(text: &str) -> bool {
    let (dotted, last) = text.rsplit_once('.').map_or((false, text), |(_, last)| (true, last));
    let begins = last.starts_with(|first: char| first.is_ascii_digit());
    let hex = last.get(..2).is_some_and(|prefix| prefix.eq_ignore_ascii_case("0x"));
    begins && (dotted || hex || last.bytes().all(|byte| byte.is_ascii_digit()))
}

fn six(text: &str) -> Result<Ipv6Addr, Refusal> {
    let inner = match (text.strip_prefix('['), text.ends_with(']')) {
        (Some(rest), true) => &rest[..rest.len() - 1],
        (None, false) => text,
        _ => return Err(Refusal::Malformed("a bracket without its other half")),
    };
    if inner.contains('%') {
        return Err(Refusal::Malformed("an IPv6 zone"));
    }
    inner.parse().map_err(|_| Refusal::Malformed("a colon, but not an IPv6 address"))
}

/// One to four parts, each decimal, octal (`0…`) or hexadecimal (`0x…`); the last one fills the bytes that are left.
fn four(text: &str) -> Option<Ipv4Addr> {
    let parts = text.split('.').map(part).collect::<Option<Vec<u32>>>()?;
    let (last, first) = parts.split_last()?;
    if first.len() > 3 || first.iter().any(|byte| *byte > 255) {
        return None;
    }
    let free = 8 * (4 - first.len());
    if u64::from(*last) >= 1u64 << free {
        return None;
    }
    let high = first.iter().fold(0u64, |address, byte| address << 8 | u64::from(*byte));
    u32::try_from(high << free | u64::from(*last)).ok().map(Ipv4Addr::from)
}

fn part(text: &str) -> Option<u32> {
    let lower = text.to_ascii_lowercase();
    let (digits, radix) = match lower.strip_prefix("0x") {
        // `inet_aton` takes a bare `0x` for zero.
        Some("") => return Some(0),
        Some(digits) => (digits, 16),
        None if lower.len() > 1 && lower.starts_with('0') => (&lower[1..], 8),
        None => (lower.as_str(), 10),
    };
    // `from_str_radix` takes a sign.
    digits.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| u32::from_str_radix(digits, radix).ok())?
}

fn name(text: &str) -> Result<Host, Refusal> {
    let well_formed = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if text.len() > LONGEST_NAME || !text.split('.').all(well_formed) {
        return Err(Refusal::Malformed("not a DNS name"));
    }
    let name = text.to_ascii_lowercase();
    // RFC 6761, section 6.3: whatever a resolver would say.
    if name == "localhost" || name.ends_with(".localhost") {
        return Ok(Host::Address(Ipv4Addr::LOCALHOST.into()));
    }
    Ok(Host::Name(name))
}
