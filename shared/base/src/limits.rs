//! How long anything may take, in one value.
//!
//! The figures are real time (tokio's), unlike expiries and leases, which are the [`crate::clock::Clock`]'s. Tests
//! shrink them to milliseconds; one test pins production's.

use std::time::Duration;

/// Bounds on every wait (promise 6 of `docs/architecture.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// One try at the table.
    pub table_try: Duration,
    /// An operation of the table with all its tries.
    pub table: Duration,
    /// One try at reading the secret.
    pub secrets_try: Duration,
    /// Reading the secret with all its tries.
    pub secrets: Duration,
    /// Reading the secret and connecting while a function starts, before its first event: with `push` it stays within
    /// 3.5 s.
    pub head_start: Duration,
    /// One try at the event bus.
    pub bus_try: Duration,
    /// Putting an event on the bus with all its tries.
    pub bus: Duration,
    /// A push from its arrival to its answer, whatever hangs.
    pub push: Duration,
    /// A message of an account from its arrival to its response, whatever hangs. The sender gives up after 5 s.
    pub message: Duration,
    /// A service of the business, from its name to the end of its answer.
    pub webhook: Duration,
    /// Connecting to the API.
    pub api_connect: Duration,
    /// A call of the API, connecting included. Never tried again by the HTTP layer.
    pub api: Duration,
    /// A page from its request to its answer, whatever hangs.
    pub page: Duration,
    /// A call that spends a code is not started with less than this left: it could not be finished and written down.
    pub least_for_call: Duration,
    /// Between two looks at something another process is working on.
    pub poll: Duration,
    /// The longest wait for a token that another process is renewing.
    pub token_wait: Duration,
}

impl Limits {
    /// For answers that somebody waits for: pushes and pages.
    #[must_use]
    pub const fn interactive() -> Self {
        Self {
            table_try: Duration::from_secs(1),
            table: Duration::from_millis(2_500),
            secrets_try: Duration::from_secs(1),
            secrets: Duration::from_secs(2),
            head_start: Duration::from_millis(150),
            bus_try: Duration::from_millis(700),
            bus: Duration::from_millis(1_500),
            push: Duration::from_millis(3_300),
            message: Duration::from_millis(3_800),
            webhook: Duration::from_secs(3),
            api_connect: Duration::from_secs(2),
            api: Duration::from_secs(6),
            page: Duration::from_millis(8_800),
            least_for_call: Duration::from_secs(3),
            poll: Duration::from_millis(100),
            token_wait: Duration::from_secs(5),
        }
    }

    /// For the operators' console, whose pages wait for another function's.
    #[must_use]
    pub const fn console() -> Self {
        Self { page: Duration::from_secs(12), ..Self::interactive() }
    }

    /// For services that ask for a token: they can ask again a second later.
    #[must_use]
    pub const fn tokens() -> Self {
        Self { token_wait: Duration::from_secs(3), ..Self::interactive() }
    }

    /// For calls that are passed on for services: 25 s for a token, the call, and the same call again with another token, and
    /// then one write. API Gateway waits for 30 s, the function has 29.
    #[must_use]
    pub const fn calls() -> Self {
        Self { page: Duration::from_millis(27_500), ..Self::tokens() }
    }

    /// For the refresher, which nobody waits for.
    #[must_use]
    pub const fn background() -> Self {
        Self {
            // The other side may be half the world away, and no page waits.
            head_start: Duration::from_secs(1),
            webhook: Duration::from_secs(5),
            api_connect: Duration::from_secs(3),
            api: Duration::from_secs(15),
            token_wait: Duration::from_secs(20),
            ..Self::interactive()
        }
    }
}

/// What must be left of [`Limits::message`] when webhook and bus are given up: the answer has to be written down.
pub const AFTER_WAITING: Duration = Duration::from_millis(400);

/// How long a message is claimed, by the [`crate::clock::Clock`]: it must outlast [`Limits::message`] although whole
/// seconds can take almost one off, with one to spare for clocks that differ. The sender's next try comes after 5 s and
/// waits for the end of a dead one's claim.
pub const MESSAGE_LEASE: Duration = Duration::from_secs(6);

/// How long a lease on a token or a code lasts, by the [`crate::clock::Clock`]: acquiring it (2.5 s), the longest call
/// (15 s) and the write (2.5 s), 5 s of difference between two machines' clocks, and 5 s to spare.
pub const LEASE: Duration = Duration::from_secs(30);

/// How long an authorization code may live, by the [`crate::clock::Clock`]. Ten minutes to an hour are documented, code by
/// code.
pub const CODE_LIFE: Duration = Duration::from_hours(1);

/// What must be left of a [`LEASE`] when the call starts: the call, the write and the difference between clocks.
pub const LEASE_LEFT_TO_CALL: Duration = Duration::from_millis(22_500);

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures are promises to those who wait: a change here is a change of the contract.
    #[test]
    fn production_keeps_the_promised_bounds() {
        let (page, job) = (Limits::interactive(), Limits::background());
        let seconds = |duration: Duration| duration.as_secs_f64();
        assert!(seconds(page.head_start + page.push) < 3.5);
        assert!(seconds(page.head_start + page.message) < 4.0);
        assert!(seconds(page.webhook) <= 3.0 && page.webhook + AFTER_WAITING < page.message);
        assert!(page.message + Duration::from_secs(2) < MESSAGE_LEASE);
        // The bus, and after it the table in its place.
        assert!(page.bus + page.table_try + AFTER_WAITING < page.message);
        assert!(seconds(page.page) < 9.0);
        assert!(Limits { token_wait: page.token_wait, ..Limits::tokens() } == page);
        assert!(seconds(Limits::tokens().token_wait) <= 3.0);
        let calls = Limits::calls();
        assert!(Limits { page: page.page, ..calls } == Limits::tokens());
        assert!(calls.page == Duration::from_secs(25) + calls.table && seconds(calls.page) < 28.0);
        for limits in [page, job] {
            assert!((seconds(limits.table_try), seconds(limits.table)) == (1.0, 2.5));
            assert!((seconds(limits.secrets_try), seconds(limits.secrets)) == (1.0, 2.0));
        }
        assert!((seconds(page.api_connect), seconds(page.api)) == (2.0, 6.0));
        assert!((seconds(job.api_connect), seconds(job.api), seconds(job.webhook)) == (3.0, 15.0, 5.0));
        assert!(job.api + job.table + Duration::from_secs(5) <= LEASE_LEFT_TO_CALL);
        assert!(LEASE_LEFT_TO_CALL + job.table <= LEASE);
    }
}
