//! A plugin's configuration: from the JSON text that `configure` gets to the plugin's own type, by serde.
//!
//! Errors name the key's path, what was found there and what was expected. Keys that the type doesn't know are errors: a
//! misspelt `deny` must not be an empty one.

use crate::prelude::*;
use crate::text::{concatenated, decimal};
use core::fmt::Display;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};

use crate::json::{self, Value};
use crate::{Error, InvalidConfig};

/// A type that a configuration can be read into: any that serde can read, or one that takes the keys itself, from a
/// [`Section`].
pub trait Configuration: Sized {
    /// Reads a configuration's text. Nothing (empty text or `null`) is an empty mapping.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`], with the path of the key.
    fn from_json(text: &str) -> Result<Self, Error>;
}

impl<T: DeserializeOwned> Configuration for T {
    fn from_json(text: &str) -> Result<Self, Error> {
        let value = tree(text)?;
        T::deserialize(At(&value)).map_err(|fault| Error::InvalidConfig(*fault.found(&value).0))
    }
}

/// How much of a value an error quotes.
const QUOTED_CHARS: usize = 64;

/// A configuration's text as a tree; nothing is an empty mapping.
pub(crate) fn tree(text: &str) -> Result<Value, Error> {
    match text.trim_ascii() {
        "" | "null" => Ok(Value::Mapping(Vec::new())),
        text => json::parse(text).map_err(|fault| {
            let found = concatenated(&["no JSON from byte ", &decimal(fault.at as u64), " on"]);
            Error::invalid_config("", found, "JSON text")
        }),
    }
}

/// One value of the tree.
#[derive(Clone, Copy)]
struct At<'a>(&'a Value);

/// What is wrong; `found` stays empty until the place is known where the value stands. Boxed, because serde writes a function
/// for each type of a configuration, and each of them hands it on.
#[derive(Debug)]
struct Fault(Box<InvalidConfig>);

struct Entries<'a> {
    rest: core::slice::Iter<'a, (String, Value)>,
    current: Option<&'a (String, Value)>,
}

struct Elements<'a> {
    rest: core::slice::Iter<'a, Value>,
    index: usize,
}

struct Variant<'a> {
    name: &'a str,
    content: &'a Value,
}

// === impl Fault ===

impl Fault {
    fn expected(what: impl Into<String>) -> Self {
        Self::at_key("", "", what.into())
    }

    #[inline(never)]
    fn at_key(key: &str, found: &str, expected: String) -> Self {
        Self(Box::new(InvalidConfig { key: key.to_owned(), found: found.to_owned(), expected }))
    }

    /// Says what stands there, unless somebody further inside knew better.
    #[inline(never)]
    fn found(mut self, value: &Value) -> Self {
        if self.0.found.is_empty() {
            self.0.found = describe(value);
        }
        self
    }

    /// Puts the key in front of the path.
    #[inline(never)]
    fn inside(mut self, key: &str) -> Self {
        self.0.key = joined(key, &self.0.key);
        self
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0.expected)
    }
}

impl core::error::Error for Fault {}

impl serde::de::Error for Fault {
    fn custom<T: Display>(message: T) -> Self {
        Self::expected(message.to_string())
    }

    // The given methods would format every kind of value, floating point too, which alone is a fifth of a small plugin.
    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::expected(expected.to_string())
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::expected(expected.to_string())
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::expected(expected.to_string())
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::expected(one_of(expected))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::at_key(field, "an unknown key", one_of(expected))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::at_key(field, "nothing", "a value".to_owned())
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::at_key(field, "the key again", "each key once".to_owned())
    }
}

pub(crate) fn one_of(names: &[&str]) -> String {
    match names {
        [] => "no key".to_owned(),
        [name] => (*name).to_owned(),
        [first, rest @ ..] => {
            let mut text = concatenated(&["one of ", first]);
            for name in rest {
                text.push_str(", ");
                text.push_str(name);
            }
            text
        }
    }
}

pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Boolean(true) => "true".to_owned(),
        Value::Boolean(false) => "false".to_owned(),
        Value::Number(number) => cut(number),
        Value::Text(text) => concatenated(&["\"", &cut(text), "\""]),
        Value::List(_) => "a list".to_owned(),
        Value::Mapping(_) => "a mapping".to_owned(),
    }
}

pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS) {
        // Not by slicing, whose panic message brings a fifteenth of a small plugin along.
        Some((end, _)) => concatenated(&[text.get(..end).unwrap_or_default(), "…"]),
        None => text.to_owned(),
    }
}

/// A key and what's below it.
pub(crate) fn joined(key: &str, path: &str) -> String {
    if path.is_empty() { key.to_owned() } else { concatenated(&[key, ".", path]) }
}

// === impl At ===

impl<'de> At<'de> {
    #[inline(never)]
    fn fault(self, expected: &str) -> Fault {
        Fault::expected(expected).found(self.0)
    }

    fn wrong<T>(self, expected: &str) -> Result<T, Fault> {
        Err(self.fault(expected))
    }
}

/// Integers are read as the type that is wanted, so that the error can name its range.
macro_rules! integers {
    ($($method:ident $visit:ident $type:ty, $range:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.0 {
                Value::Number(number) => match number.parse::<$type>() {
                    Ok(number) => visitor.$visit(number),
                    Err(_) => self.wrong($range),
                },
                _ => self.wrong("a whole number"),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for At<'de> {
    type Error = Fault;

    integers! {
        deserialize_u8 visit_u8 u8, "a whole number from 0 to 255";
        deserialize_u16 visit_u16 u16, "a whole number from 0 to 65535";
        deserialize_u32 visit_u32 u32, "a whole number from 0 to 4294967295";
        deserialize_u64 visit_u64 u64, "a whole number from 0 to 18446744073709551615";
        deserialize_i8 visit_i8 i8, "a whole number from -128 to 127";
        deserialize_i16 visit_i16 i16, "a whole number from -32768 to 32767";
        deserialize_i32 visit_i32 i32, "a whole number from -2147483648 to 2147483647";
        deserialize_i64 visit_i64 i64, "a whole number from -9223372036854775808 to 9223372036854775807";
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Boolean(_) => self.deserialize_bool(visitor),
            Value::Number(number) if number.starts_with('-') => self.deserialize_i64(visitor),
            Value::Number(_) => self.deserialize_u64(visitor),
            Value::Text(_) => self.deserialize_str(visitor),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Mapping(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Value::Boolean(value) => visitor.visit_bool(*value),
            _ => self.wrong("true or false"),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Value::Number(number) => match number.parse() {
                Ok(number) => visitor.visit_f64(number),
                Err(_) => self.wrong("a number"),
            },
            _ => self.wrong("a number"),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Value::Text(text) => visitor.visit_str(text),
            _ => self.wrong("text"),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            _ => self.wrong("null"),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Value::List(values) => visitor.visit_seq(Elements { rest: values.iter(), index: 0 }),
            _ => self.wrong("a list"),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_map(Entries::of(self.0, None)?)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_map(Entries::of(self.0, Some(fields))?)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let (name, content) = match self.0 {
            Value::Text(name) => (name, &Value::Null),
            Value::Mapping(entries) if entries.len() == 1 => (&entries[0].0, &entries[0].1),
            _ => return self.wrong(&one_of(variants)),
        };
        visitor.visit_enum(Variant { name, content })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { i128 u128 }
}

// === impl Entries, Elements, Variant ===

impl<'a> Entries<'a> {
    /// The entries of a mapping, in which only these keys may stand.
    #[inline(never)]
    fn of(value: &'a Value, keys: Option<&'static [&'static str]>) -> Result<Self, Fault> {
        let Value::Mapping(entries) = value else { return At(value).wrong("a mapping") };
        if let Some(keys) = keys
            && let Some((unknown, _)) = entries.iter().find(|(key, _)| !keys.contains(&key.as_str()))
        {
            return Err(Fault::unknown_field(unknown, keys));
        }
        Ok(Self { rest: entries.iter(), current: None })
    }
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.current = self.rest.next();
        let Some((key, _)) = self.current else { return Ok(None) };
        let deserializer: StrDeserializer<'_, Fault> = key.as_str().into_deserializer();
        // A key that its type refuses names itself already, where the type knows its keys.
        seed.deserialize(deserializer).map(Some).map_err(|fault| if fault.0.key.is_empty() { fault.inside(key) } else { fault })
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (key, value) = self.current.ok_or_else(|| Fault::custom("a key before its value"))?;
        seed.deserialize(At(value)).map_err(|fault| fault.found(value).inside(key))
    }
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some(value) = self.rest.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        seed.deserialize(At(value)).map(Some).map_err(|fault| fault.found(value).inside(&decimal(index as u64)))
    }
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let deserializer: StrDeserializer<'_, Fault> = self.name.into_deserializer();
        seed.deserialize(deserializer).map(|value| (value, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match self.content {
            Value::Null => Ok(()),
            content => Err(Fault::expected("nothing").found(content).inside(self.name)),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(At(self.content)).map_err(|fault| fault.inside(self.name))
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Fault> {
        At(self.content).deserialize_tuple(length, visitor).map_err(|fault| fault.inside(self.name))
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        At(self.content).deserialize_struct("", fields, visitor).map_err(|fault| fault.inside(self.name))
    }
}

#[cfg(test)]
mod tests;
