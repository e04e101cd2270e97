//! What merchants read, in both languages.

use std::time::Duration;

use base::clock::Timestamp;
use store::MAX_MINTS_PER_HOUR;
use web::{Language, message};

/// The words of the page for phone browsers outside WeChat.
pub(crate) struct OpenTexts {
    pub(crate) title: &'static str,
    pub(crate) explains: &'static str,
    pub(crate) steps: [&'static str; 3],
    pub(crate) or_computer: &'static str,
}

const OPEN_ZH: OpenTexts = OpenTexts {
    title: "请在微信中打开",
    explains: "在手机上授权时，需要在微信中打开此页面。",
    steps: ["长按下面的链接，选择“复制”。", "打开微信，将链接发送给“文件传输助手”或自己。", "在聊天中点击该链接。"],
    or_computer: "也可以在电脑浏览器中打开此链接。",
};

const OPEN_EN: OpenTexts = OpenTexts {
    title: "Open this link in WeChat",
    explains: "On a phone, you can authorize only inside WeChat.",
    steps: [
        "Press and hold the link below, and copy it.",
        "In WeChat, send it to yourself or to File Transfer.",
        "Tap it in that chat.",
    ],
    or_computer: "Or open the link in a browser on a computer.",
};

pub(crate) const fn open(language: Language) -> &'static OpenTexts {
    match language {
        Language::Chinese => &OPEN_ZH,
        Language::English => &OPEN_EN,
    }
}

message! {
    /// There is no such link.
    unknown,
    Failure,
    "链接不存在",
    "请检查链接是否复制完整，或向服务商索取新的链接。",
    "There is no such link",
    "Check that you have copied the whole link, or ask whoever sent it for a new one.",
}

message! {
    /// The link has expired.
    expired,
    Failure,
    "链接已过期",
    "请向服务商索取新的链接。",
    "This link has expired",
    "Ask whoever sent it for a new one.",
}

message! {
    /// An account was authorized through it.
    used,
    Success,
    "已完成授权",
    "此链接已完成授权，无需再次操作，可以关闭此页面。",
    "Already authorized",
    "An account has been authorized through this link. There is nothing left to do; you can close this page.",
}

message! {
    /// An account was authorized through it, but no longer is.
    withdrawn,
    Failure,
    "授权已失效",
    "通过此链接完成的授权已取消或失效。如需重新授权，请向服务商索取新的链接。",
    "No longer authorized",
    "An account was authorized through this link, but the authorization has since ended. To authorize it again, \
     ask whoever sent the link for a new one.",
}

message! {
    /// It was cancelled.
    cancelled,
    Failure,
    "链接已取消",
    "服务商已取消此链接。如仍需授权，请向服务商索取新的链接。",
    "This link was cancelled",
    "The sender has cancelled it. If you still want to authorize your account, ask them for a new one.",
}

pub(crate) const fn too_many_title(language: Language) -> &'static str {
    language.pick("尝试次数过多", "Too many attempts")
}

/// When the link works again. The merchant's time zone is unknown, so the time of day is Beijing's, and says so.
pub(crate) fn again(language: Language, wait: Duration, at: Timestamp) -> String {
    let minutes = wait.as_secs().div_ceil(MINUTE);
    let clock = beijing_clock(at);
    match language {
        Language::Chinese => format!(
            "此链接每小时最多可使用 {MAX_MINTS_PER_HOUR} 次。请在 {minutes} 分钟后（北京时间 {clock} 起）重试。"
        ),
        Language::English => {
            let unit = if minutes == 1 { "minute" } else { "minutes" };
            format!(
                "This link can be used {MAX_MINTS_PER_HOUR} times an hour. Try again in {minutes} {unit}, from {clock} \
                 Beijing time (UTC+8)."
            )
        }
    }
}

message! {
    /// The link makes no further codes.
    used_up,
    Failure,
    "链接使用次数已达上限",
    "此链接无法继续使用。请向服务商索取新的链接。",
    "This link has been used too often",
    "It has reached its limit of uses and no longer works. Ask whoever sent it for a new one.",
}

/// What a page says of the one account that a link is for.
pub(crate) const fn this_account(language: Language) -> &'static str {
    language.pick("此链接仅用于授权该账号", "The link is for this account only")
}

const MINUTE: u64 = 60;

/// The offset of Beijing's clock from UTC, in seconds. China has one time zone and no summer time.
const BEIJING_AHEAD: i64 = 8 * 60 * 60;

/// Hour and minute in Beijing, the next full minute.
fn beijing_clock(at: Timestamp) -> String {
    let minutes = (at.unix() + BEIJING_AHEAD + 59).div_euclid(60).rem_euclid(24 * 60);
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_next_try_is_given_in_minutes_and_in_beijings_time() {
        // 2023-11-14T22:13:20Z
        let at = Timestamp::from_unix(1_700_000_000);
        let told = |seconds| again(Language::English, Duration::from_secs(seconds), at);
        assert!(told(2_400).contains("in 40 minutes, from 06:14 Beijing time"), "{}", told(2_400));
        assert!(told(2_401).contains("in 41 minutes,"));
        assert!(told(60).contains("in 1 minute,"));
        assert!(told(1).contains("in 1 minute,"));
        let told = again(Language::Chinese, Duration::from_mins(40), at);
        assert!(told.contains("40 分钟后（北京时间 06:14 起）"), "{told}");
        assert_eq!(beijing_clock(Timestamp::from_unix(16 * 3_600)), "00:00");
        assert_eq!(beijing_clock(Timestamp::from_unix(16 * 3_600 - 1)), "00:00");
        assert_eq!(beijing_clock(Timestamp::from_unix(16 * 3_600 - 60)), "23:59");
    }
}
