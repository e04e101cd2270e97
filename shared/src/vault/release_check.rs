//! How often WeChat's release check may make the platform call WeChat for an account (protocol section 7).

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use super::item::{EXPIRES, Updated, expires, number, send, text};
use super::{Vault, VaultError};
use crate::clock::Timestamp;
use crate::ids::{AppId, Digest};

/// Messages of the check with a code, per account and minute.
const MOST_PER_MINUTE: u32 = 3;

const KEEP: Duration = Duration::from_hours(1);

impl Vault {
    /// Counts a message of the check against the minute; whether it still fits. The same message counts once.
    /// One write.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: it may have been counted.
    pub async fn count_release_check(
        &self,
        authorizer: &AppId,
        message: &Digest,
        now: Timestamp,
    ) -> Result<bool, VaultError> {
        let minute = format!("minute#{:010}", now.unix().div_euclid(60));
        let update = self
            .update(self.key("release-check", Some(authorizer.as_str())), &minute)
            .update_expression(format!("ADD digests :one SET {EXPIRES} = :expires"))
            .condition_expression(
                "attribute_not_exists(digests) OR size(digests) < :most OR contains(digests, :message)",
            )
            .expression_attribute_values(":one", AttributeValue::Ss(vec![message.as_str().to_owned()]))
            .expression_attribute_values(":message", text(message.as_str()))
            .expression_attribute_values(":most", number(MOST_PER_MINUTE))
            .expression_attribute_values(":expires", expires(now, KEEP));
        Ok(matches!(send(update).await?, Updated::Done(_)))
    }
}
