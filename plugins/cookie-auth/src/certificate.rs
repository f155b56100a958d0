//! Who a client's certificate is for (RFC 5280). The host has verified it; here it's only read, and as little of it as
//! needed. Whatever isn't as expected names nobody.

use alloc::borrow::ToOwned;
use alloc::string::String;

/// Which of a certificate's names is the identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateName {
    /// The common name of the subject.
    CommonName,
    /// An address, name or URI among the alternative names.
    Email,
    DnsName,
    Uri,
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// UTF8String, PrintableString, IA5String.
const TEXTS: [u8; 3] = [0x0c, 0x13, 0x16];
/// 2.5.4.3 and 2.5.29.17.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

/// The contract's limit on an identity's name, in bytes.
const ID_MAX: usize = 256;

// === impl CertificateName ===

impl CertificateName {
    /// The name in a certificate in DER. None where it has none, or several: then it isn't said which one is meant.
    pub fn of(self, der: &[u8]) -> Option<String> {
        let (certificate, _) = expect(der, SEQUENCE)?;
        let (mut rest, _) = expect(certificate, SEQUENCE)?;
        if rest.first() == Some(&VERSION) {
            rest = expect(rest, VERSION)?.1;
        }
        // Serial number, algorithm, issuer, validity.
        for tag in [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE] {
            rest = expect(rest, tag)?.1;
        }
        let (subject, rest) = expect(rest, SEQUENCE)?;
        let name = match self {
            Self::CommonName => common_name(subject)?,
            Self::Email => alternative_name(rest, 0x81)?,
            Self::DnsName => alternative_name(rest, 0x82)?,
            Self::Uri => alternative_name(rest, 0x86)?,
        };
        let is_id = (1..=ID_MAX).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic);
        core::str::from_utf8(name).ok().filter(|_| is_id).map(ToOwned::to_owned)
    }
}

fn common_name(mut subject: &[u8]) -> Option<&[u8]> {
    let mut found = None;
    while !subject.is_empty() {
        let (mut set, rest) = expect(subject, SET)?;
        while !set.is_empty() {
            let (attribute, more) = expect(set, SEQUENCE)?;
            let (oid, value) = expect(attribute, OID)?;
            if oid == COMMON_NAME {
                let (tag, text, _) = element(value)?;
                if found.replace(text).is_some() || !TEXTS.contains(&tag) {
                    return None;
                }
            }
            set = more;
        }
        subject = rest;
    }
    found
}

/// `rest` begins behind the subject.
fn alternative_name(mut rest: &[u8], kind: u8) -> Option<&[u8]> {
    // The public key, and unique identifiers that nobody uses.
    while *rest.first()? != EXTENSIONS {
        rest = element(rest)?.2;
    }
    let (mut extensions, _) = expect(expect(rest, EXTENSIONS)?.0, SEQUENCE)?;
    while !extensions.is_empty() {
        let (extension, more) = expect(extensions, SEQUENCE)?;
        let (oid, mut value) = expect(extension, OID)?;
        if oid == ALTERNATIVE_NAMES {
            if value.first() != Some(&OCTET_STRING) {
                // Whether it's critical.
                value = element(value)?.2;
            }
            let (mut names, _) = expect(expect(value, OCTET_STRING)?.0, SEQUENCE)?;
            let mut found = None;
            while !names.is_empty() {
                let (tag, name, more) = element(names)?;
                if tag == kind && found.replace(name).is_some() {
                    return None;
                }
                names = more;
            }
            return found;
        }
        extensions = more;
    }
    None
}

/// The content of the first element, which must have this tag, and what follows it.
fn expect(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(der)?;
    (found == tag).then_some((content, rest))
}

/// Tag, content and what follows: lengths of up to three bytes, as the host takes no larger certificate.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x0f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Subject `O=Acme, CN=alice`; one address, two DNS names, one URI.
    const ONE: &[u8] = include_bytes!("certificate/one-name.der");
    /// Subject `CN=alice, CN=root`.
    const TWO: &[u8] = include_bytes!("certificate/two-names.der");

    #[test]
    fn the_one_name_of_a_kind_is_the_identity() {
        assert_eq!(CertificateName::CommonName.of(ONE).as_deref(), Some("alice"));
        assert_eq!(CertificateName::Email.of(ONE).as_deref(), Some("alice@example.org"));
        assert_eq!(CertificateName::Uri.of(ONE).as_deref(), Some("spiffe://acme/alice"));
    }

    #[test]
    fn several_names_or_none_are_nobody() {
        assert_eq!(CertificateName::DnsName.of(ONE), None, "two of them");
        assert_eq!(CertificateName::CommonName.of(TWO), None, "two of them");
        assert_eq!(CertificateName::Email.of(TWO), None);
    }

    #[test]
    fn whatever_is_cut_or_changed_never_panics() {
        for kind in [CertificateName::CommonName, CertificateName::Email, CertificateName::DnsName, CertificateName::Uri] {
            for length in 0..ONE.len() {
                kind.of(&ONE[..length]);
                for byte in [0x00, 0x30, 0x7f, 0x80, 0x84, 0xff] {
                    let mut changed = ONE.to_vec();
                    changed[length] = byte;
                    kind.of(&changed);
                }
            }
        }
    }
}
