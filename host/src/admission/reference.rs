//! Names of artifacts in registries: `registry.example/team/policy@sha256:…`. Only a digest names content; a tag names whatever
//! somebody puts there next, and would let a policy change without its manifest changing.

use std::{fmt, str::FromStr};

use crate::config::is_registry;

/// The longest repository name that registries take.
const LONGEST: usize = 255;

/// Where an artifact is, and which one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Host and port.
    pub registry: String,
    pub repository: String,
    /// SHA-256 of the artifact's manifest, in 64 hexadecimal digits.
    pub sha256: String,
}

/// A text that names no artifact by its digest.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("found '{found}', {expected}")]
pub struct ReferenceError {
    found: String,
    expected: &'static str,
}

// === impl Reference ===

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let wrong = |expected| ReferenceError { found: text.escape_debug().to_string(), expected };
        const FORM: &str = "expected registry.example/team/policy@sha256: and 64 hexadecimal digits";
        let bare = text.strip_prefix("oci://").unwrap_or(text);
        let Some((place, digest)) = bare.split_once('@') else {
            return Err(wrong("expected a digest at its end, @sha256: and 64 hexadecimal digits: what a tag names can change"));
        };
        let sha256 = digest.strip_prefix("sha256:").ok_or_else(|| wrong(FORM))?;
        let (registry, path) = place.split_once('/').ok_or_else(|| wrong(FORM))?;
        // A tag beside a digest is for people: it doesn't count.
        let (repository, tag) = path.split_once(':').map_or((path, None), |(path, tag)| (path, Some(tag)));
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_part = |part: &str| {
            let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
            let ends = part.bytes().next().into_iter().chain(part.bytes().last());
            !part.is_empty() && part.bytes().all(inner) && ends.into_iter().all(|byte| byte.is_ascii_alphanumeric())
        };
        let is_tag = |tag: &str| {
            (1..=128).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        let fits = sha256.len() == 64
            && sha256.bytes().all(is_hex)
            && is_registry(registry)
            && repository.len() <= LONGEST
            && repository.split('/').all(is_part)
            && tag.is_none_or(is_tag);
        if !fits {
            return Err(wrong(FORM));
        }
        Ok(Self { registry: registry.to_owned(), repository: repository.to_owned(), sha256: sha256.to_owned() })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@sha256:{}", self.registry, self.repository, self.sha256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_is_named_by_its_digest() {
        let digest = "0123456789abcdef".repeat(4);
        for place in ["registry.example/team/policy", "localhost:5000/policy", "[::1]:5000/a/b_c.d", "10.0.0.1:5000/p"] {
            for written in [format!("{place}@sha256:{digest}"), format!("oci://{place}:v1.2@sha256:{digest}")] {
                let reference: Reference = written.parse().unwrap();
                assert_eq!(reference.to_string(), format!("{place}@sha256:{digest}"));
            }
        }
    }

    #[test]
    fn anything_else_names_none() {
        let digest = "0123456789abcdef".repeat(4);
        let tag: Result<Reference, _> = "registry.example/team/policy:1.2".parse();
        let tag = tag.unwrap_err().to_string();
        assert!(
            tag.ends_with("expected a digest at its end, @sha256: and 64 hexadecimal digits: what a tag names can change"),
            "{tag}"
        );
        for wrong in [
            String::new(),
            format!("team/policy@sha256:{digest}"),
            format!("policy@sha256:{digest}"),
            format!("registry.example/@sha256:{digest}"),
            format!("registry.example/../policy@sha256:{digest}"),
            format!("registry.example/Policy@sha256:{digest}"),
            format!("user:secret@registry.example/policy@sha256:{digest}"),
            format!("registry.example:0/policy@sha256:{digest}"),
            format!("registry.example/policy@sha256:{}", &digest[1..]),
            format!("registry.example/policy@sha256:{}", digest.to_uppercase()),
            format!("registry.example/policy@sha512:{digest}{digest}"),
            format!("https://registry.example/policy@sha256:{digest}"),
            format!("registry.example/a?b@sha256:{digest}"),
        ] {
            assert!(wrong.parse::<Reference>().is_err(), "{wrong}");
        }
    }
}
