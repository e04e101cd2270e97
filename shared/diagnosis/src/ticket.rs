//! The newest ticket, and what it shows of WeChat's clock.

use std::time::Duration;

use base::clock::Timestamp;
use base::language::Language;
use base::phrase::{before, span};
use store::{TicketTimes, Vitals};

use crate::finding::{Check, Finding, State, Verdict};

/// A ticket comes every 10 minutes: after this long two are missing, and the alarm has gone off too.
const LATE: Duration = Duration::from_mins(25);

/// How long WeChat accepts a ticket (protocol section 0).
const LIFE: Duration = Duration::from_hours(12);

/// A longer time between WeChat's timestamp of a ticket and its arrival is unusual.
const UNDER_WAY: Duration = Duration::from_mins(1);

/// The newest ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// How long ago it came; `None` before the first.
    pub age: Option<Duration>,
    /// The URL that must be entered in WeChat's console.
    pub events_url: String,
}

/// WeChat's clock against ours, as far as the newest ticket shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WechatClock {
    /// They agree to within a minute.
    Agrees,
    /// The ticket arrived this long after WeChat made it.
    Behind(Duration),
    /// The ticket arrived this long before WeChat made it.
    Ahead(Duration),
}

/// Checks the newest ticket.
pub(crate) async fn look(vitals: &Vitals, events_url: String, now: Timestamp) -> Vec<Finding> {
    let ticket = |age| Ticket { age, events_url }.into();
    match vitals.ticket().await {
        Ok(None) => vec![ticket(None)],
        Ok(Some(times)) => vec![ticket(Some(now.since(times.received_at))), WechatClock::of(times).into()],
        Err(error) => vec![Finding::unreadable(Check::Ticket, error)],
    }
}

impl Ticket {
    /// How long it can still be used.
    fn left(&self) -> Duration {
        self.age.map_or(Duration::ZERO, |age| LIFE.saturating_sub(age))
    }
}

impl State for Ticket {
    fn check(&self) -> Check {
        Check::Ticket
    }

    fn verdict(&self) -> Verdict {
        if self.age.is_some_and(|age| age <= LATE) { Verdict::Ok } else { Verdict::Wrong }
    }

    fn sentence(&self, language: Language) -> String {
        let Some(age) = self.age else {
            return language.pick("尚未收到微信推送的票据", "WeChat has not pushed any yet").to_owned();
        };
        let when = before(age, language);
        if self.verdict() == Verdict::Ok {
            return say!(language, "最新的票据于 {when}收到", "the newest came {when}");
        }
        if self.left().is_zero() {
            return say!(
                language,
                "最新的票据于 {when}收到，已经过期，无法再用它获取平台令牌",
                "the newest came {when} and has expired: no component token can be issued with it",
            );
        }
        let left = span(self.left(), language);
        say!(
            language,
            "最新的票据于 {when}收到，正常情况下每 10 分钟推送一次；该票据还可使用 {left}",
            "the newest came {when}, and one comes every 10 minutes; it can be used for {left} more",
        )
    }

    fn remedy(&self, language: Language) -> Option<String> {
        if self.verdict() == Verdict::Ok {
            return None;
        }
        let url = &self.events_url;
        let console = say!(
            language,
            "请在微信开放平台（第三方平台，开发资料）核对：授权事件接收URL 必须是 {url}，消息校验Token 和消息加解密Key \
             必须与密钥中的一致；此后微信每 10 分钟推送一次。被拒绝的推送及原因见 ticket-push 的日志",
            "in WeChat's console (第三方平台, 开发资料) 授权事件接收URL must be {url}, with the secret's token and key; \
             WeChat then pushes every 10 minutes. ticket-push's log names what it refused, and why",
        );
        Some(match self.age {
            Some(_) => console,
            None => say!(
                language,
                "{console}。第三方平台通过创建审核后，微信才会开始推送",
                "{console}. WeChat does not push before it has approved the platform's creation",
            ),
        })
    }
}

impl WechatClock {
    fn of(times: TicketTimes) -> Self {
        let (behind, ahead) = (times.received_at.since(times.create_time), times.create_time.since(times.received_at));
        if behind > UNDER_WAY {
            Self::Behind(behind)
        } else if ahead > UNDER_WAY {
            Self::Ahead(ahead)
        } else {
            Self::Agrees
        }
    }
}

impl State for WechatClock {
    fn check(&self) -> Check {
        Check::WechatClock
    }

    fn verdict(&self) -> Verdict {
        if *self == Self::Agrees { Verdict::Ok } else { Verdict::Warning }
    }

    fn sentence(&self, language: Language) -> String {
        match self {
            Self::Agrees => language
                .pick(
                    "从最新的票据看，微信与本平台的时间相差不超过 1 分钟",
                    "it agrees with ours to within a minute, by the newest ticket",
                )
                .to_owned(),
            Self::Behind(by) => {
                let by = span(*by, language);
                say!(
                    language,
                    "最新的票据在微信生成 {by}后才到达",
                    "the newest ticket reached us {by} after WeChat made it"
                )
            }
            Self::Ahead(by) => {
                let by = span(*by, language);
                say!(
                    language,
                    "最新的票据到达的时间比微信生成它的时间早 {by}",
                    "the newest ticket reached us {by} before WeChat made it",
                )
            }
        }
    }

    fn remedy(&self, language: Language) -> Option<String> {
        let remedy = language.pick(
            "如果持续如此，说明推送在途中有延迟，或者接收方的时钟不准",
            "if this persists, pushes are delayed on their way, or the receiver's clock is wrong",
        );
        (*self != Self::Agrees).then(|| remedy.to_owned())
    }
}
