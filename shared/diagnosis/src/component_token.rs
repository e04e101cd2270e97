//! The remaining life of the component token. The token itself is not read.

use std::time::Duration;

use base::clock::Timestamp;
use base::language::Language;
use base::phrase::{before, span};
use store::Vitals;

use crate::finding::{Check, Finding, State, Verdict};

/// The token is renewed when less than 15 minutes are left: below this, three runs have failed to renew it.
const EXPIRING: Duration = Duration::from_mins(10);

/// The state of the component token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ComponentToken {
    /// There is no token yet.
    Missing,
    /// It expired this long ago.
    Expired(Duration),
    /// It can be used for this long.
    Valid(Duration),
}

/// Looks at the component token.
pub(crate) async fn look(vitals: &Vitals, now: Timestamp) -> Finding {
    match vitals.component_token().await {
        Ok(status) => ComponentToken::of(status.expires_at, now).into(),
        Err(error) => Finding::unreadable(Check::ComponentToken, error),
    }
}

impl ComponentToken {
    fn of(expires_at: Option<Timestamp>, now: Timestamp) -> Self {
        match expires_at {
            None => Self::Missing,
            Some(at) if at <= now => Self::Expired(now.since(at)),
            Some(at) => Self::Valid(at.since(now)),
        }
    }
}

impl State for ComponentToken {
    fn check(&self) -> Check {
        Check::ComponentToken
    }

    fn verdict(&self) -> Verdict {
        match self {
            Self::Missing | Self::Expired(_) => Verdict::Wrong,
            Self::Valid(left) if *left < EXPIRING => Verdict::Warning,
            Self::Valid(_) => Verdict::Ok,
        }
    }

    fn sentence(&self, language: Language) -> String {
        match self {
            Self::Missing => language.pick("尚未获取", "there is none yet").to_owned(),
            Self::Expired(age) => {
                let when = before(*age, language);
                say!(language, "已于 {when}过期：所有微信接口都无法调用", "it expired {when}: no call of WeChat works")
            }
            Self::Valid(left) => {
                let (span, seconds) = (span(*left, language), left.as_secs());
                if *left < EXPIRING {
                    say!(
                        language,
                        "将在 {span}后过期，本应已经续期",
                        "it expires in {span} and should have been renewed"
                    )
                } else {
                    say!(language, "还有 {span}（{seconds} 秒）有效", "valid for {span} more ({seconds} seconds)")
                }
            }
        }
    }

    fn remedy(&self, language: Language) -> Option<String> {
        let remedy = language.pick(
            "没有续期的原因见“票据”“续期任务”和“微信响应”几项",
            "the lines about the ticket, the token renewal and WeChat's responses say why it is not renewed",
        );
        (self.verdict() != Verdict::Ok).then(|| remedy.to_owned())
    }
}
