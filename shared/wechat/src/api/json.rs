//! The parser of WeChat's JSON: the one place where bytes become a value.
//!
//! WeChat copies merchants' own words into its responses unchecked: raw control characters, an encoding other than
//! UTF-8, half of a surrogate pair, a character cut in two. If the bytes are not JSON, they are cleaned and parsed
//! again, so that a bad byte damages only its own string and never the members that matter. Whatever cannot be kept
//! becomes [`REPLACEMENT`]: a token or an id that contains one was damaged and is refused when it is read
//! ([`super::answer`]).

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::error::WechatError;

/// The replacement of an unreadable byte, a raw control character or half of a surrogate pair: U+FFFD.
pub(super) const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// The mark that some programs write before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The encoding of bytes that are not ASCII.
#[derive(Clone, Copy)]
enum Encoding {
    /// UTF-8, possibly with truncated or invalid characters.
    Utf8,
    /// GBK, Big5 and the like: a byte above 0x80 forms a character with the next one, which may be a `\`.
    TwoBytes,
}

/// Parses a response. If it is not JSON, the first cleaning that makes it JSON counts.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, WechatError> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let read = |bytes: &[u8]| serde_json::from_slice::<Document>(bytes).ok();
    read(bytes)
        .or_else(|| read(&clean(bytes, Encoding::Utf8)))
        .or_else(|| read(&clean(bytes, Encoding::TwoBytes)))
        .map(|Document(value)| value)
        .ok_or(WechatError::Malformed("it is not JSON"))
}

/// The same document in UTF-8 and without what JSON forbids.
fn clean(bytes: &[u8], encoding: Encoding) -> Vec<u8> {
    let mut cleaner = Cleaner { rest: bytes, encoding, cleaned: Vec::with_capacity(bytes.len() + bytes.len() / 8) };
    while let Some(&byte) = cleaner.rest.first() {
        match byte {
            b'"' => cleaner.string(),
            _ if is_word(byte) => cleaner.word(),
            _ if byte.is_ascii_control() => cleaner.replace(1, " "),
            _ => cleaner.keep(1),
        }
    }
    cleaner.cleaned
}

/// Whether the byte can be part of a number or a name outside strings.
const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_')
}

struct Cleaner<'a> {
    rest: &'a [u8],
    encoding: Encoding,
    cleaned: Vec<u8>,
}

impl Cleaner<'_> {
    /// Copies the next `count` bytes.
    fn keep(&mut self, count: usize) {
        let (kept, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.cleaned.extend_from_slice(kept);
        self.rest = rest;
    }

    /// Writes `text` instead of the next `count` bytes.
    fn replace(&mut self, count: usize, text: &str) {
        self.cleaned.extend_from_slice(text.as_bytes());
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    fn damage(&mut self, count: usize) {
        self.replace(count, REPLACEMENT.encode_utf8(&mut [0; 4]));
    }

    /// Copies a number or a literal. One that is invalid in JSON, such as `007`, `1e999` or `NaN`, becomes a string, so
    /// that the document is not lost.
    fn word(&mut self) {
        let length = self.rest.iter().position(|byte| !is_word(*byte)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(length);
        if serde_json::from_slice::<Value>(word).is_ok() {
            self.keep(length);
        } else {
            self.cleaned.push(b'"');
            self.cleaned.extend_from_slice(word);
            self.cleaned.push(b'"');
            self.rest = rest;
        }
    }

    fn string(&mut self) {
        self.keep(1);
        while let Some(&byte) = self.rest.first() {
            match byte {
                b'"' => return self.keep(1),
                b'\\' => self.escape(),
                _ if byte < b' ' => self.damage(1),
                _ if byte.is_ascii() => self.keep(1),
                _ => self.beyond_ascii(),
            }
        }
    }

    fn escape(&mut self) {
        match self.rest.get(1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.keep(2),
            Some(b'u') => match (code_unit(self.rest), self.rest.get(6..).and_then(code_unit)) {
                (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => self.keep(12),
                (Some(0xd800..=0xdfff), _) => self.damage(6),
                (Some(_), _) => self.keep(6),
                (None, _) => self.damage(2),
            },
            // The next byte is handled separately: it may be a control character.
            _ => self.damage(1),
        }
    }

    fn beyond_ascii(&mut self) {
        match self.encoding {
            Encoding::Utf8 => {
                let next = self.rest.get(..4).unwrap_or(self.rest);
                match next.utf8_chunks().next() {
                    Some(chunk) if !chunk.valid().is_empty() => {
                        self.keep(chunk.valid().chars().next().map_or(1, char::len_utf8));
                    }
                    Some(chunk) => self.damage(chunk.invalid().len().max(1)),
                    None => self.damage(1),
                }
            }
            Encoding::TwoBytes => {
                let takes_next = matches!(self.rest.get(1), Some(0x40..=0x7e | 0x80..=0xfe));
                self.damage(if takes_next { 2 } else { 1 });
            }
        }
    }
}

/// The UTF-16 code unit of an escape of the form `\u0000` at the beginning of the text.
fn code_unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    // The parser would also accept a sign.
    let digits =
        std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    u16::from_str_radix(digits?, 16).ok()
}

/// A JSON value in which, among members with the same name, the last one with a value counts: null and an empty string
/// do not replace an earlier value.
struct Document(Value);

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DocumentVisitor).map(Self)
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Document(element)) = elements.next_element()? {
            list.push(element);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, Document(value))) = members.next_entry::<String, Document>()? {
            let says_nothing = value.is_null() || value.as_str().is_some_and(str::is_empty);
            if !says_nothing || !map.contains_key(&name) {
                map.insert(name, value);
            }
        }
        Ok(map.into())
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
