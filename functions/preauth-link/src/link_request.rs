//! A business's request for a link, parsed from its JSON: past this module every field is within its bounds.

use std::collections::BTreeMap;
use std::time::Duration;

use base::ids::AppId;
use runtime::config::{ReturnOrigins, web_address};
use store::{LabelError, Labels, LinkRequest};
use web::{BodyError, Members};

use crate::requester_name::requester_name;

/// Official accounts and mini programs.
pub(crate) const DEFAULT_AUTH_TYPE: u8 = 3;

/// The kinds of account that WeChat knows (protocol section 2). There is no 7.
pub(crate) const AUTH_TYPES: [u8; 7] = [1, 2, 3, 4, 5, 6, 8];

/// The most bytes of a URL: longer ones are cut by some browsers and proxies.
pub(crate) const MAX_RETURN_URL: usize = 2_000;

/// The most permission sets, more than WeChat has.
pub(crate) const MAX_CATEGORIES: usize = 200;

/// Far above the ids that WeChat has. 200 of them still fit an address that no browser cuts.
pub(crate) const MAX_CATEGORY: u32 = 9_999;

/// The default life: days enough for a merchant to find the administrator.
pub(crate) const DEFAULT_LIFE: u64 = 7 * DAY;
pub(crate) const MIN_LIFE: u64 = 60;
pub(crate) const MAX_LIFE: u64 = 365 * DAY;
const DAY: u64 = 24 * 60 * 60;

/// The two parameters that are added to a return URL.
pub(crate) const RETURN_PARAMETERS: [&str; 2] = ["link_id", "status"];

/// The body of a request for a link. A member that is `null` counts as missing.
#[derive(Debug, Default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = LinkRequest))]
pub(crate) struct Body {
    /// Which accounts the merchant can choose: 1 official accounts, 2 mini programs, 3 both, 4 to 6 and 8 WeChat's further
    /// kinds.
    auth_type: Option<u64>,
    /// The one account that can be chosen. Takes precedence over `auth_type`.
    biz_appid: Option<String>,
    /// The permission sets to request, each once. Missing or empty: all that the platform has.
    category_ids: Option<Vec<u64>>,
    /// Where the merchant is sent afterwards, on an origin that the platform lists. `link_id` and `status` are added to
    /// its query.
    return_url: Option<String>,
    /// The name of the requester, shown to the merchant: 1 to 60 characters, not counting white space around it, none
    /// of them invisible.
    requester_name: Option<String>,
    /// The business's own identifier, also for the account.
    reference: Option<String>,
    /// The business's tags of the account.
    tags: Option<BTreeMap<String, String>>,
    /// How long the link can be used.
    expires_in_seconds: Option<u64>,
}

/// A field that cannot be used, and what it must be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FieldError {
    #[error("auth_type must be 1, 2, 3, 4, 5, 6 or 8")]
    AuthType,
    #[error("biz_appid must be an appid: wx and 16 digits of 0 to 9 and a to f, such as wx1234567890abcdef")]
    BizAppid,
    #[error("category_ids must have at most 200 permission set ids from 1 to 9999, each of them once")]
    CategoryIds,
    #[error("return_url {0}")]
    ReturnAddress(&'static str),
    #[error("return_url must have at most 2000 bytes, and neither link_id nor status among its parameters")]
    ReturnUrl,
    #[error(
        "return_url must begin with an origin that RETURN_URL_ORIGINS (the parameter ReturnUrlOrigins) lists: ask the operator to add it"
    )]
    ReturnOrigin,
    #[error(
        "requester_name must have 1 to 60 characters, at least one of them visible, and neither control characters, \
         line breaks, changes of direction, other invisible characters nor more than 4 combining marks in a row"
    )]
    RequesterName,
    #[error(transparent)]
    Label(#[from] LabelError),
    #[error("expires_in_seconds must be from 60 to 31536000 (365 days)")]
    ExpiresIn,
}

impl Body {
    /// Reads the members of a request and refuses unknown ones.
    pub(crate) fn read(mut members: Members) -> Result<Self, BodyError> {
        let body = Self {
            auth_type: members.number("auth_type")?,
            biz_appid: members.text("biz_appid")?,
            category_ids: members.numbers("category_ids")?,
            return_url: members.text("return_url")?,
            requester_name: members.text("requester_name")?,
            reference: members.text("reference")?,
            tags: members.texts("tags")?,
            expires_in_seconds: members.number("expires_in_seconds")?,
        };
        members.finish()?;
        Ok(body)
    }

    /// The request and how long its link lives.
    pub(crate) fn parse(self, origins: &ReturnOrigins, caller: &str) -> Result<(LinkRequest, Duration), FieldError> {
        let auth_type = self.auth_type.map_or(Some(DEFAULT_AUTH_TYPE), |number| u8::try_from(number).ok());
        let auth_type = auth_type.filter(|kind| AUTH_TYPES.contains(kind)).ok_or(FieldError::AuthType)?;
        let biz_appid = self.biz_appid.map(|id| AppId::parse_issued(&id)).transpose();
        let biz_appid = biz_appid.map_err(|_| FieldError::BizAppid)?;
        let category_ids = category_ids(&self.category_ids.unwrap_or_default())?;
        let return_url = self.return_url.map(|url| return_url(&url, origins)).transpose()?;
        let requester_name = self.requester_name.map(|name| requester_name(&name).ok_or(FieldError::RequesterName));
        let requester_name = requester_name.transpose()?;
        let labels = Labels::new(self.reference, self.tags.unwrap_or_default())?;
        let made_by = Some(caller.to_owned());
        let life = self.expires_in_seconds.unwrap_or(DEFAULT_LIFE);
        if !(MIN_LIFE..=MAX_LIFE).contains(&life) {
            return Err(FieldError::ExpiresIn);
        }
        let request = LinkRequest { auth_type, biz_appid, category_ids, return_url, requester_name, labels, made_by };
        Ok((request, Duration::from_secs(life)))
    }
}

fn category_ids(numbers: &[u64]) -> Result<Vec<u32>, FieldError> {
    let mut ids = Vec::with_capacity(numbers.len());
    for number in numbers {
        let id = u32::try_from(*number).ok().filter(|id| (1..=MAX_CATEGORY).contains(id) && !ids.contains(id));
        ids.push(id.ok_or(FieldError::CategoryIds)?);
    }
    if ids.len() > MAX_CATEGORIES { Err(FieldError::CategoryIds) } else { Ok(ids) }
}

/// The URL in the one form in which it is stored and used. Its fragment stays: single-page applications have their
/// route there.
fn return_url(text: &str, origins: &ReturnOrigins) -> Result<String, FieldError> {
    let url = web_address(text).map_err(FieldError::ReturnAddress)?;
    let taken = url.query_pairs().any(|(name, _)| RETURN_PARAMETERS.contains(&name.as_ref()));
    if taken || url.as_str().len() > MAX_RETURN_URL {
        return Err(FieldError::ReturnUrl);
    }
    if !origins.allow(&url) {
        return Err(FieldError::ReturnOrigin);
    }
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use runtime::config::Origin;
    use serde_json::{Value, json};

    use super::*;

    fn parse(body: &Value) -> Result<(LinkRequest, Duration), FieldError> {
        let listed = ["https://app.example.com", "http://localhost:3000"].map(|origin| Origin::parse(origin).unwrap());
        let body = Body::read(Members::parse(body.to_string().as_bytes()).unwrap()).unwrap();
        body.parse(&ReturnOrigins::new(listed.to_vec()), "key:test")
    }

    #[test]
    fn an_empty_request_gets_the_defaults() {
        let (request, life) = parse(&json!({})).unwrap();
        assert_eq!((request.auth_type, life.as_secs()), (3, 604_800));
        assert_eq!((request.biz_appid, request.return_url, request.requester_name), (None, None, None));
        assert_eq!(parse(&json!({ "auth_type": null, "reference": null })).unwrap().0.auth_type, 3);
    }

    #[test]
    fn every_bound_is_kept_on_both_sides() {
        let most: Vec<u32> = (1..=200).collect();
        let too_many: Vec<u32> = (1..=201).collect();
        let tags =
            |count: u32| (0..count).map(|number| (number.to_string(), String::new())).collect::<BTreeMap<_, _>>();
        for (good, bad, error) in [
            (json!({ "auth_type": 8 }), json!({ "auth_type": 7 }), FieldError::AuthType),
            (json!({ "auth_type": 1 }), json!({ "auth_type": 0 }), FieldError::AuthType),
            (json!({ "auth_type": 3 }), json!({ "auth_type": 259 }), FieldError::AuthType),
            (
                json!({ "biz_appid": "wx1234567890abcdef" }),
                json!({ "biz_appid": "wx1234567890ABCDEF" }),
                FieldError::BizAppid,
            ),
            (json!({ "category_ids": most }), json!({ "category_ids": too_many }), FieldError::CategoryIds),
            (json!({ "category_ids": [1, 9_999] }), json!({ "category_ids": [10_000] }), FieldError::CategoryIds),
            (json!({ "category_ids": [] }), json!({ "category_ids": [0] }), FieldError::CategoryIds),
            (json!({ "category_ids": [5, 6] }), json!({ "category_ids": [5, 6, 5] }), FieldError::CategoryIds),
            (json!({ "category_ids": [1] }), json!({ "category_ids": [4_294_967_297_u64] }), FieldError::CategoryIds),
            (json!({ "requester_name": " a " }), json!({ "requester_name": " " }), FieldError::RequesterName),
            (json!({ "requester_name": "a" }), json!({ "requester_name": "a\u{202e}b" }), FieldError::RequesterName),
            (
                json!({ "reference": "号".repeat(256) }),
                json!({ "reference": "号".repeat(257) }),
                FieldError::Label(LabelError::Reference),
            ),
            (
                json!({ "tags": { "a".repeat(40): "号".repeat(200), "b": "" } }),
                json!({ "tags": { "a".repeat(41): "" } }),
                FieldError::Label(LabelError::Tags),
            ),
            (json!({ "tags": tags(20) }), json!({ "tags": tags(21) }), FieldError::Label(LabelError::Tags)),
            (json!({ "tags": {} }), json!({ "tags": { "": "" } }), FieldError::Label(LabelError::Tags)),
            (
                json!({ "tags": null }),
                json!({ "tags": { "a": "号".repeat(201) } }),
                FieldError::Label(LabelError::Tags),
            ),
            (json!({ "expires_in_seconds": 60 }), json!({ "expires_in_seconds": 59 }), FieldError::ExpiresIn),
            (
                json!({ "expires_in_seconds": 31_536_000 }),
                json!({ "expires_in_seconds": 31_536_001 }),
                FieldError::ExpiresIn,
            ),
            (json!({ "expires_in_seconds": 60 }), json!({ "expires_in_seconds": u64::MAX }), FieldError::ExpiresIn),
        ] {
            assert!(parse(&good).is_ok(), "{good}");
            assert_eq!(parse(&bad).unwrap_err(), error, "{bad}");
        }
    }

    #[test]
    fn a_merchant_is_sent_back_to_listed_origins_only() {
        let back = |url: &str| parse(&json!({ "return_url": url })).map(|(request, _)| request.return_url.unwrap());
        assert_eq!(back("https://app.example.com/done?x=1").unwrap(), "https://app.example.com/done?x=1");
        assert_eq!(back("HTTPS://APP.EXAMPLE.COM:443/done").unwrap(), "https://app.example.com/done");
        assert_eq!(back("https://app.example.com/#/done").unwrap(), "https://app.example.com/#/done");
        assert_eq!(back("http://localhost:3000/done").unwrap(), "http://localhost:3000/done");
        for elsewhere in ["https://evil.example/", "https://app.example.com:444/", "https://localhost:3000/"] {
            assert_eq!(back(elsewhere).unwrap_err(), FieldError::ReturnOrigin, "{elsewhere}");
        }
        for odd in [
            "",
            "/done",
            "blob:https://app.example.com/0b2d6f2c",
            "blob://https://app.example.com/0b2d6f2c",
            "javascript:alert(1)",
            "https://user@app.example.com/",
            "https:\\\\app.example.com/",
            "https://app.example.com/\n",
            "\u{0}https://app.example.com/",
        ] {
            assert!(matches!(back(odd).unwrap_err(), FieldError::ReturnAddress(_)), "{odd:?}");
        }
        for taken in ["?status=x", "?%6cink_id=x", "?a=1&status#x"] {
            assert_eq!(back(&format!("https://app.example.com/{taken}")).unwrap_err(), FieldError::ReturnUrl);
        }
        assert_eq!(back(&format!("https://app.example.com/{}", "x".repeat(2_000))).unwrap_err(), FieldError::ReturnUrl);
    }

    #[test]
    fn what_is_not_known_is_refused_and_not_ignored() {
        for refused in
            [json!({ "auth_typ": 1 }), json!({ "Auth_type": 1 }), json!({ "auth_type": "1" }), json!({ "": null })]
        {
            let members = Members::parse(refused.to_string().as_bytes()).unwrap();
            assert!(Body::read(members).is_err(), "{refused}");
        }
    }
}
