//! What a business may ask of a link, parsed from its JSON: past this module every field is within its bounds.

use std::fmt;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use shared::config::ReturnOrigins;
use shared::ids::AppId;
use shared::vault::LinkRequest;
use url::Url;

/// Official accounts and mini programs.
const DEFAULT_AUTH_TYPE: u8 = 3;

/// The kinds of account that WeChat knows (protocol section 2). There is no 7.
const AUTH_TYPES: [u8; 7] = [1, 2, 3, 4, 5, 6, 8];

/// Characters of a name that a merchant is to recognise: longer ones do not fit a phone's screen.
const MAX_REQUESTER_NAME: usize = 60;

/// Characters of a business's own mark: an id or two, no document.
const MAX_REFERENCE: usize = 256;

/// Bytes of a URL: longer ones are cut by some browsers and proxies.
const MAX_RETURN_URL: usize = 2_000;

/// More permission sets than WeChat has.
const MAX_CATEGORIES: usize = 200;

/// Days enough for a merchant to find the administrator.
const DEFAULT_LIFE: u64 = 7 * DAY;
const MIN_LIFE: u64 = 60;
const MAX_LIFE: u64 = 365 * DAY;
const DAY: u64 = 24 * 60 * 60;

/// The two parameters that are added to a return URL.
pub(crate) const RETURN_PARAMETERS: [&str; 2] = ["link_id", "status"];

/// A body that is a JSON object. A struct alone would also be read from an array, by the order of its fields.
#[derive(Debug)]
pub(crate) struct Object(pub(crate) Body);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Object, A::Error> {
                Body::deserialize(MapAccessDeserializer::new(fields)).map(Object)
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// `POST /authorization-links`, as it is sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Body {
    auth_type: Option<u8>,
    biz_appid: Option<String>,
    category_ids: Option<Vec<u32>>,
    return_url: Option<String>,
    requester_name: Option<String>,
    reference: Option<String>,
    expires_in_seconds: Option<u64>,
}

/// A field that cannot be used, and what it must be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FieldError {
    #[error("auth_type must be 1, 2, 3, 4, 5, 6 or 8")]
    AuthType,
    #[error("biz_appid must be an appid, such as wx1234567890abcdef")]
    BizAppid,
    #[error("category_ids must have at most 200 permission set ids")]
    CategoryIds,
    #[error("return_url must be a URL of at most 2000 bytes without link_id and status among its parameters")]
    ReturnUrl,
    #[error("return_url must begin with an origin that RETURN_URL_ORIGINS lists: ask the operator to add it")]
    ReturnOrigin,
    #[error("requester_name must have 1 to 60 characters, none of them a control character")]
    RequesterName,
    #[error("reference must have at most 256 characters")]
    Reference,
    #[error("expires_in_seconds must be from 60 to 31536000 (365 days)")]
    ExpiresIn,
}

impl Body {
    /// The request and how long its link lives.
    pub(crate) fn parse(self, origins: &ReturnOrigins) -> Result<(LinkRequest, Duration), FieldError> {
        let auth_type = self.auth_type.unwrap_or(DEFAULT_AUTH_TYPE);
        if !AUTH_TYPES.contains(&auth_type) {
            return Err(FieldError::AuthType);
        }
        let biz_appid = self.biz_appid.map(|id| AppId::parse(&id)).transpose().map_err(|_| FieldError::BizAppid)?;
        let category_ids = self.category_ids.unwrap_or_default();
        if category_ids.len() > MAX_CATEGORIES {
            return Err(FieldError::CategoryIds);
        }
        let return_url = self.return_url.map(|url| return_url(&url, origins)).transpose()?;
        let requester_name = self.requester_name.map(|name| requester_name(&name)).transpose()?;
        if self.reference.as_ref().is_some_and(|reference| reference.chars().count() > MAX_REFERENCE) {
            return Err(FieldError::Reference);
        }
        let life = self.expires_in_seconds.unwrap_or(DEFAULT_LIFE);
        if !(MIN_LIFE..=MAX_LIFE).contains(&life) {
            return Err(FieldError::ExpiresIn);
        }
        let request =
            LinkRequest { auth_type, biz_appid, category_ids, return_url, requester_name, reference: self.reference };
        Ok((request, Duration::from_secs(life)))
    }
}

fn return_url(text: &str, origins: &ReturnOrigins) -> Result<String, FieldError> {
    let url = Url::parse(text).map_err(|_| FieldError::ReturnUrl)?;
    let taken = url.query_pairs().any(|(name, _)| RETURN_PARAMETERS.contains(&name.as_ref()));
    if taken || url.as_str().len() > MAX_RETURN_URL {
        return Err(FieldError::ReturnUrl);
    }
    if !origins.allow(&url) {
        return Err(FieldError::ReturnOrigin);
    }
    Ok(url.into())
}

fn requester_name(text: &str) -> Result<String, FieldError> {
    let name = text.trim();
    let fits = (1..=MAX_REQUESTER_NAME).contains(&name.chars().count());
    if !fits || name.chars().any(char::is_control) {
        return Err(FieldError::RequesterName);
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::config::PageConfig;

    use super::*;

    fn parse(body: &Value) -> Result<(LinkRequest, Duration), FieldError> {
        let config = PageConfig::read(&|name: &str| match name {
            "PUBLIC_BASE_URL" => Some("https://auth.example.com".to_owned()),
            _ => Some("https://app.example.com".to_owned()),
        });
        let Object(body) = serde_json::from_value(body.clone()).unwrap();
        body.parse(&config.unwrap().return_origins)
    }

    #[test]
    fn an_empty_request_gets_the_defaults() {
        let (request, life) = parse(&json!({})).unwrap();
        assert_eq!((request.auth_type, life.as_secs()), (3, 604_800));
        assert_eq!((request.biz_appid, request.return_url, request.requester_name), (None, None, None));
    }

    #[test]
    fn every_bound_is_kept_on_both_sides() {
        for (good, bad, error) in [
            (json!({ "auth_type": 8 }), json!({ "auth_type": 7 }), FieldError::AuthType),
            (json!({ "auth_type": 1 }), json!({ "auth_type": 0 }), FieldError::AuthType),
            (json!({ "biz_appid": "wx1" }), json!({ "biz_appid": "wx#1" }), FieldError::BizAppid),
            (json!({ "category_ids": vec![1; 200] }), json!({ "category_ids": vec![1; 201] }), FieldError::CategoryIds),
            (
                json!({ "requester_name": "店".repeat(60) }),
                json!({ "requester_name": "店".repeat(61) }),
                FieldError::RequesterName,
            ),
            (json!({ "requester_name": " a " }), json!({ "requester_name": " " }), FieldError::RequesterName),
            (json!({ "requester_name": "a" }), json!({ "requester_name": "a\nb" }), FieldError::RequesterName),
            (json!({ "reference": "号".repeat(256) }), json!({ "reference": "号".repeat(257) }), FieldError::Reference),
            (json!({ "expires_in_seconds": 60 }), json!({ "expires_in_seconds": 59 }), FieldError::ExpiresIn),
            (
                json!({ "expires_in_seconds": 31_536_000 }),
                json!({ "expires_in_seconds": 31_536_001 }),
                FieldError::ExpiresIn,
            ),
        ] {
            assert!(parse(&good).is_ok(), "{good}");
            assert_eq!(parse(&bad).unwrap_err(), error, "{bad}");
        }
    }

    #[test]
    fn a_merchant_is_sent_back_to_listed_origins_only() {
        let back = |url: &str| parse(&json!({ "return_url": url })).map(|(request, _)| request.return_url.unwrap());
        assert_eq!(back("https://app.example.com/done?x=1").unwrap(), "https://app.example.com/done?x=1");
        assert_eq!(back("https://evil.example/").unwrap_err(), FieldError::ReturnOrigin);
        assert_eq!(back("/done").unwrap_err(), FieldError::ReturnUrl);
        assert_eq!(back("https://app.example.com/?status=x").unwrap_err(), FieldError::ReturnUrl);
        assert_eq!(back(&format!("https://app.example.com/{}", "x".repeat(2_000))).unwrap_err(), FieldError::ReturnUrl);
    }

    #[test]
    fn what_is_not_known_is_refused_and_not_ignored() {
        for refused in [json!({ "auth_typ": 1 }), json!({ "auth_type": "1" }), json!([3]), json!(null), json!("{}")] {
            assert!(serde_json::from_value::<Object>(refused.clone()).is_err(), "{refused}");
        }
        assert!(serde_json::from_str::<Object>(r#"{"auth_type":1,"auth_type":2}"#).is_err());
    }
}
