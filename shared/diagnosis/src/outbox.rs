//! Events of accounts and API keys that have not been delivered yet: to the event bus, or to the event webhook.
//!
//! An event records its progress with each of the two targets. One that waits holds up the later events of the same
//! account or key that are on their way to the same target.

use std::time::Duration;

use base::clock::Timestamp;
use base::language::Language;
use base::phrase::{Noun, before, span};
use store::{Arrivals, Counted, FirstOf, OutboxEvent, Subject, WaitingEvent};

use crate::finding::{Check, Finding, State, Verdict, count};

/// An event is delivered within seconds, or by the next run: after this long, three runs have failed to deliver it.
const SLOW: Duration = Duration::from_mins(15);

/// How many of the events that are due first are read.
const LOOK: usize = 100;

const EVENT: Noun = Noun::new("个事件", "event");

const TRY: Noun = Noun::new("次", "attempt");

/// Events that wait for the bus.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BusState {
    /// How many, among those that were read.
    pub events: Counted,
    /// How long ago the oldest of them happened.
    pub oldest: Option<Duration>,
}

/// Events that wait for the webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookState {
    /// How many, among those that were read.
    pub events: Counted,
    /// What is wrong.
    pub waiting: WaitingForWebhook,
}

/// Why events wait for the webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitingForWebhook {
    /// It was called and did not accept an event: the oldest of these.
    Failing(FailingEvent),
    /// It was not called. The oldest event happened this long ago.
    NotAsked(Duration),
}

/// An event that the webhook has not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailingEvent {
    /// The account or key that it is about.
    pub subject: Subject,
    /// Its number among the subject's events.
    pub sequence: u64,
    /// How long ago it happened.
    pub age: Duration,
    /// How often the webhook was called.
    pub attempts: u32,
}

/// Checks what waits for the bus and, if something is wrong there, for the webhook, which most deployments do not have.
pub(crate) async fn look(arrivals: &Arrivals, now: Timestamp) -> Vec<Finding> {
    match arrivals.events(LOOK).await {
        Ok(waiting) => {
            let mut findings = vec![BusState::of(&waiting, now).into()];
            findings.extend(WebhookState::of(&waiting, now).map(Finding::from));
            findings
        }
        Err(error) => vec![Finding::unreadable(Check::Events, error)],
    }
}

/// How long ago an event happened.
fn age(waiting: &WaitingEvent, now: Timestamp) -> Duration {
    let event = &waiting.event;
    now.since(event.event.as_ref().map_or(event.due_at, OutboxEvent::at))
}

impl BusState {
    fn of(waiting: &FirstOf<WaitingEvent>, now: Timestamp) -> Self {
        let of_bus = || waiting.items.iter().filter(|waiting| !waiting.event.bus.is_done());
        Self {
            events: Counted { number: of_bus().map(|_| 1).sum(), is_cut: waiting.has_more },
            oldest: of_bus().map(|waiting| age(waiting, now)).max(),
        }
    }
}

impl State for BusState {
    fn check(&self) -> Check {
        Check::Events
    }

    fn verdict(&self) -> Verdict {
        // Events that failed before are due later than new ones: if there are many new ones, the failed ones are not
        // among those read.
        let are_many = self.events.is_cut && self.events.number > 0;
        if are_many || self.oldest.is_some_and(|oldest| oldest > SLOW) { Verdict::Warning } else { Verdict::Ok }
    }

    fn sentence(&self, language: Language) -> String {
        let Some(oldest) = self.oldest.map(|oldest| span(oldest, language)) else {
            return language.pick("没有等待投递到事件总线的事件", "no events are waiting").to_owned();
        };
        let events = count(EVENT, self.events, language);
        say!(
            language,
            "等待投递到事件总线：{events}，最早的已等待 {oldest}",
            "waiting for the event bus: {events}, the oldest for {oldest}",
        )
    }

    fn remedy(&self, language: Language) -> Option<String> {
        let remedy = language.pick(
            "事件总线未接收，或接收过慢：EventBridge 返回的错误码见 token-refresher 的日志；系统每 5 分钟按各账号的顺序重新投递一次",
            "the event bus is not accepting events fast enough. They are sent again every five minutes, those of each \
             account in their order; if this persists, ask an engineer: token-refresher's log has EventBridge's code",
        );
        (self.verdict() != Verdict::Ok).then(|| remedy.to_owned())
    }
}

impl WebhookState {
    /// `None` if nothing is wrong. An event that is done with the bus still waits for the webhook, either because there
    /// is one or because the refresher has not looked yet.
    fn of(waiting: &FirstOf<WaitingEvent>, now: Timestamp) -> Option<Self> {
        let of_webhook = || waiting.items.iter().filter(|waiting| waiting.event.bus.is_done());
        let failing = of_webhook().filter(|waiting| waiting.event.webhook_tries > 0);
        let why = if let Some(oldest) = failing.max_by_key(|waiting| age(waiting, now)) {
            WaitingForWebhook::Failing(FailingEvent {
                subject: oldest.subject.clone(),
                sequence: oldest.event.sequence,
                age: age(oldest, now),
                attempts: oldest.event.webhook_tries,
            })
        } else {
            // As of the bus.
            let oldest = of_webhook().map(|waiting| age(waiting, now)).max();
            let oldest = oldest.filter(|oldest| waiting.has_more || *oldest > SLOW)?;
            WaitingForWebhook::NotAsked(oldest)
        };
        let events = Counted { number: of_webhook().map(|_| 1).sum(), is_cut: waiting.has_more };
        Some(Self { events, waiting: why })
    }
}

impl State for WebhookState {
    fn check(&self) -> Check {
        Check::EventWebhook
    }

    fn verdict(&self) -> Verdict {
        Verdict::Warning
    }

    fn sentence(&self, language: Language) -> String {
        let events = count(EVENT, self.events, language);
        match &self.waiting {
            WaitingForWebhook::Failing(FailingEvent { subject, sequence, age, attempts }) => {
                let (when, attempts) = (before(*age, language), TRY.count(u64::from(*attempts), language));
                let subject = named(subject, language);
                say!(
                    language,
                    "等待投递：{events}；{subject}的第 {sequence} 号事件仍未被接收（发生于 {when}，已投递 {attempts}）",
                    "waiting for it: {events}; it has not accepted event {sequence} of {subject} in {attempts} (it happened \
                     {when})",
                )
            }
            WaitingForWebhook::NotAsked(oldest) => {
                let oldest = span(*oldest, language);
                say!(
                    language,
                    "等待投递：{events}，最早的已等待 {oldest}",
                    "waiting for it: {events}, the oldest for {oldest}"
                )
            }
        }
    }

    fn remedy(&self, language: Language) -> Option<String> {
        let remedy = match self.waiting {
            WaitingForWebhook::Failing(_) => language.pick(
                "调用失败的原因见 token-refresher 的日志和指标 event_webhook_failed；每个事件会重试一天，事件总线上都有",
                "token-refresher's log and the metric event_webhook_failed say why the calls fail; each event is sent again for \
                 a day, and the event bus has them all",
            ),
            WaitingForWebhook::NotAsked(_) => language.pick(
                "任务是否在运行见“续期任务”一项，Webhook 是否响应见 token-refresher 的日志",
                "the check of token renewal says whether the refresher runs, and token-refresher's log whether the webhook \
                 responds",
            ),
        };
        Some(remedy.to_owned())
    }
}

/// The subject of an event, in words.
fn named(subject: &Subject, language: Language) -> String {
    match (language, subject) {
        (Language::English, _) => subject.to_string(),
        (Language::Chinese, Subject::Account(appid)) => format!("账号 {appid} "),
        (Language::Chinese, Subject::Key(id)) => format!("密钥 {id} "),
    }
}
