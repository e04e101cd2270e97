//! Stores when messages last arrived, for the operators who ask whether they do.

use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;
use store::{MessageArrivals, StoreError};

use crate::memory::Memory;

/// The most accounts to remember.
const CAPACITY: usize = 10_000;

/// After a failure the next try is this much later: the table may have no room for more.
const RETRY: Duration = Duration::from_mins(1);

/// When the next arrival of each account, and of the platform, is to be stored.
#[derive(Clone, Default)]
pub(crate) struct ArrivalMemory(Memory<Option<AppId>, Timestamp, CAPACITY>);

impl ArrivalMemory {
    /// Stores that a message to the platform has arrived, and that it was sent to `account`.
    pub(crate) async fn note(
        &self,
        stored: &MessageArrivals,
        account: Option<&AppId>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // One after the other: a message is to need no more connections for it.
        let of_account = if account.is_some() { self.note_one(stored, account, now).await } else { Ok(()) };
        of_account.and(self.note_one(stored, None, now).await)
    }

    async fn note_one(
        &self,
        stored: &MessageArrivals,
        account: Option<&AppId>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let key = account.cloned();
        if self.0.get(&key).is_some_and(|due| now < due) {
            return Ok(());
        }
        self.0.put(key.clone(), now.plus(RETRY));
        let due = Box::pin(stored.note(account, now)).await?;
        self.0.put(key, due);
        Ok(())
    }
}
