//! The codes that were exchanged under a claim, as its item records them, and what follows for another code.
//!
//! `exchanged#DIGEST` has the account of a code; `returned#DIGEST`, next to the result of a push's code, has the code
//! of the redirect from the same consent. WeChat does not document whether both have the same code: if they differ,
//! their times decide whether they belong to one consent.

use base::clock::Timestamp;
use base::ids::AppId;
use base::limits::CODE_LIFE;
use wechat::times::{self, Order};

use super::{Arrival, ClaimedCode, ClaimedGrant, CodeDigest};
use crate::attributes::{AT, AUTHORIZER, BY, FINISHED_AT};
use crate::item::Item;
use crate::write::Value;

const EXCHANGED: &str = "exchanged#";
const RETURNED: &str = "returned#";
const PUSH: &str = "push";
const REDIRECT: &str = "redirect";

/// The attribute with the result of a code.
pub(super) fn exchanged(code: &CodeDigest) -> String {
    format!("{EXCHANGED}{}", code.as_str())
}

/// Its value.
pub(super) fn result(code: &ClaimedCode<'_>, authorizer: &AppId, now: Timestamp) -> Value {
    let by = match code.arrival {
        Arrival::Push { .. } => PUSH,
        Arrival::Redirect => REDIRECT,
    };
    Value::map([(AUTHORIZER, authorizer.into()), (BY, by.into()), (AT, now.into())])
}

/// What is known about a code.
pub(super) enum CodeHistory {
    /// Nothing.
    Unknown,
    /// It was exchanged.
    Exchanged(Past),
    /// Another code was exchanged that may be from the same consent.
    Assumed(Past),
}

/// A code that was exchanged.
pub(super) struct Past {
    pub(super) grant: ClaimedGrant,
    /// `None` in an item from before results were stored by code.
    by_push: Option<bool>,
    /// When it was exchanged, by our clock.
    at: Timestamp,
    /// The code of the redirect from the same consent.
    returned: Option<CodeDigest>,
}

/// What is known about a code, or about another one that may be from the same consent.
pub(super) fn history(item: &Item, code: &ClaimedCode<'_>, now: Timestamp) -> CodeHistory {
    let (exchanged, others): (Vec<Past>, Vec<Past>) = all(item).into_iter().partition(|past| past.is_of(code));
    if let Some(exchanged) = exchanged.into_iter().next() {
        return CodeHistory::Exchanged(exchanged);
    }
    let assumed = others.into_iter().filter(|past| past.may_be_of(code, now)).max_by_key(|past| past.at);
    assumed.map_or(CodeHistory::Unknown, CodeHistory::Assumed)
}

impl Past {
    fn is_of(&self, code: &ClaimedCode<'_>) -> bool {
        match &self.grant.code {
            Some(exchanged) => {
                exchanged == code.code
                    || matches!(code.arrival, Arrival::Redirect) && self.returned.as_ref() == Some(code.code)
            }
            // A code's own claim has no other code.
            None => code.claim.as_str() == code.code.as_str(),
        }
    }

    fn may_be_of(&self, code: &ClaimedCode<'_>, now: Timestamp) -> bool {
        match code.arrival {
            Arrival::Push { authorizer, granted_at } => {
                self.by_push != Some(true)
                    && self.grant.authorizer == *authorizer
                    && times::order(granted_at, Some(self.at), now) == Order::Undecided
            }
            Arrival::Redirect => {
                self.by_push != Some(false) && self.returned.is_none() && now.since(self.at) < CODE_LIFE
            }
        }
    }

    /// The attribute to be written if `code` is from a redirect, the first one that belongs to a pushed grant.
    pub(super) fn awaited_return(&self, code: &ClaimedCode<'_>) -> Option<String> {
        let pushed = self.grant.code.as_ref().filter(|_| self.by_push == Some(true) && self.returned.is_none())?;
        matches!(code.arrival, Arrival::Redirect).then(|| format!("{RETURNED}{}", pushed.as_str()))
    }
}

fn all(item: &Item) -> Vec<Past> {
    let by_code = item.attributes.iter().filter_map(|(name, value)| {
        let code = name.strip_prefix(EXCHANGED)?;
        let result = Item::new("claim", value.as_m().ok()?.clone());
        Some(Past {
            grant: ClaimedGrant {
                authorizer: result.parsed(AUTHORIZER, AppId::parse)?,
                code: Some(CodeDigest::from_stored(code)),
            },
            by_push: Some(result.text(BY) == Some(PUSH)),
            at: result.instant(AT)?,
            returned: item.text(&format!("{RETURNED}{code}")).map(CodeDigest::from_stored),
        })
    });
    // An item from before results were stored by code has one result, of an unknown code.
    let of_before = item.parsed(AUTHORIZER, AppId::parse).zip(item.instant(FINISHED_AT));
    let of_before = of_before.map(|(authorizer, at)| Past {
        grant: ClaimedGrant { authorizer, code: None },
        by_push: None,
        at,
        returned: None,
    });
    by_code.chain(of_before).collect()
}
