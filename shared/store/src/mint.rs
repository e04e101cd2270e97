//! The limit on pre-auth codes of a link.

use std::time::Duration;

use base::clock::Timestamp;

use crate::StoreError;
use crate::attributes::{AUTHORIZER, CANCELLED_AT, MINT_TIMES, MINTS};
use crate::link::{Link, LinkStatus, Links, read_link};
use crate::request::Written;
use crate::write::{Value, absent, equals};

/// The greatest number of pre-auth codes of one link in an hour: a merchant who fails tries a few times, a script more
/// often.
pub const MAX_MINTS_PER_HOUR: usize = 10;

/// The greatest number of pre-auth codes of one link in total.
pub const MAX_MINTS: u32 = 50;

const HOUR: Duration = Duration::from_hours(1);

/// How often counting is tried again after a lost race for the counter of one link.
const MINT_TRIES: usize = 5;

/// Whether another pre-auth code may be created for a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MintCount {
    /// It may, and is counted.
    Within,
    /// It may not.
    Refused(MintRefused),
}

/// Why no further pre-auth code is created for a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MintRefused {
    /// The link can no longer be followed.
    Ended(LinkStatus),
    /// There were ten in the last hour; another one is possible after this long.
    Hourly(Duration),
    /// There were fifty in total.
    Total,
}

impl Links {
    /// Counts a pre-auth code that is about to be created for a pending link, within the limits. One write, and another
    /// for each lost race.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Contended`] if many pressed the button at once.
    pub async fn count_mint(&self, link: &Link, now: Timestamp) -> Result<MintCount, StoreError> {
        let mut link = link.clone();
        for _ in 0..MINT_TRIES {
            if let Err(refused) = may_mint(&link, now) {
                return Ok(MintCount::Refused(refused));
            }
            let times = recent(&link, now).into_iter().chain([now]);
            let counted = self
                .change(&link.id)
                .set(MINTS, link.mints.saturating_add(1))
                .set(MINT_TIMES, Value::list(times))
                .when(equals(MINTS, link.mints).and(absent(AUTHORIZER)).and(absent(CANCELLED_AT)));
            match counted.apply_or_read().await? {
                Written::Done(()) => return Ok(MintCount::Within),
                Written::Refused(Some(attributes)) => link = read_link(&link.id, attributes)?,
                Written::Refused(None) => break,
            }
        }
        Err(StoreError::Contended { item: "link" })
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
