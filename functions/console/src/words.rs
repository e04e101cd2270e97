//! Words of the console, in both languages, that are on more than one page.

use std::time::Duration;

use base::language::Language;
use base::phrase;
use diagnosis::codes::{self, Explanation};
use diagnosis::words;
use serde_json::Value;
use store::{AccountState, CONSOLE_ITSELF, EntryStatus, KnownAccount};
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
        match path {
            "/console" | "/console/lost" => Some(Self::Overview),
            "/console/export" => Some(Self::Accounts),
            // The first is the overview, and every path is below it.
            _ => Self::ALL.iter().copied().skip(1).find(is_below),
        }
    }
}

/// A few words on a coloured background.
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

/// The state of an account, including failing renewals.
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

/// Why the last renewal of an account's token failed, in a few words.
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

/// The outcome of an arrival, or why it is still waiting.
pub(crate) fn arrival_outcome(entry: &EntryStatus, language: Language) -> String {
    let said = |word: &str| words::outcome(word, language).unwrap_or_else(|| codes::of_run(word, language)).to_owned();
    match (&entry.outcome, &entry.last_error) {
        (Some(outcome), _) => said(outcome),
        (None, Some(error)) => failure(error, language),
        (None, None) => language.pick("正在处理", "being processed").to_owned(),
    }
}

/// An act of the audit, in words; one of another version unchanged.
pub(crate) fn act(act: &str, language: Language) -> String {
    let said = match act {
        "account.label" => language.pick("修改业务信息", "changed reference, tags or origins"),
        "account.read-profile" => language.pick("重新读取资料", "read the profile again"),
        "account.renew" => language.pick("立即续期", "requested a renewal"),
        "accounts.export" => language.pick("导出账号", "exported accounts"),
        "arrivals.retry" => language.pick("立即重试", "retried what was waiting"),
        "link.create" => language.pick("创建授权链接", "created a link"),
        "link.cancel" => language.pick("取消授权链接", "cancelled a link"),
        "key.revoke" => language.pick("吊销 API 密钥", "revoked an API key"),
        "operator.create" => language.pick("创建操作员", "created an operator"),
        "operator.invite" => language.pick("邀请操作员", "invited an operator"),
        "operator.end" => language.pick("停用操作员", "ended an operator"),
        "browser.bind" => language.pick("绑定浏览器", "signed in a browser"),
        "browser.end" => language.pick("解除浏览器绑定", "signed out a browser"),
        other => other,
    };
    said.to_owned()
}

/// The outcome of an act.
pub(crate) fn audit_outcome(outcome: Option<&str>, language: Language) -> String {
    match outcome {
        Some("done") => language.pick("成功", "done").to_owned(),
        None | Some("unknown") => language.pick("未知，可能已生效", "not known: it may have been done").to_owned(),
        Some(outcome) => match (outcome.split_once(": "), language) {
            (Some(("done", _)), language) => language.pick("成功", "done").to_owned(),
            (Some(("refused", kind)), language) => {
                let (chinese, english) = of_kind(kind);
                let first = |text: &'static str, end: &str| text.split(end).next().unwrap_or_default();
                match language {
                    Language::Chinese => format!("被拒绝：{}", first(chinese, "。")),
                    Language::English => format!("refused: {}", first(english, ". ")),
                }
            }
            _ => outcome.to_owned(),
        },
    }
}

/// The kinds of account, as URLs name them.
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
        /// What was done, for the page that follows.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Done {
            $($done,)+
        }

        impl Done {
            /// The word in a URL.
            pub(crate) const fn word(self) -> &'static str {
                match self { $(Self::$done => $word),+ }
            }

            /// A page says nothing that a made-up URL contains.
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
    Bound = "bound": "此浏览器已绑定，最长 30 天内有效。", "This browser is signed in, for at most 30 days.";
    Labelled = "labelled": "已保存。", "Saved.";
    ProfileRead = "profile-read": "已重新读取账号资料。", "The profile was read again.";
    RenewalAsked = "renewal-asked":
        "已安排续期，通常几秒内完成，最迟 5 分钟。刷新此页面可查看结果。",
        "The token is being renewed: within seconds, at the latest in five minutes. Reload this page to see the result.";
    LinkMade = "link-made": "链接已创建。", "The link was created.";
    LinkCancelled = "link-cancelled": "链接已取消。", "The link was cancelled.";
    RetryAsked = "retry-asked":
        "已安排立即重试，通常几秒内完成，最迟 5 分钟。刷新此页面可查看结果。",
        "What is waiting is being retried: within seconds, at the latest in five minutes. Reload this page to see what is left.";
    KeyRevoked = "key-revoked": "密钥已吊销，最迟一分钟内失效。", "The key was revoked. It stops working within a minute.";
    BrowserEnded = "browser-ended": "该浏览器已解除绑定。", "The browser was signed out.";
}

/// What WeChat's refusal means for an operator, and what to do.
pub(crate) fn refused_by_wechat(errcode: i64, language: Language) -> String {
    let Explanation { meaning, remedy } = codes::of_call(&errcode.to_string(), language);
    match language {
        Language::Chinese => format!("微信拒绝了请求（{errcode}：{meaning}）。处理办法：{remedy}。"),
        Language::English => format!("WeChat refused the request ({errcode}: {meaning}). What to do: {remedy}."),
    }
}

/// What a function's problem means for an operator, and what to do.
pub(crate) fn refusal(kind: &str, detail: &str, language: Language) -> String {
    if kind == "invalid-field" {
        return match language {
            Language::Chinese => format!("填写的内容不符合要求：{}", field(detail).unwrap_or(detail)),
            Language::English => format!("One of the values cannot be used: {detail}"),
        };
    }
    let (chinese, english) = of_kind(kind);
    language.pick(chinese, english).to_owned()
}

fn of_kind(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "version-mismatch" => (
            "在您编辑期间，其他人修改了此账号，因此没有保存。下面是最新内容和您刚才填写的内容，请核对后重新保存。",
            "Somebody else changed this account while you were editing, so nothing was saved. Below are its current values and \
             what you entered: compare them, and save again.",
        ),
        "authorization-ended" => (
            "该账号目前未授权，平台无法代其操作。请创建重新授权链接，发给商家的管理员重新授权。",
            "The account is not authorized now, so the platform cannot act for it. Create a re-authorization link and send it to \
             the merchant's administrator.",
        ),
        "no-api-permission" => (
            "该账号没有授予任何接口权限，微信不会签发令牌。请创建链接，让商家勾选所需的权限集。",
            "The account has granted no permission set with APIs, so WeChat issues no token. Create a link and have the merchant \
             grant what is missing.",
        ),
        "invalid-field" => ("填写的内容不符合要求。", "One of the values cannot be used."),
        "too-soon" => ("刚刚已经执行过，请稍后再试。", "This was done a moment ago. Try again shortly."),
        "unknown-account" => ("账号不存在。", "There is no such account."),
        "unknown-link" => ("链接不存在，或已被删除。", "There is no such link, or it has been removed."),
        "unknown-key" => ("密钥不存在，或已被删除。", "There is no such key, or it has been removed."),
        "link-used" => ("该链接已被使用，无法取消。", "The link has been used and cannot be cancelled."),
        "link-expired" => ("该链接已过期。", "The link has expired."),
        "link-cancelled" => ("该链接已取消。", "The link was cancelled."),
        "wechat-unreachable" => ("微信没有响应。请一分钟后再试。", "WeChat did not respond. Try again in a minute."),
        "wechat-busy" => ("微信系统繁忙。请一分钟后再试。", "WeChat is busy. Try again in a minute."),
        "wechat-refused" => (
            "微信拒绝了请求。请稍后再试；如问题仍然存在，请联系平台的工程师。",
            "WeChat refused the request. Try again shortly; if this persists, ask an engineer of the platform.",
        ),
        "address-refused" => (
            "微信拒绝了平台的 IP 地址。请将其加入白名单，见“微信后台配置”中的白名单IP地址列表。",
            "WeChat refuses the platform's IP address. Add it to the allow list: see 白名单IP地址列表 on Setup at WeChat.",
        ),
        "token-being-renewed" => {
            ("令牌正在续期，请几秒后再试。", "The token is being renewed. Try again in a few seconds.")
        }
        "token-unavailable" => (
            "暂时没有可用的令牌，原因见概览页的检查结果。",
            "There is no token to act with at the moment. The checks on the overview say why.",
        ),
        "not-configured" => (
            "平台尚未配置：Secrets Manager 中还没有平台的 AppID、密钥等。请联系平台的工程师。",
            "The platform is not set up yet: its credentials are not in Secrets Manager. Ask an engineer of the platform.",
        ),
        "not-allowed" => (
            "操作员不能执行此操作，需由拥有 AWS 权限的人执行。",
            "Operators may not do this. Somebody with rights in AWS can.",
        ),
        "malformed" | "invalid-header" | "not-json" | "too-large" => (
            "内容无法处理：过长，或含有不允许的字符。请缩短或修改后重试。",
            "This cannot be processed: it is too long, or has characters that are not allowed. Change it and try again.",
        ),
        _ => (
            "操作未执行。请刷新页面后重试；如问题仍然存在，请联系平台的工程师。",
            "It was not done. Reload the page and try again; if this persists, ask an engineer of the platform.",
        ),
    }
}

/// A rule of the business API about a field, in Chinese, found by the field with which the English sentence begins.
fn field(detail: &str) -> Option<&'static str> {
    const RULES: [(&str, &str); 7] = [
        ("reference", "业务编号须为 1 至 256 个可见字符，不能换行。"),
        ("tags", "标签最多 20 个；名称 1 至 40 个字符，内容最多 200 个字符。"),
        ("login_origins", "登录来源须为 https 源，例如 https://shop.example.com，不含路径，最多 20 个。"),
        ("requester_name", "显示给商家的名称须为 1 至 60 个可见字符。"),
        ("biz_appid", "AppID 形如 wx1234567890abcdef。"),
        ("category_ids", "权限集须为 1 至 9999 之间的编号，不能重复，最多 200 个。"),
        ("expires_in_seconds", "有效期须为 1 分钟至 365 天。"),
    ];
    RULES.iter().find(|(name, _)| detail.starts_with(name)).map(|(_, rule)| *rule)
}

/// The details of an act in the audit: a request's body in words, everything else unchanged.
pub(crate) fn audit_detail(detail: &str, language: Language) -> String {
    if let Some(rights) = detail.strip_prefix("rights ") {
        return match language {
            Language::Chinese => format!(
                "权限 {}",
                rights.replace("look", "查看").replace("act", "操作").replace(", until", "，有效期至")
            ),
            Language::English => detail.to_owned(),
        };
    }
    let Ok(Value::Object(members)) = serde_json::from_str(detail) else { return detail.to_owned() };
    let said: Vec<String> = members.iter().filter_map(|(name, value)| member(name, value, language)).collect();
    said.join(language.pick("；", "; "))
}

/// A member of a request's body, in words.
fn member(name: &str, value: &Value, language: Language) -> Option<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let none = language.pick("无", "none");
    let (chinese, english) = match name {
        "reference" => ("业务编号", "reference"),
        "tags" => ("标签", "tags"),
        "login_origins_added" => ("新增登录来源", "login origins added"),
        "login_origins_removed" => ("删除登录来源", "login origins removed"),
        "requester_name" => ("显示给商家的名称", "name shown"),
        "biz_appid" => ("仅限账号", "only for"),
        "category_ids" => ("权限集", "permission sets"),
        "expires_in_seconds" => ("有效期", "valid for"),
        // It has words of its own.
        "auth_type" => ("可选账号", "accounts to choose from"),
        other => (other, other),
    };
    let said = match (name, value) {
        ("tags", Value::Object(tags)) if tags.is_empty() => return None,
        ("tags", Value::Object(tags)) => {
            let tag = |(key, value): (&String, &Value)| match value {
                Value::Null => format!("{key}{}", language.pick("（删除）", " (removed)")),
                value => format!("{key}={}", text(value)),
            };
            tags.iter().map(tag).collect::<Vec<_>>().join(", ")
        }
        ("expires_in_seconds", value) => phrase::span(Duration::from_secs(value.as_u64()?), language),
        ("auth_type", value) => choosable(value.as_u64()?, language)?.to_owned(),
        (_, Value::Null) => none.to_owned(),
        (_, Value::Array(items)) if items.is_empty() => none.to_owned(),
        (_, Value::Array(items)) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        (_, value) => text(value),
    };
    Some(format!("{}{}{said}", language.pick(chinese, english), language.pick("：", ": ")))
}

/// The accounts that a merchant can choose from, by WeChat's number (protocol section 2).
pub(crate) const CHOOSABLE: [u64; 3] = [3, 1, 2];

/// The same in words.
pub(crate) const fn choosable(auth_type: u64, language: Language) -> Option<&'static str> {
    Some(match auth_type {
        1 => language.pick("仅公众号", "Official accounts only"),
        2 => language.pick("仅小程序", "Mini programs only"),
        3 => language.pick("公众号和小程序", "Official accounts and mini programs"),
        _ => return None,
    })
}

/// Who ended a browser, in words.
pub(crate) fn ended_by(by: &str, language: Language) -> String {
    match by {
        CONSOLE_ITSELF => {
            language.pick("检测到 Cookie 被复制，已自动解除", "automatically: a copy of its cookie was used").to_owned()
        }
        by => by.strip_prefix("operator:").unwrap_or(by).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use web::ProblemKind;

    use super::*;

    #[test]
    fn a_page_is_found_in_the_navigation_by_its_path() {
        assert_eq!(Section::of("/console"), Some(Section::Overview));
        assert_eq!(Section::of("/console/accounts/wx1"), Some(Section::Accounts));
        assert_eq!(Section::of("/console/accountsx"), None);
        assert_eq!(Section::of("/console/browsers"), None);
    }

    /// Problems that no request of the console can cause.
    const ELSEWHERE: [&str; 33] = [
        "answer-too-large",
        "answer-unusable",
        "call-not-repeated",
        "call-under-way",
        "defect",
        "invalid-check-file",
        "invalid-key",
        "invalid-parameter",
        "invalid-path",
        "key-reused",
        "login-code-refused",
        "malformed-request",
        "method-not-allowed",
        "no-identity",
        "operator-exists",
        "pages-not-permitted",
        "path-refused",
        "reconciliation-running",
        "too-many-check-files",
        "too-many-codes",
        "too-many-logins",
        "unavailable",
        "unknown-browser",
        "unknown-check-file",
        "unknown-file",
        "unknown-login",
        "unknown-operator",
        "unknown-route",
        "unknown-reconciliation",
        "url-not-on-web-domain",
        "user-blocked",
        "verifier-refused",
        "wechat-slow",
    ];

    #[test]
    fn each_problem_that_an_operator_can_meet_has_words_of_its_own() {
        for kind in ProblemKind::ALL.iter().map(|kind| kind.name()) {
            let has_words = of_kind(kind) != of_kind("of another version");
            assert_eq!(has_words, !ELSEWHERE.contains(&kind), "{kind}");
        }
    }

    #[test]
    fn what_is_written_down_of_an_act_is_words() {
        let said = |detail: &str, language| audit_detail(detail, language);
        let link = r#"{"auth_type":3,"expires_in_seconds":604800,"reference":"42"}"#;
        assert_eq!(
            said(link, Language::English),
            "accounts to choose from: Official accounts and mini programs; valid for: 7 days; reference: 42"
        );
        let label =
            r#"{"login_origins_added":["https://a.example"],"reference":null,"tags":{"old":null,"plan":"gold"}}"#;
        assert_eq!(
            said(label, Language::Chinese),
            "新增登录来源：https://a.example；业务编号：无；标签：old（删除）, plan=gold"
        );
        assert_eq!(said("state=active", Language::Chinese), "state=active");
    }

    #[test]
    fn a_page_says_what_was_done_in_fixed_words_only() {
        assert_eq!(Done::parse("labelled"), Some(Done::Labelled));
        assert_eq!(Done::parse("<b>"), None);
    }
}
