//! JSON (RFC 8259), read into a tree. Small on purpose: a plugin's size is mostly what its libraries bring along, and a
//! configuration needs neither speed nor floating point.

use crate::prelude::*;

/// How deep lists and mappings may nest: the parser recurses, and a plugin's stack is small.
const DEPTH_MAX: u32 = 64;

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Null,
    Boolean(bool),
    /// As it's written: who needs the number knows its range.
    Number(String),
    Text(String),
    List(Vec<Value>),
    /// In the order written.
    Mapping(Vec<(String, Value)>),
}

/// Where the text stops being JSON, in bytes from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub at: usize,
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
}

/// Reads a whole text.
pub fn parse(text: &str) -> Result<Value, Fault> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    let value = reader.value()?;
    reader.skip_blank();
    if reader.at == text.len() { Ok(value) } else { Err(reader.fault()) }
}

// === impl Reader ===

impl Reader<'_> {
    fn fault(&self) -> Fault {
        Fault { at: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// What was read since then. Both ends stand at ASCII characters, so this never cuts a character, and is never empty for
    /// that reason. Not by slicing, whose panic message brings a fifteenth of a small plugin along.
    fn since(&self, start: usize) -> &str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn skip_blank(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Whether the next byte behind blanks is this; it's taken if so.
    fn took(&mut self, byte: u8) -> bool {
        self.skip_blank();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn take(&mut self, byte: u8) -> Result<(), Fault> {
        if self.took(byte) { Ok(()) } else { Err(self.fault()) }
    }

    fn value(&mut self) -> Result<Value, Fault> {
        self.skip_blank();
        match self.peek() {
            Some(b'{') => self.nested(Self::mapping),
            Some(b'[') => self.nested(Self::list),
            Some(b'"') => self.string().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, Fault>) -> Result<Value, Fault> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.fault());
        }
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn word(&mut self) -> Result<Value, Fault> {
        for (word, value) in [("null", Value::Null), ("true", Value::Boolean(true)), ("false", Value::Boolean(false))] {
            if self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.fault())
    }

    fn list(&mut self) -> Result<Value, Fault> {
        self.take(b'[')?;
        let mut values = Vec::new();
        if !self.took(b']') {
            loop {
                values.push(self.value()?);
                if !self.took(b',') {
                    break;
                }
            }
            self.take(b']')?;
        }
        Ok(Value::List(values))
    }

    fn mapping(&mut self) -> Result<Value, Fault> {
        self.take(b'{')?;
        let mut entries = Vec::new();
        if !self.took(b'}') {
            loop {
                self.skip_blank();
                let key = self.string()?;
                self.take(b':')?;
                entries.push((key, self.value()?));
                if !self.took(b',') {
                    break;
                }
            }
            self.take(b'}')?;
        }
        Ok(Value::Mapping(entries))
    }

    fn digits(&mut self) -> Result<usize, Fault> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(self.fault()) } else { Ok(self.at - start) }
    }

    fn number(&mut self) -> Result<Value, Fault> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        let first = self.peek();
        if self.digits()? > 1 && first == Some(b'0') {
            return Err(Fault { at: start });
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(Value::Number(self.since(start).to_owned()))
    }

    fn string(&mut self) -> Result<String, Fault> {
        if self.peek() != Some(b'"') {
            return Err(self.fault());
        }
        self.at += 1;
        let mut text = String::new();
        loop {
            let start = self.at;
            while self.peek().is_some_and(|byte| byte != b'"' && byte != b'\\' && byte >= b' ') {
                self.at += 1;
            }
            text.push_str(self.since(start));
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => text.push(self.escaped()?),
                _ => return Err(self.fault()),
            }
        }
        self.at += 1;
        Ok(text)
    }

    fn escaped(&mut self) -> Result<char, Fault> {
        self.at += 1;
        let letter = self.peek().ok_or_else(|| self.fault())?;
        self.at += 1;
        Ok(match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(Fault { at: self.at - 1 }),
        })
    }

    /// One character of `\u` with four digits, or of two of them for characters outside the first plane.
    fn unicode(&mut self) -> Result<char, Fault> {
        let first = self.hexadecimal()?;
        let code = if (0xd800..0xdc00).contains(&first)
            && self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(b"\\u"))
        {
            self.at += 2;
            let second = self.hexadecimal()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(self.fault());
            }
            0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        // A half without its other half is no character.
        char::from_u32(code).ok_or_else(|| self.fault())
    }

    fn hexadecimal(&mut self) -> Result<u32, Fault> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16)).ok_or_else(|| self.fault())?;
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_each_kind_are_read() {
        let value = parse(" {\"a\": [1, -2.5e+3, true, null], \"b\":{} , \"c\":\"x\\n\\u00e9\\ud83d\\ude00ß\"} ").unwrap();
        let Value::Mapping(entries) = value else { panic!("{value:?}") };
        let list = [Value::Number("1".into()), Value::Number("-2.5e+3".into()), Value::Boolean(true), Value::Null];
        assert_eq!(entries[0], ("a".into(), Value::List(list.into())));
        assert_eq!(entries[1], ("b".into(), Value::Mapping(Vec::new())));
        assert_eq!(entries[2], ("c".into(), Value::Text("x\né😀ß".into())));
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "01",
            "-",
            "1.",
            "1e",
            "\"a",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\n\"",
            "nul",
            "1 2",
            "{a:1}",
            "+1",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
        assert!(parse(&("[".repeat(64) + &"]".repeat(64))).is_ok());
    }

    #[test]
    fn the_fault_says_where() {
        assert_eq!(parse("{\"a\": x}"), Err(Fault { at: 6 }));
    }
}
