//! The failures that end a run before its time is over.
//!
//! If one account, code, entry or item fails, it is postponed and everything else goes on. Only a failure that would
//! repeat for everything else ends a run, and it is reported once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use platform::tokens::{Scope, TokenError};

/// The table counts as unavailable when it has not responded for this many different items in a row. A single item can
/// be unreachable for hours, while its partition is in trouble.
const ITEMS_IN_A_ROW: usize = 3;

/// Collects the failures of a run.
#[derive(Default)]
pub(crate) struct Breaker {
    cause: OnceLock<TokenError>,
    items_without_table: AtomicUsize,
}

impl Breaker {
    /// The failure that has ended the run; `None` while it may go on.
    pub(crate) fn cause(&self) -> Option<&TokenError> {
        self.cause.get()
    }

    /// Ends the run, whatever the failure's own scope is.
    pub(crate) fn trip(&self, cause: TokenError) {
        // Only the first cause is reported.
        drop(self.cause.set(cause));
    }

    /// Records that the table has responded for an item.
    pub(crate) fn table_answered(&self) {
        self.items_without_table.store(0, Ordering::Relaxed);
    }

    /// Records the failure of one item; returns it if it is the item's own, to be counted and logged by the caller.
    pub(crate) fn own_failure(&self, error: TokenError) -> Option<TokenError> {
        match error.scope() {
            Scope::Subject => {
                self.table_answered();
                Some(error)
            }
            Scope::Table if self.items_without_table.fetch_add(1, Ordering::Relaxed) + 1 < ITEMS_IN_A_ROW => {
                Some(error)
            }
            Scope::Table | Scope::Platform => {
                self.trip(error);
                None
            }
            // A failure of the API is reported for the run as a whole; what there was no time for is left over.
            Scope::Api | Scope::OutOfTime => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use base::ids::AppId;
    use store::StoreError;

    use super::*;

    fn table_is_away() -> TokenError {
        StoreError::Unavailable { operation: "UpdateItem", cause: "timeout".to_owned() }.into()
    }

    #[test]
    fn only_several_items_in_a_row_mean_that_the_table_is_away() {
        let breaker = Breaker::default();
        for _ in 0..10 {
            assert!(breaker.own_failure(table_is_away()).is_some());
            assert!(breaker.own_failure(table_is_away()).is_some());
            breaker.table_answered();
        }
        assert!(breaker.cause().is_none());
        assert!(breaker.own_failure(table_is_away()).is_some());
        assert!(breaker.own_failure(table_is_away()).is_some());
        assert!(breaker.own_failure(table_is_away()).is_none());
        assert!(breaker.cause().is_some());
    }

    #[test]
    fn a_refused_item_or_an_accounts_own_failure_ends_nothing() {
        let breaker = Breaker::default();
        for _ in 0..10 {
            let refused = StoreError::Refused { operation: "UpdateItem", code: "ValidationException".to_owned() };
            assert!(breaker.own_failure(refused.into()).is_some());
            assert!(breaker.own_failure(TokenError::NoPermission(AppId::parse("wx1").unwrap())).is_some());
        }
        assert!(breaker.cause().is_none());
    }

    #[test]
    fn the_first_cause_is_kept() {
        let breaker = Breaker::default();
        assert!(breaker.own_failure(TokenError::NoTicket).is_none());
        breaker.trip(table_is_away());
        assert!(matches!(breaker.cause(), Some(TokenError::NoTicket)));
    }
}
