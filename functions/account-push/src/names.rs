//! Whether a message was sent to the account that the path names.
//!
//! The path is not signed: without this, a message could be passed off as another account's. `ToUserName` is, and belongs
//! to one account. What fitted once is remembered in this process; what does not is looked up again, since something
//! learned may have been put right meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use shared::ids::AppId;
use shared::vault::{Vault, VaultError};

/// More accounts than write to one process within its life are looked up again.
const MOST_REMEMBERED: usize = 10_000;

/// Which account has which original id, as far as this process has seen.
#[derive(Clone, Default)]
pub(crate) struct Names(Arc<Mutex<HashMap<AppId, String>>>);

impl Names {
    /// Whether `user_name` is the account's; learned from this message where nothing is known.
    pub(crate) async fn fit(&self, vault: &Vault, authorizer: &AppId, user_name: &str) -> Result<bool, VaultError> {
        if self.remembered(authorizer, user_name) {
            return Ok(true);
        }
        let known = match vault.user_name(authorizer).await? {
            Some(known) => known,
            None => vault.learn_user_name(authorizer, user_name).await?,
        };
        let fits = known == user_name;
        if fits {
            self.remember(authorizer, known);
        }
        Ok(fits)
    }

    fn remembered(&self, authorizer: &AppId, user_name: &str) -> bool {
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
