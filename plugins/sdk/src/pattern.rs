//! Names with wildcards, for configurations.

use crate::prelude::*;

/// A name in which `*` stands for any text, also none: `team-*`, `*-prod`, `*`. Everything else is compared byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    pub fn matches(&self, text: &str) -> bool {
        Self::text_matches(&self.0, text)
    }

    /// The same for a pattern that is kept as text. In time of at most pattern × text: a hostile text can't make it slow.
    pub fn text_matches(pattern: &str, text: &str) -> bool {
        let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
        let (mut at, mut read) = (0, 0);
        // Where the last `*` was, and how much of the text it has taken so far: the only place to come back to.
        let mut star: Option<(usize, usize)> = None;
        while let Some(byte) = text.get(read) {
            if pattern.get(at) == Some(&b'*') {
                star = Some((at, read));
                at += 1;
            } else if pattern.get(at) == Some(byte) {
                at += 1;
                read += 1;
            } else if let Some((position, taken)) = star {
                star = Some((position, taken + 1));
                at = position + 1;
                read = taken + 1;
            } else {
                return false;
            }
        }
        pattern.iter().skip(at).all(|byte| *byte == b'*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn star_is_any_text_and_the_rest_is_literal() {
        let matches = |pattern: &str, text: &str| Pattern::new(pattern).matches(text);
        for (pattern, text) in
            [("a", "a"), ("*", ""), ("*", "x"), ("a*", "a"), ("a*c", "abbc"), ("*a*b", "xaab"), ("", ""), ("**", "y")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a", "b"), ("a", "A"), ("a*", "ba"), ("a*c", "ab"), ("", "x"), ("a?c", "abc"), ("a.c", "abc")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_hostile_text_is_judged_quickly() {
        let pattern = Pattern::new("*a".repeat(100) + "b");
        assert!(!pattern.matches(&"a".repeat(10_000)));
    }
}
