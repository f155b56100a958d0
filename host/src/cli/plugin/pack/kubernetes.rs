//! A packed set as YAML for Kubernetes: a ConfigMap, or the chart's values.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};

type Members = BTreeMap<String, Vec<u8>>;

/// A ConfigMap with texts as they stand, and components as base64.
pub(super) fn config_map(name: &str, namespace: Option<&str>, members: &Members) -> String {
    let mut text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n");
    if let Some(namespace) = namespace {
        text += &format!("  namespace: {namespace}\n");
    }
    let (texts, binaries) = parted(members);
    if !texts.is_empty() {
        text += "data:\n";
        texts.iter().for_each(|(name, content)| text += &scalar(name, content, 2));
    }
    if !binaries.is_empty() {
        text += "binaryData:\n";
        binaries.iter().for_each(|(name, content)| text += &format!("  {name}: {}\n", STANDARD.encode(content)));
    }
    text
}

/// `plugins.files` of the chart's values.
pub(super) fn values(members: &Members) -> String {
    let mut text = "plugins:\n  files:\n".to_owned();
    let (texts, binaries) = parted(members);
    texts.iter().for_each(|(name, content)| text += &scalar(name, content, 4));
    binaries.iter().for_each(|(name, content)| text += &format!("    {name}: {}\n", STANDARD.encode(content)));
    text
}

/// A member's name and its content.
type Named<'a, T> = (&'a str, &'a T);

/// What is text, and what isn't.
fn parted(members: &Members) -> (Vec<Named<'_, str>>, Vec<Named<'_, [u8]>>) {
    let (mut texts, mut binaries) = (Vec::new(), Vec::new());
    for (name, content) in members {
        match std::str::from_utf8(content) {
            Ok(text) if name.ends_with(".yaml") => texts.push((name.as_str(), text)),
            _ => binaries.push((name.as_str(), content.as_slice())),
        }
    }
    (texts, binaries)
}

/// A text as a block where YAML can hold it as it stands, quoted otherwise.
fn scalar(name: &str, content: &str, indent: usize) -> String {
    let margin = " ".repeat(indent);
    let starts_plainly = content.lines().next().is_some_and(|first| !first.is_empty() && !first.starts_with([' ', '\t']));
    let is_printable =
        content.chars().all(|char| char == '\n' || !(char.is_control() || matches!(char, '\u{2028}' | '\u{2029}' | '\u{feff}')));
    if !starts_plainly || !is_printable {
        return format!("{margin}{name}: {}\n", serde_json::Value::from(content));
    }
    let chomping = match content.strip_suffix('\n') {
        None => "-",
        Some(rest) if rest.ends_with('\n') => "+",
        Some(_) => "",
    };
    let mut text = format!("{margin}{name}: |{chomping}\n");
    for line in content.lines() {
        text += if line.is_empty() { "\n".to_owned() } else { format!("{margin}  {line}\n") }.as_str();
    }
    text
}

/// An object's name (RFC 1123, a subdomain).
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_label_of_any_length)
}

/// A namespace's name (RFC 1123, a label).
pub(super) fn is_label(name: &str) -> bool {
    name.len() <= 63 && is_label_of_any_length(name)
}

fn is_label_of_any_length(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_is_written_reads_back_byte_for_byte() {
        let texts =
            ["a: 1\n", "# c\n\na: |\n  x\n  \n", "a: 1", "a: 1\n\n\n", "  a: 1\n", "\na: 1\n", "a: \t1\r\n", "ä: \u{1f600}\n", ""];
        for text in texts {
            let members = Members::from([
                ("plugins.yaml".to_owned(), text.as_bytes().to_vec()),
                ("a.wasm.zst".to_owned(), vec![0x28, 0xb5, 0x2f, 0xfd, 0xff]),
            ]);
            let written = config_map("team-plugins", Some("team-a"), &members);
            let read: Value = serde_saphyr::from_str(&written).unwrap_or_else(|error| panic!("{error}\n{written}"));
            assert_eq!(
                read,
                json!({
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": "team-plugins", "namespace": "team-a"},
                    "data": {"plugins.yaml": text},
                    "binaryData": {"a.wasm.zst": "KLUv/f8="},
                }),
                "{written}"
            );
            let written = values(&members);
            let read: Value = serde_saphyr::from_str(&written).unwrap_or_else(|error| panic!("{error}\n{written}"));
            assert_eq!(read, json!({"plugins": {"files": {"plugins.yaml": text, "a.wasm.zst": "KLUv/f8="}}}), "{written}");
        }
    }

    #[test]
    fn names_are_those_that_kubernetes_takes() {
        assert!(["a", "team-a.plugins", "0"].into_iter().all(is_name));
        assert!(!["", "A", "a_b", "-a", "a-", "a..b", "a/b", "a b"].into_iter().any(is_name));
        assert!(is_label("team-a") && !is_label("team.a") && !is_label(&"a".repeat(64)));
    }
}
