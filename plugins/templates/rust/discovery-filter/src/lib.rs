//! Sessions with a hidden tag aren't published; the project of the others becomes a label that policies can read.

use serde::Deserialize;
use wicketgate_plugin::discovery::{Candidate, DiscoveryFilter, Keeping, Verdict};
use wicketgate_plugin::{Declaration, Error, Reason};

#[derive(Deserialize)]
struct Config {
    hidden_tags: Vec<String>,
}

struct HiddenTags(Config);

impl DiscoveryFilter for HiddenTags {
    type Config = Config;

    fn configure(config: Config) -> Result<(Self, Declaration), Error> {
        Ok((Self(config), Declaration::new().reads_attributes(["project", "tag"])))
    }

    fn filter(&self, candidate: &Candidate) -> Result<Verdict, Error> {
        let attributes = &candidate.attributes;
        if self.0.hidden_tags.iter().any(|tag| attributes.has("tag", tag)) {
            return Ok(Verdict::Drop(Reason::new("hidden")));
        }
        let mut keeping = Keeping::new("shown");
        if let Some(project) = attributes.first("project").filter(|project| is_label(project)) {
            keeping.labels.push("team", vec![project.to_owned()]);
        }
        Ok(Verdict::Keep(keeping))
    }
}

/// What a candidate says may be anything; a label that isn't one line of text would be an error.
fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

wicketgate_plugin::export_discovery_filter!(HiddenTags);
