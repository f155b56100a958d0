//! Lists that choose endpoints.

use alloc::string::String;
use alloc::vec::Vec;

use wicketgate_plugin::{Attributes, Pattern, Section};

/// A list's key in the configuration, and the attribute that it's about.
const LISTS: [(&str, &str); 7] = [
    ("owners", "owner"),
    ("companies", "company"),
    ("projects", "project"),
    ("tags", "tag"),
    ("queues", "queue"),
    ("names", "session.name"),
    ("protocols", "endpoint.protocol"),
];

/// Lists of names with wildcards, each about one attribute. A list that isn't given says nothing; an empty one matches nothing.
#[derive(Debug, Clone, Default)]
pub struct Selection([Option<Vec<String>>; LISTS.len()]);

// === impl Selection ===

impl Selection {
    /// Reads the lists that the section has.
    pub fn read(&mut self, section: &mut Section<'_>) {
        for ((key, _), list) in LISTS.iter().zip(&mut self.0) {
            section.optional_texts(key, list);
        }
    }

    fn lists(&self) -> impl Iterator<Item = (&'static str, &'static str, &[String])> {
        LISTS.iter().zip(&self.0).filter_map(|((key, attribute), list)| Some((*key, *attribute, list.as_deref()?)))
    }

    /// The attributes that the given lists are about.
    pub fn attributes(&self) -> impl Iterator<Item = &'static str> {
        self.lists().map(|(_, attribute, _)| attribute)
    }

    /// The key of the first list that matches.
    pub fn first_match(&self, attributes: &Attributes) -> Option<&'static str> {
        self.lists().find(|(_, attribute, list)| matches(list, attributes.all(attribute))).map(|(key, _, _)| key)
    }

    /// The key of the first list that doesn't match.
    pub fn first_miss(&self, attributes: &Attributes) -> Option<&'static str> {
        self.lists().find(|(_, attribute, list)| !matches(list, attributes.all(attribute))).map(|(key, _, _)| key)
    }
}

fn matches(list: &[String], values: &[String]) -> bool {
    values.iter().any(|value| list.iter().any(|pattern| Pattern::text_matches(pattern, value)))
}
