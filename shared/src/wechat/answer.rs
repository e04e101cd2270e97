//! Reading WeChat's JSON leniently, so that nothing of worth is lost over something that is not needed.
//!
//! Members may be missing, unknown, empty, or a number where a string is documented and the other way round (protocol
//! sections 0 and 10). Parsed by content: the `Content-Type` may be `text/plain`.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::error::WechatError;
use crate::ids::AppId;

/// A JSON object of an answer.
#[derive(Clone, Copy)]
pub(super) struct Answer<'a>(&'a Map<String, Value>);

impl<'a> Answer<'a> {
    /// The object that the body is.
    pub(super) fn of(body: &'a Value) -> Result<Self, WechatError> {
        body.as_object().map(Self).ok_or(WechatError::Malformed("it is not a JSON object"))
    }

    /// The error code: 0 where there is none, as in the successes of the component's calls.
    pub(super) fn errcode(self) -> Result<i64, WechatError> {
        match self.member("errcode") {
            None => Ok(0),
            Some(value) => integer(value).ok_or(WechatError::Malformed("errcode")),
        }
    }

    /// A member that is there and not null.
    fn member(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// An object within this one.
    pub(super) fn object(self, name: &str) -> Option<Self> {
        self.member(name)?.as_object().map(Self)
    }

    /// Whether there is a member of this name that is not null.
    pub(super) fn has(self, name: &str) -> bool {
        self.member(name).is_some()
    }

    /// The elements of an array; `None` where there is no array.
    pub(super) fn array(self, name: &str) -> Option<&'a [Value]> {
        self.member(name)?.as_array().map(Vec::as_slice)
    }

    /// A text that is not empty.
    pub(super) fn text(self, name: &str) -> Option<&'a str> {
        self.member(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// A text that must not be printed, and is not empty.
    pub(super) fn secret(self, name: &str) -> Option<SecretString> {
        self.text(name).map(SecretString::from)
    }

    /// A number, or a text of digits.
    pub(super) fn number(self, name: &str) -> Option<i64> {
        self.member(name).and_then(integer)
    }

    /// A length of time in seconds, above zero.
    pub(super) fn seconds(self, name: &str) -> Option<Duration> {
        let seconds = u32::try_from(self.number(name)?).ok().filter(|seconds| *seconds > 0)?;
        Some(Duration::from_secs(seconds.into()))
    }

    /// The account this is about: `authorizer_appid`, on an old page `appid`. `None` where it is missing or malformed.
    pub(super) fn authorizer(self) -> Option<AppId> {
        AppId::parse(self.text("authorizer_appid").or_else(|| self.text("appid"))?).ok()
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

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_may_come_as_text_and_null_is_absence() {
        let body = json!({ "errcode": "40001", "a": " 7 ", "b": 7, "c": "seven", "d": null, "e": 7.5 });
        let answer = Answer::of(&body).unwrap();
        assert_eq!(answer.errcode().unwrap(), 40_001);
        assert_eq!(["a", "b", "c", "d", "e"].map(|name| answer.number(name)), [Some(7), Some(7), None, None, None]);
        assert!(!answer.has("d"));
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
    fn only_an_object_is_an_answer() {
        for body in [json!([]), json!("ok"), json!(null), json!(0)] {
            assert!(matches!(Answer::of(&body), Err(WechatError::Malformed(_))));
        }
    }
}
