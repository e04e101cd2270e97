//! What merchants read when they come back, in both languages.

use shared::web::{Language, Message};

/// A message in the given language: title and paragraphs in Chinese, then in English.
macro_rules! message {
    ($(#[$doc:meta])* $name:ident, $zh_title:literal, $zh:literal, $en_title:literal, $en:literal $(,)?) => {
        $(#[$doc])*
        pub(crate) const fn $name(language: Language) -> Message<'static> {
            match language {
                Language::Chinese => Message { title: $zh_title, paragraphs: &[$zh] },
                Language::English => Message { title: $en_title, paragraphs: &[$en] },
            }
        }
    };
}

message! {
    /// The grant is stored and the link bound.
    authorized,
    "授权成功",
    "您的账号已完成授权，可以关闭此页面。",
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
    "已收到您的授权，处理需要几分钟。可以关闭此页面，无需重复操作。",
    "Being processed",
    "Your authorization was received and takes effect within a few minutes. You can close this page; there is nothing \
     left to do.",
}

message! {
    /// The code brought nothing, or another account.
    failed,
    "授权未完成",
    "授权已过期，或此链接已用于其他账号。请重新打开链接再试一次，或联系服务商。",
    "Not authorized",
    "The authorization has lapsed, or the link was used for another account. Open the link once more, or ask whoever \
     sent it.",
}

message! {
    /// No usable code.
    no_code,
    "授权信息不完整",
    "请重新打开授权链接再试一次。",
    "Something is missing",
    "This address lacks what WeChat adds to it. Open the authorization link once more.",
}

message! {
    /// No such link or attempt.
    unknown,
    "授权已失效",
    "请重新打开授权链接再试一次，或向服务商索取新的链接。",
    "This authorization is not known",
    "Open the authorization link once more, or ask whoever sent it for a new one.",
}

message! {
    /// The attempt has brought too many codes.
    too_many,
    "尝试次数过多",
    "请重新打开授权链接再试一次。",
    "Too many attempts",
    "Open the authorization link once more.",
}
