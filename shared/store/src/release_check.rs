//! The limit on how often WeChat's release check may make the platform call WeChat for an account (protocol section 7).

use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;
use wechat::push::MessageId;

use crate::StoreError;
use crate::attributes::{EXPIRES_AT, SEEN};
use crate::item::Item;
use crate::part::Part;
use crate::write::{Value, absent, equals};

/// The greatest number of the check's messages with a code, per account, in any [`MINUTE`].
const MOST: usize = 3;

const MINUTE: Duration = Duration::from_mins(1);

const KEEP: Duration = Duration::from_hours(1);

/// How often counting is tried while others count too.
const TRIES: u32 = 5;

/// The recent messages of the release check to each account.
#[derive(Debug, Clone)]
pub struct ReleaseChecks(pub(crate) Part);

impl ReleaseChecks {
    /// Counts a message of the check; returns whether it is within the limit per minute. The same message counts only
    /// once. One read and one write, repeated after a lost race.
    ///
    /// # Errors
    /// [`StoreError`]: it may have been counted.
    pub async fn count(&self, authorizer: &AppId, message: &MessageId, now: Timestamp) -> Result<bool, StoreError> {
        let key = self.0.key("release-check", authorizer.as_str(), "codes");
        for _ in 0..TRIES {
            let item = Item::new("release check", self.0.get(key.clone()).await?.unwrap_or_default());
            let was = item.attributes.get(SEEN);
            let mut seen: Vec<String> = was.and_then(|seen| seen.as_ss().ok()).cloned().unwrap_or_default();
            seen.retain(|entry| is_recent(entry, now));
            if seen.iter().any(|entry| entry.ends_with(message.as_str())) {
                return Ok(true);
            }
            if seen.len() >= MOST {
                return Ok(false);
            }
            seen.push(format!("{:010}#{}", now.unix(), message.as_str()));
            let unchanged = was.map_or_else(|| absent(SEEN), |was| equals(SEEN, Value(was.clone())));
            let counted = self.0.change(key.clone()).set(SEEN, Value::set(seen)).set(EXPIRES_AT, now.plus(KEEP));
            if counted.when(unchanged).apply().await? {
                return Ok(true);
            }
        }
        Err(StoreError::Contended { item: "release check" })
    }
}

/// Whether an entry, which consists of the time of counting and the message's id, is from the last minute.
fn is_recent(entry: &str, now: Timestamp) -> bool {
    let counted = entry.split_once('#').and_then(|(time, _)| time.parse().ok()).map(Timestamp::from_unix);
    counted.is_some_and(|counted| now.since(counted) < MINUTE)
}
