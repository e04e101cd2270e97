//! Whether messages and events of accounts arrive.

use std::time::Duration;

use base::clock::Timestamp;
use base::language::Language;
use base::phrase::before;
use store::MessageArrivals;

use crate::finding::{Check, Finding, State, Verdict};

/// Whether a last message of this age shows that messages arrive: after a day it does not.
#[must_use]
pub fn shows_arrivals(age: Option<Duration>) -> bool {
    age.is_some_and(|age| age < Duration::from_hours(24))
}

/// When a message last arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastMessage {
    /// How long ago that was, to within ten minutes; `None` if none has arrived for as long as that is kept.
    pub age: Option<Duration>,
    /// The URL that must be entered in WeChat's console.
    pub messages_url: String,
}

/// Checks when a message last arrived.
pub(crate) async fn look(arrivals: &MessageArrivals, messages_url: String, now: Timestamp) -> Finding {
    match arrivals.last(None, now).await {
        Ok(last) => LastMessage { age: last.map(|at| now.since(at)), messages_url }.into(),
        Err(error) => Finding::unreadable(Check::Messages, error),
    }
}

impl State for LastMessage {
    fn check(&self) -> Check {
        Check::Messages
    }

    /// If none has arrived, or none for long, perhaps nobody has written: that is not an error.
    fn verdict(&self) -> Verdict {
        if shows_arrivals(self.age) { Verdict::Ok } else { Verdict::Unknown }
    }

    fn sentence(&self, language: Language) -> String {
        let Some(age) = self.age else {
            return language
                .pick(
                    "最近 90 天没有任何账号收到消息或事件的记录，无法判断接收 URL 是否正确",
                    "no message or event of an account is known of the last 90 days, so nothing shows whether their URL is right",
                )
                .to_owned();
        };
        let when = before(age, language);
        say!(language, "最近一次收到账号的消息或事件：{when}", "a message or event of an account last arrived {when}")
    }

    fn remedy(&self, language: Language) -> Option<String> {
        let url = &self.messages_url;
        (self.verdict() != Verdict::Ok).then(|| {
            say!(
                language,
                "如果已有账号授权，请用微信给其中一个账号发一条消息，然后重新查看；如果没有变化，请在微信开放平台\
                 （第三方平台，开发资料）核对：消息与事件接收URL 必须是 {url}，其中 $APPID$ 原样填写",
                "if an account is authorized, send it a message in WeChat and look again. If nothing changes, check in \
                 WeChat's console (第三方平台, 开发资料) that 消息与事件接收URL is {url}, with $APPID$ literally",
            )
        })
    }
}
