//! The default discovery filter: running sessions with well-formed endpoints, narrowed by lists.
//!
//! What a candidate says was written by its owner. So names and ports are held to a strict grammar here, before a route or a
//! metric is made of them, and a claim to be open to others counts only as far as the configuration believes it.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod config;
mod selection;
mod shape;

use alloc::borrow::ToOwned;
use alloc::vec;
use alloc::vec::Vec;

use wicketgate_plugin::discovery::{Candidate, DiscoveryFilter, Keeping, UpstreamPath, Verdict};
use wicketgate_plugin::text::{concatenated, is_line};
use wicketgate_plugin::{Attributes, Declaration, Error, Reason};

pub use config::{Access, Config, Rule};
pub use selection::Selection;

/// The plugin, configured.
#[derive(Debug)]
pub struct DefaultFilter(Config);

wicketgate_plugin::export_discovery_filter!(DefaultFilter);
wicketgate_plugin::runtime_without_std!();

// === impl DefaultFilter ===

impl DiscoveryFilter for DefaultFilter {
    type Config = Config;

    fn configure(config: Config) -> Result<(Self, Declaration), Error> {
        let selections = [&config.allow, &config.deny].into_iter().chain(config.access.rules.iter().map(|rule| &rule.to));
        let declaration = Declaration::new()
            .reads_attributes(shape::ATTRIBUTES)
            .reads_attributes(selections.flat_map(Selection::attributes))
            .reads_attributes(config.labels.iter().map(|(_, attribute)| attribute.as_str()))
            .reads_attributes(["access", "source"]);
        Ok((Self(config), declaration))
    }

    fn filter(&self, candidate: &Candidate) -> Result<Verdict, Error> {
        let Self(config) = self;
        let attributes = &candidate.attributes;
        if let Err(reason) = shape::check(attributes) {
            return Ok(Verdict::Drop(reason));
        }
        if let Some(key) = config.deny.first_match(attributes) {
            return Ok(Verdict::Drop(Reason::with_detail("denied", concatenated(&["deny.", key]))));
        }
        if let Some(key) = config.allow.first_miss(attributes) {
            return Ok(Verdict::Drop(Reason::with_detail("not-allowed", concatenated(&["allow.", key]))));
        }
        Ok(Verdict::Keep(Keeping {
            // Always said, so that nothing of a claim that isn't believed is left.
            access: Some(config.access.of(attributes).to_owned()),
            upstream_path: config.upstream_path.map(|keep| if keep { UpstreamPath::Keep } else { UpstreamPath::Strip }),
            labels: self.labels(attributes),
            ..Keeping::new("kept")
        }))
    }
}

impl DefaultFilter {
    /// A label whose attribute is absent is absent, too.
    fn labels(&self, attributes: &Attributes) -> Attributes {
        let mut labels = Attributes::default();
        for (label, attribute) in &self.0.labels {
            // What can't be a label's value is left out: its owner wrote it, and would have the whole filter fail by it.
            let values: Vec<_> = attributes.all(attribute).iter().filter(|value| is_line(value)).cloned().collect();
            if !values.is_empty() {
                labels.push(label.clone(), values);
            }
        }
        for (label, value) in &self.0.fixed_labels {
            labels.push(label.clone(), vec![value.clone()]);
        }
        labels
    }
}

#[cfg(test)]
mod tests;
