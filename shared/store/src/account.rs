//! Accounts that authorized the platform: their grant, their tokens, their profile.
//!
//! The row of an account outlives its grant: the same account may come back. What is in the `due` index is renewed;
//! an account whose grant is gone is in the index under its state, to be counted.

use base::clock::Timestamp;
use base::ids::AppId;
use secrecy::SecretString;
use wechat::api::Profile;

use crate::account_state::AccountState;
use crate::attributes::{
    ACCESS_TOKEN, ASKED_AT, DOUBTS, DUE_AT, DUE_SHARD, FAILURES, FUNC_INFO, GRANT_CLAIM, GRANTED_AT, LAST_ERROR,
    NAME_OWNED, PROFILE, REFRESH_TOKEN, REFUSED_SINCE, REVOKED_AT, STATE, STORED_AT, TOKEN_EXPIRES_AT, TOKEN_SEQ,
};
use crate::claim::{ClaimedCode, CodeDigest, finished};
use crate::item::{Attributes, Item};
use crate::part::Part;
use crate::request::Transacted;
use crate::token::seq_is;
use crate::write::{Change, Value, absent, equals, exists};
use crate::{StoreError, TokenRecord, WriteOutcome};

/// An account as it is stored.
#[derive(Debug)]
pub struct StoredAccount {
    /// Its tokens.
    pub token: TokenRecord,
    /// WeChat's time of the newest grant; `None` if the grant came without one, as through the redirect.
    pub granted_at: Option<Timestamp>,
    /// WeChat's time of the newest `unauthorized`.
    pub revoked_at: Option<Timestamp>,
    /// When a reconcile run last asked WeChat about the account without changing anything, by our clock.
    pub asked_at: Option<Timestamp>,
    /// The very code that brought the grant.
    pub grant_code: Option<CodeDigest>,
    /// How the account looks to people.
    pub profile: Option<Profile>,
    /// The permission sets granted.
    pub func_info: Vec<u32>,
    /// Whether the profile has been stored together with whom the account's messages are addressed to.
    pub is_named: bool,
}

impl StoredAccount {
    pub(crate) fn read(attributes: Attributes) -> Self {
        let item = Item::new("account", attributes);
        Self {
            token: TokenRecord::read(&item),
            granted_at: item.instant(GRANTED_AT),
            revoked_at: item.instant(REVOKED_AT),
            asked_at: item.instant(ASKED_AT),
            grant_code: item.text(GRANT_CLAIM).map(CodeDigest::from_stored),
            profile: item.parsed(PROFILE, |json| serde_json::from_str(json)),
            func_info: item.numbers(FUNC_INFO).collect(),
            is_named: item.flag(NAME_OWNED) == Some(true),
        }
    }
}

/// A grant to be stored.
pub struct NewGrant<'a> {
    /// The access token and when it lapses; `None` if only a refresh token is known: the account is due at once.
    pub access_token: Option<(&'a SecretString, Timestamp)>,
    /// The refresh token; `None` if the account has no API permission. An empty one never replaces a stored one.
    pub refresh_token: Option<&'a SecretString>,
    /// From when on the token is renewed; `None` for an account without tokens.
    pub due_at: Option<Timestamp>,
    /// WeChat's time of the grant, if it came with one.
    pub granted_at: Option<Timestamp>,
    /// The permission sets.
    pub func_info: &'a [u32],
    /// The code that was exchanged: its claim is finished in the same transaction, so that the code's result is never
    /// known to one item only.
    pub claim: Option<ClaimedCode<'a>>,
}

/// The rows of accounts.
#[derive(Debug, Clone)]
pub struct Accounts(pub(crate) Part);

impl Accounts {
    fn change(&self, authorizer: &AppId) -> Change {
        self.0.change(self.0.account(authorizer))
    }

    /// An account as of now. One read.
    pub async fn get(&self, authorizer: &AppId) -> Result<Option<StoredAccount>, StoreError> {
        Ok(self.0.get(self.0.account(authorizer)).await?.map(StoredAccount::read))
    }

    /// Stores a grant over the `token_seq` that was read (0 if there was no row) and finishes its claim with it.
    /// A transaction of one write, or of two.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it may be stored or not; the caller tries again until it knows.
    pub async fn store_grant(
        &self,
        authorizer: &AppId,
        seq: u64,
        grant: &NewGrant<'_>,
        now: Timestamp,
    ) -> Result<WriteOutcome, StoreError> {
        let mut writes = vec![self.granted(authorizer, seq, grant, now).in_transaction()?];
        if let Some(claim) = &grant.claim {
            writes.push(finished(&self.0, claim, authorizer, now).in_transaction()?);
        }
        Ok(match self.0.transact(writes).await? {
            Transacted::Done => WriteOutcome::Stored,
            // Read again and decided again, also if nothing but a busy table was in the way.
            Transacted::Refused | Transacted::Busy => WriteOutcome::Superseded,
        })
    }

    /// What a grant does not bring is removed, except for the refresh token: an empty one never replaces a stored one.
    fn granted(&self, authorizer: &AppId, seq: u64, grant: &NewGrant<'_>, now: Timestamp) -> Change {
        self.change(authorizer)
            .enter(AccountState::Active, now)
            .set(TOKEN_SEQ, seq.saturating_add(1))
            .set(FUNC_INFO, Value::list(grant.func_info.iter().copied()))
            .set(STORED_AT, now)
            .set_or_remove(ACCESS_TOKEN, grant.access_token.map(|(token, _)| token))
            .set_or_remove(TOKEN_EXPIRES_AT, grant.access_token.map(|(_, expires)| expires))
            .set_or_remove(DUE_AT, grant.due_at)
            .set_or_remove(DUE_SHARD, grant.due_at.map(|_| self.due_shard(authorizer)))
            .set_or_remove(GRANTED_AT, grant.granted_at)
            .set_or_remove(GRANT_CLAIM, grant.claim.map(|claim| claim.code))
            .set_some(REFRESH_TOKEN, grant.refresh_token)
            .remove([FAILURES, LAST_ERROR, REFUSED_SINCE, DOUBTS, ASKED_AT])
            .end_lease()
            .when(seq_is(seq))
    }

    /// Writes down WeChat's time of a grant that had come without one, such as through the redirect. `code` is the code
    /// that brought it. One write.
    pub async fn note_grant_time(
        &self,
        authorizer: &AppId,
        code: &CodeDigest,
        granted_at: Timestamp,
    ) -> Result<(), StoreError> {
        let noted = self.change(authorizer).set(GRANTED_AT, granted_at);
        noted.when(equals(GRANT_CLAIM, code).and(absent(GRANTED_AT))).apply().await.map(drop)
    }

    /// Ends an account's grant over the `token_seq` that was read (0 makes the row): the access token is dropped, the
    /// row and its refresh token stay. In the index the account is among those of `state` from now on. One write.
    pub async fn end_grant(
        &self,
        authorizer: &AppId,
        seq: u64,
        state: AccountState,
        revoked_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<WriteOutcome, StoreError> {
        let next = seq.saturating_add(1);
        let written = self
            .change(authorizer)
            .enter(state, now)
            .set(TOKEN_SEQ, next)
            .set(DUE_SHARD, self.ended_shard(state))
            .set(DUE_AT, now)
            .set_some(REVOKED_AT, revoked_at)
            .remove([ACCESS_TOKEN, TOKEN_EXPIRES_AT])
            .end_lease()
            .when(seq_is(seq))
            .apply_or_read()
            .await?;
        // Our own first try, whose reply was lost, counts.
        Ok(WriteOutcome::of(written, |now| {
            let now = TokenRecord::of(now);
            now.seq == next && now.state == state
        }))
    }

    /// Writes down that WeChat was asked about an account and nothing followed from it, so that the next runs ask about
    /// others first. One write; without effect if the account was changed since it was read.
    pub async fn note_asked(&self, authorizer: &AppId, seq: u64, now: Timestamp) -> Result<(), StoreError> {
        self.change(authorizer).set(ASKED_AT, now).when(equals(TOKEN_SEQ, seq)).apply().await.map(drop)
    }

    /// Overwrites a refresh token with the one that WeChat names, over the `token_seq` that was read, and makes the
    /// account due at once. One write. The new one may be of a grant that we have heard nothing of, so that the time of
    /// the present grant is no longer known; and the write raises the `token_seq`, so that a process that was refused the
    /// old one ends nothing.
    pub async fn overwrite_refresh_token(
        &self,
        authorizer: &AppId,
        seq: u64,
        refresh_token: &SecretString,
        now: Timestamp,
    ) -> Result<WriteOutcome, StoreError> {
        let next = seq.saturating_add(1);
        let written = self
            .change(authorizer)
            .set(REFRESH_TOKEN, refresh_token)
            .set(DUE_AT, now)
            .set(DUE_SHARD, self.due_shard(authorizer))
            .set(TOKEN_SEQ, next)
            .remove([GRANTED_AT, GRANT_CLAIM])
            .when(equals(TOKEN_SEQ, seq).and(equals(STATE, AccountState::Active.as_str())))
            .apply_or_read()
            .await?;
        // Our own first try, whose reply was lost, counts.
        Ok(WriteOutcome::of(written, |now| {
            let now = TokenRecord::of(now);
            now.seq == next && now.is_renewed_by(refresh_token)
        }))
    }

    /// Writes an account's profile and permission sets over the `token_seq` that was read before WeChat was asked for
    /// them. To be called once the name of the profile is stored ([`crate::UserNames::put`]). One write.
    pub async fn put_profile(
        &self,
        authorizer: &AppId,
        seq: u64,
        profile: &Profile,
        func_info: &[u32],
    ) -> Result<WriteOutcome, StoreError> {
        let Ok(json) = serde_json::to_string(profile) else {
            return Err(StoreError::Corrupt { item: "account", attribute: PROFILE });
        };
        let profile = self
            .change(authorizer)
            .set(PROFILE, json)
            .set(FUNC_INFO, Value::list(func_info.iter().copied()))
            .set(NAME_OWNED, true)
            .when(equals(TOKEN_SEQ, seq));
        Ok(if profile.apply().await? { WriteOutcome::Stored } else { WriteOutcome::Superseded })
    }

    /// Writes down that the name of the account's profile is stored, if the profile was stored before it. One write.
    pub async fn note_named(&self, authorizer: &AppId) -> Result<(), StoreError> {
        self.change(authorizer).set(NAME_OWNED, true).when(exists(TOKEN_SEQ)).apply().await.map(drop)
    }
}
