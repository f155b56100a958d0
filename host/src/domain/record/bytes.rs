//! Values that are bytes and nearly always text: text in JSON where they are, base64 where they aren't.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Bytes, written as text where they are UTF-8 and as `{"base64": "…"}` otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

/// A name with a value: a cookie, a header line, a query parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field(pub String, pub Bytes);

/// Fields in the order sent: a list of pairs, or as people write it a map of a name to a value or to several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Fields(pub Vec<Field>);

#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Binary { base64: String },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenFields {
    Pairs(Vec<Field>),
    Map(serde_json::Map<String, serde_json::Value>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(Bytes),
    More(Vec<Bytes>),
}

/// How long a value is as JSON: for limits, about what it takes in memory.
pub fn json_bytes(value: &impl Serialize) -> usize {
    struct Count(usize);

    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let mut count = Count(0);
    // Nothing here fails: keys are text, and counting has no end.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

// === impl Bytes ===

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => text.serialize(serializer),
            Err(_) => Written::Binary { base64: STANDARD.encode(&self.0) }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer).map_err(|_| D::Error::custom("expected text, or `base64: …`"))? {
            Written::Text(text) => Ok(Self(text.into_bytes())),
            Written::Binary { base64 } => {
                STANDARD.decode(base64).map(Self).map_err(|error| D::Error::custom(format!("base64: {error}")))
            }
        }
    }
}

// === impl Fields ===

impl Fields {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|Field(name, value)| (name.as_str(), value.0.as_slice()))
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = |_| D::Error::custom("expected a map of names to values, or a list of pairs");
        let map = match WrittenFields::deserialize(deserializer).map_err(expected)? {
            WrittenFields::Pairs(pairs) => return Ok(Self(pairs)),
            WrittenFields::Map(map) => map,
        };
        let mut fields = Vec::new();
        for (name, value) in map {
            let values = OneOrMore::deserialize(value).map_err(|_| {
                D::Error::custom(format!("{name}: expected a value or a list of values, each a text or `base64: …`"))
            })?;
            let values = match values {
                OneOrMore::One(value) => vec![value],
                OneOrMore::More(values) => values,
            };
            fields.extend(values.into_iter().map(|value| Field(name.clone(), value)));
        }
        Ok(Self(fields))
    }
}
