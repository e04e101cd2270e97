//! Why a call or a renewal failed, in words: WeChat's codes, and our own words for failures without a code.
//!
//! What a code means is in the table of [`wechat::api::ErrCode`]. What to do depends on the reader: the service that
//! made a call, or the person responsible for an account whose token is not renewed.

use base::language::Language;
use wechat::api::{Api, ErrCode, Reaction};

/// The label of a response that was too large to be returned.
pub const TOO_LARGE: &str = "answer-too-large";

/// The label of a response from which secrets could not be removed.
pub const UNUSABLE: &str = "answer-unusable";

/// The prefix of the label of a response without an error code of WeChat; the HTTP status follows.
pub const HTTP: &str = "http-";

/// What a failure means, and what can be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation {
    /// What it means, in a few words.
    pub meaning: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// WeChat's code in the label of a failure; `None` if the label is one of our own words.
#[must_use]
pub fn errcode(label: &str) -> Option<ErrCode> {
    label.parse().ok().map(ErrCode::from_code)
}

/// Explains the failure of a call that a service made on behalf of an account or the platform: `label` as in the list
/// of failed calls.
#[must_use]
pub fn of_call(label: &str, language: Language) -> Explanation {
    if let Some(code) = errcode(label) {
        let remedy = call_remedy(code.reaction_to(Api::OnBehalf), language);
        return Explanation { meaning: code.meaning(language), remedy };
    }
    let check = language.pick("重复调用前请先确认上一次是否已经生效", "check whether it has before you repeat it");
    let (meaning, remedy) = match label {
        "connect" | "not-started" => (
            language.pick("无法连接微信，请求没有发出", "WeChat could not be reached; nothing was sent"),
            language.pick("请重试", "try again"),
        ),
        "timeout" | "connection-lost" => (
            language.pick(
                "没有收到微信的响应，调用可能已经生效",
                "WeChat's response did not arrive; the call may have taken effect",
            ),
            check,
        ),
        TOO_LARGE => (
            language.pick(
                "微信的响应过大，无法返回；调用已经完成",
                "WeChat's response was too large to return; the call was made",
            ),
            language.pick(
                "请减少每次请求的数据量，或者加上请求头 X-Large-Answer: redirect",
                "ask for less per call, or send X-Large-Answer: redirect",
            ),
        ),
        UNUSABLE => (
            language.pick(
                "无法从微信的响应中去除敏感信息，调用可能已经生效",
                "secrets could not be removed from WeChat's response; the call may have taken effect",
            ),
            check,
        ),
        _ if label.strip_prefix(HTTP).is_some_and(|status| status.starts_with('5')) => (
            language.pick(
                "访问微信途中的代理返回了错误页，调用可能已经生效",
                "a proxy in front of WeChat returned an error page; the call may have taken effect",
            ),
            check,
        ),
        _ => (
            language.pick("微信返回了错误页，没有错误码", "WeChat returned an error page without an error code"),
            language.pick("请检查路径和请求方法", "check the path and the method"),
        ),
    };
    Explanation { meaning, remedy }
}

const fn call_remedy(reaction: Reaction, language: Language) -> &'static str {
    match reaction {
        Reaction::Retry => language.pick(
            "如果重复调用没有副作用，请稍后重试",
            "try again later if repeating the call does no harm",
        ),
        Reaction::Refresh => language.pick(
            "请一分钟后重试：平台会续期令牌；如果持续出现，说明另有程序也在续期",
            "try again in a minute: the platform renews the token; if this continues, something else is renewing it too",
        ),
        Reaction::Reauthorize => {
            language.pick("请商家重新授权", "the merchant has to authorize the platform again")
        }
        Reaction::Permission => language.pick(
            "请商家通过新的授权链接授予该权限，除非微信不向该账号开放此权限",
            "the merchant has to grant the permission through a new link, unless WeChat does not offer it to this account",
        ),
        Reaction::Quota => language.pick(
            "请等待额度恢复，每日额度在北京时间零点重置；也可用 cgi-bin/clear_quota 清零，每月十次",
            "wait until the quota is reset, a daily one at midnight in Beijing; cgi-bin/clear_quota resets it, up to ten times a month",
        ),
        Reaction::WaitMinute => language.pick("请降低调用频率：等待一分钟", "call less often: wait for a minute"),
        Reaction::Config => language.pick(
            "请运维人员修改平台配置：ops doctor 会指出哪一项",
            "an operator has to change the platform's settings: ops doctor names the wrong one",
        ),
        Reaction::NewTicket => language.pick(
            "平台正在等待微信的下一张票据：请十分钟后重试",
            "the platform is waiting for WeChat's next ticket: try again in ten minutes",
        ),
        Reaction::CodeSpent | Reaction::Caller => language.pick("请修改请求", "change the request"),
        Reaction::RefreshTokenInvalid => language.pick(
            "平台正在修复该账号的令牌：请一分钟后重试",
            "the platform is repairing the account's tokens: try again in a minute",
        ),
        Reaction::Unknown => language.pick(
            "请在微信文档中查找该错误码；联系微信客服时请提供 rid",
            "look the code up in WeChat's documentation; WeChat's support needs the rid",
        ),
    }
}

/// Explains the failure of a renewal: `label` as it is stored with the account's token, `is_active` whether the grant
/// is still in force.
#[must_use]
pub fn of_renewal(label: &str, is_active: bool, language: Language) -> Explanation {
    let code = errcode(label);
    let meaning = code.map_or_else(|| word(label, language), |code| code.meaning(language));
    let remedy = if is_active {
        renewal_remedy(code, language)
    } else {
        language.pick(
            "请商家重新授权：请创建授权链接。",
            "The merchant has to authorize the platform again: create a link.",
        )
    };
    Explanation { meaning, remedy }
}

/// The meaning of a label of a failed renewal or run that is not one of WeChat's codes.
fn word(label: &str, language: Language) -> &'static str {
    match label {
        "not-started" => {
            language.pick("剩余时间不足，未发起调用", "there was too little time left, so the call was not started")
        }
        "connect" => language.pick("无法连接微信", "WeChat could not be reached"),
        "timeout" => language.pick("微信没有及时响应", "WeChat did not respond in time"),
        "connection-lost" => language.pick("与微信的连接中断", "the connection to WeChat was lost"),
        "malformed" => language.pick("微信的响应无法解析", "WeChat's response cannot be used"),
        "table" => language.pick("数据表没有响应", "the table did not respond"),
        "no-ticket" => language.pick("还没有可用的票据", "there is no usable ticket yet"),
        "not-authorized" => language.pick("账号未授权", "the account is not authorized"),
        "unknown-account" => language.pick("账号不属于本平台", "the account does not belong to this platform"),
        "no-permission" => language
            .pick("该授权不含任何接口权限，没有令牌", "the grant contains no API permission, so there is no token"),
        "busy" => language.pick("另一个进程正在处理", "another process is working on it"),
        "renewed-just-now" => language.pick("令牌刚刚续期", "the token was renewed just now"),
        "still-accepted" => language.pick("微信仍接受原令牌", "WeChat still accepts the token"),
        "bus" => language.pick("事件总线没有接收", "the event bus did not accept it"),
        "mass-loss" => language.pick(
            "一次运行中疑似失效的授权过多，暂不处理",
            "unusually many grants seem to be gone at once, so none is ended",
        ),
        _ if label.starts_with(HTTP) => language
            .pick("返回了错误页，没有微信的错误码", "an error page was returned, without an error code of WeChat"),
        _ => language.pick("未知原因", "an unknown reason"),
    }
}

/// What a person can do about a renewal that fails.
const fn renewal_remedy(code: Option<ErrCode>, language: Language) -> &'static str {
    let Some(code) = code else {
        return language.pick(
            "如果只是偶发，无需处理：微信或数据表没有响应，系统会重试续期。",
            "Nothing, unless it persists: WeChat or the table did not respond, and the renewal is retried automatically.",
        );
    };
    if matches!(code, ErrCode::AccountLimited) {
        return language.pick(
            "请商家到微信公众平台查看账号：账号已被冻结、注销或正在迁移（见其 account_status）。",
            "The merchant has to look at the account in WeChat's console: it is frozen, closed or being moved (see its account_status).",
        );
    }
    match code.reaction() {
        Reaction::Retry | Reaction::WaitMinute => language.pick(
            "如果只是偶发，无需处理：微信繁忙，系统会重试续期。",
            "Nothing, unless it persists: WeChat is busy, and the renewal is retried automatically.",
        ),
        Reaction::Quota => language.pick(
            "当天的额度已用完。微信在北京时间零点重置额度，系统会重试续期。",
            "The day's quota is used up. WeChat resets it at midnight in Beijing, and the renewal is retried automatically.",
        ),
        Reaction::RefreshTokenInvalid | Reaction::Reauthorize => language.pick(
            "暂时无需处理：如果微信持续拒绝，账号会变为“需要重新授权”，届时请商家重新授权。",
            "Nothing yet: if WeChat keeps refusing, the account will need to be authorized again, by its merchant.",
        ),
        Reaction::Permission => language.pick(
            "请商家授予该权限集，或由微信解除对该账号的限制。",
            "The merchant has to grant the permission set, or WeChat has to lift its restriction of the account.",
        ),
        Reaction::Config | Reaction::NewTicket | Reaction::Refresh => language.pick(
            "请平台的运维人员检查平台配置：运行 ops doctor。",
            "An operator of the platform has to check its settings: run ops doctor.",
        ),
        Reaction::CodeSpent | Reaction::Caller | Reaction::Unknown => language.pick(
            "如果持续出现，请将 errcode、errmsg 和 rid 提供给微信客服；系统会重试续期。",
            "If it persists, give errcode, errmsg and rid to WeChat's support; the renewal is retried automatically.",
        ),
    }
}

/// The meaning of a failure that a run counted, by WeChat's code or a word.
#[must_use]
pub fn of_run(label: &str, language: Language) -> &'static str {
    errcode(label).map_or_else(|| word(label, language), |code| code.meaning(language))
}
