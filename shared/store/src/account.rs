//! Accounts that authorized the platform: their grant, their tokens, their profile.
//!
//! The row of an account outlives its grant: the same account may come back. What is in the `due` index is renewed;
//! an account whose grant is gone stands there by its state, to be counted.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};
use base::clock::Timestamp;
use base::ids::{AppId, Digest};
use secrecy::SecretString;
use wechat::api::Profile;

use super::claim::ClaimedCode;
use super::item::{Attributes, Item, Updated, instant, number, secret, text, write, write_or_read};
use super::token::{Slot, TokenRecord};
use super::{AccountState, Vault, VaultError};

const SORT: &str = "account";

/// An account as it is stored.
#[derive(Debug)]
pub struct StoredAccount {
    /// Its tokens.
    pub token: TokenRecord,
    /// WeChat's time of the newest grant; none where a grant came without one, as through the redirect.
    pub granted_at: Option<Timestamp>,
    /// WeChat's time of the newest `unauthorized`.
    pub revoked_at: Option<Timestamp>,
    /// When a reconcile run last asked WeChat about the account without changing anything, by our clock.
    pub asked_at: Option<Timestamp>,
    /// The claim of the very code that brought the grant.
    pub grant_claim: Option<Digest>,
    /// How the account looks to people.
    pub profile: Option<Profile>,
    /// The permission sets granted.
    pub func_info: Vec<u32>,
    /// Whether the profile has been stored together with whom the account's messages are addressed to.
    pub is_named: bool,
}

impl StoredAccount {
    pub(super) fn read(attributes: Attributes) -> Self {
        let item = Item::new("account", attributes);
        let func_info = item.attributes.get("func_info").and_then(|list| list.as_l().ok());
        Self {
            token: TokenRecord::read(&item),
            granted_at: item.instant("granted_at"),
            revoked_at: item.instant("revoked_at"),
            asked_at: item.instant("asked_at"),
            grant_claim: item.text("grant_claim").map(Digest::from_stored),
            profile: item.parsed("profile", |json| serde_json::from_str(json)),
            is_named: item.attributes.get("name_owned").and_then(|owned| owned.as_bool().ok()) == Some(&true),
            func_info: func_info.into_iter().flatten().filter_map(|id| id.as_n().ok()?.parse().ok()).collect(),
        }
    }
}

/// A grant to be stored.
pub struct NewGrant<'a> {
    /// The access token and when it lapses; none where only a refresh token is known: the account is due at once.
    pub access_token: Option<(&'a SecretString, Timestamp)>,
    /// The refresh token; none where the account has no API permission. An empty one never replaces a stored one.
    pub refresh_token: Option<&'a SecretString>,
    /// From when on the token is renewed; none for an account without tokens.
    pub due_at: Option<Timestamp>,
    /// WeChat's time of the grant, where it came with one.
    pub granted_at: Option<Timestamp>,
    /// The permission sets.
    pub func_info: &'a [u32],
    /// The code that was exchanged: its claim is finished in the same transaction, so that the code's result is never
    /// known to one item only.
    pub claim: Option<ClaimedCode<'a>>,
}

/// Whether a grant could be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantWrite {
    /// It is stored.
    Stored,
    /// The account was changed since it was read: read it again and decide again.
    Changed,
}

impl Vault {
    pub(super) fn account_key(&self, authorizer: &AppId) -> (String, &'static str) {
        (self.key("account", Some(authorizer.as_str())), SORT)
    }

    /// An account as of now. One read.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn account(&self, authorizer: &AppId) -> Result<Option<StoredAccount>, VaultError> {
        let (pk, sk) = self.account_key(authorizer);
        Ok(self.get(pk, sk).await?.map(StoredAccount::read))
    }

    /// Stores a grant over the `token_seq` that was read (0 where there was no row) and finishes its claim with it.
    /// One write, or a transaction of two.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: it may be stored or not; the caller tries again until it knows.
    pub async fn store_grant(
        &self,
        authorizer: &AppId,
        seq: u64,
        grant: &NewGrant<'_>,
        now: Timestamp,
    ) -> Result<GrantWrite, VaultError> {
        let account = self.grant_update(authorizer, seq, grant, now)?;
        let mut transaction =
            self.client().transact_write_items().transact_items(TransactWriteItem::builder().update(account).build());
        if let Some(claim) = grant.claim {
            let finished = self.finish_claim_update(&claim, authorizer, now)?;
            transaction = transaction.transact_items(TransactWriteItem::builder().update(finished).build());
        }
        match transaction.send().await {
            Ok(_) => Ok(GrantWrite::Stored),
            Err(SdkError::ServiceError(service)) if service.err().is_transaction_canceled_exception() => {
                Ok(GrantWrite::Changed)
            }
            Err(error) => Err(VaultError::from_sdk("TransactWriteItems", &error)),
        }
    }

    fn grant_update(
        &self,
        authorizer: &AppId,
        seq: u64,
        grant: &NewGrant<'_>,
        now: Timestamp,
    ) -> Result<Update, VaultError> {
        let (pk, sk) = self.account_key(authorizer);
        let instant_of = |at: Option<Timestamp>| at.map(instant);
        // What a grant does not bring is removed, but for the refresh token: an empty one never replaces a stored one.
        let mut set = vec![
            ("state", text(AccountState::Active.as_str())),
            ("token_seq", number(seq.saturating_add(1))),
            ("func_info", AttributeValue::L(grant.func_info.iter().map(|id| number(*id)).collect())),
            ("stored_at", instant(now)),
        ];
        let mut remove =
            vec!["lease_owner", "lease_until", "failures", "last_error", "refused_since", "doubts", "asked_at"];
        remove.extend(AccountState::Active.others_since());
        for (name, value) in [
            ("access_token", grant.access_token.map(|(token, _)| secret(token))),
            ("token_expires_at", instant_of(grant.access_token.map(|(_, expires)| expires))),
            ("due_at", instant_of(grant.due_at)),
            ("due_shard", grant.due_at.map(|_| text(self.due_shard(authorizer)))),
            ("granted_at", instant_of(grant.granted_at)),
            ("grant_claim", grant.claim.map(|claim| text(claim.code.as_str()))),
        ] {
            match value {
                Some(value) => set.push((name, value)),
                None => remove.push(name),
            }
        }
        set.extend(grant.refresh_token.map(|token| ("refresh_token", secret(token))));

        let assignments: Vec<String> = set.iter().map(|(name, _)| format!("#{name} = :{name}")).collect();
        let mut update = Update::builder()
            .table_name(self.table())
            .key("pk", text(pk))
            .key("sk", text(sk))
            .update_expression(format!(
                "SET {}, {} REMOVE {}",
                assignments.join(", "),
                AccountState::Active.begin_since(":stored_at"),
                remove.join(", ")
            ))
            .condition_expression("token_seq = :seq OR (:seq = :zero AND attribute_not_exists(token_seq))")
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":seq", number(seq));
        for (name, value) in set {
            update = update
                .expression_attribute_names(format!("#{name}"), name)
                .expression_attribute_values(format!(":{name}"), value);
        }
        update.build().map_err(|_| VaultError::Corrupt { item: "account", attribute: "update" })
    }

    /// Writes down WeChat's time of a grant that had come without one, such as through the redirect. `code` is the claim
    /// of the code that brought it.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn note_grant_time(
        &self,
        authorizer: &AppId,
        code: &Digest,
        granted_at: Timestamp,
    ) -> Result<(), VaultError> {
        let update = self
            .update_token(&Slot::Authorizer(authorizer.clone()))
            .update_expression("SET granted_at = :granted")
            .condition_expression("grant_claim = :code AND attribute_not_exists(granted_at)")
            .expression_attribute_values(":granted", instant(granted_at))
            .expression_attribute_values(":code", text(code.as_str()));
        write(update).await.map(drop)
    }

    /// Ends an account's grant over the `token_seq` that was read (0 makes the row): the access token is dropped, the
    /// row and its refresh token stay. In the index the account stands among those of `state` from now on. One write.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn end_grant(
        &self,
        authorizer: &AppId,
        seq: u64,
        state: AccountState,
        revoked_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<GrantWrite, VaultError> {
        let mut set = format!(
            "SET #state = :state, token_seq = :next, due_shard = :shard, due_at = :now, {}",
            state.begin_since(":now")
        );
        let mut update = self
            .update_token(&Slot::Authorizer(authorizer.clone()))
            .condition_expression("token_seq = :seq OR (:seq = :zero AND attribute_not_exists(token_seq))")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":state", text(state.as_str()))
            .expression_attribute_values(":shard", text(self.ended_shard(state)))
            .expression_attribute_values(":now", instant(now))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":seq", number(seq))
            .expression_attribute_values(":next", number(seq.saturating_add(1)));
        if let Some(revoked_at) = revoked_at {
            set.push_str(", revoked_at = :revoked");
            update = update.expression_attribute_values(":revoked", instant(revoked_at));
        }
        let update = update.update_expression(format!(
            "{set} REMOVE access_token, token_expires_at, lease_owner, lease_until, {}",
            state.others_since().join(", ")
        ));
        Ok(match write_or_read(update).await? {
            Updated::Done(()) => GrantWrite::Stored,
            Updated::Refused(Some(attributes)) => {
                // Our own first try, whose reply was lost, counts.
                let now = StoredAccount::read(attributes).token;
                let ended = now.seq == seq.saturating_add(1) && now.state == state;
                if ended { GrantWrite::Stored } else { GrantWrite::Changed }
            }
            Updated::Refused(None) => GrantWrite::Changed,
        })
    }

    /// Writes down that WeChat was asked about an account and nothing followed from it, so that the next runs ask about
    /// others first. One write; without effect if the account was changed since it was read.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn note_asked(&self, authorizer: &AppId, seq: u64, now: Timestamp) -> Result<(), VaultError> {
        let update = self
            .update_token(&Slot::Authorizer(authorizer.clone()))
            .update_expression("SET asked_at = :now")
            .condition_expression("token_seq = :seq")
            .expression_attribute_values(":now", instant(now))
            .expression_attribute_values(":seq", number(seq));
        write(update).await.map(drop)
    }

    /// Replaces a refresh token by what WeChat says it is, over the `token_seq` that was read, and makes the account due
    /// at once. One write. It may be of a grant that nobody has told us of, so that the time of the present grant is no
    /// longer known; and it raises the `token_seq`, so that who was refused the old one ends nothing.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn repair_refresh_token(
        &self,
        authorizer: &AppId,
        seq: u64,
        refresh_token: &SecretString,
        now: Timestamp,
    ) -> Result<GrantWrite, VaultError> {
        let update = self
            .update_token(&Slot::Authorizer(authorizer.clone()))
            .update_expression(
                "SET refresh_token = :refresh, due_at = :now, due_shard = :shard, token_seq = :next \
                 REMOVE granted_at, grant_claim",
            )
            .condition_expression("token_seq = :seq AND #state = :active")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":active", text(AccountState::Active.as_str()))
            .expression_attribute_values(":refresh", secret(refresh_token))
            .expression_attribute_values(":now", instant(now))
            .expression_attribute_values(":shard", text(self.due_shard(authorizer)))
            .expression_attribute_values(":seq", number(seq))
            .expression_attribute_values(":next", number(seq.saturating_add(1)));
        Ok(match write_or_read(update).await? {
            Updated::Done(()) => GrantWrite::Stored,
            Updated::Refused(Some(attributes)) => {
                // Our own first try, whose reply was lost, counts.
                let now = StoredAccount::read(attributes).token;
                let ours = now.seq == seq.saturating_add(1) && now.is_renewed_by(refresh_token);
                if ours { GrantWrite::Stored } else { GrantWrite::Changed }
            }
            Updated::Refused(None) => GrantWrite::Changed,
        })
    }
}
