//! A month of a platform: how often each flow happens, and the result.

use std::time::Duration;

use platform::schedule::{AUTHORIZER_MARGIN, JITTER};
use store::{ACCOUNT_ARRIVALS_EVERY, PLATFORM_ARRIVALS_EVERY};
use token_refresher::Settings;
use wechat::api::LIST_PAGE;

use super::count::{ACCOUNTS, Counted, Flow, flow};
use super::markdown::Figures;
use super::template::Stack;

/// Hours of an average month, as AWS calculates.
pub(super) const HOURS: f64 = 730.0;

pub(super) const SECONDS: f64 = HOURS * 3600.0;
pub(super) const DAYS: f64 = HOURS / 24.0;

/// Tickets, renew runs and reconcile runs a month: every 10 minutes, every 5 minutes, every hour.
const TICKETS: f64 = HOURS * 6.0;
const RENEW_RUNS: f64 = HOURS * 12.0;
const RECONCILE_RUNS: f64 = HOURS;

/// The scheduled runs of a month.
pub(super) const RUNS: f64 = RENEW_RUNS + RECONCILE_RUNS;

/// The flows of a merchant, once for each authorization.
const MERCHANT: [&str; 7] =
    [flow::LINK, flow::PAGE, flow::BUTTON, flow::RETURN, flow::GRANT, flow::LOOK, flow::REVOKED];

/// Requests of an authorization that preauth-link handles: the link created, its page, its button, a reading of its
/// state.
const LINK_REQUESTS: u32 = 4;

/// A login of a visitor.
pub(super) const LOGIN: [&str; 3] = [flow::VISITOR_BEGINS, flow::VISITOR_RETURNS, flow::LOGIN_REDEEMED];

/// WeChat's tokens live for two hours.
const TOKEN_LIFE: f64 = 7200.0;
const HALF_A_TICK: f64 = 150.0;

/// The period over which Application Auto Scaling sees a load: sums of minutes.
const SEEN_BY_THE_SCALING: f64 = 60.0;

/// Seconds between two renewals of the component token, and of an account's: the life of a token less the margin, plus
/// half the wait for the next run.
fn component_interval() -> f64 {
    TOKEN_LIFE - platform::schedule::COMPONENT_MARGIN.as_secs_f64() + HALF_A_TICK
}

fn account_interval() -> f64 {
    TOKEN_LIFE - AUTHORIZER_MARGIN.as_secs_f64() - JITTER.as_secs_f64() / 2.0 + HALF_A_TICK
}

/// The size of a platform, and its choices.
#[derive(Debug, Clone, Copy)]
pub(super) struct Platform {
    pub(super) accounts: f64,
    /// Messages and events of an account.
    pub(super) messages: f64,
    /// Whether a reply webhook is asked about each message.
    pub(super) webhook: bool,
    /// Whether the table's capacity is paid for by the hour.
    pub(super) provisioned: bool,
}

/// Units of the table and of its index, those of the index also separately.
pub(super) struct Units {
    pub(super) all: f64,
    pub(super) index: f64,
}

/// The figures of a month.
pub(super) struct Month<'a> {
    pub(super) platform: Platform,
    pub(super) counted: &'a Counted,
    stack: &'a Stack,
    assumed: &'a Figures,
    pub(super) messages: f64,
    renewals: f64,
    /// Pages of WeChat's list, the last one rounded up.
    pages: f64,
    authorizations: f64,
}

impl<'a> Month<'a> {
    pub(super) fn of(platform: Platform, counted: &'a Counted, stack: &'a Stack, assumed: &'a Figures) -> Self {
        let accounts = platform.accounts;
        Self {
            platform,
            counted,
            stack,
            assumed,
            messages: accounts * platform.messages,
            renewals: accounts * SECONDS / account_interval(),
            pages: (accounts / f64::from(LIST_PAGE)).ceil(),
            authorizations: accounts * assumed.get("authorizations a month for each account"),
        }
    }

    fn message(&self) -> &'static str {
        if self.platform.webhook { flow::MESSAGE_REPLIED } else { flow::MESSAGE }
    }

    /// Sums a figure of the flows, each as often as it happens.
    fn total(&self, figure: impl Fn(&Flow) -> f64) -> f64 {
        let of = |name| figure(self.counted.flow(name));
        TICKETS * of(flow::TICKET)
            + RENEW_RUNS * of(flow::RENEW)
            + SECONDS / component_interval() * (of(flow::RENEW_COMPONENT) - of(flow::RENEW))
            + self.renewals * self.of_a_renewal(&figure)
            + RECONCILE_RUNS * of(flow::RECONCILE)
            + RECONCILE_RUNS * self.platform.accounts / f64::from(ACCOUNTS)
                * (of(flow::RECONCILE_ACCOUNTS) - of(flow::RECONCILE))
            + self.authorizations * MERCHANT.map(of).iter().sum::<f64>()
            + self.messages * of(self.message())
    }

    /// The addition of an account to a run without any.
    fn of_a_renewal(&self, figure: impl Fn(&Flow) -> f64) -> f64 {
        let of = |name| figure(self.counted.flow(name));
        (of(flow::RENEW_ACCOUNTS) - of(flow::RENEW)) / f64::from(ACCOUNTS)
    }

    /// Writes of when messages last arrived: those of each account and those of the platform.
    fn noted_arrivals(&self) -> f64 {
        let most = |every: Duration| SECONDS / every.as_secs_f64();
        let Platform { accounts, messages, .. } = self.platform;
        accounts * messages.min(most(ACCOUNT_ARRIVALS_EVERY)) + self.messages.min(most(PLATFORM_ARRIVALS_EVERY))
    }

    pub(super) fn writes(&self) -> Units {
        let noted = self.noted_arrivals();
        Units { all: self.total(|flow| flow.used.writes) + noted, index: self.total(|flow| flow.used.index_writes) }
    }

    pub(super) fn reads(&self) -> Units {
        // What a process remembers of an account ends with it: at most, each message looks when the last one arrived.
        let looks = self.messages / 2.0;
        Units { all: self.total(|flow| flow.used.reads) + looks, index: self.total(|flow| flow.used.index_reads) }
    }

    pub(super) fn requests(&self) -> f64 {
        self.total(|flow| f64::from(flow.http))
    }

    pub(super) fn invocations(&self) -> f64 {
        self.total(|flow| f64::from(flow.invocations))
    }

    pub(super) fn events(&self) -> f64 {
        self.total(|flow| f64::from(flow.events))
    }

    /// Reads of the secret: each function reads it at most once in five minutes and sandbox, and when it runs. Those
    /// that run only for services and visitors are in none of these flows.
    pub(super) fn reads_of_secret(&self) -> f64 {
        let of_the_stream = self.invocations() - self.requests() - RUNS;
        let of_links = self.authorizations * f64::from(LINK_REQUESTS);
        let runs = [TICKETS, self.messages, of_links, self.authorizations, RUNS + of_the_stream];
        runs.map(|runs| runs.min(RENEW_RUNS)).iter().sum()
    }

    /// What a login of a visitor uses, from the page that sends the visitor here to the service that redeems the code.
    pub(super) fn of_a_login(figure: impl Fn(&Flow) -> f64, counted: &Counted) -> f64 {
        LOGIN.map(|name| figure(counted.flow(name))).iter().sum()
    }

    /// Bytes of the functions' logs and of the gateway's.
    pub(super) fn log_bytes(&self) -> f64 {
        self.total(Flow::log) + self.requests() * self.stack.access_log
    }

    /// Seconds of an average renew run.
    pub(super) fn renew_seconds(&self) -> f64 {
        self.assumed.get("a renew run without renewals, s") + self.renewing_seconds()
    }

    fn renewing_seconds(&self) -> f64 {
        self.renewals / RENEW_RUNS / f64::from(Settings::default().per_second)
    }

    /// Memory times duration, in GB-seconds.
    pub(super) fn gb_seconds(&self) -> f64 {
        let seconds = |name| self.assumed.get(name);
        let replying = if self.platform.webhook { seconds("what a reply webhook takes, s") } else { 0.0 };
        let of_the_stream = self.total(|flow| f64::from(flow.invocations) - f64::from(flow.http)) - RUNS;
        let of_merchants = self.requests() - TICKETS - self.messages;
        let refresher = RENEW_RUNS * self.renew_seconds()
            + RECONCILE_RUNS
                * (seconds("a reconcile run without accounts, s") + self.pages * seconds("a page of the list, s"))
            + of_the_stream * seconds("a run for the stream, s");
        TICKETS * seconds("a ticket, s") * self.stack.memory("TicketPush")
            + self.messages * (seconds("a message, s") + replying) * self.stack.memory("AccountPush")
            + of_merchants * seconds("a request of a merchant or a business, s") * self.stack.memory("PreauthLink")
            + refresher * self.stack.memory("TokenRefresher")
    }

    /// Units a second that are kept for writes, of the table and of its indexes `due` and `list`, if capacity is
    /// provisioned. The lists change with grants only.
    pub(super) fn write_capacity(&self) -> [f64; 3] {
        let writes = self.writes();
        let index = |flow: &Flow| flow.used.index_writes;
        let table = |flow: &Flow| flow.used.writes - flow.used.index_writes;
        let others = self.assumed.get("capacity for writes, times their average");
        let kept = |all: f64, of_a_renewal: f64| {
            let renewing = self.renewals * of_a_renewal / SECONDS;
            // Only a quarter of an hour without a busy minute makes the scaling reduce capacity, and a run comes every
            // five minutes: so the highest minute counts, not the average.
            let busy = self.renewing_seconds().min(SEEN_BY_THE_SCALING) / SEEN_BY_THE_SCALING;
            let highest = busy * f64::from(Settings::default().per_second) * of_a_renewal;
            let capacity = (all / SECONDS - renewing) * others + highest / self.stack.capacity_used;
            capacity.max(self.stack.least_capacity).ceil()
        };
        let table = kept(writes.all - writes.index, self.of_a_renewal(table));
        [table, kept(writes.index, self.of_a_renewal(index)), self.stack.least_capacity]
    }

    /// The same for reads.
    pub(super) fn read_capacity(&self) -> [f64; 3] {
        let reads = self.reads();
        let factor = self.assumed.get("capacity for reads, times their average");
        [reads.all - reads.index, reads.index, 0.0]
            .map(|units| (units / SECONDS * factor).max(self.stack.least_capacity).ceil())
    }

    /// Calls of WeChat's API, by purpose.
    pub(super) fn calls(&self) -> [(&'static str, f64); 4] {
        let calls = |name: &&str| f64::from(u32::try_from(self.counted.flow(name).calls).unwrap());
        [
            ("renewals of accounts", self.renewals),
            ("pages of the list", RECONCILE_RUNS * self.pages),
            ("component token", SECONDS / component_interval()),
            ("authorizations", self.authorizations * MERCHANT.iter().map(calls).sum::<f64>()),
        ]
    }

    /// Renewals of one account a day.
    pub(super) fn renewals_a_day() -> f64 {
        24.0 * 3600.0 / account_interval()
    }
}
