//! Secrets in the configuration: read where they are found while the configuration is parsed, so that nothing later has to
//! ask whether one is there, and never printed.

use std::{fs::File, io::Read, path::Path};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::Value;

use crate::domain::Credential;

/// A key or a certificate fits well; a log file given by mistake doesn't.
const LARGEST_FILE: u64 = 64 * 1024;

/// What every error says was expected. It never shows what was found: that may be the secret itself.
const EXPECTED: &str = "expected a secret: text, {file: PATH} or {env: NAME}";

/// A secret. In the file it's the text itself, `{file: PATH}` (white space at its end is left out) or `{env: NAME}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret(Credential);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(Credential::new(text))
    }

    pub fn credential(&self) -> &Credential {
        &self.0
    }

    /// The secret itself: see `Credential::reveal`.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Through a value of any kind, because serde's own type errors quote what they found.
        parse(Value::deserialize(deserializer)?).map(Self::new).map_err(D::Error::custom)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("…")
    }
}

fn parse(value: Value) -> Result<String, String> {
    let kind = match value {
        Value::String(text) if text.is_empty() => return Err(format!("found an empty text, {EXPECTED}")),
        // A variable's text is also tried as it stands: a place whose secret isn't there must not become the secret.
        Value::String(text) if names_a_place(&text) => "a text that names a file or variable",
        Value::String(text) => return Ok(text),
        Value::Object(map) if map.len() == 1 => match map.into_iter().next() {
            Some((place, Value::String(name))) if place == "file" => return from_file(Path::new(&name)),
            Some((place, Value::String(name))) if place == "env" => return from_environment(&name),
            _ => "a map of another shape",
        },
        Value::Object(_) => "a map of another shape",
        Value::Array(_) => "a list",
        Value::Number(_) | Value::Bool(_) => "a number or boolean (put it in quotes)",
        Value::Null => "nothing",
    };
    Err(format!("found {kind}, {EXPECTED}"))
}

fn names_a_place(text: &str) -> bool {
    let inside = text.trim().strip_prefix('{').and_then(|text| text.strip_suffix('}')).map(str::trim);
    let key = inside.and_then(|inside| inside.split_once(':')).map(|(key, _)| key.trim().trim_matches(['"', '\'']));
    matches!(key, Some("file" | "env"))
}

fn from_file(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST_FILE + 1).read_to_string(&mut text))
        .map_err(|error| format!("the secret's file {shown} can't be read: {error}"))?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(format!("the secret's file {shown} is larger than {LARGEST_FILE} bytes"));
    }
    text.truncate(text.trim_end().len());
    if text.is_empty() { Err(format!("the secret's file {shown} is empty")) } else { Ok(text) }
}

fn from_environment(name: &str) -> Result<String, String> {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => Ok(text),
        Ok(_) => Err(format!("the secret's environment variable {name} is empty")),
        Err(_) => Err(format!("the secret's environment variable {name} isn't set")),
    }
}
