//! What merchants read when they come back, in both languages.

use web::message;

message! {
    /// The grant is stored and the link bound.
    authorized,
    "授权成功",
    "您的账号已完成授权，您可以关闭此页面。",
    "Authorized",
    "Your account is authorized. You can close this page.",
}

message! {
    /// The grant is stored, but this is not the browser that began.
    received,
    "已收到授权",
    "已收到您的授权。请返回您开始操作的页面继续。",
    "Authorization received",
    "Your authorization was received. Return to where you started.",
}

message! {
    /// The refresher goes on.
    pending,
    "正在处理授权",
    "已收到您的授权，将在几分钟内生效。您可以关闭此页面，无需重复操作。",
    "Authorization in progress",
    "Your authorization was received and takes effect within a few minutes. You can close this page; there is nothing \
     left to do.",
}

message! {
    /// The grant is stored, and the link is bound to another account.
    link_used,
    "已授权，但链接已用于其他账号",
    "您的账号已授权成功。但每个链接只能授权一个账号，此链接此前已用于其他账号。请告知服务商您授权的是哪个账号，或向服务商索取新的链接。",
    "Authorized, but the link was used for another account",
    "Your account is authorized. But each link is for one account, and this one had already been used for another. Tell \
     whoever sent it which account you have authorized, or ask them for a new link.",
}

message! {
    /// The grant is stored, and the link was cancelled before.
    link_cancelled,
    "已授权，但链接已取消",
    "您的账号已授权成功，但服务商在此期间取消了此链接。请联系服务商确认是否还需要其他操作；您也可以在微信公众平台取消授权。",
    "Authorized, but the link was cancelled",
    "Your account is authorized, but whoever sent the link has cancelled it in the meantime. Ask them whether there is \
     anything left to do; you can also withdraw the authorization in WeChat's console (mp.weixin.qq.com).",
}

message! {
    /// The code brought nothing.
    failed,
    "授权未完成",
    "本次授权已过期。请重新打开链接再试一次，或联系服务商。",
    "Not authorized",
    "The authorization has expired. Open the link again, or contact whoever sent it.",
}

message! {
    /// No usable code.
    no_code,
    "授权信息不完整",
    "请重新打开授权链接再试一次。",
    "Something is missing",
    "The information that WeChat adds to this address is missing. Open the authorization link again.",
}

message! {
    /// No such link or attempt.
    unknown,
    "授权已失效",
    "请重新打开授权链接再试一次，或向服务商索取新的链接。",
    "This authorization is not known",
    "Open the authorization link again, or ask whoever sent it for a new one.",
}

message! {
    /// The attempt has brought too many codes.
    too_many,
    "尝试次数过多",
    "请重新打开授权链接再试一次。",
    "Too many attempts",
    "Open the authorization link again.",
}
