//! JSON as lines for people, whatever it holds: a gateway may show more than this program knows of.

use serde_json::{Map, Value};

use super::time::instant;
use crate::{
    cli::output::{grouped, plain},
    domain::Timestamp,
};

/// Of one text.
const SHOWN: usize = 300;
/// A short list or map stands on its key's line.
const SHORT: usize = 100;
/// From here on a number of milliseconds is an instant and no duration: 2001.
const FIRST_INSTANT: u64 = 1_000_000_000_000;

/// Every key on a line of its own, further in for what is below.
pub(super) fn lines(map: &Map<String, Value>, indent: usize) -> String {
    let width = map.keys().map(|key| label(key).chars().count()).max().unwrap_or(0);
    let margin = " ".repeat(indent);
    let mut text = String::new();
    for (key, value) in map {
        let label = label(key);
        let fill = " ".repeat(width - label.chars().count() + 2);
        match short(key, value) {
            Some(shown) => text += &format!("{margin}{label}{fill}{shown}\n"),
            None => text += &format!("{margin}{label}\n{}", below(value, indent + 2)),
        }
    }
    text
}

fn below(value: &Value, indent: usize) -> String {
    let margin = " ".repeat(indent);
    match value {
        Value::Object(map) => lines(map, indent),
        Value::Array(items) => items
            .iter()
            .map(|item| match (short("", item), item) {
                (Some(shown), _) => format!("{margin}- {shown}\n"),
                // The first key stands beside the dash.
                (None, item) => {
                    let inner = below(item, indent + 2);
                    format!("{margin}- {}", inner.trim_start())
                }
            })
            .collect(),
        other => format!("{margin}{}\n", scalar("", other)),
    }
}

/// On one line, where that's short enough to be read.
pub(super) fn short(key: &str, value: &Value) -> Option<String> {
    let shown = match value {
        Value::Object(map) if map.is_empty() => "none".to_owned(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Object(map) => {
            let flat = map.values().all(|value| !value.is_object() && !value.is_array());
            let parts: Vec<String> = map.iter().map(|(key, value)| format!("{} {}", label(key), scalar(key, value))).collect();
            flat.then(|| parts.join(", "))?
        }
        Value::Array(items) => {
            let flat = items.iter().all(|value| !value.is_object() && !value.is_array());
            flat.then(|| items.iter().map(|item| scalar(key, item)).collect::<Vec<_>>().join(", "))?
        }
        other => return Some(scalar(key, other)),
    };
    (shown.chars().count() <= SHORT).then_some(shown)
}

pub(super) fn scalar(key: &str, value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::Bool(value) => if *value { "yes" } else { "no" }.into(),
        Value::Number(number) => match number.as_u64() {
            Some(ms) if key.ends_with("_ms") && ms >= FIRST_INSTANT => instant(Timestamp(ms)),
            Some(number) => grouped(number),
            None => number.to_string(),
        },
        Value::String(text) => plain(text, SHOWN),
        other => plain(&other.to_string(), SHOWN),
    }
}

/// A key in words: its unit goes where the value shows it by itself.
pub(super) fn label(key: &str) -> String {
    plain(&key.replace('_', " "), SHOWN)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_there_is_gets_its_line() {
        let value = json!({
            "stage": "watching",
            "at_ms": 1_800_000_000_000_u64,
            "budget_ms": 5,
            "counts": {"allow": 1_234, "deny": 0},
            "differences": [{"id": "ab", "before": {"word": "forward"}}, "c"],
            "history": [],
            "last": null,
            "on": true,
            "text": "a\u{1b}[2J",
        });
        let text = lines(value.as_object().unwrap(), 0);
        for line in [
            "stage      watching",
            "at ms      2027-01-15 08:00:00 UTC",
            "budget ms  5",
            "counts     allow 1,234, deny 0",
            "history    none",
            "last       -",
            "on         yes",
            "text       a\\u{1b}[2J",
            "  - before  word forward",
            "    id      ab",
            "  - c",
        ] {
            let found = text
                .lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>())
                .any(|words| words == line.split_whitespace().collect::<Vec<_>>());
            assert!(found, "{line}\n{text}");
        }
    }
}
