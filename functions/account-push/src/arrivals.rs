//! Notes that messages arrive, for the people who ask whether they do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base::clock::Timestamp;
use base::ids::AppId;
use store::{MessageArrivals, MessagesOf, StoreError};

/// More accounts than write to one process within hours are noted again.
const MOST_REMEMBERED: usize = 10_000;

/// Which arrivals are noted, as far as this process knows: with it, most messages write nothing.
#[derive(Clone, Default)]
pub(crate) struct ArrivalMemory(Arc<Mutex<Noted>>);

/// When the arrivals that are noted were.
#[derive(Default)]
struct Noted {
    platform: Option<Timestamp>,
    accounts: HashMap<AppId, Timestamp>,
}

impl ArrivalMemory {
    /// Notes that a message to `authorizer` has arrived. Two writes at most.
    pub(crate) async fn note(
        &self,
        stored: &MessageArrivals,
        authorizer: &AppId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let note = async |of: MessagesOf<'_>| {
            if self.noted(of).is_none_or(|at| now.since(at) >= of.noted_every()) {
                self.remember(of, Box::pin(stored.note(of, now)).await?);
            }
            Ok(())
        };
        tokio::try_join!(note(MessagesOf::Account(authorizer)), note(MessagesOf::Platform)).map(drop)
    }

    fn noted(&self, of: MessagesOf<'_>) -> Option<Timestamp> {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match of {
            MessagesOf::Account(appid) => noted.accounts.get(appid).copied(),
            MessagesOf::Platform => noted.platform,
        }
    }

    fn remember(&self, of: MessagesOf<'_>, at: Timestamp) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let MessagesOf::Account(appid) = of else {
            noted.platform = Some(at);
            return;
        };
        if noted.accounts.len() >= MOST_REMEMBERED {
            noted.accounts.clear();
        }
        noted.accounts.insert(appid.clone(), at);
    }
}
