//! Inputs as words, for operators and in records: `method`, `header accept`, `cookie a`, `cookie b*`, `path (first 2 segments)`.
//! What can be said can be read back, and two sets of inputs can be compared.

use super::{Inputs, NamePattern, PathExtent};

/// A word isn't the name of an input.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "found {0:?}, expected method, authority, path, upgrade, tls-name, client-address, client-certificate, listener-port, \
     `header <name>`, `cookie <name>` or `query <name>`"
)]
pub struct UnknownInput(String);

// === impl Inputs ===

impl Inputs {
    /// The declared inputs in words, for operators: `cookie clearml_token_basic (credential)`.
    pub fn describe(&self) -> Vec<String> {
        let marked = |credential: bool| if credential { " (credential)" } else { "" };
        let mut words = Vec::new();
        for pattern in &self.cookies {
            let mark = marked(self.credentials.cookies.contains(pattern));
            words.push(match pattern {
                NamePattern::Exact(name) => format!("cookie {name}{mark}"),
                NamePattern::Prefix(prefix) => format!("cookie {prefix}*{mark}"),
            });
        }
        words.extend(self.headers.iter().map(|name| format!("header {name}{}", marked(self.credentials.headers.contains(name)))));
        words.extend(self.query.iter().map(|name| format!("query {name}{}", marked(self.credentials.query.contains(name)))));
        words.extend(self.path.map(|extent| match extent {
            PathExtent::Full => "path".to_owned(),
            PathExtent::Segments(count) => format!("path (first {count} segments)"),
        }));
        for (declared, name) in [
            (self.method, "method"),
            (self.authority, "authority"),
            (self.upgrade, "upgrade"),
            (self.tls_name, "tls-name"),
            (self.client_address, "client-address"),
            (self.client_certificate, "client-certificate"),
            (self.listener_port, "listener-port"),
            (self.identity, "identity"),
        ] {
            words.extend(declared.then(|| name.to_owned()));
        }
        words.extend(self.attributes.iter().map(|name| format!("session {name}")));
        words
    }

    /// The same without marks and without what every record has: attributes and the identity.
    pub fn words(&self) -> Vec<String> {
        let plain = Self { attributes: Vec::new(), identity: false, credentials: Default::default(), ..self.clone() };
        plain.describe()
    }

    /// The inputs that words name.
    ///
    /// # Errors
    /// The first word that names none.
    pub fn of_words<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> Result<Self, UnknownInput> {
        let mut inputs = Self::default();
        for word in words {
            inputs.add_word(word.as_ref()).ok_or_else(|| UnknownInput(word.as_ref().to_owned()))?;
        }
        Ok(inputs)
    }

    fn add_word(&mut self, word: &str) -> Option<()> {
        let flag = match word {
            "method" => &mut self.method,
            "authority" => &mut self.authority,
            "upgrade" => &mut self.upgrade,
            "tls-name" => &mut self.tls_name,
            "client-address" => &mut self.client_address,
            "client-certificate" => &mut self.client_certificate,
            "listener-port" => &mut self.listener_port,
            "path" => {
                self.path = Some(PathExtent::Full);
                return Some(());
            }
            word => return self.add_named(word),
        };
        *flag = true;
        Some(())
    }

    fn add_named(&mut self, word: &str) -> Option<()> {
        let (kind, name) = word.split_once(' ')?;
        match kind {
            "header" => self.headers.push(name.parse().ok()?),
            "query" => self.query.push(name.to_owned()),
            "cookie" => self.cookies.push(match name.strip_suffix('*') {
                Some(prefix) => NamePattern::Prefix(prefix.to_owned()),
                None => NamePattern::Exact(name.to_owned()),
            }),
            "path" => {
                let count = name.strip_prefix("(first ")?.strip_suffix(" segments)")?;
                self.path = Some(PathExtent::Segments(count.parse().ok()?));
            }
            _ => return None,
        }
        Some(())
    }

    /// Adds another plugin's, so that what is gathered serves both.
    pub fn extend(&mut self, other: &Self) {
        fn add<T: Clone + PartialEq>(known: &mut Vec<T>, others: &[T]) {
            for other in others {
                if !known.contains(other) {
                    known.push(other.clone());
                }
            }
        }
        add(&mut self.cookies, &other.cookies);
        add(&mut self.headers, &other.headers);
        add(&mut self.query, &other.query);
        add(&mut self.attributes, &other.attributes);
        self.path = match (self.path, other.path) {
            (Some(PathExtent::Segments(one)), Some(PathExtent::Segments(other))) => Some(PathExtent::Segments(one.max(other))),
            (Some(PathExtent::Full), _) | (_, Some(PathExtent::Full)) => Some(PathExtent::Full),
            (one, other) => one.or(other),
        };
        for (flag, other) in [
            (&mut self.method, other.method),
            (&mut self.authority, other.authority),
            (&mut self.upgrade, other.upgrade),
            (&mut self.tls_name, other.tls_name),
            (&mut self.client_address, other.client_address),
            (&mut self.client_certificate, other.client_certificate),
            (&mut self.listener_port, other.listener_port),
            (&mut self.identity, other.identity),
        ] {
            *flag |= other;
        }
        self.credentials.extend(&other.credentials);
    }

    /// Whether whoever gathered these has all that `wanted` reads, and else the first input that is missing. Attributes and the
    /// identity aren't compared: every record has them.
    pub fn lacks(&self, wanted: &Self) -> Option<String> {
        let mut missing = Self::default();
        let covered = |wanted: &NamePattern| {
            self.cookies.iter().any(|known| match (known, wanted) {
                (NamePattern::Exact(known), NamePattern::Exact(wanted)) => known == wanted,
                (NamePattern::Prefix(known), NamePattern::Exact(wanted) | NamePattern::Prefix(wanted)) => {
                    wanted.starts_with(known.as_str())
                }
                (NamePattern::Exact(_), NamePattern::Prefix(_)) => false,
            })
        };
        missing.cookies = wanted.cookies.iter().filter(|pattern| !covered(pattern)).cloned().collect();
        missing.headers = wanted.headers.iter().filter(|name| !self.headers.contains(name)).cloned().collect();
        missing.query = wanted.query.iter().filter(|name| !self.query.contains(name)).cloned().collect();
        missing.path = wanted.path.filter(|wanted| match (self.path, wanted) {
            (Some(PathExtent::Full), _) => false,
            (Some(PathExtent::Segments(known)), PathExtent::Segments(wanted)) => known < *wanted,
            (Some(PathExtent::Segments(_)), PathExtent::Full) | (None, _) => true,
        });
        missing.method = wanted.method && !self.method;
        missing.authority = wanted.authority && !self.authority;
        missing.upgrade = wanted.upgrade && !self.upgrade;
        missing.tls_name = wanted.tls_name && !self.tls_name;
        missing.client_address = wanted.client_address && !self.client_address;
        missing.client_certificate = wanted.client_certificate && !self.client_certificate;
        missing.listener_port = wanted.listener_port && !self.listener_port;
        missing.words().into_iter().next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&str; 12] = [
        "cookie a",
        "cookie b*",
        "header accept",
        "query q",
        "path (first 2 segments)",
        "method",
        "authority",
        "upgrade",
        "tls-name",
        "client-address",
        "client-certificate",
        "listener-port",
    ];

    #[test]
    fn what_can_be_said_can_be_read() {
        assert_eq!(Inputs::of_words(ALL).unwrap().words(), ALL);
        for bad in ["", "methods", "header", "header a b", "path (first x segments)", "session owner", "query"] {
            assert_eq!(Inputs::of_words([bad]), Err(UnknownInput(bad.into())), "{bad:?}");
        }
    }

    #[test]
    fn each_input_can_be_the_one_that_lacks() {
        let all = Inputs::of_words(ALL).unwrap();
        assert_eq!(all.lacks(&all), None);
        for (at, word) in ALL.iter().enumerate() {
            let rest = Inputs::of_words(ALL.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, word)| word)).unwrap();
            assert_eq!(rest.lacks(&all).as_deref(), Some(*word));
            let mut whole = rest;
            whole.extend(&Inputs::of_words([word]).unwrap());
            assert_eq!(whole.lacks(&all), None, "{word}");
        }
    }

    #[test]
    fn a_wider_input_covers_a_narrower_one() {
        let lacks = |known: &str, wanted: &str| Inputs::of_words([known]).unwrap().lacks(&Inputs::of_words([wanted]).unwrap());
        assert_eq!(lacks("cookie a*", "cookie ab"), None);
        assert_eq!(lacks("cookie a*", "cookie ab*"), None);
        assert_eq!(lacks("cookie ab*", "cookie a*").as_deref(), Some("cookie a*"));
        assert_eq!(lacks("cookie a", "cookie a*").as_deref(), Some("cookie a*"));
        assert_eq!(lacks("path", "path (first 3 segments)"), None);
        assert_eq!(lacks("path (first 3 segments)", "path").as_deref(), Some("path"));
    }
}
