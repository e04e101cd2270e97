//! Whether a message was sent to the account that the path names.
//!
//! The path is not signed: without this, whoever has captured one message could pass it off as any account's. `ToUserName`
//! is signed, and belongs to one account. What was confirmed once is remembered in this process; everything else is looked
//! up again, since a name may have become known meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::ids::AppId;
use store::{Recipient, Recipients, StoreError};
use tokio::time::{Instant, sleep, timeout_at};
use wechat::push::TestAccounts;

/// More accounts than write to one process within its life are looked up again.
const MOST_REMEMBERED: usize = 10_000;

/// How often a name that is not known yet is waited for, each time twice as long: a first message comes at the moment of
/// the grant, and the account's profile some seconds after it.
const LOOKS: u32 = 4;

/// Which account has which original id, as far as this process has seen.
#[derive(Clone, Default)]
pub(crate) struct RecipientCheck(Arc<Mutex<HashMap<AppId, String>>>);

impl RecipientCheck {
    /// Whether `authorizer` is the account that is called `user_name`. Where its name is not known yet it is waited for,
    /// `pause` at first and `until` then at most.
    pub(crate) async fn check(
        &self,
        recipients: &Recipients,
        authorizer: &AppId,
        user_name: Option<&str>,
        pause: Duration,
        until: Instant,
    ) -> Result<Recipient, StoreError> {
        if user_name.is_some_and(|user_name| self.is_remembered(authorizer, user_name)) {
            return Ok(Recipient::Confirmed);
        }
        // WeChat's test accounts write before their grant has come.
        if let Some(known) = TestAccounts::user_name(authorizer) {
            let fits = user_name.is_none_or(|user_name| user_name == known);
            return Ok(if fits { Recipient::Confirmed } else { Recipient::Foreign });
        }
        let look = || timeout_at(until, recipients.check(authorizer, user_name));
        let mut recipient = look().await.unwrap_or_else(|_| Err(StoreError::late("GetItem")))?;
        for number in 0..LOOKS {
            let pause = pause * 2_u32.pow(number);
            if recipient != Recipient::Unnamed || Instant::now() + pause >= until {
                break;
            }
            sleep(pause).await;
            // A table that fails now has said before whose account it may be.
            recipient = match look().await {
                Ok(Ok(recipient)) => recipient,
                Ok(Err(_)) | Err(_) => break,
            };
        }
        if let (Recipient::Confirmed, Some(user_name)) = (recipient, user_name) {
            self.remember(authorizer, user_name.to_owned());
        }
        Ok(recipient)
    }

    fn is_remembered(&self, authorizer: &AppId, user_name: &str) -> bool {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(authorizer).is_some_and(|known| known == user_name)
    }

    fn remember(&self, authorizer: &AppId, user_name: String) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= MOST_REMEMBERED {
            names.clear();
        }
        names.insert(authorizer.clone(), user_name);
    }
}
