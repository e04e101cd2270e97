//! A month of a platform: quantities from the counts and the assumptions, dollars from the unit prices.

use platform::schedule::{AUTHORIZER_MARGIN, JITTER};
use token_refresher::Settings;
use wechat::api::LIST_PAGE;

use super::count::{ACCOUNTS, Counted, flow};
use super::markdown::{Figures, dollars, parse, quantity};
use super::template::Stack;

/// Hours of an average month, as AWS reckons.
const HOURS: f64 = 730.0;

const SECONDS: f64 = HOURS * 3600.0;
const DAYS: f64 = HOURS / 24.0;

/// Tickets, renew runs and reconcile runs a month: every 10 minutes, every 5 minutes, every hour.
const TICKETS: f64 = HOURS * 6.0;
const RENEW_RUNS: f64 = HOURS * 12.0;
const RECONCILE_RUNS: f64 = HOURS;

const MILLION: f64 = 1e6;
const GB: f64 = 1e9;

/// The tables of the page that are written by hand.
pub(super) struct Known {
    pub(super) prices: Figures,
    pub(super) assumed: Figures,
}

/// One line of the bill.
struct Line {
    name: &'static str,
    /// What is counted, in what.
    quantities: Vec<(&'static str, f64)>,
    dollars: f64,
    /// Only where the stack makes its own VPC.
    nat: bool,
}

pub(super) struct Month {
    accounts: u32,
    lines: Vec<Line>,
    renewals_a_day: f64,
    renew_seconds: f64,
    /// Calls of WeChat's API, by what they are for.
    calls: [(&'static str, f64); 4],
}

/// What the functions do in a month.
struct Work {
    accounts: f64,
    renewals: f64,
    /// Pages of WeChat's list, the last one rounded up.
    pages: f64,
    authorizations: f64,
    messages: f64,
}

/// Adds up a figure of the flows, each as often as it happens.
fn total(counted: &Counted, work: &Work, figure: impl Fn(&super::count::Flow) -> f64) -> f64 {
    let of = |name| figure(counted.flow(name));
    // What work adds to a run that has none.
    let added = |loaded, idle| of(loaded) - of(idle);
    let component = SECONDS / component_interval();
    let merchant = [flow::LINK, flow::PAGE, flow::BUTTON, flow::RETURN, flow::GRANT, flow::LOOK, flow::REVOKED]
        .map(of)
        .iter()
        .sum::<f64>();
    TICKETS * of(flow::TICKET)
        + RENEW_RUNS * of(flow::RENEW)
        + component * added(flow::RENEW_COMPONENT, flow::RENEW)
        + work.renewals / f64::from(ACCOUNTS) * added(flow::RENEW_ACCOUNTS, flow::RENEW)
        + RECONCILE_RUNS * of(flow::RECONCILE)
        + RECONCILE_RUNS * work.accounts / f64::from(ACCOUNTS) * added(flow::RECONCILE_ACCOUNTS, flow::RECONCILE)
        + work.authorizations * merchant
        + work.messages * of(flow::MESSAGE)
}

/// Seconds between two renewals of the component token, of an account: the life of a token less the margin, and half
/// the wait for the next run.
fn component_interval() -> f64 {
    TOKEN_LIFE - platform::schedule::COMPONENT_MARGIN.as_secs_f64() + HALF_A_TICK
}

fn account_interval() -> f64 {
    TOKEN_LIFE - AUTHORIZER_MARGIN.as_secs_f64() - JITTER.as_secs_f64() / 2.0 + HALF_A_TICK
}

/// WeChat's tokens live for two hours.
const TOKEN_LIFE: f64 = 7200.0;
const HALF_A_TICK: f64 = 150.0;

impl Month {
    /// A month in which each account gets so many messages and events.
    pub(super) fn of(accounts: u32, messages: f64, counted: &Counted, stack: &Stack, known: &Known) -> Self {
        let Known { prices, assumed } = known;
        let number = f64::from(accounts);
        let work = Work {
            accounts: number,
            renewals: number * SECONDS / account_interval(),
            pages: (number / f64::from(LIST_PAGE)).ceil(),
            authorizations: number * assumed.get("authorizations a month for each account"),
            messages: number * messages,
        };
        let sum = |figure: fn(&super::count::Flow) -> f64| total(counted, &work, figure);
        let http = sum(|flow| f64::from(flow.http));
        let invocations = sum(|flow| f64::from(flow.invocations));
        let authorizing = work.authorizations
            * [flow::BUTTON, flow::RETURN, flow::GRANT].iter().map(|name| calls(counted, name)).sum::<f64>();
        let calls = [
            ("renewals of accounts", work.renewals),
            ("pages of the list", RECONCILE_RUNS * work.pages),
            ("component token", SECONDS / component_interval()),
            ("authorizations", authorizing),
        ];
        let all_calls: f64 = calls.iter().map(|(_, count)| count).sum();

        let renewals_a_run = work.renewals / RENEW_RUNS;
        let renew_seconds =
            assumed.get("a renew run without renewals, s") + renewals_a_run / f64::from(Settings::default().per_second);
        let refresher_seconds = RENEW_RUNS * renew_seconds
            + RECONCILE_RUNS
                * (assumed.get("a reconcile run without accounts, s")
                    + work.pages * assumed.get("a page of the list, s"));
        let seconds = http * assumed.get("a request through API Gateway, s")
            + (invocations - http - RENEW_RUNS - RECONCILE_RUNS) * assumed.get("a run for the stream, s")
            + refresher_seconds;

        let lines = Bill { stack, prices, assumed, work: &work, invocations, http, all_calls }.lines(
            counted,
            sum(|flow| flow.used.writes),
            sum(|flow| flow.used.reads),
            sum(|flow| f64::from(flow.events)),
            seconds * stack.memory,
        );
        let renewals_a_day = 24.0 * 3600.0 / account_interval();
        Self { accounts, lines, renewals_a_day, renew_seconds, calls }
    }

    fn total(&self, with_nat: bool) -> f64 {
        self.lines.iter().filter(|line| with_nat || !line.nat).map(|line| line.dollars).sum()
    }
}

/// How often a flow calls WeChat.
fn calls(counted: &Counted, name: &str) -> f64 {
    f64::from(u32::try_from(counted.flow(name).calls).unwrap())
}

struct Bill<'a> {
    stack: &'a Stack,
    prices: &'a Figures,
    assumed: &'a Figures,
    work: &'a Work,
    invocations: f64,
    http: f64,
    all_calls: f64,
}

impl Bill<'_> {
    fn lines(&self, counted: &Counted, writes: f64, reads: f64, events: f64, gb_seconds: f64) -> Vec<Line> {
        let (stack, work) = (self.stack, self.work);
        let per_item = self.assumed.get("bytes that DynamoDB adds to an item and to an index entry, each");
        let index_entry = self.assumed.get("bytes of an index entry");
        let messages_kept = work.messages / DAYS * self.assumed.get("days that a message stays in the table");
        let stored = (work.accounts * (counted.item("account") + index_entry + 2.0 * per_item)
            + messages_kept * (counted.item("message") + per_item))
            / GB;
        let logs = ((self.invocations - work.messages) * self.assumed.get("bytes of log for an invocation")
            + work.messages * self.assumed.get("bytes of log for a message")
            + self.http * self.assumed.get("bytes of access log for a request"))
            / GB;
        let sent = self.all_calls * self.assumed.get("bytes sent with a call of WeChat") / GB;
        let received = self.all_calls * self.assumed.get("bytes received with a call of WeChat") / GB;
        // Each function reads the secret, and DynamoDB its key, at most once in 5 minutes and sandbox.
        let reads_of_secret = HOURS * 12.0 * f64::from(stack.functions);
        let metrics = f64::from(counted.metrics);
        let nat_hours = f64::from(stack.nat_gateways) * HOURS;
        let address_hours = f64::from(stack.addresses) * HOURS;
        let runs = RENEW_RUNS + RECONCILE_RUNS;
        vec![
            self.line("DynamoDB, writes", &[("million write units", writes / MILLION, "DynamoDB write units")]),
            self.line("DynamoDB, reads", &[("million read units", reads / MILLION, "DynamoDB read units")]),
            self.line(
                "DynamoDB, storage and backup",
                &[("GB", stored, "DynamoDB storage"), ("", stored, "DynamoDB point-in-time recovery")],
            ),
            self.line(
                "Lambda",
                &[
                    ("million invocations", self.invocations / MILLION, "Lambda requests"),
                    ("GB-seconds", gb_seconds, "Lambda duration, arm64"),
                ],
            ),
            self.line("API Gateway", &[("million requests", self.http / MILLION, "HTTP API requests")]),
            self.line("EventBridge, events", &[("million events", events / MILLION, "EventBridge custom events")]),
            self.line("EventBridge Scheduler", &[("million invocations", runs / MILLION, "Scheduler invocations")]),
            self.line(
                "Secrets Manager",
                &[
                    ("secrets", 1.0, "Secrets Manager, secret"),
                    ("million reads", reads_of_secret / MILLION, "Secrets Manager calls"),
                ],
            ),
            self.line("KMS, AWS's own key", &[("million calls", reads_of_secret / MILLION, "KMS calls")]),
            self.line(
                "CloudWatch, logs",
                &[("GB", logs, "CloudWatch Logs, ingestion"), ("", logs, "CloudWatch Logs, storage")],
            ),
            self.line("CloudWatch, metrics", &[("metrics", metrics, "CloudWatch custom metric")]),
            self.line(
                "CloudWatch, alarms and dashboard",
                &[
                    ("metrics in alarms", f64::from(stack.alarm_metrics), "CloudWatch alarm metric"),
                    ("dashboards", f64::from(stack.dashboards), "CloudWatch dashboard"),
                ],
            ),
            self.line("Data sent to WeChat", &[("GB", sent, "Data to the internet")]),
            self.nat("NAT, gateways", &[("hours", nat_hours, "NAT gateway hour")]),
            self.nat("NAT, addresses", &[("hours", address_hours, "Public IPv4 address hour")]),
            self.nat("NAT, data", &[("GB", sent + received, "NAT gateway data")]),
        ]
    }

    fn line(&self, name: &'static str, parts: &[(&'static str, f64, &str)]) -> Line {
        let dollars = parts.iter().map(|(_, quantity, price)| quantity * self.prices.get(price)).sum();
        let quantities = parts.iter().filter(|part| !part.0.is_empty()).map(|part| (part.0, part.1)).collect();
        Line { name, quantities, dollars, nat: false }
    }

    fn nat(&self, name: &'static str, parts: &[(&'static str, f64, &str)]) -> Line {
        Line { nat: true, ..self.line(name, parts) }
    }
}

/// What the server costs at each size. Its table has a price's name and a quantity for each size.
pub(super) fn servers(rows: &[Vec<String>], prices: &Figures) -> [f64; 3] {
    [2, 3, 4].map(|column| rows.iter().map(|row| parse(&row[column]) * prices.get(&row[1])).sum())
}

/// The totals, with what messages have in them: the difference to a month that is `silent`.
pub(super) fn answer(months: &[Month; 3], silent: &[Month; 3], servers: [f64; 3]) -> Vec<Vec<String>> {
    let row = |((month, silent), server): ((&Month, &Month), f64)| {
        let (without, with) = (month.total(false), month.total(true));
        let messages = without - silent.total(false);
        vec![quantity(f64::from(month.accounts)), dollars(without), dollars(with), dollars(messages), dollars(server)]
    };
    months.iter().zip(silent).zip(servers).map(row).collect()
}

/// One row for each thing that a function of a month yields, with a column for each size.
fn by_size(months: &[Month; 3], name: &str, cell: impl Fn(&Month) -> String) -> Vec<String> {
    std::iter::once(name.to_owned()).chain(months.iter().map(cell)).collect()
}

pub(super) fn lines(months: &[Month; 3]) -> Vec<Vec<String>> {
    let line = |place: usize| by_size(months, months[0].lines[place].name, |month| dollars(month.lines[place].dollars));
    let all = months[0].lines.len();
    let first_nat = months[0].lines.iter().position(|line| line.nat).unwrap_or(all);
    let mut rows: Vec<_> = (0..first_nat).map(line).collect();
    rows.push(by_size(months, "**without NAT**", |month| format!("**{}**", dollars(month.total(false)))));
    rows.extend((first_nat..all).map(line));
    rows.push(by_size(months, "**with NAT**", |month| format!("**{}**", dollars(month.total(true)))));
    rows
}

pub(super) fn quantities(months: &[Month; 3]) -> Vec<Vec<String>> {
    let parts = months[0]
        .lines
        .iter()
        .enumerate()
        .flat_map(|(line, of)| (0..of.quantities.len()).map(move |part| (line, part)));
    let row = |(line, part): (usize, usize)| {
        let of = &months[0].lines[line];
        let name = format!("{}: {}", of.name, of.quantities[part].0);
        by_size(months, &name, |month| quantity(month.lines[line].quantities[part].1))
    };
    parts.map(row).collect()
}

pub(super) fn wechat(months: &[Month; 3]) -> Vec<Vec<String>> {
    let mut rows = vec![
        by_size(months, "renewals of one account a day", |month| format!("{:.1}", month.renewals_a_day)),
        by_size(months, "seconds of an average renew run", |month| format!("{:.1}", month.renew_seconds)),
    ];
    for place in 0..months[0].calls.len() {
        let name = format!("calls a day: {}", months[0].calls[place].0);
        rows.push(by_size(months, &name, |month| quantity((month.calls[place].1 / DAYS).ceil())));
    }
    rows
}
