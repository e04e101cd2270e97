//! The bound on how many pre-auth codes a link makes.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use base::clock::Timestamp;

use super::item::{Updated, instant, number, write_or_read};
use super::link::{SORT, read_link};
use super::{Link, LinkStatus, Vault, VaultError};

/// Pre-auth codes of one link in an hour: a merchant who fails tries a few times, a script more often.
pub const MAX_MINTS_PER_HOUR: usize = 10;

/// Pre-auth codes of one link in all.
pub const MAX_MINTS: u32 = 50;

const HOUR: Duration = Duration::from_hours(1);

/// How often a race for the counter of one link is tried again.
const MINT_TRIES: usize = 5;

/// Why a link makes no further pre-auth code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MintRefused {
    /// The link can no longer be followed.
    Ended(LinkStatus),
    /// Ten in the last hour; another is possible after this long.
    Hourly(Duration),
    /// Fifty in all.
    Total,
}

impl Vault {
    /// Counts a pre-auth code that is about to be made for a link that is pending, within its bounds. One write, again
    /// for each race that was lost.
    ///
    /// # Errors
    /// [`VaultError`]; [`VaultError::Contended`] where many pressed at once.
    pub async fn count_mint(&self, link: &Link, now: Timestamp) -> Result<Result<(), MintRefused>, VaultError> {
        let mut link = link.clone();
        for _ in 0..MINT_TRIES {
            if let Err(refused) = may_mint(&link, now) {
                return Ok(Err(refused));
            }
            let recent: Vec<AttributeValue> = recent(&link, now).into_iter().chain([now]).map(instant).collect();
            let update = self
                .update(self.link_key(&link.id), SORT)
                .update_expression("SET mints = :next, mint_times = :times")
                .condition_expression(
                    "mints = :mints AND attribute_not_exists(authorizer) AND attribute_not_exists(cancelled_at)",
                )
                .expression_attribute_values(":mints", number(link.mints))
                .expression_attribute_values(":next", number(link.mints.saturating_add(1)))
                .expression_attribute_values(":times", AttributeValue::L(recent));
            match write_or_read(update).await? {
                Updated::Done(()) => return Ok(Ok(())),
                Updated::Refused(Some(attributes)) => link = read_link(&link.id, attributes)?,
                Updated::Refused(None) => break,
            }
        }
        Err(VaultError::Contended { item: "link" })
    }
}

fn recent(link: &Link, now: Timestamp) -> Vec<Timestamp> {
    link.mint_times.iter().copied().filter(|at| now < at.plus(HOUR)).collect()
}

fn may_mint(link: &Link, now: Timestamp) -> Result<(), MintRefused> {
    let status = link.status(now);
    if status != LinkStatus::Pending {
        return Err(MintRefused::Ended(status));
    }
    if link.mints >= MAX_MINTS {
        return Err(MintRefused::Total);
    }
    let recent = recent(link, now);
    match recent.first() {
        Some(oldest) if recent.len() >= MAX_MINTS_PER_HOUR => Err(MintRefused::Hourly(oldest.plus(HOUR).since(now))),
        _ => Ok(()),
    }
}
