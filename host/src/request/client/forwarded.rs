//! The header `Forwarded` (RFC 7239) of a trusted proxy: whom each proxy on the way saw, and by which scheme.

use http::{HeaderMap, header};

/// The values of one parameter, in the order in which the proxies wrote them.
pub fn values(headers: &HeaderMap, parameter: &str) -> Vec<String> {
    let lines = headers.get_all(header::FORWARDED).iter().filter_map(|line| line.to_str().ok());
    let elements = lines.flat_map(|line| split(line, b','));
    elements.filter_map(|element| value(element, parameter)).collect()
}

fn value(element: &str, parameter: &str) -> Option<String> {
    split(element, b';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case(parameter).then(|| unquoted(value.trim()))
    })
}

/// At separators outside of quotes. A quote that never ends is none: what a client began mustn't swallow a proxy's word.
fn split(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let has_quotes = text.matches('"').count() - text.matches("\\\"").count();
    let is_closed = has_quotes.is_multiple_of(2);
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |char: char| {
        if !is_closed {
            return char == char::from(separator);
        }
        let escapes = is_quoted && !is_escaped && char == '\\';
        if char == '"' && !is_escaped {
            is_quoted = !is_quoted;
        }
        is_escaped = escapes;
        !is_quoted && char == char::from(separator)
    })
}

fn unquoted(value: &str) -> String {
    match value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) {
        None => value.to_owned(),
        Some(quoted) => {
            let mut is_escaped = false;
            let keeps = |char: &char| {
                is_escaped = *char == '\\' && !is_escaped;
                !is_escaped
            };
            quoted.chars().filter(keeps).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str], parameter: &str) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::FORWARDED, line.parse().unwrap());
        }
        values(&headers, parameter)
    }

    #[test]
    fn each_proxys_word_is_read_in_order() {
        let lines = ["for=192.0.2.43, For=\"[2001:db8:cafe::17]:4711\";proto=https;by=203.0.113.43", "proto=http;for=unknown"];
        assert_eq!(of(&lines, "for"), ["192.0.2.43", "[2001:db8:cafe::17]:4711", "unknown"]);
        assert_eq!(of(&lines, "proto"), ["https", "http"]);
    }

    #[test]
    fn separators_in_quotes_separate_nothing() {
        assert_eq!(of(&["for=\"a,b;c\\\"d\";proto=https"], "for"), ["a,b;c\"d"]);
        assert_eq!(of(&["for=\"never ends, for=192.0.2.1"], "for"), ["\"never ends", "192.0.2.1"]);
        assert!(of(&["", ";;,,=", "for"], "for").is_empty());
    }
}
