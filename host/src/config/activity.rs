//! `activity`: what counts as somebody using a session.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Activity {
    /// Requests that pages make by themselves, whether somebody looks at them or not: a method and a path behind the session's
    /// prefix, where `*` stands for anything.
    pub polls: Vec<Poll>,
    /// Whether each session has metrics of its own; without, only `/sessions` shows them.
    pub metrics: bool,
}

/// `GET */api/kernels`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Poll {
    method: String,
    pattern: String,
}

// === impl Poll ===

impl Poll {
    pub fn matches(&self, method: &str, path: &str) -> bool {
        self.method == method && is_like(&self.pattern, path)
    }
}

impl TryFrom<String> for Poll {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once(' ') {
            Some((method, pattern)) if method.bytes().all(|byte| byte.is_ascii_uppercase()) && pattern.starts_with(['/', '*']) => {
                Ok(Self { method: method.to_owned(), pattern: pattern.to_owned() })
            }
            _ => Err(format!("found {text:?}, expected a method and a path such as `GET */api/kernels`")),
        }
    }
}

impl From<Poll> for String {
    fn from(poll: Poll) -> Self {
        format!("{} {}", poll.method, poll.pattern)
    }
}

/// The pieces between the stars must come in their order, the first at the beginning, the last at the end.
fn is_like(pattern: &str, path: &str) -> bool {
    // Asked for each request and pattern, and most are of this kind.
    if let Some(end) = pattern.strip_prefix('*').filter(|end| !end.contains('*')) {
        return path.ends_with(end);
    }
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = path.strip_prefix(first) else { return false };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    true
}

impl Default for Activity {
    fn default() -> Self {
        // Jupyter's lists, and the health checks of code-server and Streamlit.
        let polls = [
            "GET */api/kernels",
            "GET */api/sessions",
            "GET */api/terminals",
            "GET */api/kernelspecs",
            "GET */api/status",
            "GET */healthz",
            "GET */_stcore/health",
            "GET */_stcore/host-config",
        ];
        Self { polls: polls.into_iter().filter_map(|poll| Poll::try_from(poll.to_owned()).ok()).collect(), metrics: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        let poll = |text: &str| Poll::try_from(text.to_owned()).unwrap();
        for (pattern, path, expected) in [
            ("GET */api/kernels", "/api/kernels", true),
            ("GET */api/kernels", "/lab/api/kernels", true),
            ("GET */api/kernels", "/api/kernels/7", false),
            ("GET /exact", "/exact", true),
            ("GET /exact", "/exact/", false),
            ("GET /a*c*e", "/abcde", true),
            ("GET /a*c*e", "/abde", false),
            ("GET *", "/", true),
            ("GET /a*a", "/a", false),
        ] {
            assert_eq!(poll(pattern).matches("GET", path), expected, "{pattern} {path}");
        }
        assert!(!poll("GET *").matches("POST", "/"));
        for bad in ["", "GET", "/path", "get /x", "GET x"] {
            assert!(Poll::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}
