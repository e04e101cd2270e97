//! Leases: one process at a time works on an item, and the item is free again when the lease expires.
//!
//! A lease is an owner and a deadline in the item itself. A process that finds its own id there has the lease, whatever
//! the response to its write was. `docs/decisions/` explains why there is neither a queue nor a lock service.

use std::time::Duration;

use base::clock::Timestamp;
use base::random::Random;

use crate::attributes::{LEASE_OWNER, LEASE_UNTIL};
use crate::part::Key;
use crate::write::{Change, Condition, absent, equals, is_until};

/// A requested lease: its owner and its length.
#[derive(Debug, Clone)]
pub struct LeaseTerm {
    pub(crate) owner: String,
    pub(crate) now: Timestamp,
    pub(crate) until: Timestamp,
}

impl LeaseTerm {
    /// A term that begins `now`, for a unique owner.
    #[must_use]
    pub fn new(random: &Random, now: Timestamp, length: Duration) -> Self {
        Self { owner: random.id(), now, until: now.plus(length) }
    }

    /// The same owner's term, from `now` on: for another try.
    #[must_use]
    pub fn renewed(self, now: Timestamp, length: Duration) -> Self {
        Self { now, until: now.plus(length), ..self }
    }

    /// The condition that the lease is free, expired, or this owner's.
    pub(crate) fn is_free(&self) -> Condition {
        absent(LEASE_UNTIL).or(is_until(LEASE_UNTIL, self.now)).or(equals(LEASE_OWNER, &self.owner))
    }

    /// The lease, after it was taken.
    pub(crate) fn on<T>(&self, key: Key, record: T) -> Lease<T> {
        Lease { key, owner: self.owner.clone(), until: self.until, record }
    }
}

/// A lease on an item, with the item's state when the lease was taken.
#[derive(Debug, Clone)]
pub struct Lease<T> {
    pub(crate) key: Key,
    pub(crate) owner: String,
    until: Timestamp,
    record: T,
}

impl<T> Lease<T> {
    /// The item as it was when the lease was taken.
    pub const fn record(&self) -> &T {
        &self.record
    }

    /// When the lease expires.
    pub const fn until(&self) -> Timestamp {
        self.until
    }

    pub(crate) const fn extend(&mut self, until: Timestamp) {
        self.until = until;
    }

    /// The condition that the lease is still this owner's.
    pub(crate) fn is_held(&self) -> Condition {
        equals(LEASE_OWNER, &self.owner)
    }
}

impl Change {
    /// Takes the lease. Use it with the condition [`LeaseTerm::is_free`].
    pub(crate) fn begin_lease(self, term: &LeaseTerm) -> Self {
        self.set(LEASE_OWNER, &term.owner).set(LEASE_UNTIL, term.until)
    }

    /// Ends a lease.
    pub(crate) fn end_lease(self) -> Self {
        self.remove([LEASE_OWNER, LEASE_UNTIL])
    }
}
