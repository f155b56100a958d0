//! What stands in records in place of credentials: keyed digests, the same for the same credential until the gateway restarts.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    domain::record::{Decision, Edit, Outcome, StandIn},
    plugin::{
        inputs::{CredentialInputs, Gathered},
        key_set::is_token_shaped,
    },
};

/// Of a digest that stands for a credential, in bytes: nobody finds two credentials with the same one.
const DIGEST_BYTES: usize = 16;
/// A scheme before a credential (`Bearer`) isn't secret, and plugins look at it.
const LONGEST_SCHEME: usize = 16;
/// Shorter ones aren't looked for in texts: they are in any.
const SHORTEST_SECRET: usize = 4;

pub struct Redaction {
    key: hmac::Key,
    /// Tells this process's digests from another's.
    whose: [u8; 3],
}

/// The credentials of one subject, to be taken out of texts.
pub struct Secrets<'a> {
    redaction: &'a Redaction,
    /// The longest first: one may be part of another.
    values: Vec<&'a str>,
}

// === impl Redaction ===

impl Redaction {
    /// # Errors
    /// There's no randomness.
    pub fn new() -> Result<Self, String> {
        let (mut secret, mut whose) = ([0; 32], [0; 3]);
        for random in [&mut secret[..], &mut whose[..]] {
            aws_lc_rs::rand::fill(random).map_err(|_| "there's no randomness".to_owned())?;
        }
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &secret), whose })
    }

    /// Three random bytes, chosen at the start.
    pub fn whose(&self) -> [u8; 3] {
        self.whose
    }

    /// What stands for a credential in a field: text where it was text, and shaped like a token where it was.
    pub fn field(&self, value: &[u8], has_scheme: bool) -> Vec<u8> {
        if value.is_empty() {
            return Vec::new();
        }
        let Ok(text) = std::str::from_utf8(value) else {
            return [b"\xff", self.stand_in("", value).as_bytes()].concat();
        };
        match split_scheme(text).filter(|_| has_scheme) {
            Some((scheme, token)) => format!("{scheme} {}", self.token(token)).into_bytes(),
            None => self.token(text).into_bytes(),
        }
    }

    pub fn token(&self, token: &str) -> String {
        if token.is_empty() { String::new() } else { self.stand_in(token, token.as_bytes()) }
    }

    fn stand_in(&self, token: &str, value: &[u8]) -> String {
        let digest = self.digest(value);
        if is_token_shaped(token) { format!("redacted.{digest}.redacted") } else { format!("redacted-{digest}") }
    }

    fn digest(&self, value: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(&hmac::sign(&self.key, value).as_ref()[..DIGEST_BYTES])
    }

    /// Takes out of an outcome what may be secret: these credentials, all values of headers, and what locations hold beside a path.
    pub fn outcome(&self, outcome: &mut Outcome, secrets: &Secrets<'_>) {
        let decided = match outcome {
            Outcome::Failed(failed) => return failed.message = secrets.scrub(&failed.message),
            Outcome::Decided(decided) => decided,
        };
        decided.detail = decided.detail.take().map(|detail| secrets.scrub(&detail));
        match &mut decided.decision {
            Decision::Forward { request_headers, response_headers, .. } => {
                for edit in request_headers.iter_mut().chain(response_headers) {
                    if let Edit::Set(_, value) | Edit::Append(_, value) = edit {
                        value.0 = self.value(&value.0, secrets).into_bytes();
                    }
                }
            }
            Decision::Redirect { location } => *location = self.location(location, secrets),
            Decision::Challenge(challenge) | Decision::Abstain { challenge: Some(challenge) } => {
                challenge.login = challenge.login.take().map(|login| self.location(&login, secrets));
                challenge.schemes.iter_mut().for_each(|scheme| *scheme = secrets.scrub(scheme));
            }
            Decision::Reject { message } => *message = message.take().map(|message| secrets.scrub(&message)),
            _ => {}
        }
    }

    /// A credential in a value is replaced first: where the decision is run again, the plugin sees what replaced it.
    fn value(&self, value: &[u8], secrets: &Secrets<'_>) -> String {
        let digest = match std::str::from_utf8(value) {
            Ok(text) => self.digest(secrets.scrub(text).as_bytes()),
            Err(_) => self.digest(value),
        };
        StandIn::new(self.whose, &digest).to_string()
    }

    fn location(&self, location: &str, secrets: &Secrets<'_>) -> String {
        match location.find(['?', '#']) {
            Some(at) => {
                let (path, rest) = location.split_at(at + 1);
                format!("{}{}", secrets.scrub(path), self.value(rest.as_bytes(), secrets))
            }
            None => secrets.scrub(location),
        }
    }

    /// The credentials among what was gathered.
    pub fn secrets<'a>(&'a self, gathered: &'a Gathered<'_>, credentials: &CredentialInputs) -> Secrets<'a> {
        let text = |value: &'a [u8]| std::str::from_utf8(value).ok();
        let cookies = gathered.cookies.iter().filter(|(name, _)| credentials.has_cookie(name));
        let headers = gathered.headers.iter().filter(|(name, _)| credentials.has_header(name));
        let query = gathered.query.iter().filter(|(name, _)| credentials.has_query(name));
        let mut values: Vec<&str> = cookies.filter_map(|(_, value)| text(value)).collect();
        values.extend(query.filter_map(|(_, value)| text(value)));
        for (name, value) in headers {
            let Some(value) = text(value) else { continue };
            let behind_scheme = split_scheme(value).map(|(_, token)| token);
            values.extend(behind_scheme);
            values.extend((behind_scheme.is_none() || !has_scheme(name)).then_some(value));
        }
        values.retain(|value| value.len() >= SHORTEST_SECRET);
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Secrets { redaction: self, values }
    }

    /// Where credentials are replaced already.
    pub fn no_secrets(&self) -> Secrets<'_> {
        Secrets { redaction: self, values: Vec::new() }
    }
}

/// A word and what stands behind it.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, token) = text.trim_ascii().split_once(' ')?;
    let is_scheme = (1..=LONGEST_SCHEME).contains(&scheme.len()) && scheme.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_scheme.then(|| (scheme, token.trim_ascii()))
}

/// Whether a header's value begins with a scheme.
pub fn has_scheme(header: &str) -> bool {
    header.ends_with("authorization")
}

// === impl Secrets ===

impl Secrets<'_> {
    /// The text with what stands for each credential in its place.
    pub fn scrub(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for value in &self.values {
            if text.contains(value) {
                text = text.replace(value, &self.redaction.token(value));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::record::{Bytes, Decided, Failed};

    #[test]
    fn what_stands_for_a_credential_keeps_its_shape_and_nothing_else() {
        let redaction = Redaction::new().unwrap();
        let text = |value: &str| String::from_utf8(redaction.field(value.as_bytes(), true)).unwrap();
        assert_eq!(text(""), "");
        assert!(is_token_shaped(&text("aaa.bbb.ccc")));
        let bearer = text("Bearer aaa.bbb.ccc");
        assert_eq!(bearer.strip_prefix("Bearer "), Some(text("aaa.bbb.ccc").as_str()), "the same token is the same text");
        assert!(text("secret").starts_with("redacted-") && text("secret") != text("Secret"));
        assert!(!text("se cret").contains("cret") && !text("s3 cret").contains("s3"), "only a word before it is a scheme");
        assert_eq!(redaction.field(b"\xffsecret", true)[0], 0xff, "what wasn't text still isn't");
        assert_ne!(Redaction::new().unwrap().field(b"secret", false), redaction.field(b"secret", false));
    }

    #[test]
    fn words_of_a_cookie_are_no_scheme() {
        let redaction = Redaction::new().unwrap();
        let redacted = String::from_utf8(redaction.field(b"correct horse", false)).unwrap();
        assert!(redacted.starts_with("redacted-"), "{redacted}");
        assert!(has_scheme("authorization") && has_scheme("proxy-authorization") && !has_scheme("x-passphrase"));
    }

    fn forward(value: &str) -> Outcome {
        let edit = |value: &str| Edit::Set("x-upstream".into(), Bytes(value.as_bytes().to_vec()));
        decided(Decision::Forward {
            endpoint: None,
            request_headers: vec![edit(value)],
            response_headers: vec![edit(value)],
            request_body_bytes: None,
            response_timeout_ms: None,
        })
    }

    fn decided(decision: Decision) -> Outcome {
        let detail = Some("by correct horse".into());
        Outcome::Decided(Decided { by: None, decision, reason: "x".into(), detail, holds_until_ms: None })
    }

    #[test]
    fn no_outcome_holds_a_credential_and_differences_are_still_seen() {
        let redaction = Redaction::new().unwrap();
        let gathered = Gathered {
            cookies: vec![("pass", &b"correct horse"[..]), ("theme", b"dark-theme")],
            headers: vec![("authorization", b"Bearer battery-staple")],
            ..Gathered::default()
        };
        let credentials = CredentialInputs {
            cookies: vec![crate::plugin::NamePattern::Exact("pass".into())],
            headers: vec![http::header::AUTHORIZATION],
            query: Vec::new(),
        };
        let secrets = redaction.secrets(&gathered, &credentials);
        let redacted = |mut outcome: Outcome| {
            redaction.outcome(&mut outcome, &secrets);
            let json = serde_json::to_string(&outcome).unwrap();
            assert!(!json.contains("horse") && !json.contains("staple") && !json.contains("an API key"), "{json}");
            outcome
        };
        let login = |url: &str| decided(Decision::Redirect { location: url.into() });
        let failed = |message: &str| Outcome::Failed(Failed { by: "p".into(), fault: "error".into(), message: message.into() });
        let key = redacted(forward("an API key"));
        assert!(key.has_effect_of(&redacted(forward("an API key"))) && !key.has_effect_of(&redacted(forward("an API key 2"))));
        let to = redacted(login("/a?token=battery-staple"));
        assert!(to.has_effect_of(&redacted(login("/a?token=battery-staple"))) && !to.has_effect_of(&redacted(login("/a?b"))));
        let Outcome::Failed(said) = redacted(failed("bad pass 'correct horse', bad token battery-staple, dark-theme")) else {
            panic!("not a failure")
        };
        assert!(said.message.starts_with("bad pass 'redacted-") && said.message.ends_with(", dark-theme"), "{}", said.message);
        // Run again, the plugin hands on what stands in the credential's place.
        let handed_on = redacted(forward("Bearer battery-staple"));
        let mut again = forward(&format!("Bearer {}", redaction.token("battery-staple")));
        redaction.outcome(&mut again, &redaction.no_secrets());
        assert!(handed_on.has_effect_of(&again));
        // Nobody knows whether another process's digests are of the same values.
        let (mut elsewhere, other) = (forward("anything"), Redaction::new().unwrap());
        other.outcome(&mut elsewhere, &other.no_secrets());
        assert!(key.has_effect_of(&elsewhere) && !key.has_effect_of(&forward("redacted")));
    }
}
