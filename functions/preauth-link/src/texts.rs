//! What merchants read, in both languages.

use std::time::Duration;

use base::clock::Timestamp;
use store::MAX_MINTS_PER_HOUR;
use web::{Language, Message, message};

/// The words of the launch page.
pub(crate) struct LaunchTexts {
    pub(crate) title: &'static str,
    pub(crate) asks: &'static str,
    pub(crate) asks_nameless: &'static str,
    pub(crate) explains: &'static str,
    pub(crate) button: &'static str,
    pub(crate) scan: &'static str,
    pub(crate) scan_hint: &'static str,
    pub(crate) qr_label: &'static str,
}

const LAUNCH_ZH: LaunchTexts = LaunchTexts {
    title: "公众号与小程序授权",
    asks: "申请获得您的公众号或小程序的授权。",
    asks_nameless: "服务商申请获得您的公众号或小程序的授权。",
    explains: "点击按钮前往微信，由账号管理员确认授权。授权时可以选择授予哪些权限，之后可随时取消授权。",
    button: "前往微信授权",
    scan: "用手机打开",
    scan_hint: "用微信扫描二维码，即可在手机上打开本页面。",
    qr_label: "本页面的二维码",
};

const LAUNCH_EN: LaunchTexts = LaunchTexts {
    title: "Authorize your account",
    asks: "asks for authorization to act for your WeChat official account or mini program.",
    asks_nameless: "A service provider asks for authorization to act for your WeChat official account or mini program.",
    explains: "The button takes you to WeChat, where an administrator of the account confirms. You choose there \
               which permissions to grant, and can withdraw the authorization at any time.",
    button: "Continue to WeChat",
    scan: "On your phone",
    scan_hint: "Scan this code with WeChat to open this page on your phone.",
    qr_label: "QR code of this page",
};

/// The words of the page for phone browsers outside WeChat.
pub(crate) struct OpenTexts {
    pub(crate) title: &'static str,
    pub(crate) explains: &'static str,
    pub(crate) steps: [&'static str; 3],
    pub(crate) or_computer: &'static str,
}

const OPEN_ZH: OpenTexts = OpenTexts {
    title: "请在微信中打开",
    explains: "在手机上授权，需要在微信中打开本页面。",
    steps: ["长按下面的链接，选择复制。", "打开微信，将链接发送给“文件传输助手”或自己。", "在聊天窗口中点击该链接。"],
    or_computer: "您也可以在电脑的浏览器中打开此链接。",
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

pub(crate) const fn launch(language: Language) -> &'static LaunchTexts {
    match language {
        Language::Chinese => &LAUNCH_ZH,
        Language::English => &LAUNCH_EN,
    }
}

pub(crate) const fn open(language: Language) -> &'static OpenTexts {
    match language {
        Language::Chinese => &OPEN_ZH,
        Language::English => &OPEN_EN,
    }
}

message! {
    /// There is no such link.
    unknown,
    "链接不存在",
    "请检查链接是否完整，或向服务商索取新的链接。",
    "There is no such link",
    "Check that the link is complete, or ask whoever sent it for a new one.",
}

message! {
    /// The link's time is over.
    expired,
    "链接已过期",
    "请向服务商索取新的链接。",
    "This link has expired",
    "Ask whoever sent it for a new one.",
}

message! {
    /// An account was authorized through it.
    used,
    "已完成授权",
    "已有账号通过此链接完成授权，无需再次操作。",
    "Already authorized",
    "An account has been authorized through this link. There is nothing left to do.",
}

message! {
    /// The same, and the account is not authorized any more.
    withdrawn,
    "授权已失效",
    "通过此链接完成的授权已取消或失效。如需重新授权，请向服务商索取新的链接。",
    "No longer authorized",
    "An account was authorized through this link, but the authorization has since ended. To authorize it again, \
     ask whoever sent the link for a new one.",
}

message! {
    /// It was cancelled.
    cancelled,
    "链接已取消",
    "服务商已取消此链接。如仍需授权，请向服务商索取新的链接。",
    "This link was cancelled",
    "Whoever sent it has cancelled it. If you still want to authorize your account, ask them for a new one.",
}

pub(crate) const fn too_many_title(language: Language) -> &'static str {
    match language {
        Language::Chinese => "尝试次数过多",
        Language::English => "Too many attempts",
    }
}

/// When the link works again. Where the merchant is nobody knows, so the time of day is Beijing's, and says so.
pub(crate) fn again(language: Language, wait: Duration, at: Timestamp) -> String {
    let minutes = wait.as_secs().div_ceil(MINUTE);
    let clock = beijing_clock(at);
    match language {
        Language::Chinese => format!(
            "此链接每小时最多可使用 {MAX_MINTS_PER_HOUR} 次。请在 {minutes} 分钟后（北京时间 {clock} 起）重新打开链接。"
        ),
        Language::English => {
            let unit = if minutes == 1 { "minute" } else { "minutes" };
            format!(
                "This link can be used {MAX_MINTS_PER_HOUR} times an hour. Open it again in {minutes} {unit}, from {clock} \
                 Beijing time (UTC+8)."
            )
        }
    }
}

pub(crate) const fn used_up(language: Language) -> Message<'static> {
    match language {
        Language::Chinese => Message {
            title: too_many_title(language),
            paragraphs: &["此链接的使用次数已达上限，无法继续使用。请向服务商索取新的链接。"],
        },
        Language::English => Message {
            title: too_many_title(language),
            paragraphs: &[
                "This link has reached its limit of uses and no longer works. Ask whoever sent it for a new one.",
            ],
        },
    }
}

const MINUTE: u64 = 60;

/// Seconds that Beijing's clock is ahead of UTC's. China has one time of the day and no summer time.
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
