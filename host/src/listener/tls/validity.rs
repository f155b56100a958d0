//! From when until when a certificate is valid: the library that verifies certificates doesn't say it. Reads only as far into
//! the DER as that stands (RFC 5280, section 4.1) and believes nothing about what it reads.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Both ends included, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub not_before_s: i64,
    pub not_after_s: i64,
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

// === impl Validity ===

impl Validity {
    /// None when the DER isn't a certificate's.
    pub fn of(der: &[u8]) -> Option<Self> {
        let mut certificate = Der(Der(der).value(SEQUENCE)?);
        let mut signed = Der(certificate.value(SEQUENCE)?);
        if signed.0.first() == Some(&VERSION) {
            signed.value(VERSION)?;
        }
        for before in [INTEGER, SEQUENCE, SEQUENCE] {
            signed.value(before)?;
        }
        let mut validity = Der(signed.value(SEQUENCE)?);
        Some(Self { not_before_s: validity.time()?, not_after_s: validity.time()? })
    }

    /// What to say of a certificate that clients won't take now.
    pub fn warning(&self, now: SystemTime) -> Option<String> {
        let now = now.duration_since(UNIX_EPOCH).as_ref().map(Duration::as_secs).unwrap_or_default();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let days = |seconds: i64| seconds / 86_400;
        if now > self.not_after_s {
            Some(format!(
                "found a certificate that expired {} days ago; it's served, and clients refuse it",
                days(now - self.not_after_s)
            ))
        } else if now < self.not_before_s {
            Some(format!(
                "found a certificate that is valid in {} days only; it's served, and clients refuse it until then",
                days(self.not_before_s - now)
            ))
        } else {
            None
        }
    }
}

/// What is left to read.
struct Der<'a>(&'a [u8]);

// === impl Der ===

impl<'a> Der<'a> {
    /// The next value, which must be of this kind.
    fn value(&mut self, kind: u8) -> Option<&'a [u8]> {
        let (found, value) = self.next()?;
        (found == kind).then_some(value)
    }

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&kind, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((kind, value))
    }

    /// `YYMMDDHHMMSSZ` with years from 1950 on, or `YYYYMMDDHHMMSSZ`.
    fn time(&mut self) -> Option<i64> {
        let (kind, text) = self.next()?;
        let digits = text.strip_suffix(b"Z")?;
        let (year, rest) = match (kind, digits.len()) {
            (UTC_TIME, 12) => {
                let year = number(&digits[..2])?;
                (if year < 50 { 2000 + year } else { 1900 + year }, &digits[2..])
            }
            (GENERALIZED_TIME, 14) => (number(&digits[..4])?, &digits[4..]),
            _ => return None,
        };
        let part = |at: usize| number(&rest[at..at + 2]);
        let (month, day, hour, minute, second) = (part(0)?, part(2)?, part(4)?, part(6)?, part(8)?);
        let is_time = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
        is_time.then(|| days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
}

/// In the Gregorian calendar, with years that begin in March, so that the leap day comes last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let leap_days = year / 4 - year / 100 + year / 400;
    let month_from_march = (month + 9) % 12;
    365 * year + leap_days + (153 * month_from_march + 2) / 5 + day - 719_469
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (date, days) in
            [((1970, 1, 1), 0), ((1970, 3, 1), 59), ((2000, 2, 29), 11_016), ((2000, 3, 1), 11_017), ((2049, 12, 31), 29_219)]
        {
            assert_eq!(days_since_1970(date.0, date.1, date.2), days, "{date:?}");
        }
    }

    #[test]
    fn nothing_but_a_certificate_has_a_validity() {
        for bad in [&b""[..], b"0", b"\x30\x80", b"\x30\x03\x30\x01\xa0", b"\x30\x84\xff\xff\xff\xff", &[0x30; 64]] {
            assert_eq!(Validity::of(bad), None, "{bad:?}");
        }
    }
}
