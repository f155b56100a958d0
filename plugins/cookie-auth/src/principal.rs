//! From claims to an identity.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use wicketgate_plugin::jwt::ClaimValue;
use wicketgate_plugin::text::{is_line, signed_decimal};
use wicketgate_plugin::{Attributes, Principal};

use crate::config::Config;

/// The contract's limit on an identity's name, in bytes.
const ID_MAX: usize = 256;
/// And on its groups. Leaving some out isn't possible: they may be what somebody is denied for.
const GROUPS_MAX: usize = 256;

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

    /// The identity.
    ///
    /// # Errors
    /// The reason's code for which a good token gives none.
    pub fn principal(&self, claims: Vec<Option<ClaimValue>>) -> Result<Principal, &'static str> {
        let value = |places: &[usize]| places.iter().find_map(|place| claims.get(*place)?.clone());
        // A claim that's there and isn't as it should be counts as absent, and none further down the list takes its place.
        let text = |places: &[usize]| value(places)?.into_text().filter(|text| !text.is_empty() && is_line(text));
        let is_id = |id: &String| id.len() <= ID_MAX && id.bytes().all(|byte| byte.is_ascii_graphic());
        let id = text(&self.id).filter(is_id).ok_or("token-without-user")?;
        let mut groups = value(&self.groups).map(ClaimValue::into_texts).unwrap_or_default();
        groups.retain(|group| is_line(group));
        if groups.len() > GROUPS_MAX {
            return Err("token-too-many-groups");
        }
        let extra: Attributes =
            self.extra.iter().filter_map(|(name, place)| Some((name.clone(), texts(claims.get(*place)?.clone()?)))).collect();
        Ok(Principal { id, name: text(&self.name), company: text(&self.company), role: text(&self.role), groups, claims: extra })
    }
}

/// A claim as an attribute's values, whatever it is.
fn texts(value: ClaimValue) -> Vec<String> {
    let mut texts = match value {
        ClaimValue::Boolean(value) => vec![if value { "true" } else { "false" }.to_owned()],
        ClaimValue::Json(json) => vec![json],
        ClaimValue::Texts(texts) => texts,
        ClaimValue::Text(text) => vec![text],
        ClaimValue::Integer(number) => vec![signed_decimal(number)],
    };
    texts.retain(|text| is_line(text));
    texts
}
