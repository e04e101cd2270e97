//! Tokens under a lease: the component's and every account's, by the same few writes.
//!
//! `token_seq` counts what was stored: every grant, result and revocation raises it, and a result is only written over
//! the `token_seq` that its call was based on, and only where no doubt about the stored token has come up meanwhile. The
//! lease keeps a second process from calling WeChat meanwhile; it is an owner and a deadline, and who finds its own id in
//! it has won, whatever the reply said.

use std::fmt;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use base::clock::Timestamp;
use base::ids::{AppId, Digest};
use secrecy::{ExposeSecret as _, SecretString};

use super::item::{Attributes, Item, Updated, instant, number, secret, send, text, write, write_or_read};
use super::{AccountState, Vault, VaultError};

/// Accounts are spread over this many partitions of the `due` index: each takes 1,000 index writes a second, so four
/// carry the renewals of some 25 million accounts.
pub(super) const DUE_SHARDS: u64 = 4;

/// Whose token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Slot {
    /// The platform's `component_access_token`.
    Component,
    /// An account's `authorizer_access_token`.
    Authorizer(AppId),
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Component => f.write_str("the platform"),
            Self::Authorizer(authorizer) => write!(f, "account {authorizer}"),
        }
    }
}

/// A token as it is stored.
pub struct TokenRecord {
    /// Raised by every stored grant, result, repair and revocation.
    pub seq: u64,
    /// How often since then it has come up that WeChat may have replaced the token.
    pub doubts: u64,
    /// Whether the account's grant stands; always active for the component.
    pub state: AccountState,
    /// The token; none before the first and after a revocation.
    pub access_token: Option<SecretString>,
    /// When WeChat stops accepting it.
    pub expires_at: Option<Timestamp>,
    /// From when on it is renewed, or tried again after a failure; of an account out of use, when its grant ended.
    pub due_at: Option<Timestamp>,
    /// What renews an account's token.
    pub refresh_token: Option<SecretString>,
    /// When a grant or a result was last stored, by our clock.
    pub stored_at: Option<Timestamp>,
    /// Whether the token was issued because WeChat had refused the one before it.
    pub after_refusal: bool,
    /// How many renewals in a row failed.
    pub failures: u32,
    /// The label of the last failure, such as `61004`.
    pub last_error: Option<String>,
    /// Since when WeChat has refused the grant or its refresh token each time it was asked, by our clock.
    pub refused_since: Option<Timestamp>,
    /// Who is renewing.
    pub lease_owner: Option<String>,
    /// Until when nobody else may.
    pub lease_until: Option<Timestamp>,
}

impl fmt::Debug for TokenRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRecord").field("seq", &self.seq).field("state", &self.state).finish_non_exhaustive()
    }
}

impl TokenRecord {
    pub(super) fn read(item: &Item) -> Self {
        Self {
            seq: item.number("token_seq").unwrap_or(0),
            doubts: item.number("doubts").unwrap_or(0),
            state: item.parsed("state", AccountState::parse).unwrap_or(AccountState::Active),
            access_token: item.secret("access_token"),
            expires_at: item.instant("token_expires_at"),
            due_at: item.instant("due_at"),
            refresh_token: item.secret("refresh_token"),
            stored_at: item.instant("stored_at"),
            after_refusal: item.attributes.contains_key("after_refusal"),
            failures: item.number("failures").unwrap_or(0),
            last_error: item.text("last_error").map(str::to_owned),
            refused_since: item.instant("refused_since"),
            lease_owner: item.text("lease_owner").map(str::to_owned),
            lease_until: item.instant("lease_until"),
        }
    }

    /// The token, while WeChat accepts it.
    #[must_use]
    pub fn live_token(&self, now: Timestamp) -> Option<&SecretString> {
        self.access_token.as_ref().filter(|_| self.expires_at.is_some_and(|expires| now < expires))
    }

    /// Whether it is time to renew.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.due_at.is_none_or(|due| due <= now)
    }

    /// Whether somebody is renewing.
    #[must_use]
    pub fn is_leased(&self, now: Timestamp) -> bool {
        self.lease_until.is_some_and(|until| now < until)
    }

    /// Whether this very refresh token is the stored one.
    #[must_use]
    pub fn is_renewed_by(&self, refresh_token: &SecretString) -> bool {
        self.refresh_token.as_ref().is_some_and(|stored| stored.expose_secret() == refresh_token.expose_secret())
    }

    /// Whether it has a refresh token and is renewed on time.
    #[must_use]
    pub fn is_renewable(&self) -> bool {
        self.state == AccountState::Active && self.refresh_token.is_some() && self.due_at.is_some()
    }

    /// Whether this very token is the stored one.
    #[must_use]
    pub fn holds(&self, token: &SecretString) -> bool {
        self.access_token.as_ref().is_some_and(|stored| stored.expose_secret() == token.expose_secret())
    }
}

/// Why somebody wants to renew.
#[derive(Clone, Copy)]
pub enum LeaseFor<'a> {
    /// It is time.
    Due,
    /// WeChat refused this token, which is worth nothing unless it is no longer the stored one.
    Rejected(&'a SecretString),
}

/// What came of asking for a lease.
#[derive(Debug)]
pub enum Lease {
    /// It is ours; the record that the call has to be based on.
    Won(TokenRecord),
    /// It is another's, or there is nothing to renew; the record as it is, nothing where there is none.
    Lost(Option<TokenRecord>),
}

/// A token that WeChat issued.
pub struct Issued {
    /// The token.
    pub access_token: SecretString,
    /// When it was issued, by our clock.
    pub issued_at: Timestamp,
    /// When WeChat stops accepting it.
    pub expires_at: Timestamp,
    /// From when on it is renewed.
    pub due_at: Timestamp,
    /// The refresh token where WeChat gave another one.
    pub new_refresh_token: Option<SecretString>,
    /// Whether it was issued because WeChat had refused the token before it.
    pub after_refusal: bool,
}

/// Whether a result could be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is stored.
    Yes,
    /// The item was changed after the call's basis had been read: the result was not written.
    Superseded,
}

/// A renewal that failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// A label with few values, such as `61004`.
    pub label: String,
    /// When to try again.
    pub due_at: Timestamp,
    /// Whether it counts for the back-off.
    pub counts: bool,
    /// When WeChat refused the grant or its refresh token; `None` for any other failure, which says nothing about them.
    pub refused_at: Option<Timestamp>,
}

impl Vault {
    fn token_key(&self, slot: &Slot) -> (String, &'static str) {
        match slot {
            Slot::Component => (self.key("component", None), "token"),
            Slot::Authorizer(authorizer) => self.account_key(authorizer),
        }
    }

    pub(super) fn update_token(&self, slot: &Slot) -> UpdateItemFluentBuilder {
        let (pk, sk) = self.token_key(slot);
        self.update(pk, sk)
    }

    /// The partition of the `due` index that an account's next renewal stands in.
    pub(super) fn due_shard(&self, authorizer: &AppId) -> String {
        self.due_shard_name(Digest::of(&[authorizer.as_str()]).part(DUE_SHARDS))
    }

    pub(super) fn due_shard_name(&self, shard: u64) -> String {
        self.key("due", Some(&shard.to_string()))
    }

    /// A token as of now. One read.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`] where it cannot be read.
    pub async fn token(&self, slot: &Slot) -> Result<Option<TokenRecord>, VaultError> {
        let (pk, sk) = self.token_key(slot);
        Ok(self.get(pk, sk).await?.map(|attributes| record(slot, attributes)))
    }

    /// Asks for the lease. One write; its answer is the record, so that no read is needed.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: the lease may be ours all the same, and ends by itself.
    pub async fn lease(
        &self,
        slot: &Slot,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
        reason: LeaseFor<'_>,
    ) -> Result<Lease, VaultError> {
        const FREE: &str = "(attribute_not_exists(lease_until) OR lease_until <= :now OR lease_owner = :owner)";
        let wanted = match (reason, slot) {
            (LeaseFor::Due, Slot::Component) => "(attribute_not_exists(due_at) OR due_at <= :now)",
            // An account that is never due granted no API permission.
            (LeaseFor::Due, Slot::Authorizer(_)) => "due_at <= :now",
            // A refused token is no reason to call again before the wait after a failure is over: then it is due.
            (LeaseFor::Rejected(_), _) => {
                "access_token = :rejected AND (attribute_not_exists(failures) OR failures = :zero)"
            }
        };
        let exists = match slot {
            Slot::Component => "",
            Slot::Authorizer(_) => " AND #state = :active",
        };
        let mut update = self
            .update_token(slot)
            .update_expression("SET lease_owner = :owner, lease_until = :until")
            .condition_expression(format!("{FREE} AND {wanted}{exists}"))
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":until", instant(until))
            .expression_attribute_values(":now", instant(now));
        if let LeaseFor::Rejected(token) = reason {
            update = update
                .expression_attribute_values(":rejected", secret(token))
                .expression_attribute_values(":zero", number(0));
        }
        if !exists.is_empty() {
            update = update
                .expression_attribute_names("#state", "state")
                .expression_attribute_values(":active", text(AccountState::Active.as_str()));
        }
        Ok(match send(update).await? {
            Updated::Done(attributes) => Lease::Won(record(slot, attributes)),
            Updated::Refused(attributes) => Lease::Lost(attributes.map(|attributes| record(slot, attributes))),
        })
    }

    /// Writes a result over the record that its call was based on, and ends the lease. One write.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: the result may not be stored; WeChat will say so at the next renewal.
    pub async fn store_issued(&self, slot: &Slot, basis: &TokenRecord, issued: &Issued) -> Result<Stored, VaultError> {
        let mut set =
            "SET access_token = :token, token_expires_at = :expires, due_at = :due, token_seq = :next, stored_at = :now".to_owned();
        let mut update = self
            .update_token(slot)
            .condition_expression(
                "(token_seq = :seq OR (:seq = :zero AND attribute_not_exists(token_seq))) AND \
                 (doubts = :doubts OR (:doubts = :zero AND attribute_not_exists(doubts)))",
            )
            .expression_attribute_values(":token", secret(&issued.access_token))
            .expression_attribute_values(":expires", instant(issued.expires_at))
            .expression_attribute_values(":due", instant(issued.due_at))
            .expression_attribute_values(":now", instant(issued.issued_at))
            .expression_attribute_values(":seq", number(basis.seq))
            .expression_attribute_values(":doubts", number(basis.doubts))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":next", number(basis.seq.saturating_add(1)));
        if let Some(refresh) = &issued.new_refresh_token {
            set.push_str(", refresh_token = :refresh");
            update = update.expression_attribute_values(":refresh", secret(refresh));
        }
        let mut remove = "lease_owner, lease_until, failures, last_error, refused_since, doubts".to_owned();
        if issued.after_refusal {
            set.push_str(", after_refusal = :yes");
            update = update.expression_attribute_values(":yes", AttributeValue::Bool(true));
        } else {
            remove.push_str(", after_refusal");
        }
        let update = update.update_expression(format!("{set} REMOVE {remove}"));
        Ok(match write_or_read(update).await? {
            Updated::Done(()) => Stored::Yes,
            Updated::Refused(Some(attributes)) => {
                // Our own first try, whose reply was lost, counts.
                if record(slot, attributes).holds(&issued.access_token) { Stored::Yes } else { Stored::Superseded }
            }
            Updated::Refused(None) => Stored::Superseded,
        })
    }

    /// Makes an account or the component due at once, where it still is in use: it may no longer be the stored token that
    /// WeChat accepts, and the next renewal decides. A renewal that is under way may be older than what brought this doubt,
    /// so that its result is not stored either. One write.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn mark_due(&self, slot: &Slot, now: Timestamp) -> Result<(), VaultError> {
        let update = self
            .update_token(slot)
            .update_expression("SET due_at = :now ADD doubts :one")
            .condition_expression("attribute_exists(due_at) AND (attribute_not_exists(#state) OR #state = :active)")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":active", text(AccountState::Active.as_str()))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":now", instant(now));
        write(update).await.map(drop)
    }

    /// Ends our lease after a failure and says when to try again. One write, without effect where the lease is no
    /// longer ours or a result came in between.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: the lease then ends by itself.
    pub async fn release(&self, slot: &Slot, owner: &str, seq: u64, failure: &Failure) -> Result<(), VaultError> {
        let mut update = self.update_token(slot);
        let refused = match failure.refused_at {
            Some(refused_at) => {
                update = update.expression_attribute_values(":refused", instant(refused_at));
                ", refused_since = if_not_exists(refused_since, :refused) REMOVE"
            }
            None => " REMOVE refused_since,",
        };
        let update = update
            .update_expression(format!(
                "SET due_at = :due, last_error = :label, failures = if_not_exists(failures, :zero) + :one{refused} \
                 lease_owner, lease_until"
            ))
            .condition_expression("lease_owner = :owner AND (token_seq = :seq OR attribute_not_exists(token_seq))")
            .expression_attribute_values(":due", instant(failure.due_at))
            .expression_attribute_values(":label", text(&failure.label))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":one", number(u32::from(failure.counts)))
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":seq", number(seq));
        write(update).await.map(drop)
    }

    /// Replaces a refresh token that WeChat no longer accepts, over the `token_seq` it was read with, and prolongs our
    /// lease for the call that follows. One write. The `token_seq` stays: nothing was issued. The new one may be of a grant
    /// that nobody has told us of, so that the time of the present grant is no longer known.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn replace_refresh_token(
        &self,
        slot: &Slot,
        owner: &str,
        seq: u64,
        refresh_token: &SecretString,
        until: Timestamp,
    ) -> Result<Stored, VaultError> {
        let update = self
            .update_token(slot)
            .update_expression("SET refresh_token = :refresh, lease_until = :until REMOVE granted_at, grant_claim")
            .condition_expression("lease_owner = :owner AND token_seq = :seq")
            .expression_attribute_values(":refresh", secret(refresh_token))
            .expression_attribute_values(":until", instant(until))
            .expression_attribute_values(":owner", text(owner))
            .expression_attribute_values(":seq", number(seq));
        Ok(if write(update).await? { Stored::Yes } else { Stored::Superseded })
    }
}

fn record(slot: &Slot, attributes: Attributes) -> TokenRecord {
    let kind = match slot {
        Slot::Component => "component token",
        Slot::Authorizer(_) => "account",
    };
    TokenRecord::read(&Item::new(kind, attributes))
}
