//! Pushes that have not taken effect yet, and messages that wait for the bus.

use std::time::Duration;

use base::clock::Timestamp;
use base::language::Language;
use base::phrase::{Noun, span};
use store::{Arrivals, Counted, StoreError};

use crate::finding::{Check, Finding, State, Verdict, count};

/// An entry takes effect within seconds, or in the next run: after this long, several runs have failed to process it.
const SLOW: Duration = Duration::from_mins(30);

/// How many of the entries that are due first are searched for the oldest.
const LOOK: usize = 100;

const PUSH: Noun = Noun::new("条推送", "push event");

const MESSAGE: Noun = Noun::new("条用户消息", "message");

/// What is waiting.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InboxState {
    /// Pushes that have not taken effect or have not been published.
    pub entries: Counted,
    /// How long the oldest of them has waited.
    pub oldest: Option<Duration>,
    /// Messages of followers that wait for the bus.
    pub messages: Counted,
}

/// Checks the inbox.
pub(crate) async fn look(arrivals: &Arrivals, now: Timestamp) -> Finding {
    match InboxState::read(arrivals, now).await {
        Ok(state) => state.into(),
        Err(error) => Finding::unreadable(Check::Inbox, error),
    }
}

impl InboxState {
    async fn read(arrivals: &Arrivals, now: Timestamp) -> Result<Self, StoreError> {
        let (counts, waiting) = tokio::try_join!(arrivals.count_first(), arrivals.waiting(LOOK))?;
        let oldest = waiting.items.iter().filter_map(|entry| entry.received_at).min().map(|at| now.since(at));
        Ok(Self { entries: counts.inbox, oldest, messages: counts.messages })
    }
}

impl State for InboxState {
    fn check(&self) -> Check {
        Check::Inbox
    }

    fn verdict(&self) -> Verdict {
        let is_slow = self.entries.number > 0 && self.oldest.is_some_and(|oldest| oldest > SLOW);
        if self.messages.number > 0 || is_slow { Verdict::Warning } else { Verdict::Ok }
    }

    fn sentence(&self, language: Language) -> String {
        if self.messages.number > 0 {
            let messages = count(MESSAGE, self.messages, language);
            return say!(
                language,
                "等待投递到事件总线：{messages}",
                "waiting for the event bus: {messages} of followers"
            );
        }
        if self.entries.number == 0 {
            return language.pick("没有等待处理的推送", "no push is waiting").to_owned();
        }
        let waiting = count(PUSH, self.entries, language);
        let waiting = say!(language, "{waiting}等待处理", "{waiting} waiting");
        let Some(oldest) = self.oldest.map(|oldest| span(oldest, language)) else { return waiting };
        say!(language, "{waiting}，最早的已等待 {oldest}", "{waiting}, the oldest for {oldest}")
    }

    fn remedy(&self, language: Language) -> Option<String> {
        let remedy = if self.messages.number > 0 {
            language.pick(
                "事件总线未接收，或接收过慢：EventBridge 返回的错误码见 token-refresher 的日志；系统每 5 分钟重新投递一次",
                "the event bus is not accepting messages fast enough. They are sent again every five minutes; if this \
                 persists, ask an engineer: token-refresher's log has EventBridge's code",
            )
        } else {
            language.pick(
                "失败的原因见 token-refresher 的日志；系统会自动重试",
                "token-refresher's log says why they fail; they are retried automatically",
            )
        };
        (self.verdict() != Verdict::Ok).then(|| remedy.to_owned())
    }
}
