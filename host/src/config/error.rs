//! What is wrong with a configuration, for its operator: where it stands, which key, what was found, what was expected.

use std::{fmt, path::PathBuf};

/// One sentence about one key. It never holds a secret.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    pub origin: Origin,
    /// The key's path with dots between (`http.listen`); empty when it's about the whole.
    pub key: String,
    pub message: String,
}

/// Where a value was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file, and the line in it where that could be told.
    File(PathBuf, Option<usize>),
    /// An environment variable.
    Variable(String),
    /// No file was given.
    Defaults,
}

/// One step of a key's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Item(usize),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::File(path, Some(line)) => write!(f, "{}:{line}: ", path.display())?,
            Origin::File(path, None) => write!(f, "{}: ", path.display())?,
            Origin::Variable(name) => write!(f, "environment variable {name}: ")?,
            Origin::Defaults => f.write_str("configuration: ")?,
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}

/// The path as people write it.
pub(super) fn dotted(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text.extend([".", key]),
            Step::Item(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

/// What serde says, as a sentence for an operator. `found` is the text at the key, where it's a text.
pub(super) fn sentence(message: &str, found: Option<&str>) -> String {
    if let Some(sentence) = unknown_key(message) {
        return sentence;
    }
    // The standard library says what is wrong with an address and not what it was.
    let example = match message {
        "invalid socket address syntax" => Some("an IP address and port such as 0.0.0.0:8080 or [::]:8080"),
        "invalid IP address syntax" => Some("a network such as 10.0.0.0/8"),
        _ => None,
    };
    let found = found.filter(|found| !message.contains(found)).map(|found| format!("found {found:?}, "));
    match (example, found) {
        (Some(example), found) => format!("{}expected {example}", found.unwrap_or_default()),
        (None, Some(found)) => format!("{found}{message}"),
        (None, None) => message.to_owned(),
    }
}

/// serde's sentence names the key and all others, between backticks; people want the one that they meant.
fn unknown_key(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field `")?;
    let (found, known) = rest.split_once('`')?;
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    let nearest = known.iter().map(|name| (strsim::damerau_levenshtein(found, name), name)).min();
    Some(match nearest {
        Some((distance, name)) if distance <= 2.max(found.len() / 3) => format!("unknown key `{found}`; did you mean `{name}`?"),
        _ => format!("unknown key `{found}`; known here: {}", known.join(", ")),
    })
}

/// The line, from 1, where a key stands in a YAML file in block style; the nearest one above it when the key isn't there or
/// is written in flow style. None when not even its section is there.
pub(super) fn line_of(text: &str, path: &[Step]) -> Option<usize> {
    let mut lines: Vec<(usize, String)> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().is_empty() && !line.trim_start().starts_with('#') && *line != "---")
        .map(|(number, line)| (number + 1, line.to_owned()))
        .collect();
    let mut found = None;
    for step in path {
        let indent = lines.first().map(|(_, line)| indentation(line))?;
        let begins = |line: &str| match step {
            Step::Key(key) => line.trim_start().split_once(':').is_some_and(|(name, _)| name.trim_matches(['"', '\'']) == key),
            Step::Item(_) => line.trim_start().starts_with('-'),
        };
        let nth = if let Step::Item(index) = step { *index } else { 0 };
        let starts = lines.iter().enumerate().filter(|(_, (_, line))| indentation(line) == indent && begins(line));
        let Some(start) = starts.map(|(start, _)| start).nth(nth) else { break };
        found = Some(lines[start].0);
        lines.drain(..start);
        if let Step::Item(_) = step {
            // An item's first key stands on its line: `- id: ada`.
            lines[0].1 = lines[0].1.replacen('-', " ", 1);
        } else {
            lines.remove(0);
        }
        // Lists may stand as far left as their key.
        let inside = |line: &str| indentation(line) > indent || matches!(step, Step::Key(_)) && line.trim_start().starts_with('-');
        let end = lines.iter().position(|(_, line)| indentation(line) < indent || !inside(line)).unwrap_or(lines.len());
        lines.truncate(end);
        if lines.is_empty() {
            break;
        }
    }
    found
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}
