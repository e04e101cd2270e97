//! The DynamoDB store: one table, keys per `component_appid`, so that several platforms can share it.
//!
//! Every write is conditional, and a condition that fails is read back before it is believed: after a lost reply the
//! SDK tries again and may lose to its own first write. Items that are past their time are ignored although DynamoDB
//! may keep them for days. `docs/data-model.md` lists each access path and its cost.

mod account;
mod account_state;
mod accounts;
mod attempt;
mod claim;
mod health;
mod inbox;
mod item;
mod link;
mod message;
mod mint;
mod profile;
mod reconcile;
mod release_check;
mod ticket;
mod token;
mod user_name;

use std::fmt;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use base::ids::AppId;
use runtime::aws::failure;

pub use self::account::{GrantWrite, NewGrant, StoredAccount};
pub use self::account_state::{AccountState, STANDING_ATTRIBUTES, Standing};
pub use self::accounts::{END_OF_TIME, PagePosition};
pub use self::attempt::{ATTEMPT_KEEP, Attempt, CodeCount, MAX_CODES};
pub use self::claim::{Binding, Claim, Claimed, ClaimedCode, ClaimedGrant, Comer};
pub use self::health::{Health, ScheduledTask};
pub use self::inbox::{
    Callback, CallbackEntry, CheckMessage, Entry, EntryBody, EntryKey, INBOX_SORT_PREFIX, PUSH_MEMORY, Partition,
};
pub use self::link::{Bound, BoundBy, Link, LinkRequest, LinkStatus};
pub use self::message::{MESSAGE_MEMORY, MessageClaim, WaitingMessage};
pub use self::mint::{MAX_MINTS, MAX_MINTS_PER_HOUR, MintRefused};
pub use self::reconcile::Pass;
pub use self::ticket::Ticket;
pub use self::token::{Failure, Issued, Lease, LeaseFor, Slot, Stored, TokenRecord};
pub use self::user_name::{INTRODUCED, Recipient};

/// The index over everything that falls due, accounts to renew and inbox entries to work off, and over the accounts
/// whose grant has ended.
pub const DUE_INDEX: &str = "due";

/// Why the vault could not do what was asked. Never carries a value that was read or written.
#[derive(Debug, thiserror::Error, Clone)]
pub enum VaultError {
    /// DynamoDB did not answer in all tries, or not to us. What was asked may have happened.
    #[error(
        "DynamoDB {operation} failed ({cause}): check TABLE_NAME, the region, the function's permission and the network"
    )]
    Unavailable {
        /// The operation, such as `UpdateItem`.
        operation: &'static str,
        /// The service's error code, or what became of the connection.
        cause: String,
    },
    /// DynamoDB refused what was asked of one item, such as one that has grown too large. Others are not concerned.
    #[error("DynamoDB {operation} was refused ({code})")]
    Refused {
        /// The operation, such as `UpdateItem`.
        operation: &'static str,
        /// The service's error code.
        code: String,
    },
    /// An item lacks an attribute or has one of another type: written by something else than this program.
    #[error("the {item} item in the table has no usable attribute {attribute}")]
    Corrupt {
        /// What kind of item.
        item: &'static str,
        /// The attribute.
        attribute: &'static str,
    },
    /// Others changed the item at each of several tries.
    #[error("the {item} item was changed by others at every try")]
    Contended {
        /// What kind of item.
        item: &'static str,
    },
}

/// The codes with which DynamoDB refuses a request for what is in it.
const REFUSALS: [&str; 2] = ["ValidationException", "ItemCollectionSizeLimitExceededException"];

impl VaultError {
    /// Takes an SDK error apart; the conditional check must have been looked at before.
    pub(crate) fn from_sdk<E, R>(operation: &'static str, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: fmt::Debug,
    {
        let cause = failure(error);
        if REFUSALS.contains(&cause.as_str()) {
            return Self::Refused { operation, code: cause };
        }
        Self::Unavailable { operation, cause }
    }
}

/// The table, before it is known for which platform.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    table: Arc<str>,
}

impl Store {
    /// The table `table`, reached through `client`, whose time-outs are those of [`runtime::aws`].
    #[must_use]
    pub fn new(client: Client, table: &str) -> Self {
        Self { client, table: table.into() }
    }

    /// The part of the table that belongs to one platform.
    #[must_use]
    pub fn vault(&self, component: &AppId) -> Vault {
        Vault { store: self.clone(), component: component.clone() }
    }
}

/// The items of one platform.
#[derive(Debug, Clone)]
pub struct Vault {
    store: Store,
    component: AppId,
}

impl Vault {
    /// The platform.
    #[must_use]
    pub const fn component(&self) -> &AppId {
        &self.component
    }

    fn client(&self) -> &Client {
        &self.store.client
    }

    fn table(&self) -> &str {
        &self.store.table
    }

    /// A partition key: the platform, a kind, and an id where there are many of the kind.
    fn key(&self, kind: &str, id: Option<&str>) -> String {
        match id {
            Some(id) => format!("{}#{kind}#{id}", self.component),
            None => format!("{}#{kind}", self.component),
        }
    }
}
