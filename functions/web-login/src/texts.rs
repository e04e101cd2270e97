//! What visitors read, in both languages. If a page is to blame, a sentence for its developer.

use axum::response::Response;
use http::StatusCode;
use url::Url;
use web::{Button, Language, Message, Pages, Tone, message};

use crate::request::RequestError;

/// The words of the page with the button.
pub(crate) struct ButtonTexts {
    pub(crate) title: &'static str,
    pub(crate) asks: &'static str,
    pub(crate) button: &'static str,
    pub(crate) cancel: &'static str,
}

const BUTTON_ZH: ButtonTexts = ButtonTexts {
    title: "微信登录",
    asks: "申请获取您的微信昵称和头像，用于登录。",
    button: "使用微信登录",
    cancel: "暂不登录",
};

const BUTTON_EN: ButtonTexts = ButtonTexts {
    title: "Log in with WeChat",
    asks: "asks for your WeChat nickname and picture to log you in.",
    button: "Continue with WeChat",
    cancel: "Not now",
};

/// The words of the page for browsers outside WeChat.
pub(crate) struct OpenTexts {
    pub(crate) title: &'static str,
    pub(crate) scan: &'static str,
    pub(crate) qr_label: &'static str,
    pub(crate) or_copy: &'static str,
}

const OPEN_ZH: OpenTexts = OpenTexts {
    title: "请在微信中登录",
    scan: "请用微信扫描二维码，在手机上继续登录。",
    qr_label: "登录地址的二维码",
    or_copy: "如果您正在使用手机，请长按复制下面的链接，在微信中发送给“文件传输助手”，然后点击打开。",
};

const OPEN_EN: OpenTexts = OpenTexts {
    title: "Log in inside WeChat",
    scan: "Scan this code with WeChat to continue on your phone.",
    qr_label: "QR code of this address",
    or_copy: "On this phone: press and hold the link below, copy it, send it to File Transfer in WeChat, and tap it there.",
};

pub(crate) const fn button(language: Language) -> &'static ButtonTexts {
    match language {
        Language::Chinese => &BUTTON_ZH,
        Language::English => &BUTTON_EN,
    }
}

pub(crate) const fn open(language: Language) -> &'static OpenTexts {
    match language {
        Language::Chinese => &OPEN_ZH,
        Language::English => &OPEN_EN,
    }
}

/// The page for a URL that cannot be used.
pub(crate) fn bad_address<'a>(language: Language, paragraphs: &'a [&'a str]) -> Message<'a> {
    Message::new(Tone::Failure, language.pick("登录地址有误", "This login address does not work"), paragraphs)
}

pub(crate) fn for_visitors(language: Language) -> &'static str {
    language.pick("请返回原页面重试，或联系商家。", "Go back to the page that you came from, or contact the shop.")
}

/// What is wrong with the URL, for the developer of the page.
pub(crate) fn advice(language: Language, error: RequestError) -> &'static str {
    match error {
        RequestError::Twice => language.pick(
            "开发者：参数 scope、return_url、state、challenge 均只能出现一次。",
            "For the developer: scope, return_url, state and challenge may each appear only once.",
        ),
        RequestError::Scope => language.pick(
            "开发者：scope 必须是 snsapi_base（静默登录）或 snsapi_userinfo（获取昵称和头像）。",
            "For the developer: scope must be snsapi_base (without asking) or snsapi_userinfo (nickname and picture).",
        ),
        RequestError::ReturnUrl => language.pick(
            "开发者：return_url 必须是 https 地址（本机开发可用 http），经过 URL 编码，不超过 1024 字节，且不含名为 login_code、state 或 error 的参数。",
            "For the developer: return_url must be an https address (http on this machine only), percent-encoded, of at \
             most 1,024 bytes, without parameters named login_code, state or error.",
        ),
        RequestError::Unbound => language.pick(
            "开发者：缺少 state 或 challenge。缺少时，攻击者可以让访客登录到他人的账号（登录 CSRF）。",
            "For the developer: state or challenge is missing. Without them, an attacker could log your visitor in as \
             somebody else (login CSRF).",
        ),
        RequestError::State => language.pick(
            "开发者：state 必须是 16 至 256 个可见的 ASCII 字符，且每次登录都应随机生成。",
            "For the developer: state must be 16 to 256 visible ASCII characters, generated at random for each login.",
        ),
        RequestError::Challenge => language.pick(
            "开发者：challenge 必须是 verifier 的 SHA-256 摘要经 Base64URL 编码后的结果（43 个字符，即 RFC 7636 的 S256）。",
            "For the developer: challenge must be the SHA-256 of the verifier in Base64URL: 43 characters, S256 of RFC 7636.",
        ),
    }
}

/// The account does not permit pages of this origin.
pub(crate) fn origin(language: Language) -> &'static str {
    language.pick(
        "开发者：return_url 的源（origin）不在该账号的 login_origins 中，请通过 PATCH /accounts/{appid} 添加。",
        "For the developer: the origin of return_url is not among the login_origins of the account. Add it with \
         PATCH /accounts/{appid}.",
    )
}

/// The account is a mini program.
pub(crate) fn mini_program(language: Language) -> &'static str {
    language.pick(
        "开发者：该 appid 属于小程序。小程序请使用 wx.login。",
        "For the developer: this appid is a mini program's. Mini programs use wx.login.",
    )
}

message! {
    /// There is no such account.
    unknown_account,
    Failure,
    "公众号不存在",
    "该登录地址对应的公众号不存在。请返回原页面重试，或联系商家。",
    "No such account",
    "No official account has this login address. Go back to the page that you came from, or contact the shop.",
}

message! {
    /// The platform may no longer act for the account.
    authorization_ended,
    Failure,
    "暂时无法登录",
    "该公众号的授权已失效，暂时无法使用微信登录。请联系商家。",
    "Login unavailable",
    "The official account's authorization is no longer valid, so WeChat login is unavailable. Please contact the shop.",
}

message! {
    /// The visitor comes back without having begun here.
    no_attempt,
    Warning,
    "登录已失效",
    "请返回原页面重新登录，并在十分钟内使用同一浏览器完成。如仍不成功，请允许浏览器使用 Cookie。",
    "This login has expired",
    "Go back to the page that you came from and log in again, in this browser and within ten minutes. If that does not \
     help, allow cookies.",
}

/// WeChat does not let the account log visitors in.
pub(crate) fn refused(pages: &Pages, language: Language, onward: &Url) -> Response {
    let title = language.pick("暂时无法登录", "Login unavailable");
    let paragraphs = [language.pick(
        "微信目前不允许该公众号使用网页登录。您可以返回原页面，不登录继续浏览，或联系商家。",
        "WeChat does not let this official account log visitors in at the moment. You can go on without logging in, or \
         contact the shop.",
    )];
    let back = Button { label: language.pick("返回原页面", "Back to the page"), url: onward.as_str() };
    pages.message(StatusCode::CONFLICT, language, Message::new(Tone::Warning, title, &paragraphs).with(back))
}
