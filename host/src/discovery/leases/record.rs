//! What stands in a session about its lease, so that a restarted gateway and its replicas find it. The session's owner can write
//! there, too: a record counts only with a MAC over everything in it and over whose it is. One that was made up, copied from
//! another session or written by another gateway is no claim.

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::domain::{EndpointId, Timestamp};

/// Writes and reads the records of one gateway.
pub struct Records {
    gateway: String,
    key: hmac::Key,
}

/// One lease, with the address that the session declared: the one in its place is overwritten when the lease is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub port: u16,
    pub since: Timestamp,
    pub host: String,
    pub upstream_port: u16,
}

/// What a text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    Ours(Record),
    /// A gateway of this name says so; nothing else of it is believed.
    Anothers(String),
    Nothing,
}

const VERSION: &str = "v1";

// === impl Records ===

impl Records {
    /// `secret` is the same for all replicas and across restarts.
    pub fn new(gateway: &str, secret: &[u8]) -> Self {
        // A key of its own, so that a record is never taken for something else that the secret signs.
        let purpose = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), b"wicketgate: records of leases");
        Self { gateway: gateway.to_owned(), key: hmac::Key::new(hmac::HMAC_SHA256, purpose.as_ref()) }
    }

    /// `v1 <gateway> <port> <since, ms> <declared host> <declared port> <MAC>`.
    pub fn write(&self, id: &EndpointId, record: &Record) -> String {
        let mut text =
            format!("{VERSION} {} {} {} {} {} ", self.gateway, record.port, record.since.0, record.host, record.upstream_port);
        let mac = hmac::sign(&self.key, &self.signed(id, record));
        // Writing to a String can't fail.
        let _ = write!(text, "{}", URL_SAFE_NO_PAD.encode(mac));
        text
    }

    pub fn read(&self, id: &EndpointId, text: &str) -> Read {
        let parts: Vec<&str> = text.split(' ').collect();
        let [VERSION, gateway, port, since, host, upstream_port, mac] = parts[..] else { return Read::Nothing };
        if gateway != self.gateway {
            let is_name = (1..=63).contains(&gateway.len()) && gateway.bytes().all(|byte| byte.is_ascii_graphic());
            return if is_name { Read::Anothers(gateway.to_owned()) } else { Read::Nothing };
        }
        let record = || {
            let (port, upstream_port) = (port.parse().ok()?, upstream_port.parse().ok()?);
            Some(Record { port, since: Timestamp(since.parse().ok()?), host: host.to_owned(), upstream_port })
        };
        let (Some(record), Ok(mac)) = (record(), URL_SAFE_NO_PAD.decode(mac)) else { return Read::Nothing };
        match hmac::verify(&self.key, &self.signed(id, &record), &mac) {
            Ok(()) => Read::Ours(record),
            Err(_) => Read::Nothing,
        }
    }

    /// Each part with its length in front: no two records have the same bytes.
    fn signed(&self, id: &EndpointId, record: &Record) -> Vec<u8> {
        let numbers = [record.port.to_string(), record.since.0.to_string(), record.upstream_port.to_string()];
        let texts = [VERSION, &self.gateway, id.session.as_str(), id.name.as_str(), &record.host];
        let mut bytes = Vec::new();
        for part in texts.into_iter().chain(numbers.iter().map(String::as_str)) {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{EndpointName, SessionId};

    fn id(session: &str, name: &str) -> EndpointId {
        EndpointId { session: SessionId::parse(session).unwrap(), name: EndpointName::parse(name).unwrap() }
    }

    fn record() -> Record {
        Record { port: 30_001, since: Timestamp(7), host: "10.0.0.7".into(), upstream_port: 22 }
    }

    #[test]
    fn a_record_is_read_by_the_gateway_that_wrote_it() {
        let records = Records::new("gate", b"secret");
        let text = records.write(&id("s1", "ssh"), &record());
        assert_eq!(Records::new("gate", b"secret").read(&id("s1", "ssh"), &text), Read::Ours(record()));
    }

    #[test]
    fn a_forged_copied_or_foreign_record_is_no_claim() {
        let records = Records::new("gate", b"secret");
        let text = records.write(&id("s1", "ssh"), &record());
        assert_eq!(records.read(&id("s2", "ssh"), &text), Read::Nothing, "copied to another session");
        assert_eq!(records.read(&id("s1", "db"), &text), Read::Nothing, "copied to another endpoint");
        assert_eq!(Records::new("gate", b"other").read(&id("s1", "ssh"), &text), Read::Nothing, "another secret");
        assert_eq!(Records::new("gate2", b"secret").read(&id("s1", "ssh"), &text), Read::Anothers("gate".into()));
        for (from, to) in [("30001", "30002"), (" 7 ", " 8 "), ("10.0.0.7", "10.0.0.8"), (" 22 ", " 23 ")] {
            assert_ne!(text.replacen(from, to, 1), text);
            assert_eq!(records.read(&id("s1", "ssh"), &text.replacen(from, to, 1)), Read::Nothing, "{from} became {to}");
        }
        for nonsense in ["", "v1", "v2 gate 1 2 h 3 x", "v1 gate 1 2 h 3 ", "v1 gate 99999 7 h 3 AAAA", &"v1 ".repeat(9_000)] {
            assert_eq!(records.read(&id("s1", "ssh"), nonsense), Read::Nothing);
        }
    }
}
