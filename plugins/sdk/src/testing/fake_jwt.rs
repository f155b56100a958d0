//! A host that verifies tokens from a list.

use crate::json::{self, Value};
use crate::jwt::{ClaimValue, Jwt, Verified, VerifyError};
use crate::prelude::*;
use crate::{Declaration, Verification};

/// Answers for key sets and tokens that it was told about. Any other token has a wrong signature.
#[derive(Debug, Clone, Default)]
pub struct FakeJwt {
    tokens: Vec<(String, String, Result<Value, VerifyError>)>,
    unavailable: Vec<String>,
}

/// The same, as it looks to a plugin with this declaration.
#[derive(Debug)]
pub struct DeclaredJwt<'a> {
    jwt: &'a FakeJwt,
    verifications: &'a [Verification],
}

// === impl FakeJwt ===

impl FakeJwt {
    pub fn new() -> Self {
        Self::default()
    }

    /// The token verifies under this key set and has these claims, in JSON. Its `exp` is its lifetime; it isn't compared with
    /// any clock.
    ///
    /// # Panics
    /// If the claims aren't JSON: it's a mistake in the test.
    #[must_use]
    #[expect(clippy::panic, reason = "a mistake in a test")]
    pub fn accepts(mut self, key_set: &str, token: &str, claims: &str) -> Self {
        let claims = json::parse(claims).unwrap_or_else(|fault| panic!("claims aren't JSON at byte {}", fault.at));
        self.tokens.push((key_set.to_owned(), token.to_owned(), Ok(claims)));
        self
    }

    /// The token is refused under this key set.
    #[must_use]
    pub fn rejects(mut self, key_set: &str, token: &str, error: VerifyError) -> Self {
        self.tokens.push((key_set.to_owned(), token.to_owned(), Err(error)));
        self
    }

    /// The key set was never loaded.
    #[must_use]
    pub fn without(mut self, key_set: &str) -> Self {
        self.unavailable.push(key_set.to_owned());
        self
    }

    /// What a plugin with this declaration may ask.
    pub fn declared<'a>(&'a self, declaration: &'a Declaration) -> DeclaredJwt<'a> {
        DeclaredJwt { jwt: self, verifications: &declaration.verifications }
    }
}

// === impl DeclaredJwt ===

impl Jwt for DeclaredJwt<'_> {
    fn verify(&self, verification: usize, token: &str) -> Result<Verified, VerifyError> {
        let declared = self.verifications.get(verification).ok_or(VerifyError::Undeclared)?;
        if self.jwt.unavailable.contains(&declared.key_set) {
            return Err(VerifyError::Unavailable(["key set ", &declared.key_set, " was never loaded"].concat()));
        }
        let known = self.jwt.tokens.iter().find(|(key_set, it, _)| *key_set == declared.key_set && it == token);
        let (_, _, answer) = known.ok_or(VerifyError::Signature)?;
        let claims = answer.clone()?;
        Ok(Verified {
            claims: declared.claims.iter().map(|path| claim(&claims, path).map(claim_value)).collect(),
            valid_until: claim(&claims, "exp").and_then(|exp| match exp {
                Value::Number(seconds) => seconds.parse::<u64>().ok().map(|seconds| seconds * 1000),
                _ => None,
            }),
        })
    }
}

/// Walks a path of names with a dot between; `\.` is a dot in a name.
fn claim<'a>(claims: &'a Value, path: &str) -> Option<&'a Value> {
    path.replace("\\.", "\u{0}").split('.').try_fold(claims, |value, name| {
        let name = name.replace('\u{0}', ".");
        match value {
            Value::Mapping(entries) => entries.iter().find(|(key, _)| *key == name).map(|(_, value)| value),
            _ => None,
        }
    })
}

fn claim_value(value: &Value) -> ClaimValue {
    match value {
        Value::Text(text) => ClaimValue::Text(text.clone()),
        Value::Boolean(value) => ClaimValue::Boolean(*value),
        Value::Number(number) => number.parse().map_or_else(|_| ClaimValue::Json(number.clone()), ClaimValue::Integer),
        Value::List(values) => {
            let texts: Option<Vec<String>> =
                values.iter().map(|value| if let Value::Text(text) = value { Some(text.clone()) } else { None }).collect();
            texts.map_or_else(|| ClaimValue::Json("[…]".to_owned()), ClaimValue::Texts)
        }
        Value::Null => ClaimValue::Json("null".to_owned()),
        Value::Mapping(_) => ClaimValue::Json("{…}".to_owned()),
    }
}
