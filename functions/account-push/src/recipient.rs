//! The check that a message was sent to the account that the path names.
//!
//! The path is not signed: without this check, anyone who has captured one message could pass it off as any account's.
//! `ToUserName` is signed, and belongs to one account. A confirmed name is remembered in this process; anything else is
//! looked up again, since a name may have become known meanwhile.

use std::time::Duration;

use base::ids::AppId;
use store::{Recipient, Recipients, StoreError};
use tokio::time::{Instant, sleep, timeout_at};
use wechat::push::TestAccounts;

use crate::memory::Memory;

/// The most names to remember.
const CAPACITY: usize = 10_000;

/// How often a name that is not known yet is looked up again, each time after twice the pause: a first message may
/// arrive at the moment of the grant, and the account's profile some seconds later.
const LOOKS: u32 = 4;

/// The original ids of accounts that this process has seen.
#[derive(Clone, Default)]
pub(crate) struct RecipientCheck(Memory<AppId, String, CAPACITY>);

impl RecipientCheck {
    /// Checks whether `authorizer` is the account that is called `user_name`. While its name is not known, looks again,
    /// after `pause` at first, and until `until` at most.
    pub(crate) async fn check(
        &self,
        recipients: &Recipients,
        authorizer: &AppId,
        user_name: Option<&str>,
        pause: Duration,
        until: Instant,
    ) -> Result<Recipient, StoreError> {
        if user_name.is_some() && self.0.get(authorizer).as_deref() == user_name {
            return Ok(Recipient::Confirmed);
        }
        // WeChat's test accounts write before their grant has arrived.
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
            // If the table fails now, the result of the earlier look holds.
            recipient = match look().await {
                Ok(Ok(recipient)) => recipient,
                Ok(Err(_)) | Err(_) => break,
            };
        }
        if let (Recipient::Confirmed, Some(user_name)) = (recipient, user_name) {
            self.0.put(authorizer.clone(), user_name.to_owned());
        }
        Ok(recipient)
    }
}
