//! The body of a business's request, a JSON object read member by member, and its query, read parameter by parameter.
//!
//! Errors have our own words, never those of a library, which change with its versions.

use std::collections::BTreeMap;
use std::{fmt, mem};

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, OptionalFromRequest, Request};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::error::Category;
use store::Patch;
use url::form_urlencoded;

use crate::{Problem, ProblemKind};

/// The longest name of a member that a response repeats, in characters.
const LONGEST_NAME: usize = 40;

/// The largest body that a business may send, in bytes: every member fits at its longest, even if each character is
/// written as an escape.
pub const BODY_LIMIT: usize = 64 * 1024;

/// Why a body cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// `Content-Type` is something else.
    #[error("the body is not declared as JSON")]
    NotJson,
    /// It is larger than [`BODY_LIMIT`].
    #[error("the body is too large")]
    TooLarge,
    /// The connection was lost.
    #[error("the body did not arrive")]
    Broken,
    /// It is not JSON.
    #[error("the text is not JSON: see line {line}, column {column}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// It is truncated.
    #[error("the text ends too early")]
    Ends,
    /// It is JSON, but not an object.
    #[error("the text is JSON, but not an object")]
    NotAnObject,
    /// A member is repeated.
    #[error("{0} appears twice")]
    Twice(Name),
    /// A member is not documented.
    #[error("{0} is not documented")]
    Unknown(Name),
    /// A member has the wrong type.
    #[error("{0} must be {1}")]
    Type(&'static str, &'static str),
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::NotJson => {
                Self::new(ProblemKind::NotJson, "send the request with content-type: application/json")
            }
            BodyError::TooLarge => Self::new(ProblemKind::TooLarge, format!("send at most {BODY_LIMIT} bytes")),
            error => Self::new(
                ProblemKind::Malformed,
                format!("send a JSON object with the documented members only: {error}"),
            ),
        }
    }
}

/// Why a query cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// A parameter is repeated.
    #[error("{0} appears twice")]
    Twice(Name),
    /// A parameter is not documented.
    #[error("{0} is not documented")]
    Unknown(Name),
    /// A parameter has a value that is not allowed.
    #[error("{0} must be {1}")]
    Value(&'static str, &'static str),
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        let detail = match &error {
            QueryError::Value(..) => error.to_string(),
            _ => format!("send the documented parameters only: {error}"),
        };
        Self::new(ProblemKind::InvalidParameter, detail)
    }
}

/// A member's name as a response can repeat it.
#[derive(Debug, PartialEq, Eq)]
pub struct Name(String);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = (1..=LONGEST_NAME).contains(&self.0.len())
            && self.0.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if plain { write!(f, "{:?}", self.0) } else { f.write_str("an unprintable or overlong name") }
    }
}

/// The members that have not been read yet. `null` counts as missing.
#[derive(Debug)]
pub struct Members(BTreeMap<String, Value>);

impl Members {
    /// Parses an object. A member that appears twice is refused even if both are the same.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
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

    /// A string.
    pub fn text(&mut self, name: &'static str) -> Result<Option<String>, BodyError> {
        self.take(name, "a string", |value| value.as_str().map(str::to_owned))
    }

    /// A whole number that is not negative.
    pub fn number(&mut self, name: &'static str) -> Result<Option<u64>, BodyError> {
        self.take(name, "a whole number", Value::as_u64)
    }

    /// An array of such numbers.
    pub fn numbers(&mut self, name: &'static str) -> Result<Option<Vec<u64>>, BodyError> {
        self.take(name, "an array of whole numbers", |value| value.as_array()?.iter().map(Value::as_u64).collect())
    }

    /// An array of strings.
    pub fn list(&mut self, name: &'static str) -> Result<Option<Vec<String>>, BodyError> {
        self.take(name, "an array of strings", |value| {
            value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
        })
    }

    /// `true` or `false`.
    pub fn flag(&mut self, name: &'static str) -> Result<Option<bool>, BodyError> {
        self.take(name, "true or false", Value::as_bool)
    }

    /// An object of strings.
    pub fn texts(&mut self, name: &'static str) -> Result<Option<BTreeMap<String, String>>, BodyError> {
        self.take(name, "an object whose values are strings", |value| {
            value.as_object()?.iter().map(|(key, text)| Some((key.clone(), text.as_str()?.to_owned()))).collect()
        })
    }

    /// The change of a member by a merge patch (RFC 7396): `null` removes it, and a missing one stays.
    fn patch<T>(
        &mut self,
        name: &'static str,
        kind: &'static str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Patch<T>, BodyError> {
        match self.0.remove(name) {
            None => Ok(Patch::Unchanged),
            Some(Value::Null) => Ok(Patch::Removed),
            Some(value) => read(&value).map(Patch::To).ok_or(BodyError::Type(name, kind)),
        }
    }

    /// A patch of a string.
    pub fn text_patch(&mut self, name: &'static str) -> Result<Patch<String>, BodyError> {
        self.patch(name, "a string or null", |value| value.as_str().map(str::to_owned))
    }

    /// A patch of an object of strings, whose members are removed by `null`.
    pub fn texts_patch(&mut self, name: &'static str) -> Result<Patch<BTreeMap<String, Option<String>>>, BodyError> {
        let text = |value: &Value| match value {
            Value::Null => Some(None),
            value => value.as_str().map(|text| Some(text.to_owned())),
        };
        self.patch(name, "an object whose values are strings or null, or null", |value| {
            value.as_object()?.iter().map(|(key, value)| Some((key.clone(), text(value)?))).collect()
        })
    }

    /// A patch of an array of strings.
    pub fn list_patch(&mut self, name: &'static str) -> Result<Patch<Vec<String>>, BodyError> {
        self.patch(name, "an array of strings or null", |value| {
            value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
        })
    }

    /// Refuses members that were not read: a misspelled member must not be taken for a missing one.
    pub fn finish(self) -> Result<(), BodyError> {
        self.0.into_keys().next().map_or(Ok(()), |name| Err(BodyError::Unknown(Name(name))))
    }
}

impl<S: Send + Sync> FromRequest<S> for Members {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(&request) {
            return Err(BodyError::NotJson.into());
        }
        Ok(Self::parse(&whole_body(request, state).await?)?)
    }
}

/// For a route whose body is optional: `None` if the body is empty, whatever its declared type.
impl<S: Send + Sync> OptionalFromRequest<S> for Members {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Problem> {
        let is_json = is_json(&request);
        let body = whole_body(request, state).await?;
        if body.is_empty() {
            return Ok(None);
        }
        if is_json { Ok(Some(Self::parse(&body)?)) } else { Err(BodyError::NotJson.into()) }
    }
}

fn is_json(request: &Request) -> bool {
    let kinds = if request.method() == Method::PATCH { &PATCH_KINDS[..] } else { &JSON_KINDS[..] };
    is_declared(request.headers(), kinds)
}

async fn whole_body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, BodyError> {
    Bytes::from_request(request, state).await.map_err(|rejection: BytesRejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => BodyError::TooLarge,
        _ => BodyError::Broken,
    })
}

/// The content type of a body.
const JSON_KINDS: [&str; 1] = ["application/json"];

/// The content types of a patch: a merge patch (RFC 7396), or plain JSON.
const PATCH_KINDS: [&str; 2] = ["application/json", "application/merge-patch+json"];

/// Whether the content type is one of these, with any parameters. JSON is UTF-8 (RFC 8259): a `charset` changes
/// nothing.
fn is_declared(headers: &HeaderMap, kinds: &[&str]) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).into_iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let Ok(value) = value.to_str() else { return false };
    let declared = value.split(';').next().unwrap_or_default().trim();
    kinds.iter().any(|kind| declared.eq_ignore_ascii_case(kind))
}

/// The parameters of a query that have not been read yet.
#[derive(Debug)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Parses a query. A parameter that appears twice is refused even if both are the same.
    pub fn parse(query: &str) -> Result<Self, QueryError> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if parameters.contains_key(name.as_ref()) {
                return Err(QueryError::Twice(Name(name.into_owned())));
            }
            parameters.insert(name.into_owned(), value.into_owned());
        }
        Ok(Self(parameters))
    }

    /// A parameter, parsed by `read`; `None` if it is missing. `kind` says what it must be.
    pub fn parsed<T>(
        &mut self,
        name: &'static str,
        kind: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, QueryError> {
        self.0.remove(name).map(|value| read(&value).ok_or(QueryError::Value(name, kind))).transpose()
    }

    /// The parameters whose names begin with `prefix`, by what follows it.
    pub fn with_prefix(&mut self, prefix: &str) -> BTreeMap<String, String> {
        let (taken, left) = mem::take(&mut self.0).into_iter().partition(|(name, _)| name.starts_with(prefix));
        self.0 = left;
        let taken: BTreeMap<String, String> = taken;
        taken.into_iter().map(|(name, value)| (name[prefix.len()..].to_owned(), value)).collect()
    }

    /// Refuses parameters that were not read: a misspelled filter must not be taken for none.
    pub fn finish(self) -> Result<(), QueryError> {
        self.0.into_keys().next().map_or(Ok(()), |name| Err(QueryError::Unknown(Name(name))))
    }
}

/// The members of an object in their order, including those that appear twice.
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
    fn a_member_that_appears_twice_is_refused_even_if_both_are_equal() {
        assert_eq!(error(r#"{"a":1,"a":1}"#).to_string(), "\"a\" appears twice");
        assert_eq!(error(r#"{"a":1,"\u0061":null}"#).to_string(), "\"a\" appears twice");
        assert_eq!(error("{\"<b>\":1,\"<b>\":1}").to_string(), "an unprintable or overlong name appears twice");
    }

    #[test]
    fn a_member_is_of_the_documented_type_or_missing() {
        let body = br#"{"t":"x","n":7,"l":[1,2],"none":null,"f":1.5,"m":-1,"s":"7","a":["x","y"],"o":["x",1],"b":false,"i":1}"#;
        let mut members = Members::parse(body).unwrap();
        assert_eq!(members.text("t"), Ok(Some("x".to_owned())));
        assert_eq!(members.number("n"), Ok(Some(7)));
        assert_eq!(members.numbers("l"), Ok(Some(vec![1, 2])));
        assert_eq!((members.number("none"), members.number("absent")), (Ok(None), Ok(None)));
        assert_eq!(members.list("a"), Ok(Some(vec!["x".to_owned(), "y".to_owned()])));
        assert_eq!(members.list("o"), Err(BodyError::Type("o", "an array of strings")));
        assert_eq!(members.flag("b"), Ok(Some(false)));
        assert_eq!(members.flag("i"), Err(BodyError::Type("i", "true or false")));
        for name in ["f", "m", "s"] {
            assert_eq!(members.number(name), Err(BodyError::Type(name, "a whole number")));
        }
        assert_eq!(members.finish(), Ok(()));
    }

    #[test]
    fn an_unknown_member_is_refused_and_named_if_its_name_is_plain() {
        let told = |body: &str| Members::parse(body.as_bytes()).unwrap().finish().unwrap_err().to_string();
        assert_eq!(told(r#"{"auth_typ":1}"#), "\"auth_typ\" is not documented");
        for odd in ["", "a b", "微信", "\\n", "preauthcode@@@x", &"a".repeat(41)] {
            assert_eq!(told(&format!("{{\"{odd}\":1}}")), "an unprintable or overlong name is not documented", "{odd}");
        }
    }

    #[test]
    fn a_patch_distinguishes_removed_from_missing_members() {
        let mut members = Members::parse(br#"{"t":"x","gone":null,"m":{"a":"1","b":null},"l":["x"]}"#).unwrap();
        assert_eq!(members.text_patch("t"), Ok(Patch::To("x".to_owned())));
        assert_eq!(
            (members.text_patch("gone"), members.text_patch("none")),
            (Ok(Patch::Removed), Ok(Patch::Unchanged))
        );
        let tags = BTreeMap::from([("a".to_owned(), Some("1".to_owned())), ("b".to_owned(), None)]);
        assert_eq!(members.texts_patch("m"), Ok(Patch::To(tags)));
        assert_eq!(members.list_patch("l"), Ok(Patch::To(vec!["x".to_owned()])));
        let mut bad = Members::parse(br#"{"t":1,"m":{"a":1},"l":[1]}"#).unwrap();
        assert!(bad.text_patch("t").is_err() && bad.texts_patch("m").is_err() && bad.list_patch("l").is_err());
    }

    #[test]
    fn a_query_is_read_parameter_by_parameter() {
        let mut query = Parameters::parse("state=&limit=7&tag.a%20b=x+y&tag.=z&q=%E5%BE%AE").unwrap();
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        assert_eq!(query.parsed("q", "a string", some), Ok(Some("微".to_owned())));
        assert_eq!(query.parsed("state", "a string", some), Err(QueryError::Value("state", "a string")));
        let number = |text: &str| text.parse::<u32>().ok();
        assert_eq!(query.parsed("limit", "a number", number), Ok(Some(7)));
        let tags = query.with_prefix("tag.");
        assert_eq!(
            tags.into_iter().collect::<Vec<_>>(),
            [(String::new(), "z".to_owned()), ("a b".to_owned(), "x y".to_owned())]
        );
        assert_eq!(query.finish(), Ok(()));
        let told = |query: &str| Parameters::parse(query).and_then(Parameters::finish).unwrap_err().to_string();
        assert_eq!(told("limti=7"), "\"limti\" is not documented");
        assert_eq!(told("q=1&q=1"), "\"q\" appears twice");
        let mut query = Parameters::parse("limit=x").unwrap();
        assert!(query.parsed("limit", "a number", number).unwrap_err().to_string().contains("limit must be a number"));
    }

    #[test]
    fn only_one_declaration_of_json_is_taken_for_json() {
        let told = |values: &[&'static str]| {
            let values = values.iter().map(|value| (CONTENT_TYPE, HeaderValue::from_static(value)));
            is_declared(&values.collect(), &PATCH_KINDS)
        };
        for good in [
            "application/json",
            "Application/JSON; charset=utf-8",
            " application/json ;x=y",
            "application/merge-patch+json",
        ] {
            assert!(told(&[good]), "{good}");
        }
        for bad in ["", "text/plain", "application/json5", "application/jsonp", "text/json", "multipart/form-data"] {
            assert!(!told(&[bad]), "{bad}");
        }
        assert!(!told(&[]) && !told(&["application/json", "text/plain"]));
    }
}
