//! Leases: one process at a time works on an item, and the item is free again when the time is over.
//!
//! A lease is an owner and a deadline in the item itself. A process that finds its own id there has the lease, whatever
//! the reply to its write said. Why no queue and no lock service: `docs/decisions/`.

use std::time::Duration;

use base::clock::Timestamp;
use base::random::Random;

use crate::attributes::{LEASE_OWNER, LEASE_UNTIL};
use crate::part::Key;
use crate::write::{Change, Condition, absent, equals, is_until};

/// A lease that is asked for: by whom, and for how long.
#[derive(Debug, Clone)]
pub struct LeaseTerm {
    pub(crate) owner: String,
    pub(crate) now: Timestamp,
    pub(crate) until: Timestamp,
}

impl LeaseTerm {
    /// A term that begins `now`, for an owner that nobody else is.
    #[must_use]
    pub fn new(random: &Random, now: Timestamp, length: Duration) -> Self {
        Self { owner: random.id(), now, until: now.plus(length) }
    }

    /// The same owner's term, from `now` on: for a caller that asks again.
    #[must_use]
    pub fn renewed(self, now: Timestamp, length: Duration) -> Self {
        Self { now, until: now.plus(length), ..self }
    }

    /// Nobody has the lease, or its time is over, or it is this very owner's.
    pub(crate) fn is_free(&self) -> Condition {
        absent(LEASE_UNTIL).or(is_until(LEASE_UNTIL, self.now)).or(equals(LEASE_OWNER, &self.owner))
    }

    /// The lease, once it is taken.
    pub(crate) fn on<T>(&self, key: Key, record: T) -> Lease<T> {
        Lease { key, owner: self.owner.clone(), until: self.until, record }
    }
}

/// A lease on an item, with what the item was when the lease was taken.
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

    /// When the lease ends by itself.
    pub const fn until(&self) -> Timestamp {
        self.until
    }

    pub(crate) const fn extend(&mut self, until: Timestamp) {
        self.until = until;
    }

    /// The lease is still this owner's.
    pub(crate) fn is_held(&self) -> Condition {
        equals(LEASE_OWNER, &self.owner)
    }
}

impl Change {
    /// Takes the lease; to be used with [`LeaseTerm::is_free`].
    pub(crate) fn begin_lease(self, term: &LeaseTerm) -> Self {
        self.set(LEASE_OWNER, &term.owner).set(LEASE_UNTIL, term.until)
    }

    /// Ends a lease.
    pub(crate) fn end_lease(self) -> Self {
        self.remove([LEASE_OWNER, LEASE_UNTIL])
    }
}
