//! From claims to an identity.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use wicketgate_plugin::jwt::ClaimValue;
use wicketgate_plugin::text::signed_decimal;
use wicketgate_plugin::{Attributes, Principal};

use crate::config::Config;

/// The contract's limit on an identity's name, in bytes.
const ID_MAX: usize = 256;

/// Where in the list of declared claims each part of an identity stands.
#[derive(Debug)]
pub struct ClaimPlaces {
    id: Vec<usize>,
    name: Vec<usize>,
    company: Vec<usize>,
    role: Vec<usize>,
    groups: Vec<usize>,
    extra: Vec<(String, usize)>,
}

// === impl ClaimPlaces ===

impl ClaimPlaces {
    /// The places, and the paths to declare, each once.
    pub fn of(config: &Config) -> (Self, Vec<String>) {
        let mut paths: Vec<String> = Vec::new();
        let mut place = |path: &String| {
            paths.iter().position(|it| it == path).unwrap_or_else(|| {
                paths.push(path.clone());
                paths.len() - 1
            })
        };
        let claims = &config.claims;
        let places = Self {
            id: claims.id.iter().map(&mut place).collect(),
            name: claims.name.iter().map(&mut place).collect(),
            company: claims.company.iter().map(&mut place).collect(),
            role: claims.role.iter().map(&mut place).collect(),
            groups: claims.groups.iter().map(&mut place).collect(),
            extra: claims.extra.iter().map(|path| (path.clone(), place(path))).collect(),
        };
        (places, paths)
    }

    /// The identity; none where the token names nobody.
    pub fn principal(&self, claims: Vec<Option<ClaimValue>>) -> Option<Principal> {
        let value = |places: &[usize]| places.iter().find_map(|place| claims.get(*place)?.clone());
        // A claim that's there and isn't as it should be counts as absent, and none further down the list takes its place.
        let text = |places: &[usize]| value(places)?.into_text().filter(|text| !text.is_empty() && !has_control(text));
        let id = text(&self.id).filter(|id| id.len() <= ID_MAX)?;
        let extra: Attributes =
            self.extra.iter().filter_map(|(name, place)| Some((name.clone(), texts(claims.get(*place)?.clone()?)))).collect();
        Some(Principal {
            id,
            name: text(&self.name),
            company: text(&self.company),
            role: text(&self.role),
            groups: value(&self.groups).map(ClaimValue::into_texts).unwrap_or_default(),
            claims: extra,
        })
    }
}

/// A claim as an attribute's values, whatever it is.
fn texts(value: ClaimValue) -> Vec<String> {
    match value {
        ClaimValue::Boolean(value) => vec![if value { "true" } else { "false" }.to_owned()],
        ClaimValue::Json(json) => vec![json],
        ClaimValue::Texts(texts) => texts,
        ClaimValue::Text(text) => vec![text],
        ClaimValue::Integer(number) => vec![signed_decimal(number)],
    }
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
    fn control_characters_are_those_of_unicode() {
        for character in char::MIN..=char::MAX {
            let text: String = ['\u{c2}', 'a', character, 'a'].iter().collect();
            assert_eq!(has_control(&text), character.is_control(), "{character:?}");
        }
    }
}
