//! Lenient reading of WeChat's JSON, so that nothing valuable is lost because of something that is not needed.
//!
//! Members may be missing, unknown, empty, or a number where a string is documented and vice versa (protocol sections 0
//! and 10). The `Content-Type` is ignored: it may be `text/plain`.
//!
//! Tokens, codes and ids are read exactly or not at all: one that was damaged in transit is malformed, since storing it
//! would overwrite a good one. Everything else may be damaged.

use std::borrow::Cow;
use std::time::Duration;

use base::ids::AppId;
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::error::WechatError;

/// The longest token that is accepted, in bytes. WeChat asks for room for 512.
const LONGEST_SECRET: usize = 4096;

/// The longest other text that is kept, in bytes. The longest real ones are URLs of a few hundred; an account's item,
/// of which a text is a part, must stay within 400 KB.
const LONGEST_TEXT: usize = 4096;

/// A JSON object in a response.
#[derive(Clone, Copy)]
pub(super) struct Answer<'a>(&'a Map<String, Value>);

impl<'a> Answer<'a> {
    /// The object in the body.
    pub(super) fn of(body: &'a Value) -> Result<Self, WechatError> {
        body.as_object().map(Self).ok_or(WechatError::Malformed("it is not a JSON object"))
    }

    /// The error code: 0 if there is none, as in successful calls of the component API.
    pub(super) fn errcode(self) -> Result<i64, WechatError> {
        match self.member("errcode") {
            None => Ok(0),
            Some(value) => integer(value).ok_or(WechatError::Malformed("errcode")),
        }
    }

    /// A member that is present, not null and not an empty string.
    fn member(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null() && value.as_str() != Some(""))
    }

    /// An object within this one.
    pub(super) fn object(self, name: &str) -> Option<Self> {
        self.member(name)?.as_object().map(Self)
    }

    /// Whether there is a member of this name with a value.
    pub(super) fn has(self, name: &str) -> bool {
        self.member(name).is_some()
    }

    /// The elements of an array; `None` if there is no array.
    pub(super) fn array(self, name: &str) -> Option<&'a [Value]> {
        self.member(name)?.as_array().map(Vec::as_slice)
    }

    /// A non-empty string, or a number as a string.
    pub(super) fn text(self, name: &str) -> Option<Cow<'a, str>> {
        match self.member(name)? {
            Value::String(text) => Some(text.as_str().into()),
            Value::Number(number) => Some(number.to_string().into()),
            _ => None,
        }
    }

    /// A text for people; `None` if it is too long to be one.
    pub(super) fn words(self, name: &str) -> Option<String> {
        self.text(name).filter(|text| text.len() <= LONGEST_TEXT).map(Cow::into_owned)
    }

    /// An identifier, exactly as it was sent; `None` if it was damaged.
    pub(super) fn id(self, name: &str) -> Option<String> {
        self.words(name).filter(|text| is_exact(text))
    }

    /// A string that must not be printed; `None` if it is missing.
    ///
    /// # Errors
    /// [`WechatError::Malformed`] if it is not as WeChat issued it: not a string, or one with characters other than
    /// visible ASCII, of which all tokens and codes consist.
    pub(super) fn secret(self, name: &'static str) -> Result<Option<SecretString>, WechatError> {
        match self.member(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= LONGEST_SECRET && is_exact(text) => {
                Ok(Some(text.as_str().into()))
            }
            Some(_) => Err(WechatError::Malformed(name)),
        }
    }

    /// A number, or a string of digits.
    pub(super) fn number(self, name: &str) -> Option<i64> {
        self.member(name).and_then(integer)
    }

    /// The life of something from now on: `expires_in`, in seconds, but at most `longest`. `None` if it is not a
    /// positive number.
    pub(super) fn expires_in(self, longest: Duration) -> Option<Duration> {
        let seconds = u64::try_from(self.number("expires_in")?).ok().filter(|seconds| *seconds > 0)?;
        Some(Duration::from_secs(seconds).min(longest))
    }

    /// The account that this is about: `authorizer_appid`, or `appid` on an old page of WeChat's documentation. `None`
    /// if it is missing or malformed.
    pub(super) fn authorizer(self) -> Option<AppId> {
        AppId::parse(&self.text("authorizer_appid").or_else(|| self.text("appid"))?).ok()
    }

    /// The ids in `func_info`; entries without one are left out.
    pub(super) fn func_info(self) -> Vec<u32> {
        let id = |entry: &Value| {
            let category = entry.get("funcscope_category")?;
            u32::try_from(integer(category.get("id")?)?).ok()
        };
        self.array("func_info").unwrap_or_default().iter().filter_map(id).collect()
    }
}

/// Whether a string is as it was sent: damage leaves a control character or [`super::json::REPLACEMENT`].
fn is_exact(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A whole number, also one that is written as `7200.0` or as a string.
fn integer(value: &Value) -> Option<i64> {
    let written: Cow<'_, str> = match value {
        Value::Number(number) => number.to_string().into(),
        Value::String(text) => text.trim().into(),
        _ => return None,
    };
    let whole = match written.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|digit| digit == b'0') => whole,
        Some(_) => return None,
        None => &written,
    };
    whole.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_may_come_as_text_and_null_is_absence() {
        let body = json!({
            "errcode": "40001", "a": " 7 ", "b": 7, "c": 7.0, "d": "7.0", "e": "7s", "f": null, "g": 7.5, "h": "", "i": "+7",
        });
        let answer = Answer::of(&body).unwrap();
        assert_eq!(answer.errcode().unwrap(), 40_001);
        assert_eq!(["a", "b", "c", "d", "i"].map(|name| answer.number(name)), [Some(7); 5]);
        assert_eq!(["e", "f", "g", "h"].map(|name| answer.number(name)), [None; 4]);
        assert!(!answer.has("f") && !answer.has("h"));
    }

    #[test]
    fn an_appid_may_come_as_a_number_and_an_empty_error_code_is_none() {
        let body = json!({ "authorizer_appid": 1_234_567, "errcode": "" });
        let answer = Answer::of(&body).unwrap();
        assert_eq!(answer.authorizer(), AppId::parse("1234567").ok());
        assert_eq!(answer.errcode().unwrap(), 0);
    }

    #[test]
    fn a_lifetime_is_above_zero_and_not_believed_beyond_its_bound() {
        let bound = Duration::from_hours(2);
        let read = |value: Value| Answer::of(&json!({ "expires_in": value })).unwrap().expires_in(bound);
        for (value, seconds) in [
            (json!(600), 600),
            (json!("7200"), 7200),
            (json!(7200.0), 7200),
            (json!(7_200_000), 7200),
            (json!(i64::MAX), 7200),
        ] {
            assert_eq!(read(value.clone()), Some(Duration::from_secs(seconds)), "{value}");
        }
        for value in
            [json!(0), json!(-1), json!("7200s"), json!(""), json!(null), json!(0.5), json!(1e300), json!([7200])]
        {
            assert_eq!(read(value.clone()), None, "{value}");
        }
    }

    #[test]
    fn a_token_is_read_exactly_or_not_at_all() {
        let read =
            |value: Value| Answer::of(&json!({ "token": value })).unwrap().secret("token").map(|read| read.is_some());
        assert!(read(json!("refreshtoken@@@a+/=_-")).unwrap());
        for nothing in [json!(null), json!("")] {
            assert!(!read(nothing).unwrap());
        }
        for damaged in [
            json!("61_a\u{fffd}b"),
            json!("61_a\u{0}b"),
            json!("61_a b"),
            json!("61_令牌"),
            json!(61),
            json!(["61_a"]),
            json!("6".repeat(LONGEST_SECRET + 1)),
        ] {
            assert!(matches!(read(damaged.clone()), Err(WechatError::Malformed("token"))), "{damaged}");
        }
    }

    #[test]
    fn a_damaged_id_is_none_and_damaged_words_are_kept() {
        let body = json!({ "user_name": "gh_\u{fffd}1", "nick_name": "小\u{fffd}店", "signature": "x".repeat(LONGEST_TEXT + 1) });
        let answer = Answer::of(&body).unwrap();
        assert_eq!(answer.id("user_name"), None);
        assert_eq!(answer.words("nick_name").as_deref(), Some("小\u{fffd}店"));
        assert_eq!(answer.words("signature"), None);
    }

    #[test]
    fn permission_sets_are_read_past_entries_of_another_form() {
        let body = json!({ "func_info": [
            { "funcscope_category": { "id": 1, "type": 0, "name": "消息管理" }, "confirm_info": { "need_confirm": 0 } },
            { "funcscope_category": { "id": "15" } },
            { "funcscope_category": {} },
            { "funcscope_category": { "id": -3 } },
            17,
        ] });
        assert_eq!(Answer::of(&body).unwrap().func_info(), [1, 15]);
    }

    #[test]
    fn only_an_object_is_a_response() {
        for body in [json!([]), json!("ok"), json!(null), json!(0)] {
            assert!(matches!(Answer::of(&body), Err(WechatError::Malformed(_))));
        }
    }
}
