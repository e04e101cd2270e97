//! How long anything may take, all in one value.
//!
//! These are real time (tokio's), unlike expiries and leases, which go by the [`crate::clock::Clock`]. Tests shrink
//! them to milliseconds; one test pins the production values.

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
    /// A push from its arrival to the response, whatever hangs.
    pub push: Duration,
    /// A message of an account from its arrival to its response, whatever hangs. The sender gives up after 5 s.
    pub message: Duration,
    /// A call of one of the business's services, from resolving its name to the end of its response.
    pub webhook: Duration,
    /// Connecting to the remote API.
    pub api_connect: Duration,
    /// A call of the remote API, including connecting. The HTTP layer never repeats it.
    pub api: Duration,
    /// A page from the request to the response, whatever hangs.
    pub page: Duration,
    /// A call that spends a code is not started with less time than this left: its result could not be stored.
    pub least_for_call: Duration,
    /// The interval at which something is polled that another process is working on.
    pub poll: Duration,
    /// The longest wait for a token that another process is renewing.
    pub token_wait: Duration,
}

impl Limits {
    /// For responses that somebody waits for: pushes and pages.
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

    /// For the operators' console, whose pages wait for another function's response.
    #[must_use]
    pub const fn console() -> Self {
        Self { page: Duration::from_secs(12), ..Self::interactive() }
    }

    /// For services that ask for a token: they can ask again a second later.
    #[must_use]
    pub const fn tokens() -> Self {
        Self { token_wait: Duration::from_secs(3), ..Self::interactive() }
    }

    /// For calls that are relayed for services: 25 s for a token, the call and a repetition with another token, then
    /// one write. API Gateway waits for 30 s; the function has 29 s.
    #[must_use]
    pub const fn calls() -> Self {
        Self { page: Duration::from_millis(27_500), ..Self::tokens() }
    }

    /// For the refresher, which nobody waits for.
    #[must_use]
    pub const fn background() -> Self {
        Self {
            // The remote API may be half the world away, and no page waits.
            head_start: Duration::from_secs(1),
            webhook: Duration::from_secs(5),
            api_connect: Duration::from_secs(3),
            api: Duration::from_secs(15),
            token_wait: Duration::from_secs(20),
            ..Self::interactive()
        }
    }
}

/// What must be left of [`Limits::message`] when waiting for webhook and bus ends: the reply still has to be stored.
pub const AFTER_WAITING: Duration = Duration::from_millis(400);

/// How long the claim of a message lasts, by the [`crate::clock::Clock`]. It must outlast [`Limits::message`] although
/// counting in whole seconds can shorten it by almost one; another second is for clocks that differ. The sender repeats
/// the message after 5 s, and if the first claimant has died, that delivery waits for the end of its claim.
pub const MESSAGE_LEASE: Duration = Duration::from_secs(6);

/// How long a lease on a token or a code lasts, by the [`crate::clock::Clock`]: acquiring it (2.5 s), the longest call
/// (15 s), the write (2.5 s), 5 s for clocks that differ, and 5 s to spare.
pub const LEASE: Duration = Duration::from_secs(30);

/// The longest life of an authorization code, by the [`crate::clock::Clock`]. Ten minutes to an hour are documented,
/// code by code.
pub const CODE_LIFE: Duration = Duration::from_hours(1);

/// What must be left of a [`LEASE`] when the call starts: time for the call, the write and the difference between
/// clocks.
pub const LEASE_LEFT_TO_CALL: Duration = Duration::from_millis(22_500);

#[cfg(test)]
mod tests {
    use super::*;

    /// These values are promises to callers: changing one changes the contract.
    #[test]
    fn production_keeps_the_promised_bounds() {
        let (page, job) = (Limits::interactive(), Limits::background());
        let seconds = |duration: Duration| duration.as_secs_f64();
        assert!(seconds(page.head_start + page.push) < 3.5);
        assert!(seconds(page.head_start + page.message) < 4.0);
        assert!(seconds(page.webhook) <= 3.0 && page.webhook + AFTER_WAITING < page.message);
        assert!(page.message + Duration::from_secs(2) < MESSAGE_LEASE);
        // The bus and then, if it fails, the table.
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
