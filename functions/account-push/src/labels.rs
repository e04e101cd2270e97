//! The businesses' labels of accounts, which each event contains, cached for some minutes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;
use store::{AccountLabels, Labels, StoreError};

/// The most accounts to remember: labels may take 20 KB each. Any more are looked up again.
const MOST_REMEMBERED: usize = 1_000;

/// The age up to which labels are used. As with the secret, a change takes effect everywhere after this time.
const LIFE: Duration = Duration::from_mins(5);

/// The labels of accounts that this process has read.
#[derive(Clone, Default)]
pub(crate) struct LabelMemory(Arc<Mutex<HashMap<AppId, Known>>>);

/// What was read, and when.
struct Known {
    labels: Arc<Labels>,
    read_at: Timestamp,
}

impl LabelMemory {
    /// The labels of an account. Costs one read unless they are remembered.
    pub(crate) async fn get(
        &self,
        stored: &AccountLabels,
        authorizer: &AppId,
        now: Timestamp,
    ) -> Result<Arc<Labels>, StoreError> {
        if let Some(labels) = self.remembered(authorizer, now) {
            return Ok(labels);
        }
        let labels = Arc::new(stored.get(authorizer).await?);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_REMEMBERED {
            known.clear();
        }
        known.insert(authorizer.clone(), Known { labels: Arc::clone(&labels), read_at: now });
        Ok(labels)
    }

    fn remembered(&self, authorizer: &AppId, now: Timestamp) -> Option<Arc<Labels>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { labels, read_at } = known.get(authorizer)?;
        (now.since(*read_at) < LIFE).then(|| Arc::clone(labels))
    }
}
