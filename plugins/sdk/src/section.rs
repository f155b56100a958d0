//! A configuration read by hand, key by key: a fifth of the code that serde would write. The default plugins do so, because
//! each gateway carries them; with [`Configuration`](crate::Configuration) for whatever serde can read, nobody else needs to.

use crate::config::{cut, describe, joined, one_of, tree};
use crate::json::Value;
use crate::prelude::*;
use crate::text::{concatenated, decimal};
use crate::{Error, InvalidConfig};

/// One mapping of a configuration.
///
/// Each method takes a key and puts its value into a place that holds the default; an absent key leaves the default. The first
/// fault is kept and comes out at the end, so that reading is one line for each key. What nobody asked for is a fault, too.
#[derive(Debug)]
pub struct Section<'a> {
    entries: &'a [(String, Value)],
    known: Vec<&'static str>,
    fault: Option<Box<InvalidConfig>>,
}

type Fault = Box<InvalidConfig>;

/// How one value is read.
type Read<T> = fn(&Value) -> Result<T, Fault>;

// === impl Section ===

impl<'a> Section<'a> {
    /// Reads a configuration's text: what [`Configuration::from_json`](crate::Configuration::from_json) does without serde.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`]: the first fault that was met.
    pub fn whole<T: Default>(text: &str, read: fn(&mut T, &mut Section<'_>)) -> Result<T, Error> {
        let tree = tree(text)?;
        let mut whole = T::default();
        match section(&tree, &mut whole, read) {
            Some(fault) => Err(Error::InvalidConfig(*fault)),
            None => Ok(whole),
        }
    }

    fn new(value: &'a Value) -> Result<Self, Fault> {
        match value {
            Value::Mapping(entries) => Ok(Self { entries, known: Vec::new(), fault: None }),
            value => Err(wrong(value, "a mapping")),
        }
    }

    /// What is left over, and then the first fault of reading: a misspelt key is often why another one seems to be missing.
    fn finish(self) -> Option<Fault> {
        for (at, (key, _)) in self.entries.iter().enumerate() {
            if !self.known.contains(&key.as_str()) {
                return Some(fault(&cut(key), "an unknown key", one_of(&self.known)));
            }
            if self.entries.iter().take(at).any(|(earlier, _)| earlier == key) {
                return Some(fault(&cut(key), "the key again", "each key once".to_owned()));
            }
        }
        self.fault
    }

    #[inline(never)]
    fn value(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.push(key);
        self.entries.iter().find(|(it, _)| it == key).map(|(_, value)| value)
    }

    /// Says that the value of a key isn't as expected, for what the methods of this type can't tell.
    #[inline(never)]
    pub fn refuse(&mut self, key: &'static str, found: &str, expected: &str) {
        self.note(key, Some(fault("", found, expected.to_owned())));
    }

    #[inline(never)]
    fn note(&mut self, key: &str, fault: Option<Fault>) {
        if let (Some(mut fault), true) = (fault, self.fault.is_none()) {
            fault.key = joined(key, &fault.key);
            self.fault = Some(fault);
        }
    }

    fn put<T>(&mut self, key: &'static str, place: &mut T, read: Read<T>) {
        match self.value(key).map(read) {
            None => {}
            Some(Ok(value)) => *place = value,
            Some(Err(fault)) => self.note(key, Some(fault)),
        }
    }

    /// A text.
    pub fn text(&mut self, key: &'static str, place: &mut String) {
        self.put(key, place, text);
    }

    /// A text that need not be.
    pub fn optional_text(&mut self, key: &'static str, place: &mut Option<String>) {
        self.put(key, place, |value| text(value).map(Some));
    }

    /// A list of texts.
    pub fn texts(&mut self, key: &'static str, place: &mut Vec<String>) {
        self.put(key, place, |value| each(value, text));
    }

    /// A list of texts that need not be.
    pub fn optional_texts(&mut self, key: &'static str, place: &mut Option<Vec<String>>) {
        self.put(key, place, |value| each(value, text).map(Some));
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &'static str, place: &mut bool) {
        self.put(key, place, |value| match value {
            Value::Boolean(value) => Ok(*value),
            value => Err(wrong(value, "true or false")),
        });
    }

    /// A whole number, up to this.
    pub fn number(&mut self, key: &'static str, max: u64, place: &mut Option<u64>) {
        self.put(key, place, number);
        if let Some(found) = place.filter(|number| *number > max) {
            self.refuse(key, &decimal(found), &concatenated(&["a whole number from 0 to ", &decimal(max)]));
        }
    }

    /// One of these words, by its place among them.
    pub fn word(&mut self, key: &'static str, words: &[&'static str], place: &mut usize) {
        match self.value(key).map(|value| word(value, words)) {
            None => {}
            Some(Ok(value)) => *place = value,
            Some(Err(fault)) => self.note(key, Some(fault)),
        }
    }

    /// A list of these words, by their places; whether the key is there.
    pub fn words(&mut self, key: &'static str, words: &[&'static str], places: &mut Vec<usize>) -> bool {
        match self.value(key) {
            None => return false,
            Some(Value::List(values)) => {
                for (index, value) in values.iter().enumerate() {
                    match word(value, words) {
                        Ok(place) => places.push(place),
                        Err(mut fault) => {
                            fault.key = decimal(index as u64);
                            self.note(key, Some(fault));
                        }
                    }
                }
            }
            Some(value) => self.note(key, Some(wrong(value, "a list"))),
        }
        true
    }

    /// A mapping in this one.
    pub fn section<T>(&mut self, key: &'static str, place: &mut T, read: fn(&mut T, &mut Section<'_>)) {
        if let Some(value) = self.value(key) {
            let fault = section(value, place, read);
            self.note(key, fault);
        }
    }

    /// A list of mappings.
    pub fn sections<T: Default>(&mut self, key: &'static str, places: &mut Vec<T>, read: fn(&mut T, &mut Section<'_>)) {
        let Some(value) = self.value(key) else { return };
        let Value::List(values) = value else { return self.note(key, Some(wrong(value, "a list"))) };
        places.clear();
        for (index, value) in values.iter().enumerate() {
            let mut element = T::default();
            if let Some(mut fault) = section(value, &mut element, read) {
                fault.key = joined(&decimal(index as u64), &fault.key);
                self.note(key, Some(fault));
            }
            places.push(element);
        }
    }

    /// A list in which an element may be written as a mapping, or as the text that stands at one key of it.
    pub fn texts_or_sections<T: Default>(
        &mut self,
        key: &'static str,
        places: &mut Vec<T>,
        short: fn(String) -> T,
        read: fn(&mut T, &mut Section<'_>),
    ) {
        let Some(value) = self.value(key) else { return };
        let Value::List(values) = value else { return self.note(key, Some(wrong(value, "a list"))) };
        places.clear();
        for (index, value) in values.iter().enumerate() {
            let mut element = T::default();
            let fault = match value {
                Value::Text(text) => {
                    element = short(text.clone());
                    None
                }
                Value::Mapping(_) => section(value, &mut element, read),
                value => Some(wrong(value, "text or a mapping")),
            };
            if let Some(mut fault) = fault {
                fault.key = joined(&decimal(index as u64), &fault.key);
                self.note(key, Some(fault));
            }
            places.push(element);
        }
    }

    /// A mapping of names that the reader doesn't know to texts.
    pub fn pairs(&mut self, key: &'static str, place: &mut Vec<(String, String)>) {
        self.put(key, place, |value| {
            let Value::Mapping(entries) = value else { return Err(wrong(value, "a mapping")) };
            let mut pairs = Vec::new();
            for (name, value) in entries {
                let text = text(value).map_err(|mut fault| {
                    fault.key = cut(name);
                    fault
                })?;
                pairs.push((name.clone(), text));
            }
            Ok(pairs)
        });
    }
}

fn section<T>(value: &Value, place: &mut T, read: fn(&mut T, &mut Section<'_>)) -> Option<Fault> {
    match Section::new(value) {
        Err(fault) => Some(fault),
        Ok(mut section) => {
            read(place, &mut section);
            section.finish()
        }
    }
}

fn each(value: &Value, read: Read<String>) -> Result<Vec<String>, Fault> {
    let Value::List(values) = value else { return Err(wrong(value, "a list")) };
    let mut all = Vec::new();
    for (index, value) in values.iter().enumerate() {
        all.push(read(value).map_err(|mut fault| {
            fault.key = decimal(index as u64);
            fault
        })?);
    }
    Ok(all)
}

fn text(value: &Value) -> Result<String, Fault> {
    match value {
        Value::Text(text) => Ok(text.clone()),
        value => Err(wrong(value, "text")),
    }
}

fn number(value: &Value) -> Result<Option<u64>, Fault> {
    let number = match value {
        Value::Number(number) => number.parse().ok(),
        _ => None,
    };
    number.map(Some).ok_or_else(|| wrong(value, "a whole number"))
}

fn word(value: &Value, words: &[&'static str]) -> Result<usize, Fault> {
    let found = match value {
        Value::Text(text) => words.iter().position(|word| word == text),
        _ => None,
    };
    found.ok_or_else(|| fault("", &describe(value), one_of(words)))
}

#[inline(never)]
fn wrong(value: &Value, expected: &str) -> Fault {
    fault("", &describe(value), expected.to_owned())
}

#[inline(never)]
fn fault(key: &str, found: &str, expected: String) -> Fault {
    Box::new(InvalidConfig { key: key.to_owned(), found: found.to_owned(), expected })
}
