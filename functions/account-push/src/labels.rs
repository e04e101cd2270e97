//! The businesses' labels of accounts, which each event contains, cached for some minutes.

use std::sync::Arc;
use std::time::Duration;

use base::clock::Timestamp;
use base::ids::AppId;
use store::{AccountLabels, Labels, StoreError};

use crate::memory::Memory;

/// The most accounts to remember: labels may take 20 KB each.
const CAPACITY: usize = 1_000;

/// The age up to which labels are used. As with the secret, a change takes effect everywhere after this time.
const LIFE: Duration = Duration::from_mins(5);

/// The labels of accounts that this process has read, and when.
#[derive(Clone, Default)]
pub(crate) struct LabelMemory(Memory<AppId, (Arc<Labels>, Timestamp), CAPACITY>);

impl LabelMemory {
    /// The labels of an account. Costs one read unless they are remembered.
    pub(crate) async fn get(
        &self,
        stored: &AccountLabels,
        authorizer: &AppId,
        now: Timestamp,
    ) -> Result<Arc<Labels>, StoreError> {
        if let Some((labels, read_at)) = self.0.get(authorizer)
            && now.since(read_at) < LIFE
        {
            return Ok(labels);
        }
        let labels = Arc::new(stored.get(authorizer).await?);
        self.0.put(authorizer.clone(), (Arc::clone(&labels), now));
        Ok(labels)
    }
}
