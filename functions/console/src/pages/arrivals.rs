//! `/console/arrivals`: what has come from WeChat and has not taken effect, and what waits for the business.

use askama::Template;
use axum::response::Response;
use base::clock::Timestamp;
use base::ids::AppId;
use base::language::Language;
use diagnosis::words::change;
use http::{Method, StatusCode};
use serde_json::json;
use store::{Arrivals, EntryStatus, FirstOf, OutboxEvent, StoreError, WaitingEvent, WaitingMessageStatus};

use crate::functions::{Call, Function};
use crate::trouble::Trouble;
use crate::view::View;
use crate::visit::{Act, OpenVisit, Visit};
use crate::words::{self, Done};

/// Of each kind so many are shown.
const SHOWN: usize = 50;

#[derive(Template)]
#[template(path = "arrivals.html")]
struct Page<'a> {
    v: &'a View,
    /// The one account that is looked at.
    account: Option<AppId>,
    lists: [List; 3],
    has_webhook: bool,
    is_empty: bool,
    count: u64,
}

/// What waits for one thing.
struct List {
    title: &'static str,
    says: &'static str,
    rows: Vec<Row>,
    has_more: bool,
}

/// Something that waits.
struct Row {
    account: Option<AppId>,
    what: String,
    since: Option<Timestamp>,
    tried: u32,
    due_at: Timestamp,
    why: String,
}

/// `GET /console/arrivals`.
pub(crate) async fn show(visit: Visit) -> Response {
    visit.answer("listing what waits", shown).await
}

async fn shown(visit: OpenVisit) -> Result<Response, Trouble> {
    let v = visit.titled("推送与投递", "Pushes and deliveries");
    let account = visit.account_in("account")?;
    let arrivals = &visit.open.items.arrivals;
    let (counts, entries, messages, events) = tokio::try_join!(
        arrivals.counts(),
        entries(arrivals, account.as_ref()),
        arrivals.messages(SHOWN),
        arrivals.events(SHOWN),
    )?;
    let l = v.language;
    let is_asked_for = |row: &Row| account.is_none() || row.account == account;
    let list = |title, says, rows: Vec<Row>, has_more| List {
        title,
        says,
        rows: rows.into_iter().filter(is_asked_for).collect(),
        has_more,
    };
    let lists = [
        list(
            l.pick("收到的授权推送", "Authorization pushes"),
            l.pick("已收到微信的推送，尚未生效。", "WeChat has pushed it, and it has not taken effect yet."),
            entries.items.into_iter().filter_map(|entry| Row::of_entry(&entry, l)).collect(),
            entries.has_more,
        ),
        list(
            l.pick("粉丝消息", "Messages of followers"),
            l.pick("等待投递到事件总线。", "They wait for the event bus."),
            messages.items.into_iter().map(|message| Row::of_message(message, l)).collect(),
            messages.has_more,
        ),
        list(
            l.pick("账号事件", "Events of accounts"),
            l.pick("等待投递到事件总线或您的 Webhook。", "They wait for the event bus, or for your webhook."),
            events.items.into_iter().map(|event| Row::of_event(event, l)).collect(),
            events.has_more,
        ),
    ];
    let page = Page {
        has_webhook: visit.console.config().event_webhook.is_some(),
        // Behind those that are due first there may be some of this account.
        is_empty: lists.iter().all(|list| list.rows.is_empty() && !list.has_more),
        lists,
        account,
        count: counts.inbox + counts.messages + counts.events,
        v: &v,
    };
    Ok(v.page(StatusCode::OK, &page)?)
}

/// Entries of the inbox that wait: of an account all of the newest, of all accounts those that are due first.
async fn entries(arrivals: &Arrivals, account: Option<&AppId>) -> Result<FirstOf<EntryStatus>, StoreError> {
    let Some(account) = account else { return arrivals.waiting(SHOWN).await };
    let (mut items, has_more) = arrivals.of_account(account, SHOWN, None).await?;
    items.retain(|entry| entry.due_at.is_some());
    Ok(FirstOf { items, has_more })
}

impl Row {
    fn of_entry(entry: &EntryStatus, language: Language) -> Option<Self> {
        Some(Self {
            account: entry.account.clone(),
            what: words::arrival(&entry.info_type, language),
            since: entry.received_at,
            tried: entry.tries,
            due_at: entry.due_at?,
            why: words::arrival_outcome(entry, language),
        })
    }

    fn of_message(message: WaitingMessageStatus, language: Language) -> Self {
        let why = if message.is_confirmed {
            language.pick("事件总线未接收。", "The event bus has not taken it.")
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
            tried: 0,
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
        let why = if event.bus.is_done() {
            language.pick("Webhook 未接收。", "The webhook has not taken it.")
        } else {
            language.pick("事件总线未接收。", "The event bus has not taken it.")
        };
        Self {
            account,
            what,
            since: event.event.as_ref().map(OutboxEvent::at),
            tried: event.webhook_tries,
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
    let path = account
        .map_or_else(|| "/console/arrivals".to_owned(), |account| format!("/console/arrivals?account={account}"));
    Ok(visit.frame().see(&path, Some(Done::RetryAsked)))
}
