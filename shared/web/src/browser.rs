//! The kind of browser that shows a page, by its `User-Agent`.
//!
//! It decides only which page is useful: WeChat's mobile authorization page works only inside WeChat on a phone, its
//! page for computers shows a QR code that a phone cannot scan from its own screen, and visitors can be logged in only
//! inside WeChat (protocol sections 2 and 5.4).

use http::HeaderMap;
use http::header::USER_AGENT;

/// A kind of browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Browser {
    /// A browser on a computer or a tablet.
    Computer,
    /// WeChat's own browser on a computer.
    WechatOnComputer,
    /// WeChat's own browser on a phone.
    WechatOnPhone,
    /// Any other browser on a phone; also `WeCom`'s, which is not WeChat.
    OtherOnPhone,
}

/// What WeChat's clients on computers add to a user agent that otherwise looks like WeChat on a phone.
const WECHAT_ON_COMPUTER: [&str; 2] = ["windowswechat", "macwechat"];

/// What `WeCom` adds to its user agent, which also contains WeChat's name.
const WECOM: &str = "wxwork";

impl Browser {
    /// The browser that sent a request.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let name = headers.get(USER_AGENT).and_then(|name| name.to_str().ok()).unwrap_or_default();
        Self::named(&name.to_ascii_lowercase())
    }

    fn named(name: &str) -> Self {
        let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
        if name.contains("micromessenger") && !name.contains(WECOM) {
            return if has(&WECHAT_ON_COMPUTER) { Self::WechatOnComputer } else { Self::WechatOnPhone };
        }
        let on_computer = has(&["windows nt", "macintosh", "ipad"]) || has(&WECHAT_ON_COMPUTER);
        if !on_computer && has(&["mobile", "iphone", "ipod"]) {
            return Self::OtherOnPhone;
        }
        Self::Computer
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(name: &'static str) -> Browser {
        Browser::of(&HeaderMap::from_iter([(USER_AGENT, HeaderValue::from_static(name))]))
    }

    #[test]
    fn wechat_on_a_phone_is_known_on_both_systems() {
        for name in [
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 MicroMessenger/8.0.50 NetType/WIFI Language/zh_CN",
            "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/122 Mobile Safari/537.36 MMWEBID/1 MicroMessenger/8.0.49.2600 WeChat/arm64",
        ] {
            assert_eq!(of(name), Browser::WechatOnPhone, "{name}");
        }
    }

    #[test]
    fn wechat_on_a_computer_is_wechat_and_no_phone() {
        for name in [
            "Mozilla/5.0 (Windows NT 10.0; WOW64) AppleWebKit/537.36 MicroMessenger/7.0.20.1781(0x6700143B) NetType/WIFI MiniProgramEnv/Windows WindowsWechat/WMPF",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 MicroMessenger/6.8.0(0x16080000) MacWechat/3.8.7",
        ] {
            assert_eq!(of(name), Browser::WechatOnComputer, "{name}");
        }
    }

    #[test]
    fn other_browsers_on_a_phone_are_recognized() {
        for name in [
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1",
            "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/122 Mobile Safari/537.36",
            "Mozilla/5.0 (Phone; OpenHarmony 5.0) AppleWebKit/537.36 Chrome/114 ArkWeb/4.1.6.1 Mobile",
            "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Mobile Safari/537.36 wxwork/4.1.30 MicroMessenger/7.0.1",
        ] {
            assert_eq!(of(name), Browser::OtherOnPhone, "{name}");
        }
    }

    #[test]
    fn everything_else_is_a_computer() {
        assert_eq!(Browser::of(&HeaderMap::new()), Browser::Computer);
        for name in [
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/122 Safari/537.36",
            "Mozilla/5.0 (iPad; CPU OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 MicroMessenger/7.0 wxwork/4.1 WindowsWechat",
            "curl/8.5.0",
        ] {
            assert_eq!(of(name), Browser::Computer, "{name}");
        }
    }
}
