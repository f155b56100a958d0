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

#[cfg(test)]
mod tests {
    use super::*;

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
