//! Words of the console in both languages that are on more than one page.

use base::language::Language;
use diagnosis::codes::{self, Explanation};
use diagnosis::words;
use store::{AccountState, EntryStatus, KnownAccount};
use url::Url;
use wechat::api::AccountKind;

/// A page in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Overview,
    Accounts,
    Links,
    Arrivals,
    Keys,
    Domains,
    Setup,
    Audit,
    Operators,
}

impl Section {
    pub(crate) const ALL: &[Self] = &[
        Self::Overview,
        Self::Accounts,
        Self::Links,
        Self::Arrivals,
        Self::Keys,
        Self::Domains,
        Self::Setup,
        Self::Audit,
        Self::Operators,
    ];

    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Overview => "/console",
            Self::Accounts => "/console/accounts",
            Self::Links => "/console/links",
            Self::Arrivals => "/console/arrivals",
            Self::Keys => "/console/keys",
            Self::Domains => "/console/domains",
            Self::Setup => "/console/setup",
            Self::Audit => "/console/audit",
            Self::Operators => "/console/operators",
        }
    }

    pub(crate) const fn title(self, language: Language) -> &'static str {
        match self {
            Self::Overview => language.pick("概览", "Overview"),
            Self::Accounts => language.pick("账号", "Accounts"),
            Self::Links => language.pick("授权链接", "Links"),
            Self::Arrivals => language.pick("推送与投递", "Pushes and deliveries"),
            Self::Keys => language.pick("API 密钥", "API keys"),
            Self::Domains => language.pick("域名与校验文件", "Domains and check files"),
            Self::Setup => language.pick("微信后台配置", "Setup at WeChat"),
            Self::Audit => language.pick("操作记录", "Audit"),
            Self::Operators => language.pick("操作员", "Operators"),
        }
    }

    /// The section that a path belongs to.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let is_below = |section: &Self| {
            path.strip_prefix(section.path()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        // Every path is below the overview's.
        Self::ALL.iter().copied().skip(1).find(is_below).or((path == Self::Overview.path()).then_some(Self::Overview))
    }
}

/// A few words on a coloured ground.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Badge {
    /// `good`, `warn`, `bad` or nothing.
    pub(crate) class: &'static str,
    pub(crate) text: &'static str,
}

/// An account's state.
pub(crate) const fn state(state: AccountState, language: Language) -> Badge {
    let class = match state {
        AccountState::Active => "good",
        AccountState::NeedsAuthorization => "bad",
        AccountState::Unauthorized => "",
    };
    Badge { class, text: words::state(state, language) }
}

/// How an account is doing.
pub(crate) fn standing(account: &KnownAccount, language: Language) -> Badge {
    match account.details.state {
        Some((AccountState::Active, _)) if account.token.last_error.is_some() => {
            Badge { class: "warn", text: language.pick("续期失败", "Renewal is failing") }
        }
        Some((known, _)) => state(known, language),
        None => Badge { class: "", text: language.pick("未知", "Unknown") },
    }
}

/// Whether the platform can act for an account.
pub(crate) fn is_active(account: &KnownAccount) -> bool {
    account.details.state.is_some_and(|(state, _)| state == AccountState::Active)
}

/// Why the last renewal of an account's token has failed, in a few words.
pub(crate) fn failure(label: &str, language: Language) -> String {
    let Explanation { meaning, .. } = codes::of_renewal(label, true, language);
    match codes::errcode(label) {
        Some(_) => format!("{label} · {meaning}"),
        None => meaning.to_owned(),
    }
}

/// A push or another arrival, in words.
pub(crate) fn arrival(info_type: &str, language: Language) -> String {
    words::arrival(info_type, language).unwrap_or(info_type).to_owned()
}

/// What came of an arrival, or why it is still waiting.
pub(crate) fn arrival_outcome(entry: &EntryStatus, language: Language) -> String {
    let said = |word: &str| words::outcome(word, language).unwrap_or_else(|| codes::of_run(word, language)).to_owned();
    match (&entry.outcome, &entry.last_error) {
        (Some(outcome), _) => said(outcome),
        (None, Some(error)) => failure(error, language),
        (None, None) => language.pick("正在处理", "being processed").to_owned(),
    }
}

/// An act of the audit, in words; one of another version as it is.
pub(crate) fn act(act: &str, language: Language) -> String {
    let said = match act {
        "account.label" => language.pick("修改业务信息", "changed what is said about the account"),
        "account.read-profile" => language.pick("重新读取资料", "read the profile again"),
        "account.renew" => language.pick("立即续期", "asked for a renewal"),
        "accounts.export" => language.pick("导出账号", "exported accounts"),
        "arrivals.retry" => language.pick("立即重试", "tried again what waits"),
        "link.create" => language.pick("创建授权链接", "made a link"),
        "link.cancel" => language.pick("作废授权链接", "cancelled a link"),
        "key.revoke" => language.pick("吊销 API 密钥", "revoked an API key"),
        "operator.create" => language.pick("创建操作员", "made an operator"),
        "operator.invite" => language.pick("邀请操作员", "invited an operator"),
        "operator.end" => language.pick("停用操作员", "ended an operator"),
        "browser.bind" => language.pick("绑定浏览器", "bound a browser"),
        "browser.end" => language.pick("解除浏览器绑定", "ended a browser"),
        other => other,
    };
    said.to_owned()
}

/// What came of an act.
pub(crate) fn audit_outcome(outcome: Option<&str>, language: Language) -> String {
    match outcome {
        Some("done") => language.pick("成功", "done").to_owned(),
        None | Some("unknown") => language.pick("未知，可能已生效", "not known: it may have taken effect").to_owned(),
        Some(outcome) => match (outcome.split_once(": "), language) {
            (Some(("done", link)), Language::Chinese) => format!("成功（{link}）"),
            (Some(("refused", kind)), Language::Chinese) => format!("被拒绝（{kind}）"),
            _ => outcome.to_owned(),
        },
    }
}

/// The kinds of account, as addresses name them.
pub(crate) const KINDS: [(&str, AccountKind); 3] = [
    ("official_account", AccountKind::OfficialAccount),
    ("mini_program", AccountKind::MiniProgram),
    ("other", AccountKind::Other),
];

/// A kind of account.
pub(crate) const fn kind(kind: AccountKind, language: Language) -> &'static str {
    match kind {
        AccountKind::OfficialAccount => language.pick("公众号", "Official account"),
        AccountKind::MiniProgram => language.pick("小程序", "Mini program"),
        AccountKind::Other => language.pick("其他", "Other"),
    }
}

/// The address of an account's picture, if it is one of WeChat's.
pub(crate) fn picture(address: Option<&str>) -> Option<String> {
    web::picture(address?).map(Url::into)
}

macro_rules! dones {
    ($($done:ident = $word:literal: $chinese:literal, $english:literal;)+) => {
        /// What was done, as the page that follows says it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Done {
            $($done,)+
        }

        impl Done {
            /// The word in an address.
            pub(crate) const fn word(self) -> &'static str {
                match self { $(Self::$done => $word),+ }
            }

            /// A page says nothing that an address makes up.
            pub(crate) fn parse(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$done),)+
                    _ => None,
                }
            }

            pub(crate) const fn said(self, language: Language) -> &'static str {
                match self { $(Self::$done => language.pick($chinese, $english)),+ }
            }
        }
    };
}

dones! {
    Bound = "bound": "此浏览器已绑定，30 天内有效。", "This browser is bound for 30 days.";
    Labelled = "labelled": "已保存。", "Saved.";
    ProfileRead = "profile-read": "已重新读取账号资料。", "The profile was read again.";
    RenewalAsked = "renewal-asked":
        "已安排续期，通常几秒内完成。重新加载此页面可查看结果。",
        "The token is being renewed, which takes seconds. Reload this page to see what came of it.";
    LinkMade = "link-made": "链接已创建。", "The link is made.";
    LinkCancelled = "link-cancelled": "链接已作废。", "The link is cancelled.";
    RetryAsked = "retry-asked":
        "已安排立即重试，通常几秒内完成。重新加载此页面可查看结果。",
        "What waits is being tried again, which takes seconds. Reload this page to see what is left.";
    KeyRevoked = "key-revoked": "密钥已吊销，最迟一分钟内失效。", "The key is revoked. It stops working within a minute.";
    BrowserEnded = "browser-ended": "该浏览器已解除绑定。", "The browser is not bound any more.";
}

/// What a refusal of WeChat's means for an operator, and what to do.
pub(crate) fn refused_by_wechat(errcode: i64, language: Language) -> String {
    let Explanation { meaning, remedy } = codes::of_call(&errcode.to_string(), language);
    match language {
        Language::Chinese => format!("微信拒绝了请求（{errcode}：{meaning}）。处理办法：{remedy}。"),
        Language::English => format!("WeChat has refused ({errcode}: {meaning}). What to do: {remedy}."),
    }
}

/// What a function's refusal means for an operator, and what to do.
pub(crate) fn refusal(kind: &str, detail: &str, language: Language) -> String {
    let said = match kind {
        "version-mismatch" => language.pick(
            "在您编辑期间，其他人修改了此账号，因此没有保存。下面是最新内容和您刚才填写的内容，请核对后重新保存。",
            "Somebody else has changed this account while you were editing, so nothing was saved. Below is how it is now, and \
             what you had entered: compare them, and save again.",
        ),
        "authorization-ended" => language.pick(
            "该账号目前未授权，平台无法代其操作。请创建重新授权链接，发给商家的管理员扫码。",
            "The account is not authorized now, so the platform cannot act for it. Make a re-authorization link and send it to \
             the merchant's administrator.",
        ),
        "no-api-permission" => language.pick(
            "该账号没有授予任何接口权限，微信不会签发令牌。请创建链接，让商家勾选所需的权限集。",
            "The account has granted no permission set with APIs, so WeChat issues no token. Make a link and have the merchant \
             grant what is missing.",
        ),
        "too-soon" => {
            language.pick("刚刚已经执行过。请稍后再试。", "It was done a moment ago. Try again shortly.")
        }
        "unknown-account" => language.pick("没有这个账号。", "There is no such account."),
        "unknown-link" => language.pick("没有这个链接，或已被删除。", "There is no such link, or none any more."),
        "unknown-key" => language.pick("没有这个密钥。", "There is no such key."),
        "link-used" => language.pick("该链接已被使用，无法作废。", "The link has been used and cannot be cancelled."),
        "link-expired" => language.pick("该链接已过期。", "The link has expired."),
        "link-cancelled" => language.pick("该链接已作废。", "The link was cancelled."),
        "wechat-unreachable" => {
            language.pick("微信没有响应。请一分钟后再试。", "WeChat did not answer. Try again in a minute.")
        }
        "token-unavailable" => language.pick(
            "暂时没有可用的令牌。概览页会说明原因。",
            "There is no token to act with at the moment. The overview says why.",
        ),
        "invalid-field" => {
            return match language {
                Language::Chinese => format!("有一项内容不符合要求：{}", field(detail).unwrap_or(detail)),
                Language::English => format!("Something cannot be used: {detail}"),
            };
        }
        _ if detail.is_empty() => {
            language.pick("请稍后再试。", "Try again in a moment. If it stays like this, ask an engineer.")
        }
        _ => {
            return match language {
                Language::Chinese => format!("服务返回：{detail}"),
                Language::English => detail.to_owned(),
            };
        }
    };
    said.to_owned()
}

/// A field's rule in Chinese, by how the English sentence begins.
fn field(detail: &str) -> Option<&'static str> {
    const RULES: [(&str, &str); 7] = [
        ("reference", "业务编号须为 1 至 256 个可见字符，不能换行。"),
        ("tags", "标签最多 20 个；名称 1 至 40 个字符，内容最多 200 个字符。"),
        ("login_origins", "登录来源须为 https 源，例如 https://shop.example.com，不含路径，最多 20 个。"),
        ("requester_name", "显示给商家的名称须为 1 至 60 个可见字符。"),
        ("biz_appid", "AppID 形如 wx1234567890abcdef。"),
        ("category_ids", "权限集须为 1 至 9999 之间的编号，每个一次，最多 200 个。"),
        ("expires_in_seconds", "有效期须为 1 分钟至 365 天。"),
    ];
    RULES.iter().find(|(name, _)| detail.starts_with(name)).map(|(_, rule)| *rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_found_in_the_navigation_by_its_path() {
        assert_eq!(Section::of("/console"), Some(Section::Overview));
        assert_eq!(Section::of("/console/accounts/wx1"), Some(Section::Accounts));
        assert_eq!(Section::of("/console/accountsx"), None);
        assert_eq!(Section::of("/console/browsers"), None);
    }

    #[test]
    fn a_page_says_what_was_done_in_fixed_words_only() {
        assert_eq!(Done::parse("labelled"), Some(Done::Labelled));
        assert_eq!(Done::parse("<b>"), None);
    }
}
