//! What merchants read when they come back, in both languages.

use web::{Language, message};

/// The button that leads back to the link's page.
pub(crate) const fn open_again(language: Language) -> &'static str {
    language.pick("重新打开授权链接", "Open the link again")
}

message! {
    /// The grant is stored and the link bound.
    authorized,
    Success,
    "授权成功",
    "您的账号已完成授权，可以关闭此页面。之后可随时取消授权。",
    "Authorized",
    "Your account is authorized. You can close this page. The authorization can be withdrawn at any time.",
}

message! {
    /// The grant is stored, but this is not the browser that began.
    received,
    Success,
    "已收到授权",
    "请返回您开始操作的页面，或打开授权链接查看结果。",
    "Authorization received",
    "Return to the page where you started, or open the link to see the result.",
}

message! {
    /// The refresher continues.
    pending,
    Waiting,
    "正在处理授权",
    "已收到您的授权，正在处理，通常几分钟内完成，请勿重复授权。您可以关闭此页面，稍后打开授权链接查看结果。",
    "Authorization in progress",
    "Your authorization was received and is being processed, which usually takes a few minutes. Do not authorize \
     again. You can close this page and open the link later to see the result.",
}

message! {
    /// The grant is stored, and the link is bound to another account.
    link_used,
    Failure,
    "已授权，但链接已用于其他账号",
    "每个链接只能授权一个账号，此链接已用于其他账号。请告知服务商您授权的是上面的账号，或向服务商索取新的链接。",
    "Authorized, but the link was used for another account",
    "Each link is for one account, and this one had already been used for another. Tell whoever sent it that you have \
     authorized the account above, or ask them for a new link.",
}

message! {
    /// The grant is stored, but the link had been cancelled before.
    link_cancelled,
    Failure,
    "已授权，但链接已取消",
    "在您授权期间，服务商取消了此链接。请联系服务商确认是否还需要其他操作；您也可以在微信公众平台取消授权。",
    "Authorized, but the link was cancelled",
    "The sender cancelled the link while you were authorizing. Ask them whether anything else is needed; you can also \
     withdraw the authorization in WeChat's console (mp.weixin.qq.com).",
}

message! {
    /// WeChat says that the account is not authorized any more.
    withdrawn,
    Warning,
    "授权已取消",
    "微信显示该账号的授权已取消。如仍需授权，请重新打开链接。",
    "The authorization was withdrawn",
    "According to WeChat, the account's authorization was withdrawn. If you still want to authorize it, open the link \
     again.",
}

message! {
    /// The code brought no grant.
    failed,
    Warning,
    "授权未完成",
    "微信返回的授权码已过期或已被使用。请重新打开链接再试一次。",
    "Authorization not completed",
    "The authorization code from WeChat has expired or was already used. Open the link and try again.",
}

message! {
    /// No usable code.
    no_code,
    Warning,
    "授权信息不完整",
    "此地址中缺少微信返回的授权码。请重新打开授权链接再试一次。",
    "The authorization code is missing",
    "This address lacks the authorization code that WeChat adds to it. Open the authorization link and try again.",
}

message! {
    /// No such link or attempt.
    unknown,
    Warning,
    "本次授权操作已过期",
    "本次授权的记录已过期或不存在。请重新打开授权链接再试一次，或向服务商索取新的链接。",
    "This authorization attempt has expired",
    "We have no record of it any more. Open the authorization link and try again, or ask whoever sent it for a \
     new one.",
}

message! {
    /// The attempt has brought too many codes.
    too_many,
    Warning,
    "尝试次数过多",
    "请重新打开授权链接再试一次。",
    "Too many attempts",
    "Open the authorization link and try again.",
}
