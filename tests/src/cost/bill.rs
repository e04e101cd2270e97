//! The bill of a month: quantities, and dollars from the unit prices.

use super::markdown::{Figures, parse};
use super::month::{DAYS, HOURS, Month, RUNS};
use super::template::Stack;

pub(super) const MILLION: f64 = 1e6;
pub(super) const GB: f64 = 1e9;

/// The part of the bill that a line belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// The platform itself.
    Platform,
    /// The NAT of a network of its own, in one zone.
    OneZone,
    /// The addition of a second zone.
    SecondZone,
}

/// One line of the bill.
pub(super) struct Line {
    pub(super) name: &'static str,
    /// The quantities, with their units.
    pub(super) quantities: Vec<(&'static str, f64)>,
    pub(super) dollars: f64,
    pub(super) part: Part,
}

pub(super) struct Bill {
    pub(super) lines: Vec<Line>,
}

impl Bill {
    pub(super) fn of(month: &Month<'_>, stack: &Stack, prices: &Figures, assumed: &Figures) -> Self {
        let pricing = Pricing { month, stack, prices, assumed };
        let mut lines = pricing.table();
        lines.extend(pricing.work());
        lines.extend(pricing.fixed());
        lines.extend(pricing.network());
        Self { lines }
    }

    /// The total of all parts up to this one.
    pub(super) fn total(&self, part: Part) -> f64 {
        self.lines.iter().filter(|line| line.part <= part).map(|line| line.dollars).sum()
    }
}

/// A quantity: its name, its amount, and the name of its price. Quantities without a name are charged twice and shown
/// once.
type Quantity<'a> = (&'static str, f64, &'a str);

struct Pricing<'a> {
    month: &'a Month<'a>,
    stack: &'a Stack,
    prices: &'a Figures,
    assumed: &'a Figures,
}

impl Pricing<'_> {
    fn line(&self, part: Part, name: &'static str, quantities: &[Quantity<'_>]) -> Line {
        let dollars = quantities.iter().map(|(_, quantity, price)| quantity * self.prices.get(price)).sum();
        let named = quantities.iter().filter(|quantity| !quantity.0.is_empty());
        Line { name, quantities: named.map(|quantity| (quantity.0, quantity.1)).collect(), dollars, part }
    }

    fn own(&self, name: &'static str, quantities: &[Quantity<'_>]) -> Line {
        self.line(Part::Platform, name, quantities)
    }

    fn table(&self) -> Vec<Line> {
        let (month, assumed) = (self.month, self.assumed);
        let per_item = assumed.get("bytes that DynamoDB adds to an item and to an index entry, each");
        let index_entry = assumed.get("bytes of an index entry");
        let messages_kept = month.messages / DAYS * assumed.get("days that a message stays in the table");
        let message = if month.platform.webhook { "message, with its reply" } else { "message" };
        // The row, the details of the account, and its entries in lists: each of them is in an index as well.
        let of_account = ["account", "details", "details, state", "details, reference"]
            .iter()
            .map(|kind| month.counted.item(kind) + index_entry + 2.0 * per_item);
        let arrivals = month.counted.item("message-arrival") + per_item;
        let stored = (month.platform.accounts * (of_account.sum::<f64>() + arrivals)
            + messages_kept * (month.counted.item(message) + per_item))
            / GB;
        let [writes, reads] = if month.platform.provisioned {
            let hours = |capacity: [f64; 3]| capacity.iter().sum::<f64>() * HOURS;
            [
                self.own(
                    "DynamoDB, writes",
                    &[("unit hours", hours(month.write_capacity()), "DynamoDB write unit hour")],
                ),
                self.own("DynamoDB, reads", &[("unit hours", hours(month.read_capacity()), "DynamoDB read unit hour")]),
            ]
        } else {
            let (writes, reads) = (month.writes().all / MILLION, month.reads().all / MILLION);
            [
                self.own("DynamoDB, writes", &[("million write units", writes, "DynamoDB write units")]),
                self.own("DynamoDB, reads", &[("million read units", reads, "DynamoDB read units")]),
            ]
        };
        let kept = [("GB", stored, "DynamoDB storage"), ("", stored, "DynamoDB point-in-time recovery")];
        vec![writes, reads, self.own("DynamoDB, storage and backup", &kept)]
    }

    fn work(&self) -> Vec<Line> {
        let month = self.month;
        let lambda = [
            ("million invocations", month.invocations() / MILLION, "Lambda requests"),
            ("GB-seconds", month.gb_seconds(), "Lambda duration, arm64"),
        ];
        let events = month.events() / MILLION;
        vec![
            self.own("Lambda", &lambda),
            self.own("API Gateway", &[("million requests", month.requests() / MILLION, "HTTP API requests")]),
            self.own("EventBridge, events", &[("million events", events, "EventBridge custom events")]),
            self.own("EventBridge Scheduler", &[("million invocations", RUNS / MILLION, "Scheduler invocations")]),
        ]
    }

    fn fixed(&self) -> Vec<Line> {
        let (month, stack) = (self.month, self.stack);
        // And DynamoDB its key.
        let reads_of_secret = month.reads_of_secret() / MILLION;
        let logs = month.log_bytes() / GB;
        let webhook_alarms = if month.platform.webhook { stack.webhook_alarm_metrics } else { 0.0 };
        let scaling_alarms = if month.platform.provisioned {
            stack.scaled * self.assumed.get("alarms that the scaling makes for reads or writes")
        } else {
            0.0
        };
        let alarms = stack.alarm_metrics + webhook_alarms + scaling_alarms;
        let secret =
            [("secrets", 1.0, "Secrets Manager, secret"), ("million reads", reads_of_secret, "Secrets Manager calls")];
        vec![
            self.own("Secrets Manager", &secret),
            self.own("KMS, AWS's own key", &[("million calls", reads_of_secret, "KMS calls")]),
            self.own(
                "CloudWatch, logs",
                &[("GB", logs, "CloudWatch Logs, ingestion"), ("", logs, "CloudWatch Logs, storage")],
            ),
            self.own(
                "CloudWatch, metrics",
                &[("metrics", f64::from(month.counted.metrics), "CloudWatch custom metric")],
            ),
            self.own("CloudWatch, alarms", &[("metrics in alarms", alarms, "CloudWatch alarm metric")]),
        ]
    }

    fn network(&self) -> Vec<Line> {
        let calls: f64 = self.month.calls().iter().map(|(_, count)| count).sum();
        let sent = calls * self.assumed.get("bytes sent with a call of WeChat") / GB;
        let received = calls * self.assumed.get("bytes received with a call of WeChat") / GB;
        let [one, both] =
            [0, 1].map(|zone| (self.stack.nat_gateways[zone] * HOURS, self.stack.addresses[zone] * HOURS));
        let gateway = |part, name, hours| self.line(part, name, &[("hours", hours, "NAT gateway hour")]);
        let address = |part, name, hours| self.line(part, name, &[("hours", hours, "Public IPv4 address hour")]);
        vec![
            self.own("Data sent to WeChat", &[("GB", sent, "Data to the internet")]),
            gateway(Part::OneZone, "NAT gateway", one.0),
            address(Part::OneZone, "its address", one.1),
            self.line(Part::OneZone, "its data", &[("GB", sent + received, "NAT gateway data")]),
            gateway(Part::SecondZone, "second NAT gateway", both.0 - one.0),
            address(Part::SecondZone, "its address", both.1 - one.1),
        ]
    }
}

/// The cost of servers at each size. Their table has a price's name and a quantity for each size.
pub(super) fn servers(rows: &[Vec<String>], prices: &Figures) -> [f64; 3] {
    [2, 3, 4].map(|column| rows.iter().map(|row| parse(&row[column]) * prices.get(&row[1])).sum())
}
