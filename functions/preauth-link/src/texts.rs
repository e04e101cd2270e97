//! What merchants read, in both languages.

use shared::web::{Language, Message};

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
    asks: "请求获得您的公众号或小程序的授权。",
    asks_nameless: "服务商请求获得您的公众号或小程序的授权。",
    explains: "点击按钮前往微信，由账号管理员扫码确认。您可以在微信中选择要授予的权限，并可随时取消授权。",
    button: "前往微信授权",
    scan: "用手机打开",
    scan_hint: "使用微信扫描二维码，即可在手机上打开本页面。",
    qr_label: "本页面的二维码",
};

const LAUNCH_EN: LaunchTexts = LaunchTexts {
    title: "Authorize your account",
    asks: "asks to be authorized for your WeChat official account or mini program.",
    asks_nameless: "A service provider asks to be authorized for your WeChat official account or mini program.",
    explains: "The button takes you to WeChat, where an administrator of the account confirms. There you choose what \
               to grant, and you can withdraw it at any time.",
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
    explains: "在手机上，授权只能在微信内完成。",
    steps: ["长按下面的链接并复制。", "打开微信，将链接发送给“文件传输助手”或自己。", "在聊天中点击该链接。"],
    or_computer: "您也可以在电脑浏览器中打开此链接。",
};

const OPEN_EN: OpenTexts = OpenTexts {
    title: "Open this link in WeChat",
    explains: "On a phone, the authorization works inside WeChat only.",
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

pub(crate) const fn unknown(language: Language) -> Message<'static> {
    match language {
        Language::Chinese => Message {
            title: "链接不存在",
            paragraphs: &["请检查链接是否完整，或向服务商索取新的链接。"],
        },
        Language::English => Message {
            title: "There is no such link",
            paragraphs: &["Check that the link is complete, or ask whoever sent it for a new one."],
        },
    }
}

pub(crate) const fn expired(language: Language) -> Message<'static> {
    match language {
        Language::Chinese => {
            Message { title: "链接已过期", paragraphs: &["请向服务商索取新的链接。"] }
        }
        Language::English => {
            Message { title: "This link has expired", paragraphs: &["Ask whoever sent it for a new one."] }
        }
    }
}

pub(crate) const fn used(language: Language) -> Message<'static> {
    match language {
        Language::Chinese => Message {
            title: "已完成授权",
            paragraphs: &["已有账号通过此链接完成授权，无需再次操作。"],
        },
        Language::English => Message {
            title: "Already authorized",
            paragraphs: &["An account has been authorized through this link. There is nothing left to do."],
        },
    }
}

pub(crate) const fn too_many(language: Language, later: bool) -> Message<'static> {
    match (language, later) {
        (Language::Chinese, true) => Message {
            title: "尝试次数过多",
            paragraphs: &["此链接在一小时内使用次数过多，请稍后再试。"],
        },
        (Language::Chinese, false) => Message {
            title: "尝试次数过多",
            paragraphs: &["此链接已达使用上限，请向服务商索取新的链接。"],
        },
        (Language::English, true) => Message {
            title: "Too many attempts",
            paragraphs: &["This link was followed too often within an hour. Please try again later."],
        },
        (Language::English, false) => Message {
            title: "Too many attempts",
            paragraphs: &["This link was followed too often. Ask whoever sent it for a new one."],
        },
    }
}
