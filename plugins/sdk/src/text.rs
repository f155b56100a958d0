//! Texts from parts and numbers. What the standard library has for this brings its formatting along, which is more code than a
//! small plugin has of its own.

use crate::prelude::*;

/// The parts, one behind the other.
#[inline(never)]
pub fn concatenated(parts: &[&str]) -> String {
    let mut text = String::with_capacity(parts.iter().map(|part| part.len()).sum());
    for part in parts {
        text.push_str(part);
    }
    text
}

/// A number in decimal.
#[inline(never)]
pub fn decimal(number: u64) -> String {
    let mut rest = number;
    let mut digits = Vec::new();
    loop {
        digits.push(b'0' + (rest % 10) as u8);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    digits.iter().rev().map(|digit| char::from(*digit)).collect()
}

/// A number in decimal, with its sign.
pub fn signed_decimal(number: i64) -> String {
    let sign = if number < 0 { "-" } else { "" };
    concatenated(&[sign, &decimal(number.unsigned_abs())])
}

/// What a text of an answer may have, in bytes.
const LINE_MAX: usize = 1024;

/// Whether a text may stand in an answer: in an identity, a label, an access. The host takes one line of at most 1,024 bytes.
pub fn is_line(text: &str) -> bool {
    text.len() <= LINE_MAX && !has_control(text)
}

/// Whether a text has a control character, those of Unicode included: `U+0080` to `U+009F` are 0xC2 and a byte below 0xA0. By bytes,
/// because taking the characters apart was a third of a call.
fn has_control(text: &str) -> bool {
    let mut before = 0;
    text.bytes().any(|byte| {
        let found = byte.is_ascii_control() || (before == 0xc2 && byte < 0xa0);
        before = byte;
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_no_control_character_of_unicode() {
        for character in char::MIN..=char::MAX {
            let text: String = ['\u{c2}', 'a', character, 'a'].iter().collect();
            assert_eq!(is_line(&text), !character.is_control(), "{character:?}");
        }
        assert!(is_line(&"a".repeat(1024)) && !is_line(&"a".repeat(1025)));
    }

    #[test]
    fn numbers_are_as_the_standard_library_writes_them() {
        for number in [0, 7, 10, 65_535, u64::MAX] {
            assert_eq!(decimal(number), number.to_string());
        }
        for number in [0, -1, 42, i64::MIN, i64::MAX] {
            assert_eq!(signed_decimal(number), number.to_string());
        }
    }
}
