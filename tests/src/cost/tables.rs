//! The generated tables.

use super::bill::{Bill, GB, MILLION, Part};
use super::count::Flow;
use super::markdown::{Figures, dollars, quantity};
use super::month::{DAYS, HOURS, Month, Platform};
use super::template::Stack;
use super::{Known, SIZES};

/// The step of the sizes that are tried for where provisioned capacity pays, up to what one renew run can handle.
const STEP: u32 = 10_000;
const MOST: u32 = 1_500_000;

/// Months of platforms that differ in size or choices.
pub(super) struct Tables<'a> {
    pub(super) counted: &'a super::count::Counted,
    pub(super) stack: &'a Stack,
    pub(super) known: &'a Known,
}

/// A platform of this size with default choices.
fn usual(known: &Known, accounts: u32) -> Platform {
    let messages = known.assumed.get("messages and events a month for each account");
    Platform { accounts: f64::from(accounts), messages, webhook: false, provisioned: false }
}

impl Tables<'_> {
    fn month(&self, platform: Platform) -> Month<'_> {
        Month::of(platform, self.counted, self.stack, &self.known.assumed)
    }

    fn bill(&self, platform: Platform) -> Bill {
        Bill::of(&self.month(platform), self.stack, &self.known.prices, &self.known.assumed)
    }

    /// The cost of the platform without NAT.
    fn total(&self, platform: Platform) -> f64 {
        self.bill(platform).total(Part::Platform)
    }

    fn at_each_size(&self, name: &str, cell: impl Fn(Platform) -> String) -> Vec<String> {
        let cells = SIZES.map(|accounts| cell(usual(self.known, accounts)));
        std::iter::once(name.to_owned()).chain(cells).collect()
    }

    /// The totals, and the share of messages in them: the difference to a month without messages.
    pub(super) fn answer(&self, servers: [f64; 3]) -> Vec<Vec<String>> {
        let row = |(accounts, server): (u32, f64)| {
            let platform = usual(self.known, accounts);
            let bill = self.bill(platform);
            let [none, one, two] = [Part::Platform, Part::OneZone, Part::SecondZone].map(|part| bill.total(part));
            let messages = none - self.bill(Platform { messages: 0.0, ..platform }).total(Part::Platform);
            let figures = [none, none + self.nat_instance(), one, two, messages, server];
            std::iter::once(quantity(f64::from(accounts))).chain(figures.map(dollars)).collect()
        };
        SIZES.into_iter().zip(servers).map(row).collect()
    }

    /// The additional cost of a choice, at each size.
    pub(super) fn choices(&self) -> Vec<Vec<String>> {
        let total = |platform| self.total(platform);
        let added = |platform: Platform, changed: Platform| {
            let added = total(changed) - total(platform);
            if added < 0.0 { format!("−{}", dollars(-added)) } else { dollars(added) }
        };
        let page = dollars(self.known.prices.get("CloudWatch dashboard"));
        vec![
            self.at_each_size("a reply webhook, asked about every message", |platform| {
                added(platform, Platform { webhook: true, ..platform })
            }),
            self.at_each_size("`TableCapacity=provisioned`", |platform| {
                added(platform, Platform { provisioned: true, ..platform })
            }),
            self.at_each_size("`Dashboard=true`", |_| page.clone()),
        ]
    }

    pub(super) fn lines(&self) -> Vec<Vec<String>> {
        let names: Vec<(&str, Part)> =
            self.bill(usual(self.known, SIZES[0])).lines.iter().map(|line| (line.name, line.part)).collect();
        let of = |place: usize| {
            self.at_each_size(names[place].0, move |platform| dollars(self.bill(platform).lines[place].dollars))
        };
        let mut rows = Vec::new();
        for (part, sum) in [
            (Part::Platform, "**without NAT**"),
            (Part::OneZone, "**with one NAT gateway**"),
            (Part::SecondZone, "**with two**"),
        ] {
            rows.extend((0..names.len()).filter(|place| names[*place].1 == part).map(of));
            rows.push(self.at_each_size(sum, |platform| format!("**{}**", dollars(self.bill(platform).total(part)))));
        }
        rows
    }

    pub(super) fn quantities(&self) -> Vec<Vec<String>> {
        let bill = self.bill(usual(self.known, SIZES[0]));
        let parts = bill.lines.iter().enumerate();
        let parts = parts.flat_map(|(line, of)| (0..of.quantities.len()).map(move |part| (line, part)));
        let row = |(line, part): (usize, usize)| {
            let name = format!("{}: {}", bill.lines[line].name, bill.lines[line].quantities[part].0);
            self.at_each_size(&name, |platform| quantity(self.bill(platform).lines[line].quantities[part].1))
        };
        parts.map(row).collect()
    }

    /// The cost of a million logins of visitors. Their number depends on the businesses' pages: they are in no total.
    pub(super) fn logins(&self) -> Vec<Vec<String>> {
        let Known { prices, assumed } = self.known;
        let of_a_login = |figure: fn(&Flow) -> f64| Month::of_a_login(figure, self.counted);
        let requests = of_a_login(|flow| f64::from(flow.http));
        let gb_seconds = assumed.get("a login of a visitor, s") * self.stack.memory("WebLogin");
        let bytes = of_a_login(Flow::log) + requests * self.stack.access_log;
        let parts = [
            requests * prices.get("HTTP API requests"),
            of_a_login(|flow| f64::from(flow.invocations)) * prices.get("Lambda requests")
                + gb_seconds * MILLION * prices.get("Lambda duration, arm64"),
            of_a_login(|flow| flow.used.writes) * prices.get("DynamoDB write units")
                + of_a_login(|flow| flow.used.reads) * prices.get("DynamoDB read units"),
            bytes * MILLION / GB * (prices.get("CloudWatch Logs, ingestion") + prices.get("CloudWatch Logs, storage")),
        ];
        let name = "logins with name and picture, WeChat responding in 0.15 s".to_owned();
        vec![std::iter::once(name).chain(parts.into_iter().chain([parts.iter().sum()]).map(dollars)).collect()]
    }

    /// On-demand and provisioned capacity, compared.
    pub(super) fn capacity(&self) -> Vec<Vec<String>> {
        let provisioned = |platform| Platform { provisioned: true, ..platform };
        let table =
            |platform: Platform| -> f64 { self.bill(platform).lines[..2].iter().map(|line| line.dollars).sum() };
        let row = |name, capacity: fn(&Month<'_>) -> f64| {
            self.at_each_size(name, move |platform| quantity(capacity(&self.month(platform))))
        };
        vec![
            row("writes a second, of the table, on average", |month| {
                let writes = month.writes();
                (writes.all - writes.index) / super::month::SECONDS
            }),
            row("write units kept for the table", |month| month.write_capacity()[0]),
            row("writes a second, of the indexes, on average", |month| month.writes().index / super::month::SECONDS),
            row("write units kept for `due`", |month| month.write_capacity()[1]),
            row("write units kept for `list`", |month| month.write_capacity()[2]),
            row("reads a second, of all, on average", |month| month.reads().all / super::month::SECONDS),
            row("read units kept for the table", |month| month.read_capacity()[0]),
            row("read units kept for `due`", |month| month.read_capacity()[1]),
            row("read units kept for `list`", |month| month.read_capacity()[2]),
            self.at_each_size("reads and writes, on demand", |platform| dollars(table(platform))),
            self.at_each_size("reads and writes, provisioned", |platform| dollars(table(provisioned(platform)))),
        ]
    }

    /// The number of accounts at which provisioned capacity becomes cheaper, with the usual messages and without any.
    pub(super) fn pays(&self) -> Vec<Vec<String>> {
        let messages = usual(self.known, STEP).messages;
        [messages, 0.0].map(|messages| vec![quantity(messages), quantity(self.pays_from(messages))]).to_vec()
    }

    /// The step after the last one at which provisioned capacity costs more.
    fn pays_from(&self, messages: f64) -> f64 {
        let costs_more = |accounts: &u32| {
            let platform = Platform { messages, ..usual(self.known, *accounts) };
            self.total(Platform { provisioned: true, ..platform }) > self.total(platform)
        };
        let steps = (1..MOST / STEP).map(|step| step * STEP);
        let last = steps.rev().find(costs_more).unwrap_or(0);
        assert!(last + STEP < MOST, "it pays at none of these sizes");
        f64::from(last + STEP)
    }

    pub(super) fn wechat(&self) -> Vec<Vec<String>> {
        let calls = (0..self.month(usual(self.known, SIZES[0])).calls().len()).map(|place| {
            let name = format!("calls a day: {}", self.month(usual(self.known, SIZES[0])).calls()[place].0);
            self.at_each_size(&name, |platform| quantity((self.month(platform).calls()[place].1 / DAYS).ceil()))
        });
        [
            self.at_each_size("renewals of one account a day", |_| format!("{:.1}", Month::renewals_a_day())),
            self.at_each_size("seconds of an average renew run", |platform| {
                format!("{:.1}", self.month(platform).renew_seconds())
            }),
        ]
        .into_iter()
        .chain(calls)
        .collect()
    }

    /// A forwarding machine, with its disk and its address.
    fn nat_instance(&self) -> f64 {
        nat_instance(&self.known.prices)
    }
}

/// The column of prices of the ways to a fixed address, without data: two NAT gateways, one, an existing VPC, a NAT
/// instance, a proxy.
pub(super) fn ways(stack: &Stack, prices: &Figures) -> Vec<String> {
    let zones = [1, 0].map(|zone| {
        HOURS
            * (stack.nat_gateways[zone] * prices.get("NAT gateway hour")
                + stack.addresses[zone] * prices.get("Public IPv4 address hour"))
    });
    let [two, one] = zones.map(dollars);
    vec![two, one, "its data".to_owned(), dollars(nat_instance(prices)), "nothing".to_owned()]
}

/// The disk of fck-nat's images, in GB.
const NAT_INSTANCE_DISK: f64 = 8.0;

fn nat_instance(prices: &Figures) -> f64 {
    HOURS * (prices.get("t4g.nano") + prices.get("Public IPv4 address hour"))
        + NAT_INSTANCE_DISK * prices.get("gp3 storage")
}
