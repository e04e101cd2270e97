//! The body of a business's request: a JSON object, read member by member.
//!
//! What is wrong with it is said in our own words, never in those of a library, which change with its versions.

use std::collections::BTreeMap;
use std::fmt;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::error::Category;

/// Characters of a member's name that an answer repeats.
const LONGEST_NAME: usize = 40;

/// Why a body cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body is not declared as JSON")]
    NotJson,
    #[error("the body is too large")]
    TooLarge,
    #[error("the body did not arrive")]
    Broken,
    #[error("the text is not JSON, see line {line}, column {column}")]
    Syntax { line: usize, column: usize },
    #[error("the text ends too early")]
    Ends,
    #[error("the text is JSON, but not an object")]
    NotAnObject,
    #[error("{0} is there twice")]
    Twice(Name),
    #[error("{0} is not one of them")]
    Unknown(Name),
    #[error("{0} must be {1}")]
    Type(&'static str, &'static str),
}

/// A member's name as an answer can repeat it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Name(String);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = (1..=LONGEST_NAME).contains(&self.0.len())
            && self.0.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if plain { write!(f, "{:?}", self.0) } else { f.write_str("a member") }
    }
}

/// The members that have not been read yet. One that is `null` counts as missing.
#[derive(Debug)]
pub(crate) struct Members(BTreeMap<String, Value>);

impl Members {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let Pairs(pairs) = serde_json::from_slice(body).map_err(|error| match error.classify() {
            Category::Data => BodyError::NotAnObject,
            Category::Eof => BodyError::Ends,
            Category::Syntax | Category::Io => BodyError::Syntax { line: error.line(), column: error.column() },
        })?;
        let mut members = BTreeMap::new();
        for (name, value) in pairs {
            if members.contains_key(&name) {
                return Err(BodyError::Twice(Name(name)));
            }
            members.insert(name, value);
        }
        Ok(Self(members))
    }

    fn take<T>(
        &mut self,
        name: &'static str,
        kind: &'static str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, BodyError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(&value).map(Some).ok_or(BodyError::Type(name, kind)),
        }
    }

    /// A text.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<String>, BodyError> {
        self.take(name, "a text", |value| value.as_str().map(str::to_owned))
    }

    /// A whole number that is not negative.
    pub(crate) fn number(&mut self, name: &'static str) -> Result<Option<u64>, BodyError> {
        self.take(name, "a whole number", Value::as_u64)
    }

    /// An array of such numbers.
    pub(crate) fn numbers(&mut self, name: &'static str) -> Result<Option<Vec<u64>>, BodyError> {
        self.take(name, "an array of whole numbers", |value| value.as_array()?.iter().map(Value::as_u64).collect())
    }

    /// An object of texts.
    pub(crate) fn texts(&mut self, name: &'static str) -> Result<Option<BTreeMap<String, String>>, BodyError> {
        self.take(name, "an object whose values are texts", |value| {
            value.as_object()?.iter().map(|(key, text)| Some((key.clone(), text.as_str()?.to_owned()))).collect()
        })
    }

    /// Refuses what was not read: a member that is misspelled must not be taken for one that is missing.
    pub(crate) fn finish(self) -> Result<(), BodyError> {
        self.0.into_keys().next().map_or(Ok(()), |name| Err(BodyError::Unknown(Name(name))))
    }
}

impl<S: Send + Sync> FromRequest<S> for Members {
    type Rejection = BodyError;

    async fn from_request(request: Request, state: &S) -> Result<Self, BodyError> {
        if !is_json(request.headers()) {
            return Err(BodyError::NotJson);
        }
        let body = Bytes::from_request(request, state).await.map_err(|rejection: BytesRejection| {
            match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => BodyError::TooLarge,
                _ => BodyError::Broken,
            }
        })?;
        Self::parse(&body)
    }
}

/// `application/json`, with whatever parameters. JSON is UTF-8 (RFC 8259): a `charset` changes nothing.
fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).into_iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let Ok(value) = value.to_str() else { return false };
    value.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The members of an object in their order, those that are there twice included.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = members.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn error(body: &str) -> BodyError {
        Members::parse(body.as_bytes()).unwrap_err()
    }

    #[test]
    fn what_is_not_a_json_object_is_named_in_our_own_words() {
        assert_eq!(error(""), BodyError::Ends);
        assert_eq!(error("{\"a\": 1,"), BodyError::Ends);
        assert_eq!(error("{\n  a: 1}"), BodyError::Syntax { line: 2, column: 3 });
        assert_eq!(error("\u{feff}{}"), BodyError::Syntax { line: 1, column: 1 });
        assert!(matches!(error("{} {}"), BodyError::Syntax { .. }));
        assert!(matches!(error("{\"a\":1e999}"), BodyError::Syntax { .. }));
        assert!(matches!(error(r#"{"a":"\ud800"}"#), BodyError::Syntax { .. }));
        assert!(matches!(error(&format!("{{\"a\":{}", "[".repeat(500))), BodyError::Syntax { .. }));
        assert!(matches!(Members::parse(b"{\"a\":\"\xff\"}").unwrap_err(), BodyError::Syntax { .. }));
        for body in ["null", "[3]", "\"{}\"", "7", "true"] {
            assert_eq!(error(body), BodyError::NotAnObject, "{body}");
        }
    }

    #[test]
    fn a_member_that_is_there_twice_is_refused_even_if_both_say_the_same() {
        assert_eq!(error(r#"{"a":1,"a":1}"#).to_string(), "\"a\" is there twice");
        assert_eq!(error(r#"{"a":1,"\u0061":null}"#).to_string(), "\"a\" is there twice");
        assert_eq!(error("{\"<b>\":1,\"<b>\":1}").to_string(), "a member is there twice");
    }

    #[test]
    fn a_member_is_of_the_documented_type_or_missing() {
        let mut members = Members::parse(br#"{"t":"x","n":7,"l":[1,2],"none":null,"f":1.5,"m":-1,"s":"7"}"#).unwrap();
        assert_eq!(members.text("t"), Ok(Some("x".to_owned())));
        assert_eq!(members.number("n"), Ok(Some(7)));
        assert_eq!(members.numbers("l"), Ok(Some(vec![1, 2])));
        assert_eq!((members.number("none"), members.number("absent")), (Ok(None), Ok(None)));
        for name in ["f", "m", "s"] {
            assert_eq!(members.number(name), Err(BodyError::Type(name, "a whole number")));
        }
        assert_eq!(members.finish(), Ok(()));
    }

    #[test]
    fn a_member_that_nobody_has_read_is_refused_by_its_name_if_that_is_a_plain_one() {
        let told = |body: &str| Members::parse(body.as_bytes()).unwrap().finish().unwrap_err().to_string();
        assert_eq!(told(r#"{"auth_typ":1}"#), "\"auth_typ\" is not one of them");
        for odd in ["", "a b", "微信", "\\n", "preauthcode@@@x", &"a".repeat(41)] {
            assert_eq!(told(&format!("{{\"{odd}\":1}}")), "a member is not one of them", "{odd}");
        }
    }

    #[test]
    fn only_one_declaration_of_json_is_taken_for_json() {
        let told = |values: &[&'static str]| {
            let values = values.iter().map(|value| (CONTENT_TYPE, HeaderValue::from_static(value)));
            is_json(&values.collect())
        };
        for good in ["application/json", "Application/JSON; charset=utf-8", " application/json ;x=y"] {
            assert!(told(&[good]), "{good}");
        }
        for bad in ["", "text/plain", "application/json5", "application/jsonp", "text/json", "multipart/form-data"] {
            assert!(!told(&[bad]), "{bad}");
        }
        assert!(!told(&[]) && !told(&["application/json", "text/plain"]));
    }
}
