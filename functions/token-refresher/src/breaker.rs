//! What ends a run before its time is over.
//!
//! One account, code, entry or item that fails is postponed, and everything else goes on. Only what would make everything
//! else fail in the same way ends a run, and it is reported once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use platform::tokens::{Scope, TokenError};

/// The table counts as away when it has not answered for this many different items in a row. A single item can be
/// unreachable for hours, while its partition is in trouble.
const ITEMS_IN_A_ROW: usize = 3;

/// Collects the failures of a run.
#[derive(Default)]
pub(crate) struct Breaker {
    cause: OnceLock<TokenError>,
    items_without_table: AtomicUsize,
}

impl Breaker {
    /// What has ended the run; `None` while it may go on.
    pub(crate) fn cause(&self) -> Option<&TokenError> {
        self.cause.get()
    }

    /// Ends the run, whatever the failure says by itself.
    pub(crate) fn trip(&self, cause: TokenError) {
        // The first cause is the one to be reported.
        drop(self.cause.set(cause));
    }

    /// Notes that the table has answered for an item.
    pub(crate) fn table_answered(&self) {
        self.items_without_table.store(0, Ordering::Relaxed);
    }

    /// Takes the failure of one item; gives it back if it is the item's own, to be counted and logged there.
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
            // Reported with the API, for the run as a whole; and what there was no time for is left over.
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
