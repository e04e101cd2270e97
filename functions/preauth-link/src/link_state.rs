//! The state of a link, as its business sees it: what happened to the link, and the state of the account that was
//! authorized through it.

use std::collections::BTreeMap;

use base::clock::Timestamp;
use base::ids::{AppId, LinkId};
use serde::Serialize;
use store::{BoundBy, Link, LinkStatus, Standing, StoreError};

use crate::OpenPlatform;

/// A link, and the account that was authorized through it.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Link))]
pub(crate) struct LinkState {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    link_id: LinkId,
    /// The outcome of the link. It does not change when the merchant withdraws later.
    status: &'static str,
    #[serde(flatten)]
    account: Option<LinkedAccount>,
    /// When it was first cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    cancelled_at: Option<String>,
    /// From the request that created the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    /// From the request that created the link.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
    /// When it expires.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    expires_at: String,
}

/// The account of a link. `status` is the outcome of the link and stays; `account_state` is the state now.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
struct LinkedAccount {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    authorizer_appid: AppId,
    /// When the link was bound to the account.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    authorized_at: String,
    /// What shows that the account belongs to the link: the browser that pressed the button, or only WeChat's push.
    #[serde(skip_serializing_if = "Option::is_none")]
    bound_by: Option<&'static str>,
    /// The state of the account now.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_state: Option<&'static str>,
    /// Since when the state holds, by the platform's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    state_since: Option<String>,
}

impl LinkState {
    /// The current state of a link. One read if an account was authorized through it.
    pub(crate) async fn of(open: &OpenPlatform, link: Link) -> Result<Self, StoreError> {
        let standing = match &link.authorized {
            Some((account, _)) => open.items.standings.get(account).await?,
            None => None,
        };
        Ok(Self::with_standing(open, link, standing))
    }

    /// The states of links a moment ago. Half a read unit for each account that was authorized through one.
    pub(crate) async fn of_all(open: &OpenPlatform, links: Vec<Link>) -> Result<Vec<Self>, StoreError> {
        let accounts: Vec<&AppId> = links.iter().filter_map(|link| Some(&link.authorized.as_ref()?.0)).collect();
        let standings = open.items.standings.of(&accounts).await?;
        let state = |link: Link| {
            let standing = link.authorized.as_ref().and_then(|(account, _)| standings.get(account).copied());
            Self::with_standing(open, link, standing)
        };
        Ok(links.into_iter().map(state).collect())
    }

    fn with_standing(open: &OpenPlatform, link: Link, standing: Option<Standing>) -> Self {
        let status = match link.status(open.now()) {
            LinkStatus::Pending => "pending",
            LinkStatus::Authorized => "authorized",
            LinkStatus::Cancelled => "cancelled",
            LinkStatus::Expired => "expired",
        };
        let account = link.authorized.map(|(account, authorized_at)| LinkedAccount {
            authorizer_appid: account,
            authorized_at: authorized_at.rfc3339(),
            bound_by: link.bound_by.map(BoundBy::as_str),
            account_state: standing.map(|standing| standing.state.as_str()),
            state_since: standing.and_then(|standing| standing.since).map(Timestamp::rfc3339),
        });
        Self {
            link_id: link.id,
            status,
            account,
            cancelled_at: link.cancelled_at.map(Timestamp::rfc3339),
            reference: link.request.labels.reference,
            tags: link.request.labels.tags,
            expires_at: link.valid_until.rfc3339(),
        }
    }
}
