//! The configuration.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use wicketgate_plugin::text::is_line;
use wicketgate_plugin::{Attributes, Configuration, Error, Section};

use crate::selection::Selection;

/// The contract's limit.
const LABELS_MAX: usize = 32;

/// The whole configuration. Every key may be left out.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// What is published at all: every list that's given must match.
    pub allow: Selection,
    /// What isn't, although it's allowed: any list that matches.
    pub deny: Selection,
    pub access: Access,
    /// Labels for routing policies: each takes the values of an attribute of the candidate.
    pub labels: Vec<(String, String)>,
    /// Labels with the same value on each endpoint.
    pub fixed_labels: Vec<(String, String)>,
    /// Whether every endpoint keeps the route's prefix (true) or loses it; none: as it says itself.
    pub upstream_path: Option<bool>,
}

/// Who a session is open to, as far as that isn't the routing policy's own business.
#[derive(Debug, Clone)]
pub struct Access {
    /// For which sessions the operator decides; the first that matches.
    pub rules: Vec<Rule>,
    /// Which claims of a session's own are believed. Its owner may always share it with the own company; whether he may show
    /// it to the world is the operator's decision.
    pub believe: Vec<String>,
    /// Sources whose every claim is believed, because the operator writes them.
    pub trusted_sources: Vec<String>,
    /// For the others. Empty: nothing, so the session is its owner's.
    pub default: String,
}

/// One decision about access.
#[derive(Debug, Clone, Default)]
pub struct Rule {
    pub give: String,
    /// Every list that's given must match.
    pub to: Selection,
}

// === impl Config ===

impl Configuration for Config {
    fn from_json(text: &str) -> Result<Self, Error> {
        Section::whole(text, Self::read)
    }
}

impl Config {
    fn read(&mut self, section: &mut Section<'_>) {
        section.section("allow", &mut self.allow, Selection::read);
        section.section("deny", &mut self.deny, Selection::read);
        section.section("access", &mut self.access, Access::read);
        section.pairs("labels", &mut self.labels);
        section.pairs("fixed_labels", &mut self.fixed_labels);
        let mut path = usize::MAX;
        section.word("upstream_path", &["strip", "keep"], &mut path);
        self.upstream_path = match path {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        };
        if self.labels.len() + self.fixed_labels.len() > LABELS_MAX {
            section.refuse("labels", "too many", "at most 32 labels, fixed ones included");
        }
    }
}

// === impl Access ===

impl Default for Access {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            believe: vec!["company".to_owned()],
            trusted_sources: vec!["file".to_owned()],
            default: String::new(),
        }
    }
}

impl Access {
    fn read(&mut self, section: &mut Section<'_>) {
        section.sections("rules", &mut self.rules, Rule::read);
        section.texts("believe", &mut self.believe);
        section.texts("trusted_sources", &mut self.trusted_sources);
        section.text("default", &mut self.default);
    }

    /// The access of an endpoint with these attributes. Empty: none.
    pub fn of<'a>(&'a self, attributes: &'a Attributes) -> &'a str {
        let trusted = self.trusted_sources.iter().any(|source| attributes.has("source", source));
        let believed = |claim: &&str| trusted || self.believe.iter().any(|it| it == claim);
        let ruled = self.rules.iter().find(|rule| rule.to.first_miss(attributes).is_none()).map(|rule| rule.give.as_str());
        ruled.or_else(|| attributes.first("access").filter(believed).filter(|claim| is_line(claim))).unwrap_or(&self.default)
    }
}

// === impl Rule ===

impl Rule {
    fn read(&mut self, section: &mut Section<'_>) {
        section.text("give", &mut self.give);
        self.to.read(section);
        if self.to.attributes().next().is_none() {
            section.refuse("give", "a rule for every session", "a list of some, or `access.default`");
        }
    }
}
