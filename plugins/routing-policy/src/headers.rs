//! Header edits of the configuration.

use alloc::string::String;
use alloc::vec::Vec;

use wicketgate_plugin::routing::HeaderEdit;
use wicketgate_plugin::{Field, Section};

/// Changes to the headers of a message: first what goes, then what is set, then what is added.
#[derive(Debug, Clone, Default)]
pub struct HeaderEdits {
    pub remove: Vec<String>,
    pub set: Vec<(String, String)>,
    pub append: Vec<(String, String)>,
}

// === impl HeaderEdits ===

impl HeaderEdits {
    pub fn read(&mut self, section: &mut Section<'_>) {
        section.texts("remove", &mut self.remove);
        section.pairs("set", &mut self.set);
        section.pairs("append", &mut self.append);
        for (key, pairs) in [("set", &self.set), ("append", &self.append)] {
            if let Some((name, _)) = pairs.iter().find(|(name, value)| !is_name(name) || !is_value(value)) {
                section.refuse(key, name, "a header's name, and a value without line breaks");
            }
        }
        if let Some(name) = self.remove.iter().find(|name| !is_name(name)) {
            section.refuse("remove", name, "a header's name");
        }
    }

    pub fn edits(&self) -> Vec<HeaderEdit> {
        let field = |(name, value): &(String, String)| Field::new(name.as_str(), value.as_bytes());
        let mut edits: Vec<HeaderEdit> = self.remove.iter().map(|name| HeaderEdit::Remove(name.clone())).collect();
        edits.extend(self.set.iter().map(|pair| HeaderEdit::Set(field(pair))));
        edits.extend(self.append.iter().map(|pair| HeaderEdit::Append(field(pair))));
        edits
    }
}

/// A token (RFC 9110, section 5.6.2).
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// RFC 9110, section 5.5: no control characters but the tab, and no blank at either end.
fn is_value(value: &str) -> bool {
    value.trim_ascii() == value && value.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}
