//! The DynamoDB table: one table, with keys per `component_appid`, so that several platforms can share it.
//!
//! Each file has one kind of item and one repository. A function is built from only the repositories that it needs
//! ([`Access`]), just as its role in the template names the items that it may access. Every write is conditional, and
//! after a failed condition the item is read before a conclusion is drawn: after a lost reply the SDK tries again, and
//! its own first write may have made the condition fail. Expired items are ignored, although DynamoDB may keep them for
//! days. Nothing here calls WeChat or decides when to.
//!
//! Start with `DATA-MODEL.md`, next to this crate's manifest: it lists every item, access path and cost. Then read
//! [`Tickets`], the smallest repository, and the write builder that it uses (`write.rs`).

mod account;
mod account_list;
mod account_state;
mod accounts;
mod api_key;
mod arrivals;
mod attempt;
mod attributes;
mod audit;
mod browser;
mod check_file;
mod churn;
mod claim;
mod details;
mod failed_call;
mod health;
mod inbox;
mod invitation;
mod item;
mod key_event;
mod keyed_call;
mod labels;
mod last_failure;
mod lease;
mod link;
mod message;
mod message_arrival;
mod mint;
mod operator;
mod outbox;
mod part;
mod reconcile;
mod release_check;
mod request;
mod retry;
mod run;
mod run_request;
mod state_event;
mod ticket;
mod token;
mod token_record;
mod user_name;
mod vitals;
mod web_login;
mod write;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata, SdkError};
use base::ids::AppId;
use runtime::aws::failure;

use self::item::Attributes;
use self::part::Part;
use self::request::Written;

pub use self::account::{Accounts, GrantEnd, NewGrant, Patched, StoredAccount};
pub use self::account_list::{AccountList, AccountLists, KnownAccount, STATUS_ATTRIBUTES, TokenStatus};
pub use self::account_state::{AccountState, STANDING_ATTRIBUTES, Standing, Standings};
pub use self::accounts::{DuePart, END_OF_TIME};
pub use self::api_key::{
    ApiKey, ApiKeys, KeyDigest, KeyError, KeyPage, KeyPlace, KeyRequest, KeyText, LONGEST_KEY_NAME, MAX_KEY_APPIDS,
    Scope,
};
pub use self::arrivals::{
    ArrivalPlace, Arrivals, ENTRY_STATUS_ATTRIBUTES, EntryPlace, EntryStatus, FirstCounts, FirstOf,
    WAITING_MESSAGE_ATTRIBUTES, WaitingCounts, WaitingEvent, WaitingMessageStatus,
};
pub use self::attempt::{ATTEMPT_KEEP, Attempt, Attempts, CodeCount, CookieDigest, MAX_CODES};
pub use self::audit::{AUDIT_KEPT, AuditEntry, AuditLog, AuditPage, AuditPlace};
pub use self::browser::{
    BROWSER_LIFE, Browser, Browsers, KNOWN_BROWSER_ATTRIBUTES, KnownBrowser, NewBrowser, SecretDigest,
};
pub use self::check_file::{CheckFile, CheckFileOrigin, CheckFilePage, CheckFiles, MAX_CHECK_FILES, NewCheckFile};
pub use self::churn::{Churn, ChurnLog, ChurnPage, ChurnPlace, ChurnedAccount};
pub use self::claim::{Arrival, Binding, ClaimKey, Claimed, ClaimedCode, ClaimedGrant, Claims, CodeDigest};
pub use self::details::{AccountDetails, DETAILS_SORT, Details, GrantOrigin, PROFILE_ATTRIBUTES, ProfileReading};
pub use self::failed_call::{CountedFailure, FAILED_CALLS_KEPT, FailedCall, FailedCalls, FailurePage, FailurePlace};
pub use self::health::{Health, HealthRecords, ScheduledTask};
pub use self::inbox::{
    Callback, CallbackEntry, CheckMessage, Entry, EntryBody, EntryKey, INBOX_SORT_PREFIX, Inbox, PUSH_MEMORY, Partition,
};
pub use self::invitation::{INVITATION_LIFE, Invitation, InvitationCode, InvitationDigest};
pub use self::key_event::{Actor, KeyChange, KeyEvent};
pub use self::keyed_call::{CallKey, KeptAnswer, KeyedCall, KeyedCalls, RequestDigest};
pub use self::labels::{
    AccountLabels, AccountPatch, LABEL_ATTRIBUTES, LONGEST_KEY, LONGEST_REFERENCE, LONGEST_VALUE, LabelError, Labels,
    MAX_LOGIN_ORIGINS, MAX_TAGS, Patch,
};
pub use self::last_failure::LastFailure;
pub use self::lease::{Lease, LeaseTerm};
pub use self::link::{Bound, BoundBy, Link, LinkPlace, LinkRequest, LinkStatus, Links};
pub use self::message::{MESSAGE_MEMORY, MessageClaim, MessageState, Messages, WaitingMessage};
pub use self::message_arrival::{
    ACCOUNT_ARRIVALS_EVERY, MESSAGE_ARRIVAL_KEPT, MessageArrivals, PLATFORM_ARRIVALS_EVERY,
};
pub use self::mint::{MAX_MINTS, MAX_MINTS_PER_HOUR, MintCount, MintRefused};
pub use self::operator::{
    CONSOLE_ITSELF, OPERATOR_ATTRIBUTES, Operator, OperatorError, OperatorPage, OperatorRequest, Operators, Rights,
};
pub use self::outbox::{EVENT_SORT_PREFIX, Outbox, OutboxEvent, PastEvent, PendingEvent, Progress, Subject};
pub use self::reconcile::{
    Begun, FinishedPage, ListedAccounts, PassCounts, PassProgress, ReconcileCursor, ReconcilePasses,
};
pub use self::release_check::ReleaseChecks;
pub use self::request::{Counted, PagePosition};
pub use self::retry::Waiting;
pub use self::run::{AccountCounts, FinishedRun, Measured, PastRun, RUNS_KEPT, RunCounts, Runs};
pub use self::run_request::{Beginning, Retry, RetryOf, RunRequests};
pub use self::state_event::{StateChange, StateEvent};
pub use self::ticket::{Ticket, Tickets};
pub use self::token::{Failure, Issued, RenewalReason, StoredTokens};
pub use self::token_record::{TicketKind, TokenOwner, TokenRecord};
pub use self::user_name::{INTRODUCED, Introductions, Recipient, Recipients, UserNames};
pub use self::vitals::{COMPONENT_STATUS_ATTRIBUTES, TICKET_TIME_ATTRIBUTES, TicketTimes, Vitals};
pub use self::web_login::{LOGIN_CODE_LIFE, LoginCodeDigest, StoredLogin, VisitorLogin, WebLogins};

/// The index of everything that falls due, accounts to renew and inbox entries to process, and of the accounts whose
/// grant has ended.
pub const DUE_INDEX: &str = "due";

/// The index of all lists that services and operators read.
pub const LIST_INDEX: &str = "list";

/// Why an operation of the store failed. Never contains a value that was read or written.
#[derive(Debug, thiserror::Error, Clone)]
pub enum StoreError {
    /// DynamoDB did not respond in any of the tries, or denied access. A write may have taken effect.
    #[error(
        "DynamoDB {operation} failed ({cause}): check TABLE_NAME, the region, the function's permission and the network"
    )]
    Unavailable {
        /// The operation, such as `UpdateItem`.
        operation: &'static str,
        /// The service's error code, or how the connection failed.
        cause: String,
    },
    /// DynamoDB refused the request because of the item, for example because it has grown too large. Other items are
    /// not affected.
    #[error("DynamoDB {operation} was refused ({code})")]
    Refused {
        /// The operation, such as `UpdateItem`.
        operation: &'static str,
        /// The service's error code.
        code: String,
    },
    /// An item lacks an attribute or has one of the wrong type: something other than this program has written it.
    #[error("the {item} item in the table has no usable attribute {attribute}")]
    Corrupt {
        /// The kind of item.
        item: &'static str,
        /// The attribute.
        attribute: &'static str,
    },
    /// A request could not be built, because of a bug.
    #[error("a request to DynamoDB could not be built")]
    Unbuildable,
    /// The item was changed concurrently during each of several tries.
    #[error("the {item} item was changed concurrently during every try")]
    Contended {
        /// The kind of item.
        item: &'static str,
    },
}

/// The codes with which DynamoDB refuses a request because of its content.
const REFUSALS: [&str; 2] = ["ValidationException", "ItemCollectionSizeLimitExceededException"];

impl StoreError {
    /// Translates an SDK error. A failed condition must have been handled before.
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

    /// The error after the overall time-out for the table.
    #[must_use]
    pub fn late(operation: &'static str) -> Self {
        Self::Unavailable { operation, cause: "timeout".to_owned() }
    }

    pub(crate) fn unbuildable(_: BuildError) -> Self {
        Self::Unbuildable
    }
}

/// Whether a write that is conditional on an unchanged version took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteOutcome {
    /// It is stored.
    Stored,
    /// The item was changed since it was read, and was not written: read it again and decide again.
    Superseded,
}

impl WriteOutcome {
    /// The outcome of a write; a refused one counts as stored if `is_ours` recognizes the item as the result of its
    /// first try.
    pub(crate) fn of(written: Written<()>, is_ours: impl FnOnce(Attributes) -> bool) -> Self {
        match written {
            Written::Done(()) => Self::Stored,
            Written::Refused(item) => {
                if item.is_some_and(is_ours) {
                    Self::Stored
                } else {
                    Self::Superseded
                }
            }
        }
    }
}

/// The table, not yet bound to a platform; clones share it.
#[derive(Debug, Clone)]
pub struct Table {
    client: Client,
    name: Arc<str>,
}

impl Table {
    /// The table with this name, reached through `client`, which has the time-outs of [`runtime::aws`].
    #[must_use]
    pub fn new(client: Client, name: &str) -> Self {
        Self { client, name: name.into() }
    }

    /// Connects before the first operation.
    pub async fn connect(&self) {
        runtime::aws::connect_to_dynamodb(&self.client, &self.name).await;
    }

    /// All repositories of one platform.
    #[must_use]
    pub fn store(&self, component: &AppId) -> Store {
        Store::of(&Part::new(self.client.clone(), Arc::clone(&self.name), component.clone()))
    }

    /// Access to only the repositories in `T`.
    #[must_use]
    pub const fn access<T: for<'s> From<&'s Store>>(self) -> Access<T> {
        Access { table: self, repositories: PhantomData }
    }
}

/// A function's access to the table, through the repositories in `T`.
#[derive(Debug)]
pub struct Access<T> {
    table: Table,
    repositories: PhantomData<fn() -> T>,
}

impl<T> Clone for Access<T> {
    fn clone(&self) -> Self {
        Self { table: self.table.clone(), repositories: PhantomData }
    }
}

impl<T: for<'s> From<&'s Store>> Access<T> {
    /// The repositories of one platform.
    #[must_use]
    pub fn of(&self, component: &AppId) -> T {
        T::from(&self.table.store(component))
    }
}

/// Defines a function's access to the table: a type for [`Access`] with these repositories and no others.
#[macro_export]
macro_rules! access_to {
    ($(#[$doc:meta])* $visibility:vis struct $name:ident { $($field:ident: $repository:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        $visibility struct $name {
            $(pub(crate) $field: $crate::$repository,)*
        }

        impl From<&$crate::Store> for $name {
            fn from(store: &$crate::Store) -> Self {
                Self { $($field: store.$field.clone(),)* }
            }
        }
    };
}

/// Defines [`Store`] from the list of repositories.
macro_rules! store_of {
    ($($field:ident: $repository:ident, $doc:literal;)*) => {
        /// The repositories of one platform; clones share the connection.
        #[derive(Debug, Clone)]
        pub struct Store {
            component: AppId,
            $(#[doc = $doc] pub $field: $repository,)*
        }

        impl Store {
            fn of(part: &Part) -> Self {
                Self { component: part.component().clone(), $($field: $repository(part.clone()),)* }
            }
        }
    };
}

store_of! {
    tickets: Tickets, "The platform's ticket.";
    tokens: StoredTokens, "The tokens of the component and of accounts.";
    accounts: Accounts, "The rows of accounts.";
    details: Details, "The details of accounts, apart from their tokens.";
    account_lists: AccountLists, "The accounts as services and operators see them.";
    account_labels: AccountLabels, "What businesses have said about accounts.";
    outbox: Outbox, "The events of accounts and keys that are to be delivered.";
    churn: ChurnLog, "The accounts that were gained and lost.";
    standings: Standings, "The states of accounts, without their tokens.";
    inbox: Inbox, "The inbox.";
    arrivals: Arrivals, "What has arrived and what waits, without its content.";
    vitals: Vitals, "The status of the ticket and the component token, without the secrets themselves.";
    claims: Claims, "The claims of codes.";
    links: Links, "Authorization links.";
    attempts: Attempts, "The attempts of links.";
    messages: Messages, "Messages of accounts.";
    message_arrivals: MessageArrivals, "When messages of accounts last arrived.";
    keyed_calls: KeyedCalls, "Calls on behalf of accounts with an idempotency key.";
    web_logins: WebLogins, "Visitors of web pages who have been logged in.";
    failed_calls: FailedCalls, "Failed calls on behalf of accounts.";
    api_keys: ApiKeys, "The API keys of services outside AWS.";
    operators: Operators, "The operators of the platform, and their invitations.";
    browsers: Browsers, "The browsers of operators.";
    audit_log: AuditLog, "What operators have done, and changes to operators.";
    check_files: CheckFiles, "The files with which WeChat checks domains.";
    introductions: Introductions, "The accounts that are known to belong to the platform.";
    recipients: Recipients, "The accounts to which messages are addressed.";
    user_names: UserNames, "The original ids of accounts, for writing.";
    release_checks: ReleaseChecks, "The counts of the release check's messages.";
    health: HealthRecords, "The records of the refresher's last runs.";
    runs: Runs, "The records of the refresher's runs of the last days.";
    run_requests: RunRequests, "The requested runs.";
    waiting: Waiting, "Waiting items, to be tried again.";
    reconcile_passes: ReconcilePasses, "The passes over WeChat's list.";
}

impl Store {
    /// The platform.
    #[must_use]
    pub const fn component(&self) -> &AppId {
        &self.component
    }
}
