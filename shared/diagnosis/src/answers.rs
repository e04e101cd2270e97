//! WeChat's last response to the refresher, and its last refusal.
//!
//! Nothing here calls WeChat: each call would count against the quota, and some replace tokens.

use std::net::IpAddr;
use std::time::Duration;

use base::clock::Timestamp;
use base::language::Language;
use base::phrase::before;
use store::Health;
use wechat::api::{Api, LastAnswer, LastRefusal, Refusal, SUCCESS};

use crate::finding::{Check, State, Verdict};
use crate::refusal;

/// WeChat's last response or refusal, with its age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answers {
    /// The refresher has not called it yet.
    NotCalled,
    /// The last call was a success.
    Success(Api, Duration),
    /// The last call got no response from WeChat: why, in a word.
    NoResponse(Api, String, Duration),
    /// The last refusal; no call has succeeded since.
    Refused(Refusal, Duration),
    /// The last refusal; calls have succeeded since.
    Recovered(Refusal, Duration),
}

impl Answers {
    /// The last response and the last refusal, if any, of these runs.
    pub(crate) fn of<'a>(runs: impl Iterator<Item = &'a Health> + Clone, now: Timestamp) -> Vec<Self> {
        let answer =
            runs.clone().filter_map(|health| health.last_responses.answer.as_ref()).max_by_key(|answer| answer.at);
        let refused = runs.filter_map(|health| health.last_responses.refusal.as_ref()).max_by_key(|refused| refused.at);
        let Some(answer) = answer else { return vec![Self::NotCalled] };
        let mut seen = Vec::new();
        seen.extend(Self::last(answer, now));
        seen.extend(refused.map(|refused| Self::refusal(refused, answer, now)));
        seen
    }

    /// `None` for a refusal, which has its own finding.
    fn last(answer: &LastAnswer, now: Timestamp) -> Option<Self> {
        let LastAnswer { at, api, code } = answer;
        let age = now.since(*at);
        if code == SUCCESS {
            return Some(Self::Success(*api, age));
        }
        code.parse::<i64>().is_err().then(|| Self::NoResponse(*api, code.clone(), age))
    }

    fn refusal(refused: &LastRefusal, answer: &LastAnswer, now: Timestamp) -> Self {
        let (refusal, age) = (refused.refusal.clone(), now.since(refused.at));
        if answer.code == SUCCESS && answer.at > refused.at {
            Self::Recovered(refusal, age)
        } else {
            Self::Refused(refusal, age)
        }
    }

    /// The address that WeChat refuses, if it still does: it must be added to the platform's list of addresses.
    #[must_use]
    pub fn refused_address(&self) -> Option<IpAddr> {
        match self {
            Self::Refused(refusal, _) => refusal.refused_ip,
            _ => None,
        }
    }
}

impl State for Answers {
    fn check(&self) -> Check {
        Check::WechatAnswers
    }

    fn verdict(&self) -> Verdict {
        match self {
            Self::NotCalled => Verdict::Warning,
            Self::Success(..) | Self::Recovered(..) => Verdict::Ok,
            Self::NoResponse(..) => Verdict::Wrong,
            Self::Refused(refusal, _) => refusal::verdict(refusal),
        }
    }

    fn sentence(&self, language: Language) -> String {
        match self {
            Self::NotCalled => language.pick("尚未调用过微信接口", "WeChat has not been called yet").to_owned(),
            Self::Success(api, age) => {
                let when = before(*age, language);
                say!(language, "上次调用成功：{api}，{when}", "last call succeeded: {api} {when}")
            }
            Self::NoResponse(api, why, age) => {
                let when = before(*age, language);
                say!(
                    language,
                    "上次调用没有收到响应（{why}）：{api}，{when}",
                    "the last call got no response ({why}): {api} {when}",
                )
            }
            Self::Refused(refusal, age) => {
                let (when, told) = (before(*age, language), refusal::sentence(refusal, language));
                if self.verdict() == Verdict::Ok {
                    return say!(
                        language,
                        "{when}有响应，仅拒绝了一个账号：{told}",
                        "it responds; {when} it refused a single account: {told}",
                    );
                }
                say!(language, "{when}被拒绝：{told}", "refused {when}: {told}")
            }
            Self::Recovered(refusal, age) => {
                let (when, told) = (before(*age, language), refusal::sentence(refusal, language));
                say!(
                    language,
                    "{when}曾被拒绝，此后已恢复正常：{told}",
                    "refused {when}, calls have succeeded since: {told}",
                )
            }
        }
    }

    fn remedy(&self, language: Language) -> Option<String> {
        let remedy = match self {
            Self::NotCalled => {
                language.pick("收到票据后，下次运行时会调用", "the next run calls it, once there is a ticket")
            }
            Self::NoResponse(..) => language.pick(
                "请检查函数的出口网络（NAT、路由、安全组），以及 WECHAT_API_BASE_URL 是否正确",
                "check the functions' network (NAT, routes, security groups), and that WECHAT_API_BASE_URL is right",
            ),
            Self::Success(..) | Self::Recovered(..) => return None,
            Self::Refused(refusal, _) if refusal::verdict(refusal) == Verdict::Ok => return None,
            Self::Refused(refusal, _) => return Some(refusal::remedy(refusal, language)),
        };
        Some(remedy.to_owned())
    }
}
