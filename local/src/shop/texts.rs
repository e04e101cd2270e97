//! The shop's texts if a login did not succeed: for the visitor, and for the developer of a shop.

use web::Language;

/// A page of a few sentences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Notice<'a> {
    pub(super) title: &'a str,
    pub(super) visitor: &'a str,
    pub(super) developer: &'a str,
}

/// The errors with which visitors come back.
pub(super) fn of_login_error(language: Language, error: &str) -> Notice<'static> {
    match error {
        "access_denied" => Notice {
            title: language.pick("您尚未登录", "You are not logged in"),
            visitor: language.pick(
                "您选择了暂不登录，可以继续浏览，或重新登录。",
                "You chose not to log in. You can look around without it, or log in after all.",
            ),
            developer: language.pick(
                "error=access_denied：访客拒绝授权。请以未登录的方式显示页面，不要立即再次发起登录。",
                "error=access_denied: the visitor declined. Show the page as to a visitor who is not logged in, and do not \
                 ask again by yourself.",
            ),
        },
        "code_used" => Notice {
            title: language.pick("请重新登录", "Please log in again"),
            visitor: language.pick("本次登录已失效。", "This login has expired."),
            developer: language.pick(
                "error=code_used：微信的 code 已被使用或已过期，例如访客从历史记录中重新打开了页面。请重新发起登录。",
                "error=code_used: WeChat's code was used or has expired, as when the visitor opens an old page again. Begin \
                 another login.",
            ),
        },
        "snapshot" => Notice {
            title: language.pick("请使用完整服务", "Please open the full page"),
            visitor: language.pick(
                "您正在浏览快照页。在微信中点击页面底部的“使用完整服务”，然后登录。",
                "You are looking at a snapshot of the page. In WeChat, tap 使用完整服务 at the bottom, and then log in.",
            ),
            developer: language.pick(
                "error=snapshot：快照页中的 openid 是虚拟的，平台不会返回。请勿为该访客创建账号；访客点击按钮后再发起登录。",
                "error=snapshot: in a snapshot the ids are made up, so the platform does not return them. Create no account. \
                 Begin a login when the visitor presses a button.",
            ),
        },
        "temporarily_unavailable" => Notice {
            title: language.pick("暂时无法登录", "Logging in is not possible now"),
            visitor: language.pick("您可以继续浏览，稍后再登录。", "You can look around without it, and log in later."),
            developer: language.pick(
                "error=temporarily_unavailable：微信或平台暂时没有响应。请勿自动重试。",
                "error=temporarily_unavailable: WeChat or the platform does not respond at the moment. Do not try again by \
                 yourself.",
            ),
        },
        _ => Notice {
            title: language.pick("登录未完成", "You are not logged in"),
            visitor: language.pick("请重新登录。", "Please log in again."),
            developer: language.pick(
                "未知的 error：请按 temporarily_unavailable 处理。",
                "An error that this shop does not know: treat it like temporarily_unavailable.",
            ),
        },
    }
}

/// The login code is unknown to `POST /logins`.
pub(super) fn unknown_login(language: Language) -> Notice<'static> {
    Notice {
        title: language.pick("请重新登录", "Please log in again"),
        visitor: language.pick("本次登录已失效。", "This login has expired."),
        developer: language.pick(
            "unknown-login：login_code 只能使用一次，且须在一分钟内使用。请重新发起登录。",
            "unknown-login: a login_code is valid for a minute, and once. Begin another login.",
        ),
    }
}

/// The browser has come back twice without its session.
pub(super) fn no_cookies(language: Language) -> Notice<'static> {
    Notice {
        title: language.pick("请允许 Cookie", "Please allow cookies"),
        visitor: language.pick(
            "浏览器没有保留本站的 Cookie，因此无法登录。请允许 Cookie 后重新登录。",
            "Your browser did not keep this shop's cookie, without which nobody can be logged in. Allow cookies and log in \
             again.",
        ),
        developer: language.pick(
            "state 与该浏览器的会话不符，重新发起登录后仍不相符。最多只重新发起一次，以免无限循环。",
            "The state does not belong to this browser's session, even after the login began again. It begins again only once: \
             otherwise it might never end.",
        ),
    }
}

/// The platform refused the shop's request.
pub(super) fn refused(language: Language, detail: &str) -> Notice<'_> {
    Notice {
        title: language.pick("暂时无法完成", "This did not work"),
        visitor: language.pick("商城调用平台接口时出错。", "The platform's API refused the shop's request."),
        developer: detail,
    }
}
