//! Whether the platform may act for an account, and since when.
//!
//! Each state has an attribute of its own for when it began. Entering a state sets that attribute unless it is there,
//! and removes the others: so one write keeps the time of a state that is entered twice, without knowing the state before.

use std::fmt;

use base::clock::Timestamp;
use base::ids::AppId;

use super::item::{Item, text};
use super::{Vault, VaultError};

/// The attributes that [`Vault::standing`] reads: no role that is given these can read a token with them.
pub const STANDING_ATTRIBUTES: [&str; 4] = ["state", "active_since", "unauthorized_since", "needs_authorization_since"];

/// Whether the platform may act for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountState {
    /// The grant stands; the token is renewed.
    Active,
    /// WeChat said that the merchant took the grant back.
    Unauthorized,
    /// WeChat refuses the grant: only the merchant can help, by authorizing again.
    NeedsAuthorization,
}

impl AccountState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Active, Self::Unauthorized, Self::NeedsAuthorization];

    /// The word in the table, in metrics and in the business API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Unauthorized => "unauthorized",
            Self::NeedsAuthorization => "needs-authorization",
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(())
    }

    /// The attribute that says when the state began, by our clock.
    const fn since(self) -> &'static str {
        let [_, active, unauthorized, needs_authorization] = STANDING_ATTRIBUTES;
        match self {
            Self::Active => active,
            Self::Unauthorized => unauthorized,
            Self::NeedsAuthorization => needs_authorization,
        }
    }

    /// The part of a `SET` by which an account enters this state at the value `now`, unless it is in it.
    pub(super) fn begin_since(self, now: &str) -> String {
        format!("{0} = if_not_exists({0}, {now})", self.since())
    }

    /// What the same update removes.
    pub(super) fn others_since(self) -> Vec<&'static str> {
        Self::ALL.into_iter().filter(|other| *other != self).map(Self::since).collect()
    }
}

impl fmt::Display for AccountState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The state that an account is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The state.
    pub state: AccountState,
    /// When it began, by our clock; `None` for a row whose state has not changed since it was written without a time.
    pub since: Option<Timestamp>,
}

impl Vault {
    /// The state of an account, `None` if it has no row. One read, which names its attributes: a role can be given
    /// these without the tokens that are in the same row.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn standing(&self, authorizer: &AppId) -> Result<Option<Standing>, VaultError> {
        let (pk, sk) = self.account_key(authorizer);
        let names = STANDING_ATTRIBUTES.map(|name| (format!("#{name}"), name.to_owned()));
        let output = self
            .client()
            .get_item()
            .table_name(self.table())
            .key("pk", text(pk))
            .key("sk", text(sk))
            .projection_expression(STANDING_ATTRIBUTES.map(|name| format!("#{name}")).join(", "))
            .set_expression_attribute_names(Some(names.into()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| VaultError::from_sdk("GetItem", &error))?;
        Ok(output.item.and_then(|attributes| {
            let item = Item::new("account", attributes);
            let state = item.parsed("state", AccountState::parse)?;
            Some(Standing { state, since: item.instant(state.since()) })
        }))
    }
}
