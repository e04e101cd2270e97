//! Requests for a renew run now, instead of at the next scheduled time.
//!
//! Every request sets a mark in one item, and the run removes it before it reads what is due. So whatever was made due
//! before a request is processed by a run that begins afterwards, and many simultaneous requests cause one run. There
//! is a pause between the starts of two such runs.
//!
//! What such a run is to try again, whatever it waits for, is in separate items next to the mark, so that a requester
//! needs access only to these items.

use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;

use crate::StoreError;
use crate::attributes::{ASKED_AT, BY, EXPIRES_AT, REQUESTED, SK, STARTED_AT};
use crate::item::Item;
use crate::part::{Key, Part};
use crate::request::Written;
use crate::write::{absent, differs, equals, exists, is_until};

/// A requested run that has not begun after this long may have been lost: the next request starts another one.
const LOST_AFTER: Duration = Duration::from_secs(15);

/// How long a request to try again is kept: within this time a scheduled run has tried it anyway.
const KEEP_RETRY: Duration = Duration::from_hours(1);

/// The prefix of the sort keys of requests to try again.
const RETRY_PREFIX: &str = "retry#";

/// Instead of an appid: all accounts. No appid looks like this.
const EVERYBODY: &str = "*";

const ITEM: &str = "requested run";

/// The accounts whose waiting items are to be tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryOf {
    /// All accounts, up to a limit.
    All,
    /// One account.
    Account(AppId),
}

impl fmt::Display for RetryOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "all accounts",
            Self::Account(appid) => appid.as_str(),
        })
    }
}

/// A request to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// The accounts.
    pub of: RetryOf,
    /// The last request for it.
    by: String,
}

/// Whether a requested run may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// It has begun.
    Now,
    /// Another one has just begun: it may begin after this long.
    Later(Duration),
    /// It need not: there was no request since the last one began.
    Never,
}

/// The requested runs.
#[derive(Debug, Clone)]
pub struct RunRequests(pub(crate) Part);

impl RunRequests {
    fn key(&self) -> Key {
        self.0.key("runs", "request", "renew")
    }

    fn retry_key(&self, of: &RetryOf) -> Key {
        let id = match of {
            RetryOf::All => EVERYBODY,
            RetryOf::Account(appid) => appid.as_str(),
        };
        Key { sk: format!("{RETRY_PREFIX}{id}"), ..self.key() }
    }

    /// Requests a run. Returns whether it has to be started: not if another requested one is about to begin. `by` names
    /// the request. One write.
    ///
    /// # Errors
    /// [`StoreError`]: it may have been requested.
    pub async fn ask(&self, by: &str, now: Timestamp) -> Result<bool, StoreError> {
        let is_free = absent(REQUESTED).or(is_until(ASKED_AT, now.minus(LOST_AFTER)));
        let asked = self.0.change(self.key()).set(REQUESTED, true).set(ASKED_AT, now).set(BY, by);
        Ok(match asked.when(is_free).apply_or_read().await? {
            Written::Done(()) => true,
            // Our own first try, whose reply was lost, counts as success.
            Written::Refused(item) => item.is_some_and(|item| Item::new(ITEM, item).text(BY) == Some(by)),
        })
    }

    /// Stores what the next requested run is to try again. Call it before [`RunRequests::ask`]. One write.
    ///
    /// # Errors
    /// [`StoreError`]: it may be tried again.
    pub async fn ask_to_retry(&self, of: &RetryOf, by: &str, now: Timestamp) -> Result<(), StoreError> {
        let asked = self.0.change(self.retry_key(of)).set(BY, by).set(EXPIRES_AT, now.plus(KEEP_RETRY));
        asked.when(absent(BY).or(differs(BY, by))).apply().await.map(drop)
    }

    /// Whether a run was requested that has not begun. One read.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it cannot be read.
    pub async fn is_requested(&self) -> Result<bool, StoreError> {
        Ok(self.0.get(self.key()).await?.is_some_and(|item| Item::new(ITEM, item).has(REQUESTED)))
    }

    /// Begins the requested run, unless the previous one began less than `pause` ago. `by` names the run. One write.
    ///
    /// # Errors
    /// [`StoreError`]: it may have begun.
    pub async fn begin(&self, by: &str, pause: Duration, now: Timestamp) -> Result<Beginning, StoreError> {
        let has_paused = absent(STARTED_AT).or(is_until(STARTED_AT, now.minus(pause)));
        let begun = self.0.change(self.key()).set(STARTED_AT, now).set(BY, by).remove([REQUESTED]);
        let Written::Refused(item) = begun.when(exists(REQUESTED).and(has_paused)).apply_or_read().await? else {
            return Ok(Beginning::Now);
        };
        let item = Item::new(ITEM, item.unwrap_or_default());
        Ok(match (item.text(BY), item.instant(STARTED_AT)) {
            // Our own first try, whose reply was lost, counts as success.
            (Some(last), _) if last == by => Beginning::Now,
            (_, Some(started_at)) if item.has(REQUESTED) => Beginning::Later(started_at.plus(pause).since(now)),
            _ => Beginning::Never,
        })
    }

    /// All requests to try again. One query.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it cannot be read.
    pub async fn retries(&self) -> Result<Vec<Retry>, StoreError> {
        let mut retries = Vec::new();
        let take = |attributes| {
            let item = Item::new(ITEM, attributes);
            retries.extend(item.text(SK).and_then(|sk| sk.strip_prefix(RETRY_PREFIX)).and_then(|id| {
                let of = if id == EVERYBODY { RetryOf::All } else { RetryOf::Account(AppId::parse(id).ok()?) };
                Some(Retry { of, by: item.text(BY)?.to_owned() })
            }));
            ControlFlow::Continue(())
        };
        self.0.each_of(self.key().pk, RETRY_PREFIX, None, take).await?;
        Ok(retries)
    }

    /// Deletes a request to try again, because it was done; without effect if it was requested again since it was read.
    /// One write.
    ///
    /// # Errors
    /// [`StoreError`]: the next requested run may try it once more.
    pub async fn finish_retry(&self, retry: &Retry) -> Result<(), StoreError> {
        let finished = self.0.change(self.retry_key(&retry.of)).remove([BY]);
        finished.when(equals(BY, &retry.by)).apply().await.map(drop)
    }
}
