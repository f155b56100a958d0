//! The claims of a token, read in one pass: what nobody asked for is skipped and not kept, which is most of it.

use std::{borrow::Cow, fmt, sync::LazyLock};

use serde::{
    Deserialize, Deserializer as _,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

/// A path of names into a token's claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(Vec<String>);

/// What is kept of a token's claims; what is absent or `null` is none.
#[derive(Default)]
pub struct Claims {
    pub exp: Option<Value>,
    pub nbf: Option<Value>,
    pub aud: Option<Value>,
    pub iss: Option<Value>,
    /// The claims asked for, in their order.
    pub asked: Vec<Option<Value>>,
}

/// The names of what is checked in every token, in the order of the fields above.
static STANDARD: LazyLock<[ClaimPath; 4]> = LazyLock::new(|| ["exp", "nbf", "aud", "iss"].map(ClaimPath::parse));

/// What is still wanted at one depth: the number of each path, and what is left of it.
struct Wanted<'w> {
    rests: &'w [(usize, &'w [String])],
    found: &'w mut [Option<Value>],
}

/// A name within the claims, as it stands in the text unless it's escaped.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

// === impl ClaimPath ===

impl ClaimPath {
    /// `identity.user`; `\.` is a dot within a name.
    pub fn parse(text: &str) -> Self {
        let mut names = vec![String::new()];
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            match char {
                '.' => names.push(String::new()),
                '\\' => names.last_mut().into_iter().for_each(|name| name.extend(chars.next())),
                other => names.last_mut().into_iter().for_each(|name| name.push(other)),
            }
        }
        Self(names)
    }

    pub fn names(&self) -> &[String] {
        &self.0
    }
}

/// As it's parsed.
impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.0.iter().enumerate() {
            let dot = if at == 0 { "" } else { "." };
            write!(f, "{dot}{}", name.replace('\\', r"\\").replace('.', r"\."))?;
        }
        Ok(())
    }
}

// === impl Claims ===

impl Claims {
    /// Of a name that stands there twice the last one counts.
    ///
    /// # Errors
    /// The text isn't a JSON object.
    pub fn read(text: &[u8], asked: &[ClaimPath]) -> serde_json::Result<Self> {
        let mut found = find(text, STANDARD.iter().chain(asked))?;
        let asked = found.split_off(STANDARD.len());
        let mut found = found.into_iter();
        let mut next = || found.next().flatten();
        Ok(Self { exp: next(), nbf: next(), aud: next(), iss: next(), asked })
    }
}

impl Claims {
    /// The standard ones of claims that were read already.
    pub fn of(claims: &Value) -> Self {
        let mut found = select(claims, &*STANDARD).into_iter();
        let mut next = || found.next().flatten();
        Self { exp: next(), nbf: next(), aud: next(), iss: next(), asked: Vec::new() }
    }
}

fn find<'p>(text: &[u8], paths: impl IntoIterator<Item = &'p ClaimPath>) -> serde_json::Result<Vec<Option<Value>>> {
    let rests: Vec<(usize, &[String])> = paths.into_iter().map(|path| path.0.as_slice()).enumerate().collect();
    let mut found = vec![None; rests.len()];
    let mut text = serde_json::Deserializer::from_slice(text);
    text.deserialize_map(Wanted { rests: &rests, found: &mut found })?;
    text.end()?;
    Ok(found)
}

/// The same of claims that were read already.
pub fn select(claims: &Value, paths: &[ClaimPath]) -> Vec<Option<Value>> {
    paths.iter().map(|path| at(claims, &path.0).cloned()).collect()
}

fn at<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| value.get(name)).filter(|value| !value.is_null())
}

// === impl Wanted ===

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = map.next_key()? {
            let below: Vec<(usize, &[String])> = self
                .rests
                .iter()
                .filter_map(|&(number, rest)| Some((number, rest.split_first().filter(|(first, _)| **first == name)?.1)))
                .collect();
            if below.is_empty() {
                map.next_value::<IgnoredAny>()?;
            } else if below.iter().any(|(_, rest)| rest.is_empty()) {
                let value: Value = map.next_value()?;
                below.iter().for_each(|(number, rest)| self.found[*number] = at(&value, rest).cloned());
            } else {
                below.iter().for_each(|(number, _)| self.found[*number] = None);
                map.next_value_seed(Wanted { rests: &below, found: self.found })?;
            }
        }
        Ok(())
    }

    // What has nothing below it.

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_pass_finds_what_looking_into_the_whole_does() {
        let names = ["a", "a.b", "a.b.c", r"a\.b", "x", "x.y", "n", "list", "list.0", "ä", ""];
        let paths = names.map(ClaimPath::parse);
        for text in [
            r#"{"a": {"b": {"c": 1}}, "a.b": 2, "x": null, "list": [1, {"0": 2}], "ä": "u", "": true}"#,
            r#"{"a": {"b": 3}, "x": {"y": [1.5, "t"]}, "n": -1, "\u00e4": {"deep": {}}}"#,
            r#"{"a": {"b": {"c": 1}}, "a": {"b": 4}, "x": 1, "x": null}"#,
            r#"{"a": 7, "x": "text", "other": {"a": {"b": 1}}}"#,
            "{}",
        ] {
            let whole: Value = serde_json::from_str(text).unwrap();
            assert_eq!(find(text.as_bytes(), &paths).unwrap(), select(&whole, &paths), "{text}");
        }
    }

    #[test]
    fn paths_that_want_only_what_is_below_skip_everything_else() {
        let paths = ["a.b"].map(ClaimPath::parse);
        for (text, expected) in [
            (r#"{"a": [1, [2]]}"#, None),
            (r#"{"a": "b"}"#, None),
            (r#"{"a": 1.5, "a": true, "a": -1, "a": 1, "a": null}"#, None),
            (r#"{"a": {"b": 1}, "a": "gone"}"#, None),
            (r#"{"a": {"c": {}, "b": 1}}"#, Some(json!(1))),
        ] {
            assert_eq!(find(text.as_bytes(), &paths).unwrap(), [expected], "{text}");
        }
    }

    #[test]
    fn a_path_is_written_as_it_was_read() {
        for text in ["identity.user", r"https://example\.com/team", r"a\\b.c", "", "a..b"] {
            assert_eq!(ClaimPath::parse(text).to_string(), text);
        }
    }

    #[test]
    fn only_an_object_has_claims() {
        for text in ["", "[]", "1", "null", r#""{}""#, "{", "{}}", r#"{"a" 1}"#, r#"{"a": {"b": }}"#, "\u{feff}{}"] {
            assert!(find(text.as_bytes(), &[ClaimPath::parse("a.b")]).is_err(), "{text}");
        }
    }
}
