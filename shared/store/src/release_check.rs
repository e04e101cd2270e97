//! How often WeChat's release check may make the platform call WeChat for an account (protocol section 7).

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use base::clock::Timestamp;
use base::ids::{AppId, Digest};

use super::item::{EXPIRES, Item, expires, write};
use super::{Vault, VaultError};

const SORT: &str = "codes";

/// Messages of the check with a code, per account, in any [`MINUTE`].
const MOST: usize = 3;

const MINUTE: Duration = Duration::from_mins(1);

const KEEP: Duration = Duration::from_hours(1);

/// How often it is tried to count while others count too.
const TRIES: u32 = 5;

impl Vault {
    /// Counts a message of the check; whether it still fits into the minute. The same message counts once. One read
    /// and one write, again after a lost race.
    ///
    /// # Errors
    /// [`VaultError`]: it may have been counted.
    pub async fn count_release_check(
        &self,
        authorizer: &AppId,
        message: &Digest,
        now: Timestamp,
    ) -> Result<bool, VaultError> {
        let pk = self.key("release-check", Some(authorizer.as_str()));
        for _ in 0..TRIES {
            let item = Item::new("release check", self.get(pk.clone(), SORT).await?.unwrap_or_default());
            let was = item.attributes.get("seen");
            let mut seen: Vec<String> = was.and_then(|seen| seen.as_ss().ok()).cloned().unwrap_or_default();
            seen.retain(|entry| is_recent(entry, now));
            if seen.iter().any(|entry| entry.ends_with(message.as_str())) {
                return Ok(true);
            }
            if seen.len() >= MOST {
                return Ok(false);
            }
            seen.push(format!("{:010}#{}", now.unix(), message.as_str()));
            let mut update = self
                .update(pk.clone(), SORT)
                .update_expression(format!("SET seen = :seen, {EXPIRES} = :expires"))
                .expression_attribute_values(":seen", AttributeValue::Ss(seen))
                .expression_attribute_values(":expires", expires(now, KEEP));
            update = match was {
                Some(was) => {
                    update.condition_expression("seen = :was").expression_attribute_values(":was", was.clone())
                }
                None => update.condition_expression("attribute_not_exists(seen)"),
            };
            if write(update).await? {
                return Ok(true);
            }
        }
        Err(VaultError::Contended { item: "release check" })
    }
}

/// An entry is when it was counted, and the message.
fn is_recent(entry: &str, now: Timestamp) -> bool {
    let counted = entry.split_once('#').and_then(|(time, _)| time.parse().ok()).map(Timestamp::from_unix);
    counted.is_some_and(|counted| now.since(counted) < MINUTE)
}
