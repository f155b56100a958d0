//! The manifest with other files and digests, and otherwise as somebody wrote it: comments and order stay.

use serde_json::Value;

use super::Renamed;
use crate::admission::manifest::{Component, Manifest, ManifestError};

/// Writes the new names in their places. Where a manifest is written in a way in which that can't be done line by line (anchors,
/// a name over two lines), it's written anew, without its comments.
pub(super) fn manifest(text: &str, parsed: &Manifest, renamed: &[Renamed]) -> Result<String, ManifestError> {
    let mut expected = parsed.clone();
    for entry in &mut expected.entries {
        let Component::File(file) = &entry.component else { continue };
        if let Some(renamed) = renamed.iter().find(|renamed| renamed.file == *file) {
            entry.component = Component::File(renamed.packed.clone());
            entry.sha256 = Some(renamed.sha256.clone());
        }
    }
    let lines = by_line(text, parsed, renamed);
    if Manifest::parse(&lines).is_ok_and(|found| found == expected) {
        return Ok(lines);
    }
    let anew = anew(text, renamed)?;
    match Manifest::parse(&anew)? {
        found if found == expected => Ok(anew),
        _ => Err(ManifestError { key: String::new(), message: "can't be written with other file names".into() }),
    }
}

fn by_line(text: &str, parsed: &Manifest, renamed: &[Renamed]) -> String {
    let mut written = String::with_capacity(text.len() + 256);
    for line in text.split_inclusive('\n') {
        match renamed.iter().find_map(|renamed| rename(line, renamed, needs_digest(parsed, renamed))) {
            Some(line) => written += &line,
            None => written += line,
        }
    }
    written
}

/// Where an entry has a digest already, it's the right one.
fn needs_digest(parsed: &Manifest, renamed: &Renamed) -> bool {
    let of_file = |entry: &&crate::admission::manifest::Entry| entry.component == Component::File(renamed.file.clone());
    parsed.entries.iter().filter(of_file).any(|entry| entry.sha256.is_none())
}

/// The line with its `file:` exchanged, if it names this file.
fn rename(line: &str, renamed: &Renamed, needs_digest: bool) -> Option<String> {
    let key_at = line.match_indices("file:").map(|(at, _)| at).find(|at| {
        let before = line[..*at].chars().next_back();
        before.is_none_or(|before| matches!(before, ' ' | '{' | ','))
    })?;
    let (head, value) = line.split_at(key_at + "file:".len());
    let spaces = value.len() - value.trim_start_matches(' ').len();
    let rest = &value[spaces..];
    let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''));
    let bare = quote.map_or(rest, |quote| rest.trim_start_matches(quote));
    let after = bare.strip_prefix(renamed.file.as_str())?;
    let after = match quote {
        Some(quote) => after.strip_prefix(quote)?,
        None => after,
    };
    let ends = after.is_empty() || after.starts_with(['\n', '\r', ' ', ',', '}']);
    if spaces == 0 || !ends {
        return None;
    }
    let exchanged = format!("{head} {}", renamed.packed);
    if !needs_digest {
        return Some(format!("{exchanged}{after}"));
    }
    if after.trim_start_matches(' ').starts_with([',', '}']) {
        return Some(format!("{exchanged}, sha256: {}{after}", renamed.sha256));
    }
    let end = if after.ends_with('\n') { "" } else { "\n" };
    Some(format!("{exchanged}{after}{end}{}sha256: {}\n", " ".repeat(key_at), renamed.sha256))
}

fn anew(text: &str, renamed: &[Renamed]) -> Result<String, ManifestError> {
    let failed = |error: String| ManifestError { key: String::new(), message: format!("not YAML: {error}") };
    let mut written: Value = serde_saphyr::from_str(text).map_err(|error| failed(error.to_string()))?;
    let entries = written.get_mut("plugins").and_then(Value::as_array_mut).into_iter().flatten();
    for entry in entries.filter_map(Value::as_object_mut) {
        let file = entry.get("file").and_then(Value::as_str);
        if let Some(renamed) = renamed.iter().find(|renamed| Some(renamed.file.as_str()) == file) {
            entry.insert("file".into(), renamed.packed.clone().into());
            entry.insert("sha256".into(), renamed.sha256.clone().into());
        }
    }
    serde_saphyr::to_string(&written).map_err(|error| failed(error.to_string()))
}
