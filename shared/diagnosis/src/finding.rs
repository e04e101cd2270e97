//! The findings of the checks: data, from which the sentences in both languages are made.

use base::language::Language;
use base::phrase::Noun;
use store::{AccountCounts, Counted, StoreError};

use crate::answers::Answers;
use crate::component_token::ComponentToken;
use crate::inbox::InboxState;
use crate::messages::LastMessage;
use crate::outbox::{BusState, WebhookState};
use crate::runs::{Reconciliations, Renewals};
use crate::ticket::{Ticket, WechatClock};
use crate::unreadable::Unreadable;

/// The severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Everything is as it should be.
    Ok,
    /// Not checked, on purpose.
    Skipped,
    /// It was checked, and there is nothing to judge by. That need not be an error.
    Unknown,
    /// It works, but somebody should look at it; or it could not be checked.
    Warning,
    /// Something does not work, or soon will not.
    Wrong,
}

impl Verdict {
    /// Its name in programs, such as a class of a page's element.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Wrong => "wrong",
        }
    }

    /// Its title for people.
    #[must_use]
    pub const fn title(self, language: Language) -> &'static str {
        match self {
            Self::Ok => language.pick("正常", "OK"),
            Self::Skipped => language.pick("未检查", "Skipped"),
            Self::Unknown => language.pick("无法判断", "Unknown"),
            Self::Warning => language.pick("警告", "Warning"),
            Self::Wrong => language.pick("异常", "Wrong"),
        }
    }
}

/// A check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// The newest ticket.
    Ticket,
    /// WeChat's clock against ours.
    WechatClock,
    /// The component token.
    ComponentToken,
    /// The runs that renew.
    Renewals,
    /// The runs that reconcile.
    Reconciliations,
    /// WeChat's responses to these runs.
    WechatAnswers,
    /// The accounts, by state.
    Accounts,
    /// Whether messages and events of accounts arrive.
    Messages,
    /// Pushes that have not taken effect, and messages that wait for the bus.
    Inbox,
    /// Events that wait for the bus.
    Events,
    /// Events that wait for the business's webhook.
    EventWebhook,
}

impl Check {
    /// Its name in programs. It does not change.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ticket => "ticket",
            Self::WechatClock => "wechat-clock",
            Self::ComponentToken => "component-token",
            Self::Renewals => "renewals",
            Self::Reconciliations => "reconciliations",
            Self::WechatAnswers => "wechat-answers",
            Self::Accounts => "accounts",
            Self::Messages => "messages",
            Self::Inbox => "inbox",
            Self::Events => "events",
            Self::EventWebhook => "event-webhook",
        }
    }

    /// Its title for people, in a word or two.
    #[must_use]
    pub const fn title(self, language: Language) -> &'static str {
        match self {
            Self::Ticket => language.pick("验证票据", "ticket"),
            Self::WechatClock => language.pick("微信时间", "WeChat's clock"),
            Self::ComponentToken => language.pick("平台令牌", "component token"),
            Self::Renewals => language.pick("续期任务", "token renewal"),
            Self::Reconciliations => language.pick("账号核对", "account check"),
            Self::WechatAnswers => language.pick("微信响应", "WeChat's responses"),
            Self::Accounts => language.pick("授权账号", "accounts"),
            Self::Messages => language.pick("消息与事件", "messages"),
            Self::Inbox => language.pick("待处理推送", "pushes"),
            Self::Events => language.pick("待投递事件", "events"),
            Self::EventWebhook => language.pick("事件 Webhook", "event webhook"),
        }
    }
}

/// A count that may be cut off: `3 events`, `at least 100 events`.
#[must_use]
pub fn count(noun: Noun, counted: Counted, language: Language) -> String {
    let number = noun.count(counted.number, language);
    if counted.is_cut { say!(language, "至少 {number}", "at least {number}") } else { number }
}

/// The result of one check. It contains no secret, ticket, token or code.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// The severity.
    pub verdict: Verdict,
    /// What was found.
    pub seen: Seen,
}

impl Finding {
    /// The finding of a check whose items cannot be read.
    pub(crate) fn unreadable(check: Check, error: StoreError) -> Self {
        Unreadable { check, error }.into()
    }

    /// What was found, in a sentence without a full stop.
    #[must_use]
    pub fn sentence(&self, language: Language) -> String {
        self.seen.state().sentence(language)
    }

    /// What to do about it; `None` if all is well.
    #[must_use]
    pub fn remedy(&self, language: Language) -> Option<String> {
        self.seen.state().remedy(language)
    }
}

/// The possible results of one of the checks.
pub(crate) trait State {
    /// The check.
    fn check(&self) -> Check;

    /// The severity.
    fn verdict(&self) -> Verdict;

    /// What was found, in a sentence without a full stop.
    fn sentence(&self, language: Language) -> String;

    /// What to do about it; `None` if all is well.
    fn remedy(&self, language: Language) -> Option<String>;
}

/// Defines [`Seen`] from the types of the checks' results.
macro_rules! seen {
    ($($of:ident, $doc:literal;)*) => {
        /// What a check found, as data.
        #[derive(Debug, Clone)]
        pub enum Seen {
            $(#[doc = $doc] $of($of),)*
        }

        impl Seen {
            fn state(&self) -> &dyn State {
                match self {
                    $(Self::$of(state) => state,)*
                }
            }
        }

        $(impl From<$of> for Finding {
            fn from(state: $of) -> Self {
                Self { check: state.check(), verdict: state.verdict(), seen: Seen::$of(state) }
            }
        })*
    };
}

seen! {
    Ticket, "The newest ticket.";
    WechatClock, "WeChat's clock against ours.";
    ComponentToken, "The component token.";
    Renewals, "The newest runs that renew.";
    Reconciliations, "The newest run that reconciles.";
    Answers, "WeChat's last response or refusal.";
    AccountCounts, "How many accounts are in each state.";
    LastMessage, "When a message last arrived.";
    InboxState, "Pushes that have not taken effect, and messages that wait.";
    BusState, "Events that wait for the bus.";
    WebhookState, "Events that wait for the webhook.";
    Unreadable, "The items could not be read.";
}
