//! What plugins may read of a candidate or session: names with their values, in one canonical order.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Attributes by name, each with one value or more, sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attributes(Vec<(Arc<str>, Vec<Arc<str>>)>);

impl Attributes {
    /// The values of one attribute; empty when it's absent.
    pub fn values(&self, name: &str) -> &[Arc<str>] {
        match self.position(name) {
            Ok(at) => &self.0[at].1,
            Err(_) => &[],
        }
    }

    /// The first value, for attributes that have one.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.values(name).first().map(AsRef::as_ref)
    }

    /// In place of earlier values; no values removes it.
    pub fn set<V: Into<Arc<str>>>(&mut self, name: &str, values: impl IntoIterator<Item = V>) {
        let values: Vec<Arc<str>> = values.into_iter().map(Into::into).collect();
        match (self.position(name), values.is_empty()) {
            (Ok(at), true) => {
                self.0.remove(at);
            }
            (Ok(at), false) => self.0[at].1 = values,
            (Err(_), true) => {}
            (Err(at), false) => self.0.insert(at, (name.into(), values)),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &[Arc<str>])> {
        self.0.iter().map(|(name, values)| (name.as_ref(), values.as_slice()))
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_ref().cmp(name))
    }
}

/// As a map of names to lists.
impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let values = |values: &'_ [Arc<str>]| values.iter().map(|value| value.to_string()).collect::<Vec<_>>();
        serializer.collect_map(self.iter().map(|(name, all)| (name, values(all))))
    }
}

/// From a map of names to a value or to several.
impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a text or a list of texts")]
        enum OneOrMore {
            One(String),
            More(Vec<String>),
        }
        let written = std::collections::BTreeMap::<String, OneOrMore>::deserialize(deserializer)?;
        let mut attributes = Self::default();
        for (name, values) in written {
            match values {
                OneOrMore::One(value) => attributes.set(&name, [value]),
                OneOrMore::More(values) => attributes.set(&name, values),
            }
        }
        Ok(attributes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_whatever_the_order_of_setting() {
        let mut attributes = Attributes::default();
        attributes.set("owner", ["u1"]);
        attributes.set("company", ["c1"]);
        attributes.set("tag", ["a", "b"]);
        assert_eq!(attributes.first("owner"), Some("u1"));
        assert_eq!(attributes.values("tag").len(), 2);
        attributes.set("owner", Vec::<String>::new());
        assert_eq!(attributes.first("owner"), None);
        assert_eq!(attributes.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["company", "tag"]);
    }
}
