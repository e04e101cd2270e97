//! `/console/arrivals`: what has arrived from WeChat and not taken effect, what waits for the business, and the latest
//! pushes.

use std::time::Duration;

use askama::Template;
use axum::response::Response;
use base::clock::Timestamp;
use base::ids::AppId;
use base::language::Language;
use base::phrase::Noun;
use diagnosis::count;
use diagnosis::words::{ARRIVALS, change};
use http::{Method, StatusCode};
use serde_json::json;
use store::{
    ArrivalPlace, Arrivals, EntryPlace, EntryStatus, OutboxEvent, StoreError, WaitingEvent, WaitingMessageStatus,
};

use super::accounts::Choice;
use crate::functions::{Call, Function};
use crate::trouble::Trouble;
use crate::view::{View, with_query};
use crate::visit::{Act, OpenVisit, Visit};
use crate::words::{self, Done, Section};

/// How many pending items of each kind are shown.
const SHOWN: usize = 30;

/// How many of the latest pushes are read at once; all of them are shown if there is no filter.
const PAGE: usize = 30;

/// The most pushes that are read to find those of a type.
const READ: usize = 600;

#[derive(Template)]
#[template(path = "arrivals.html")]
struct Page<'a> {
    v: &'a View,
    filter: &'a Filter,
    types: Vec<Choice>,
    lists: Vec<List>,
    has_webhook: bool,
    /// Whether nothing waits that matches the filter.
    is_empty: bool,
    /// How much waits, for all accounts.
    waiting: String,
    pushes: Vec<Push>,
    next: Option<String>,
}

/// The filter of the page.
struct Filter {
    account: Option<AppId>,
    /// A type of push, or one of the words for something else.
    kind: String,
    /// The last day, in Beijing's time, such as `2026-01-31`.
    day: String,
    /// The end of that day.
    until: Option<Timestamp>,
}

/// The items that wait for one thing.
struct List {
    title: &'static str,
    says: &'static str,
    rows: Vec<Row>,
    has_more: bool,
}

/// A pending item.
struct Row {
    account: Option<AppId>,
    what: String,
    since: Option<Timestamp>,
    tries: Option<String>,
    due_at: Timestamp,
    why: String,
}

/// A push that has arrived.
pub(super) struct Push {
    pub(super) account: Option<AppId>,
    pub(super) at: Option<Timestamp>,
    pub(super) what: String,
    pub(super) outcome: String,
    pub(super) is_waiting: bool,
}

/// The value of `type` for something other than a push.
const MESSAGE: &str = "message";
const EVENT: &str = "event";

impl Filter {
    fn read(visit: &OpenVisit) -> Result<Self, Trouble> {
        let end_of = |day: &str| Timestamp::parse_rfc3339(&format!("{day}T23:59:59+08:00"));
        let until = visit.read("day", end_of)?.map(|end| end.plus(Duration::from_secs(1)));
        let (kind, day) = (visit.parameter("type"), visit.parameter("day"));
        Ok(Self { account: visit.account_in("account")?, kind, day, until })
    }

    /// The same as fields of a query.
    fn fields(&self) -> [(&'static str, &str); 3] {
        let account = self.account.as_ref().map(AppId::as_str).unwrap_or_default();
        [("account", account), ("type", &self.kind), ("day", &self.day)]
    }

    /// Whether the filter includes a kind: `None` stands for pushes of any type.
    fn wants(&self, kind: Option<&str>) -> bool {
        match kind {
            Some(kind) => self.kind.is_empty() || self.kind == kind,
            None => ![MESSAGE, EVENT].contains(&self.kind.as_str()),
        }
    }

    fn fits(&self, row: &Row) -> bool {
        (self.account.is_none() || row.account == self.account)
            && self.until.is_none_or(|until| row.since.is_none_or(|since| since < until))
    }

    fn types(&self, language: Language) -> Vec<Choice> {
        let others = [(MESSAGE, language.pick("粉丝消息", "Message")), (EVENT, language.pick("账号事件", "Event"))];
        let pushes = ARRIVALS.map(|kind| (kind, words::arrival(kind, language)));
        let others = others.map(|(kind, text)| (kind, text.to_owned()));
        let choice =
            |(kind, text): (&str, String)| Choice { is_chosen: self.kind == kind, word: kind.to_owned(), text };
        pushes.into_iter().chain(others).map(choice).collect()
    }
}

/// `GET /console/arrivals`.
pub(crate) async fn show(visit: Visit) -> Response {
    visit.answer("listing what waits", shown).await
}

async fn shown(visit: OpenVisit) -> Result<Response, Trouble> {
    let v = visit.section(Section::Arrivals);
    let filter = Filter::read(&visit)?;
    let (counts, lists, (pushes, next)) = tokio::try_join!(
        async { Ok(visit.open.items.arrivals.count_first().await?) },
        waiting(&visit, &filter, v.language),
        latest(&visit, &filter, v.language),
    )?;
    let next = next.map(|place| {
        with_query(Section::Arrivals.path(), filter.fields().into_iter().chain([("after", place.as_str())]))
    });
    let page = Page {
        types: filter.types(v.language),
        has_webhook: visit.console.config().has_event_webhook,
        // After those that are due first there may be others that match.
        is_empty: lists.iter().all(|list| list.rows.is_empty() && !list.has_more),
        lists,
        filter: &filter,
        waiting: count(THINGS, [counts.inbox, counts.messages, counts.events].into_iter().sum(), v.language),
        pushes,
        next,
        v: &v,
    };
    Ok(v.page(StatusCode::OK, &page)?)
}

const THINGS: Noun = Noun::new("项", "item");

/// The pending items that match the filter.
async fn waiting(visit: &OpenVisit, filter: &Filter, l: Language) -> Result<Vec<List>, Trouble> {
    let (arrivals, account) = (&visit.open.items.arrivals, filter.account.as_ref());
    let (entries, messages, events) = if let Some(account) = account {
        tokio::try_join!(
            arrivals.waiting_of(account, SHOWN),
            arrivals.messages_of(account, SHOWN),
            arrivals.events_of(account, SHOWN),
        )
    } else {
        tokio::try_join!(arrivals.waiting(SHOWN), arrivals.messages(SHOWN), arrivals.events(SHOWN))
    }?;
    let mut lists = Vec::new();
    if filter.wants(None) {
        let asked_for = entries.items.iter().filter(|entry| filter.wants(Some(&entry.info_type)));
        lists.push(List {
            title: l.pick("等待生效的授权推送", "Pushes that have not taken effect"),
            says: l.pick("已收到微信的推送，尚未生效。", "WeChat has sent them, and they are still being processed."),
            rows: asked_for.filter_map(|entry| Row::of_entry(entry, l)).collect(),
            has_more: entries.has_more,
        });
    }
    if filter.wants(Some(MESSAGE)) {
        lists.push(List {
            title: l.pick("等待投递的粉丝消息", "Messages of followers"),
            says: l.pick("等待投递到事件总线。", "Waiting for the event bus."),
            rows: messages.items.into_iter().map(|message| Row::of_message(message, l)).collect(),
            has_more: messages.has_more,
        });
    }
    if filter.wants(Some(EVENT)) {
        lists.push(List {
            title: l.pick("等待投递的账号事件", "Events of accounts"),
            says: l.pick("等待投递到事件总线或您的 Webhook。", "Waiting for the event bus or for your webhook."),
            rows: events.items.into_iter().map(|event| Row::of_event(event, l)).collect(),
            has_more: events.has_more,
        });
    }
    for list in &mut lists {
        list.rows.retain(|row| filter.fits(row));
    }
    Ok(lists)
}

/// The latest pushes, finished or not, and the position of more of them.
async fn latest(
    visit: &OpenVisit,
    filter: &Filter,
    language: Language,
) -> Result<(Vec<Push>, Option<String>), Trouble> {
    if !filter.wants(None) {
        return Ok((Vec::new(), None));
    }
    let arrivals = &visit.open.items.arrivals;
    let mut place = match &filter.account {
        Some(account) => {
            let after = visit.read("after", EntryPlace::parse)?;
            Place::OfAccount(account, after.or(filter.until.map(EntryPlace::before)))
        }
        None => Place::OfAll(visit.read("after", ArrivalPlace::parse)?.or(filter.until.map(ArrivalPlace::before))),
    };
    let (mut pushes, mut read) = (Vec::new(), 0);
    loop {
        let (page, next) = place.page(arrivals).await?;
        read += PAGE;
        let asked_for = page.iter().filter(|entry| filter.wants(Some(&entry.info_type)));
        pushes.extend(asked_for.map(|entry| Push::of(entry, language)));
        match next {
            Some(next) if pushes.len() < PAGE && read < READ => place = next,
            next => return Ok((pushes, next.and_then(Place::text))),
        }
    }
}

/// The order in which pushes are read: those of one account by WeChat's times, all of them by their arrival.
enum Place<'a> {
    OfAccount(&'a AppId, Option<EntryPlace>),
    OfAll(Option<ArrivalPlace>),
}

impl<'a> Place<'a> {
    /// A page from this position on, and the next position if there is more.
    async fn page(&self, arrivals: &Arrivals) -> Result<(Vec<EntryStatus>, Option<Place<'a>>), StoreError> {
        match self {
            Self::OfAccount(account, after) => {
                let (page, has_more) = arrivals.of_account(account, PAGE, after.as_ref()).await?;
                let last = page.last().filter(|_| has_more).map(|entry| entry.place.clone());
                Ok((page, last.map(|last| Self::OfAccount(account, Some(last)))))
            }
            Self::OfAll(after) => {
                let (page, last) = arrivals.newest(PAGE, after.as_ref()).await?;
                Ok((page, last.map(|last| Self::OfAll(Some(last)))))
            }
        }
    }

    fn text(self) -> Option<String> {
        match self {
            Self::OfAccount(_, place) => place.map(|place| place.as_str().to_owned()),
            Self::OfAll(place) => place.map(|place| place.as_str().to_owned()),
        }
    }
}

impl Push {
    pub(super) fn of(entry: &EntryStatus, language: Language) -> Self {
        Self {
            account: entry.account.clone(),
            at: entry.received_at,
            what: words::arrival(&entry.info_type, language),
            outcome: words::arrival_outcome(entry, language),
            is_waiting: entry.due_at.is_some(),
        }
    }
}

/// The number of failed tries, if there were any.
fn tries(number: u32, language: Language) -> Option<String> {
    (number > 0).then(|| match language {
        Language::Chinese => format!("已尝试 {number} 次"),
        Language::English => format!("tried {}", TIMES.count(number.into(), language)),
    })
}

const TIMES: Noun = Noun::new("次", "time");

impl Row {
    fn of_entry(entry: &EntryStatus, language: Language) -> Option<Self> {
        Some(Self {
            account: entry.account.clone(),
            what: words::arrival(&entry.info_type, language),
            since: entry.received_at,
            tries: tries(entry.tries, language),
            due_at: entry.due_at?,
            why: words::arrival_outcome(entry, language),
        })
    }

    fn of_message(message: WaitingMessageStatus, language: Language) -> Self {
        let why = if message.is_confirmed {
            language.pick("事件总线尚未接收。", "The event bus has not accepted it yet.")
        } else {
            language.pick(
                "尚未确认该消息属于哪个账号，读取账号资料后会自动继续。",
                "It is not known yet whether it is addressed to this account. That is settled when its profile is read.",
            )
        };
        Self {
            account: Some(message.account),
            what: language.pick("消息", "Message").to_owned(),
            since: message.kept_at,
            tries: None,
            due_at: message.due_at,
            why: why.to_owned(),
        }
    }

    fn of_event(waiting: WaitingEvent, language: Language) -> Self {
        let event = waiting.event;
        let (account, what) = match &event.event {
            Some(OutboxEvent::OfAccount(account, event)) => (Some(account.clone()), change(&event.change, language)),
            Some(_) => (None, language.pick("API 密钥的变化", "Change of an API key").to_owned()),
            None => (None, language.pick("其他版本的事件", "Event of another version").to_owned()),
        };
        let why = match (event.bus.is_done(), event.webhook_tries) {
            (true, 0) => language.pick("尚未发送到 Webhook。", "Not sent to the webhook yet."),
            (true, _) => language.pick("Webhook 未接收。", "The webhook has not accepted it."),
            (false, _) => language.pick("事件总线尚未接收。", "The event bus has not accepted it yet."),
        };
        Self {
            account,
            what,
            since: event.event.as_ref().map(OutboxEvent::at),
            tries: tries(event.webhook_tries, language),
            due_at: event.due_at,
            why: why.to_owned(),
        }
    }
}

/// `POST /console/arrivals/retry`.
pub(crate) async fn retry(visit: Visit) -> Response {
    visit.answer("trying again what waits", tried_again).await
}

async fn tried_again(visit: OpenVisit) -> Result<Response, Trouble> {
    let account = match visit.form.text("account") {
        "" => None,
        text => Some(AppId::parse(text).map_err(|_| Trouble::Address)?),
    };
    let call = Call::to(Function::AccountApi, Method::POST, "/retries", None);
    let call = account.iter().fold(call, |call, account| call.with(json!({ "appid": account })));
    let act = match &account {
        Some(account) => Act::on(account, "arrivals.retry"),
        None => Act::named("arrivals.retry", None),
    };
    visit.act(&act, call).await?;
    let fields = account.as_ref().map(|account| ("account", account.as_str()));
    let path = with_query(Section::Arrivals.path(), fields);
    Ok(visit.frame().see(&path, Some(Done::RetryAsked)))
}
