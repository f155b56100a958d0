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
            Step::Key(key) if text.is_empty() => text.push_str(name_of(key)),
            Step::Key(key) => text.extend([".", name_of(key)]),
            Step::Item(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

/// A key up to its colon: what follows one without a space may be a secret.
fn name_of(key: &str) -> &str {
    key.split(':').next().unwrap_or(key)
}

/// Sections that hold secrets: what is found there is never shown.
pub(super) fn holds_secrets(path: &[Step]) -> bool {
    matches!(path.first(), Some(Step::Key(section)) if ["admin", "clearml", "key_sets", "login"].contains(&section.as_str()))
}

/// What serde says, as a sentence for an operator. `found` is the text at the key, where it's a text that may be shown.
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
    let message = in_plain_words(message);
    let found = found.filter(|found| !message.contains(found)).map(|found| format!("found {found:?}, "));
    match (example, found) {
        (Some(example), found) => format!("{}expected {example}", found.unwrap_or_default()),
        (None, Some(found)) => format!("{found}{message}"),
        (None, None) => message,
    }
}

/// The same of a section with secrets: the kind of what was found, and never itself.
pub(super) fn discreet_sentence(message: &str) -> String {
    let sentence = sentence(message, None);
    match (sentence.starts_with("found text "), sentence.rsplit_once(", expected ")) {
        (true, Some((_, expected))) => format!("found text, expected {expected}"),
        // Other crates quote behind a colon.
        _ => sentence.split(": \"").next().unwrap_or_default().to_owned(),
    }
}

/// serde speaks of Rust's types.
fn in_plain_words(message: &str) -> String {
    if message.contains("enum JwksSource") {
        return "expected exactly one of `file` and `url`".into();
    }
    let rest = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    let Some((found, expected)) = rest.and_then(|rest| rest.rsplit_once(", expected ")) else { return message.to_owned() };
    let expected = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" | "i64" => "a whole number",
        "a nonzero usize" => "a whole number from 1",
        "socket address" => "an IP address and port such as 0.0.0.0:8080 or [::]:8080",
        "a sequence" => "a list",
        "a boolean" => "true or false",
        "a string" => "text",
        other if ["struct ", "internally tagged enum ", "a map"].iter().any(|start| other.starts_with(start)) => "a map of keys",
        other => other,
    };
    // Of a text the kind stays, because what is quoted may have to go; of a number or boolean the number or boolean.
    let found = match found {
        "sequence" => "a list".to_owned(),
        "map" => "a map".to_owned(),
        "unit value" => "nothing".to_owned(),
        _ => match found.split_once(' ') {
            Some(("string", text)) => format!("text {text}"),
            Some((_, value)) => value.trim_matches('`').to_owned(),
            None => found.to_owned(),
        },
    };
    format!("found {found}, expected {expected}")
}

/// serde's sentence names the key and all others, between backticks; people want the one that they meant.
fn unknown_key(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field `")?;
    let (found, known) = rest.split_once('`')?;
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    if let Some((name, _)) = found.split_once(':') {
        return Some(format!("unknown key `{name}:…`; is a space missing behind the colon?"));
    }
    if known.is_empty() {
        return Some(format!("found `{found}` beside keys that it can't stand beside"));
    }
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
