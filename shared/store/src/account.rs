//! Accounts that authorized the platform: their grant, their tokens, their profile.
//!
//! The row of an account outlives its grant, since the same account may come back. Accounts that are renewed are in the
//! `due` index; an account whose grant is gone is in the index under its state, to be counted.

use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;
use base::clock::Timestamp;
use base::ids::{AppId, LinkId};
use secrecy::SecretString;
use wechat::api::Profile;

use crate::account_state::AccountState;
use crate::attributes::{
    ACCESS_TOKEN, ACTIVE_SINCE, ASKED_AT, DETAILS_STATE, DOUBTS, DUE_AT, DUE_SHARD, FAILURES, FUNC_INFO, GRANT_CLAIM,
    GRANTED_AT, LAST_ERROR, LAST_FAILURE, NAME_OWNED, NEEDS_AUTHORIZATION_SINCE, PROFILE, REFRESH_TOKEN, REFUSED_SINCE,
    REVOKED_AT, STATE, STORED_AT, TOKEN_EXPIRES_AT, TOKEN_SEQ, UNAUTHORIZED_SINCE,
};
use crate::claim::{ClaimedCode, CodeDigest, finished};
use crate::details::{AccountDetails, DetailsChange, GrantOrigin, Origin};
use crate::item::{Attributes, Item};
use crate::labels::{AccountPatch, LabelError};
use crate::link::Links;
use crate::part::Part;
use crate::request::{Transacted, Written};
use crate::state_event::StateChange;
use crate::token::seq_is;
use crate::write::{Change, Condition, Value, absent, equals};
use crate::{StoreError, TokenRecord, WriteOutcome};

/// An account's row as it is stored: its tokens, and what is known about its grant.
#[derive(Debug)]
pub struct StoredAccount {
    /// Its tokens.
    pub token: TokenRecord,
    /// WeChat's time of the newest grant; `None` if the grant came without one, for example through a redirect.
    pub granted_at: Option<Timestamp>,
    /// WeChat's time of the newest `unauthorized`.
    pub revoked_at: Option<Timestamp>,
    /// When a reconcile run last read the account's details from WeChat without changing anything, by our clock.
    pub asked_at: Option<Timestamp>,
    /// The code that was exchanged for the grant.
    pub grant_code: Option<CodeDigest>,
    /// Whether the profile and the original id, to which the account's messages are addressed, have been stored.
    pub is_described: bool,
    /// Whether the details have their own item that agrees with this row; not so if an earlier version has written the
    /// row ([`Accounts::move_details`]).
    pub has_details: bool,
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
            is_described: item.flag(NAME_OWNED) == Some(true),
            has_details: item.text(DETAILS_STATE) == item.text(STATE) && !item.has(PROFILE) && !item.has(FUNC_INFO),
        }
    }
}

/// A grant to be stored.
#[derive(Clone, Copy)]
pub struct NewGrant<'a> {
    /// The access token and when it expires; `None` if only a refresh token is known: then the account is due at once.
    pub access_token: Option<(&'a SecretString, Timestamp)>,
    /// The refresh token; `None` if the account has no API permission. An empty one never replaces a stored one.
    pub refresh_token: Option<&'a SecretString>,
    /// From when on the token is renewed; `None` for an account without tokens.
    pub due_at: Option<Timestamp>,
    /// WeChat's time of the grant, if it came with one.
    pub granted_at: Option<Timestamp>,
    /// The permission sets.
    pub func_info: &'a [u32],
    /// The link that the merchant came through.
    pub origin: Option<&'a GrantOrigin>,
    /// Whether it is a grant that seemed to be gone and works again without the merchant's doing.
    pub is_recovery: bool,
    /// The code that was exchanged. Its claim is finished in the same transaction, so that the result is never in only
    /// one of the two items.
    pub claim: Option<ClaimedCode<'a>>,
}

/// How a grant has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantEnd {
    /// WeChat says that the merchant revoked it.
    TakenBack {
        /// WeChat's time of that.
        at: Option<Timestamp>,
    },
    /// WeChat refuses it.
    Refused {
        /// WeChat's code for the refused call.
        errcode: Option<i64>,
        /// WeChat's id of that call.
        rid: Option<String>,
    },
}

impl GrantEnd {
    /// The state that an account is in from then on.
    #[must_use]
    pub const fn state(&self) -> AccountState {
        match self {
            Self::TakenBack { .. } => AccountState::Unauthorized,
            Self::Refused { .. } => AccountState::NeedsAuthorization,
        }
    }
}

/// The outcome of changing what a business has said about an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patched {
    /// The patch is applied.
    Done,
    /// The version is not the wanted one but this one.
    Superseded(u64),
    /// It would be out of bounds.
    Invalid(LabelError),
    /// The account is not known.
    Unknown,
}

/// The attributes of the row that this module reads in order to write the details, so that a role that may not read
/// tokens can do it.
const ROW_ATTRIBUTES: [&str; 8] =
    [STATE, ACTIVE_SINCE, UNAUTHORIZED_SINCE, NEEDS_AUTHORIZATION_SINCE, TOKEN_SEQ, FUNC_INFO, PROFILE, DETAILS_STATE];

/// How often a write is tried while somebody else changes the account's details, or another transaction is writing the
/// account.
const TRIES: u32 = 5;

/// How often writing what a business has said is tried: this many concurrent writers all succeed.
const PATCH_TRIES: u32 = 16;

/// The pause between these tries, which grows with each try.
const PAUSE: Duration = Duration::from_millis(50);

/// The rows of accounts.
#[derive(Debug, Clone)]
pub struct Accounts(pub(crate) Part);

impl Accounts {
    fn change(&self, authorizer: &AppId) -> Change {
        self.0.change(self.0.account(authorizer))
    }

    /// Reads an account, strongly consistent. One read.
    pub async fn get(&self, authorizer: &AppId) -> Result<Option<StoredAccount>, StoreError> {
        Ok(self.0.get(self.0.account(authorizer)).await?.map(StoredAccount::read))
    }

    /// Stores a grant if the `token_seq` is still the one that was read (0 if there was no row). With it, reports it if
    /// the account was not in use, finishes its claim and binds its link. A read, and a transaction over the row, the
    /// details, the claim and the link.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it may or may not be stored; the caller tries again until it knows.
    pub async fn store_grant(
        &self,
        authorizer: &AppId,
        seq: u64,
        grant: &NewGrant<'_>,
        now: Timestamp,
    ) -> Result<WriteOutcome, StoreError> {
        let permissions = grant.func_info.to_vec();
        let reported = if grant.is_recovery {
            StateChange::Recovered { permissions }
        } else {
            StateChange::Authorized { permissions }
        };
        let details = DetailsChange {
            state: Some((AccountState::Active, reported)),
            func_info: Some(grant.func_info),
            origin: match grant.origin {
                Some(origin) => Origin::Link(origin),
                None if grant.is_recovery => Origin::Unchanged,
                None => Origin::Unknown,
            },
            ..DetailsChange::default()
        };
        let writes = || {
            let mut writes = vec![self.granted(authorizer, seq, grant, now).in_transaction()?];
            if let Some(claim) = &grant.claim {
                writes.push(finished(&self.0, claim, authorizer, now).in_transaction()?);
            }
            if let Some((origin, by)) = grant.origin.and_then(|origin| Some((origin, origin.binds?))) {
                let link = Links(self.0.clone()).bound(&origin.link, authorizer, by, now);
                writes.push(link.in_transaction()?);
            }
            Ok(writes)
        };
        // The caller has to recognize our own first try, whose reply was lost.
        let written = self.write_with_details(authorizer, Some(seq), writes, &details, now).await?;
        Ok(WriteOutcome::of(written, |_| false))
    }

    /// Attributes that the grant lacks are removed, except for the refresh token: a missing one never replaces a stored
    /// one.
    fn granted(&self, authorizer: &AppId, seq: u64, grant: &NewGrant<'_>, now: Timestamp) -> Change {
        self.change(authorizer)
            .enter(AccountState::Active, now)
            .set(TOKEN_SEQ, seq.saturating_add(1))
            .set(STORED_AT, now)
            .set_or_remove(ACCESS_TOKEN, grant.access_token.map(|(token, _)| token))
            .set_or_remove(TOKEN_EXPIRES_AT, grant.access_token.map(|(_, expires)| expires))
            .set_or_remove(DUE_AT, grant.due_at)
            .set_or_remove(DUE_SHARD, grant.due_at.map(|_| self.due_shard(authorizer)))
            .set_or_remove(GRANTED_AT, grant.granted_at)
            .set_or_remove(GRANT_CLAIM, grant.claim.map(|claim| claim.code))
            .set_some(REFRESH_TOKEN, grant.refresh_token)
            // An earlier version may have left these here; they are outdated.
            .remove([FUNC_INFO, FAILURES, LAST_ERROR, LAST_FAILURE, REFUSED_SINCE, DOUBTS, ASKED_AT])
            .end_lease()
            .when(seq_is(seq))
    }

    /// Stores WeChat's time of a grant that had come without one, for example through a redirect. `code` is the code
    /// that was exchanged for it. One write.
    pub async fn note_grant_time(
        &self,
        authorizer: &AppId,
        code: &CodeDigest,
        granted_at: Timestamp,
    ) -> Result<(), StoreError> {
        let noted = self.change(authorizer).set(GRANTED_AT, granted_at);
        noted.when(equals(GRANT_CLAIM, code).and(absent(GRANTED_AT))).apply().await.map(drop)
    }

    /// Ends an account's grant if the `token_seq` is still the one that was read (0 creates the row), and reports it:
    /// the access token is dropped, the row and its refresh token stay. From then on the account is in the index under
    /// its state. If WeChat refuses the grant, a link asks the merchant to authorize again: the earlier one, renewed,
    /// if it was neither used nor cancelled, or else a new one with the id `link`. A read, another one of the earlier
    /// link, and a transaction over the row, the details and the link.
    pub async fn end_grant(
        &self,
        authorizer: &AppId,
        seq: u64,
        end: &GrantEnd,
        link: &LinkId,
        now: Timestamp,
    ) -> Result<WriteOutcome, StoreError> {
        let next = seq.saturating_add(1);
        let state = end.state();
        let (revoked_at, reported) = match end {
            GrantEnd::TakenBack { at } => (*at, StateChange::Unauthorized),
            GrantEnd::Refused { errcode, rid } => {
                let (rid, asks_again) = (rid.clone(), Some(link.clone()));
                (None, StateChange::NeedsAuthorization { errcode: *errcode, rid, asks_again })
            }
        };
        let row = || {
            self.change(authorizer)
                .enter(state, now)
                .set(TOKEN_SEQ, next)
                .set(DUE_SHARD, self.ended_shard(state))
                .set(DUE_AT, now)
                .set_some(REVOKED_AT, revoked_at)
                .remove([ACCESS_TOKEN, TOKEN_EXPIRES_AT])
                .end_lease()
                .when(seq_is(seq))
                .in_transaction()
        };
        let details = DetailsChange { state: Some((state, reported)), ..DetailsChange::default() };
        let written = self.write_with_details(authorizer, Some(seq), || Ok(vec![row()?]), &details, now).await?;
        // Our own first try, whose reply was lost, counts as success.
        Ok(WriteOutcome::of(written, |now| {
            let now = TokenRecord::of(now);
            now.seq == next && now.state == state
        }))
    }

    /// Records that an account's details were read from WeChat without consequence, so that the next runs read those of
    /// others first. One write; without effect if the account was changed since it was read.
    pub async fn note_asked(&self, authorizer: &AppId, seq: u64, now: Timestamp) -> Result<(), StoreError> {
        self.change(authorizer).set(ASKED_AT, now).when(equals(TOKEN_SEQ, seq)).apply().await.map(drop)
    }

    /// Overwrites a refresh token with the one from WeChat, if the `token_seq` is still the one that was read, and
    /// makes the account due at once. One write. The new token may belong to a grant that is unknown here, so the time
    /// of the present grant is no longer known. The write raises the `token_seq`, so that a process to which WeChat
    /// refused the old token does not end the grant.
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
        // Our own first try, whose reply was lost, counts as success.
        Ok(WriteOutcome::of(written, |now| {
            let now = TokenRecord::of(now);
            now.seq == next && now.is_renewed_by(refresh_token)
        }))
    }

    /// Stores an account's profile and permission sets, if the `token_seq` is still the one that was read before WeChat
    /// was called, and reports the differences. Call it after the original id is stored ([`crate::UserNames::put`]). A
    /// read, and a transaction over the row and the details.
    pub async fn put_profile(
        &self,
        authorizer: &AppId,
        seq: u64,
        profile: &Profile,
        func_info: &[u32],
        now: Timestamp,
    ) -> Result<WriteOutcome, StoreError> {
        let row = || {
            let described = self.change(authorizer).set(NAME_OWNED, true).remove([PROFILE, FUNC_INFO]);
            described.when(equals(TOKEN_SEQ, seq)).in_transaction()
        };
        let details = DetailsChange { profile: Some(profile), func_info: Some(func_info), ..DetailsChange::default() };
        let written = self.write_with_details(authorizer, Some(seq), || Ok(vec![row()?]), &details, now).await?;
        Ok(WriteOutcome::of(written, |_| false))
    }

    /// Stores the link that an account's grant came through, and what the business has said on it. A read, and a
    /// transaction over the details if that is new.
    pub async fn note_origin(
        &self,
        authorizer: &AppId,
        origin: &GrantOrigin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let known = self.known_details(authorizer, now).await?;
        if known.link.as_ref() == Some(&origin.link) {
            return Ok(());
        }
        let details = DetailsChange { origin: Origin::Link(origin), ..DetailsChange::default() };
        self.write_with_details(authorizer, None, || Ok(Vec::new()), &details, now).await.map(drop)
    }

    /// Moves what an earlier version has written into the account's row to its details. For an account without details
    /// this reports nothing; for others it reports what has changed since the details were written. Two reads, and a
    /// transaction over the row and the details. Without effect if there is no row, or if somebody else has changed
    /// what is to be moved.
    ///
    /// # Errors
    /// [`StoreError`]: the next read of the row moves it.
    pub async fn move_details(&self, authorizer: &AppId, now: Timestamp) -> Result<(), StoreError> {
        let row = self.0.read(self.0.account(authorizer), &ROW_ATTRIBUTES).await?;
        let Some(row) = row else { return Ok(()) };
        let item = Item::new("account", row);
        let token = TokenRecord::read(&item);
        let state = token.state;
        let profile: Option<Profile> = item.parsed(PROFILE, |json| serde_json::from_str(json));
        let func_info: Option<Vec<u32>> = item.has(FUNC_INFO).then(|| item.numbers(FUNC_INFO).collect());
        let permissions = func_info.clone().unwrap_or_default();
        let reported = match state {
            AccountState::Active => StateChange::Authorized { permissions },
            AccountState::NeedsAuthorization => {
                StateChange::NeedsAuthorization { errcode: None, rid: None, asks_again: None }
            }
            AccountState::Unauthorized => StateChange::Unauthorized,
        };
        let details = DetailsChange {
            state: Some((state, reported)),
            profile: profile.as_ref(),
            func_info: func_info.as_deref(),
            moved_since: Some(item.instant(state.since()).unwrap_or(now)),
            ..DetailsChange::default()
        };
        let known = self.0.get(self.0.details(authorizer)).await?.map(AccountDetails::read).unwrap_or_default();
        let as_read = [PROFILE, FUNC_INFO, DETAILS_STATE].map(|name| is_as_read(&item, name));
        let row = self
            .change(authorizer)
            .set(STATE, state.as_str())
            .set(DETAILS_STATE, state.as_str())
            .remove([PROFILE, FUNC_INFO])
            .when(as_read.into_iter().fold(seq_is(token.seq), Condition::and));
        let mut writes = vec![row.in_transaction()?];
        writes.extend(details.writes(&self.0, authorizer, &known, now)?);
        match self.0.transact(writes).await? {
            Transacted::Done | Transacted::Refused => Ok(()),
            failed @ (Transacted::Conflict | Transacted::Throttled) => Err(failed.failure("account")),
        }
    }

    /// Changes what the business has said about an account, if `is_wanted` accepts the current version. Nothing is
    /// written if nothing changes. A read, and a transaction over the details.
    ///
    /// # Errors
    /// [`StoreError`]: it may or may not be changed; the caller reads it again.
    pub async fn patch(
        &self,
        authorizer: &AppId,
        patch: &AccountPatch,
        is_wanted: impl Fn(u64) -> bool + Send + Sync,
        now: Timestamp,
    ) -> Result<Patched, StoreError> {
        let mut last = Transacted::Conflict;
        for attempt in 0..PATCH_TRIES {
            if attempt > 0 && last != Transacted::Refused {
                tokio::time::sleep(PAUSE * attempt.min(TRIES)).await;
            }
            let known = self.known_details(authorizer, now).await?;
            if known.state.is_none() {
                return Ok(Patched::Unknown);
            }
            let said = match patch.apply(&known) {
                Ok(said) => said,
                Err(error) => return Ok(Patched::Invalid(error)),
            };
            // After a lost reply, the version is from our own first try.
            let is_done = attempt > 0 && said.is_known(&known);
            if !is_done && !is_wanted(known.labels_version) {
                return Ok(Patched::Superseded(known.labels_version));
            }
            if said.is_known(&known) {
                return Ok(Patched::Done);
            }
            let change = DetailsChange { said: Some(&said), ..DetailsChange::default() };
            last = self.0.transact(change.writes(&self.0, authorizer, &known, now)?).await?;
            if last == Transacted::Done {
                return Ok(Patched::Done);
            }
        }
        Err(last.failure("details"))
    }

    /// Changes an account's row and its details together. `row` are the writes of the row, conditional on its
    /// `token_seq` being `seq`, and of other items that belong to them; without `seq` only the details are changed.
    async fn write_with_details(
        &self,
        authorizer: &AppId,
        seq: Option<u64>,
        row: impl Fn() -> Result<Vec<TransactWriteItem>, StoreError>,
        details: &DetailsChange<'_>,
        now: Timestamp,
    ) -> Result<Written<()>, StoreError> {
        let mut last = Transacted::Conflict;
        for attempt in 0..TRIES {
            if attempt > 0 && last != Transacted::Refused {
                tokio::time::sleep(PAUSE * attempt).await;
            }
            let mut known = self.known_details(authorizer, now).await?;
            if details.asks_again() {
                known.asking_link = self.unanswered(known.asking_link, now).await?;
            }
            let mut writes = row()?;
            writes.extend(details.writes(&self.0, authorizer, &known, now)?);
            last = self.0.transact(writes).await?;
            match (last, seq) {
                (Transacted::Done, _) => return Ok(Written::Done(())),
                // It is refused for good, unless only the details have changed since they were read.
                (Transacted::Refused, Some(seq)) => {
                    let row = self.0.read(self.0.account(authorizer), &ROW_ATTRIBUTES).await?;
                    if row.clone().is_none_or(|row| TokenRecord::of(row).seq != seq) {
                        return Ok(Written::Refused(row));
                    }
                }
                (Transacted::Refused | Transacted::Conflict | Transacted::Throttled, _) => {}
            }
        }
        Err(last.failure("account"))
    }

    /// The link that last asked the merchant to authorize again, if it was neither used nor cancelled.
    async fn unanswered(&self, link: Option<LinkId>, now: Timestamp) -> Result<Option<LinkId>, StoreError> {
        let Some(id) = link else { return Ok(None) };
        let link = Links(self.0.clone()).get(&id, now).await?;
        let is_over = link.is_some_and(|link| link.authorized.is_some() || link.cancelled_at.is_some());
        Ok(Some(id).filter(|_| !is_over))
    }

    /// The details of an account. If an earlier version has written them into the row, they are moved first.
    async fn known_details(&self, authorizer: &AppId, now: Timestamp) -> Result<AccountDetails, StoreError> {
        let read =
            async || Ok::<_, StoreError>(self.0.get(self.0.details(authorizer)).await?.map(AccountDetails::read));
        if let Some(known) = read().await? {
            return Ok(known);
        }
        self.move_details(authorizer, now).await?;
        Ok(read().await?.unwrap_or_default())
    }
}

/// The condition that an attribute is unchanged since the item was read.
fn is_as_read(item: &Item, attribute: &str) -> Condition {
    match item.attributes.get(attribute) {
        Some(value) => equals(attribute, Value(value.clone())),
        None => absent(attribute),
    }
}
