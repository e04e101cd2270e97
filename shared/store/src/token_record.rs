//! Tokens as they are stored: the component's, an account's, or an account's page ticket, which is stored like a token.

use std::fmt;

use base::clock::Timestamp;
use base::ids::AppId;
use secrecy::{ExposeSecret as _, SecretString};

use crate::account_state::AccountState;
use crate::attributes::{
    ACCESS_TOKEN, AFTER_REFUSAL, DOUBTS, DUE_AT, FAILURES, LAST_ERROR, LEASE_OWNER, LEASE_UNTIL, REFRESH_TOKEN,
    REFUSED_SINCE, STATE, STORED_AT, TOKEN_EXPIRES_AT, TOKEN_SEQ,
};
use crate::item::{Attributes, Item};

/// The owner of a token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TokenOwner {
    /// The platform's `component_access_token`.
    Component,
    /// An account's `authorizer_access_token`.
    Authorizer(AppId),
    /// An account's ticket for web pages.
    Pages(AppId, TicketKind),
}

impl TokenOwner {
    /// The account; `None` for the platform itself.
    #[must_use]
    pub const fn account(&self) -> Option<&AppId> {
        match self {
            Self::Component => None,
            Self::Authorizer(account) | Self::Pages(account, _) => Some(account),
        }
    }
}

/// The kind of a ticket for web pages (protocol section 5.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TicketKind {
    /// For pages that use the JS-SDK.
    JsSdk,
    /// For cards and coupons on them.
    Cards,
}

impl TicketKind {
    /// WeChat's name, the parameter `type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JsSdk => "jsapi",
            Self::Cards => "wx_card",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::JsSdk, Self::Cards].into_iter().find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for TokenOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Component => f.write_str("the platform"),
            Self::Authorizer(authorizer) => write!(f, "account {authorizer}"),
            Self::Pages(authorizer, kind) => write!(f, "the {} pages of account {authorizer}", kind.as_str()),
        }
    }
}

/// A token as it is stored.
pub struct TokenRecord {
    /// Raised by every stored grant, result, repair and revocation.
    pub seq: u64,
    /// How often since then there was reason to think that WeChat may have replaced the token.
    pub doubts: u64,
    /// The state of the account's grant; always active for the component.
    pub state: AccountState,
    /// The token; `None` before the first one and after a revocation.
    pub access_token: Option<SecretString>,
    /// When WeChat stops accepting it.
    pub expires_at: Option<Timestamp>,
    /// When it is due for renewal, or for another try after a failure; for an account out of use, when its grant ended.
    pub due_at: Option<Timestamp>,
    /// The refresh token of an account.
    pub refresh_token: Option<SecretString>,
    /// When a grant or a result was last stored, by our clock.
    pub stored_at: Option<Timestamp>,
    /// Whether the token was issued because WeChat had refused the previous one.
    pub after_refusal: bool,
    /// How many renewals in a row have failed.
    pub failures: u32,
    /// The label of the last failure, such as `61004`.
    pub last_error: Option<String>,
    /// Since when WeChat has refused the grant or its refresh token in every renewal, by our clock.
    pub refused_since: Option<Timestamp>,
    /// The process that is renewing it.
    pub lease_owner: Option<String>,
    /// Until when no other process may renew it.
    pub lease_until: Option<Timestamp>,
}

impl fmt::Debug for TokenRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRecord").field("seq", &self.seq).field("state", &self.state).finish_non_exhaustive()
    }
}

impl TokenRecord {
    pub(crate) fn of(attributes: Attributes) -> Self {
        Self::read(&Item::new("token", attributes))
    }

    pub(crate) fn read(item: &Item) -> Self {
        Self {
            seq: item.number(TOKEN_SEQ).unwrap_or(0),
            doubts: item.number(DOUBTS).unwrap_or(0),
            state: item.parsed(STATE, AccountState::parse).unwrap_or(AccountState::Active),
            access_token: item.secret(ACCESS_TOKEN),
            expires_at: item.instant(TOKEN_EXPIRES_AT),
            due_at: item.instant(DUE_AT),
            refresh_token: item.secret(REFRESH_TOKEN),
            stored_at: item.instant(STORED_AT),
            after_refusal: item.has(AFTER_REFUSAL),
            failures: item.number(FAILURES).unwrap_or(0),
            last_error: item.text(LAST_ERROR).map(str::to_owned),
            refused_since: item.instant(REFUSED_SINCE),
            lease_owner: item.text(LEASE_OWNER).map(str::to_owned),
            lease_until: item.instant(LEASE_UNTIL),
        }
    }

    /// The token, unless it has expired.
    #[must_use]
    pub fn live_token(&self, now: Timestamp) -> Option<&SecretString> {
        self.access_token.as_ref().filter(|_| self.expires_at.is_some_and(|expires| now < expires))
    }

    /// Until when the token may be used without reading it again: it is neither due nor expired before. `None` if there
    /// is none.
    #[must_use]
    pub fn good_until(&self) -> Option<Timestamp> {
        self.expires_at.map(|expires| self.due_at.map_or(expires, |due| due.min(expires)))
    }

    /// Whether it is time to renew.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.due_at.is_none_or(|due| due <= now)
    }

    /// Whether a process is renewing it.
    #[must_use]
    pub fn is_leased(&self, now: Timestamp) -> bool {
        self.lease_until.is_some_and(|until| now < until)
    }

    /// Whether this refresh token is the stored one.
    #[must_use]
    pub fn is_renewed_by(&self, refresh_token: &SecretString) -> bool {
        self.refresh_token.as_ref().is_some_and(|stored| stored.expose_secret() == refresh_token.expose_secret())
    }

    /// Whether it has a refresh token and is renewed on time.
    #[must_use]
    pub fn is_renewable(&self) -> bool {
        self.state == AccountState::Active && self.refresh_token.is_some() && self.due_at.is_some()
    }

    /// Whether this token is the stored one.
    #[must_use]
    pub fn holds(&self, token: &SecretString) -> bool {
        self.access_token.as_ref().is_some_and(|stored| stored.expose_secret() == token.expose_secret())
    }
}
