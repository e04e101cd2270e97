//! The words of the launch page, which fit what the link asks for and the browser that shows it.

use store::LinkRequest;
use web::{Browser, Language};

/// What a link asks a merchant to authorize (protocol section 2, `auth_type` and `biz_appid`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    OfficialAccount,
    MiniProgram,
    Either,
    Promoter,
    Channels,
    Any,
    SellingAssistant,
    /// One account and no other, of whatever kind.
    ThisAccount,
}

impl Wanted {
    const fn of(request: &LinkRequest) -> Self {
        if request.biz_appid.is_some() {
            return Self::ThisAccount;
        }
        match request.auth_type {
            1 => Self::OfficialAccount,
            2 => Self::MiniProgram,
            4 => Self::Promoter,
            5 => Self::Channels,
            6 => Self::Any,
            8 => Self::SellingAssistant,
            _ => Self::Either,
        }
    }

    const fn title(self, language: Language) -> &'static str {
        let (chinese, english) = match self {
            Self::OfficialAccount => ("公众号授权", "Authorize your official account"),
            Self::MiniProgram => ("小程序授权", "Authorize your mini program"),
            Self::Either => ("公众号或小程序授权", "Authorize your account"),
            Self::Promoter => ("小程序推客授权", "Authorize your account"),
            Self::Channels => ("视频号授权", "Authorize your Channels account"),
            Self::Any => ("账号授权", "Authorize your account"),
            Self::SellingAssistant => ("带货助手授权", "Authorize your account"),
            Self::ThisAccount => ("账号授权", "Authorize this account"),
        };
        language.pick(chinese, english)
    }

    /// What comes after "the authorization of".
    const fn account(self, language: Language) -> &'static str {
        let (chinese, english) = match self {
            Self::OfficialAccount => ("您的公众号", "your WeChat official account"),
            Self::MiniProgram => ("您的小程序", "your WeChat mini program"),
            Self::Either => ("您的公众号或小程序", "your WeChat official account or mini program"),
            Self::Promoter => ("您的小程序推客账号", "your account for promoting mini programs (小程序推客)"),
            Self::Channels => ("您的视频号", "your WeChat Channels account"),
            Self::Any => {
                ("您的公众号、小程序或视频号", "your WeChat official account, mini program or Channels account")
            }
            Self::SellingAssistant => ("您的带货助手账号", "your selling assistant account (带货助手)"),
            Self::ThisAccount => ("此账号", "this account"),
        };
        language.pick(chinese, english)
    }

    /// What the merchant does at WeChat.
    const fn choices(self, language: Language) -> &'static str {
        match self {
            Self::ThisAccount => language.pick("选择权限并确认", "chooses the permissions and confirms"),
            _ => language.pick("选择账号和权限并确认", "chooses the account and the permissions, and confirms"),
        }
    }
}

/// The words of the launch page.
pub(crate) struct LaunchTexts<'a> {
    pub(crate) title: &'static str,
    /// Who asks, if that has a name: it comes before `asks`.
    pub(crate) asker: Option<&'a str>,
    pub(crate) asks: String,
    pub(crate) explains: String,
    pub(crate) button: &'static str,
    pub(crate) scan: &'static str,
    pub(crate) scan_hint: &'static str,
    pub(crate) qr_label: &'static str,
}

impl<'a> LaunchTexts<'a> {
    /// `provider`: who asks unless the link names somebody.
    pub(crate) fn new(
        language: Language,
        request: &'a LinkRequest,
        provider: Option<&'a str>,
        browser: Browser,
    ) -> Self {
        let wanted = Wanted::of(request);
        let asker = request.requester_name.as_deref().or(provider);
        let account = wanted.account(language);
        Self {
            title: wanted.title(language),
            asker,
            asks: match (language, asker) {
                (Language::Chinese, Some(_)) => format!("申请获得{account}的授权。"),
                (Language::Chinese, None) => format!("服务商申请获得{account}的授权。"),
                (Language::English, Some(_)) => format!("asks for authorization to act for {account}."),
                (Language::English, None) => format!("A service provider asks for authorization to act for {account}."),
            },
            explains: explains(language, wanted, browser),
            button: language.pick("前往微信授权", "Continue to WeChat"),
            scan: language.pick("在手机上授权", "On your phone"),
            scan_hint: language.pick(
                "管理员也可以用微信扫描此二维码，直接在手机上完成授权。",
                "The administrator can also scan this code with WeChat and do everything on the phone.",
            ),
            qr_label: language.pick("此页面的二维码", "QR code of this page"),
        }
    }
}

/// The way from the button to the authorization: inside WeChat on a phone there is nothing to scan, on a computer
/// WeChat shows a QR code.
fn explains(language: Language, wanted: Wanted, browser: Browser) -> String {
    let choices = wanted.choices(language);
    match (language, browser) {
        (Language::Chinese, Browser::WechatOnPhone) => {
            format!("点击按钮后，由账号管理员{choices}，无需扫码。之后可随时取消授权。")
        }
        (Language::Chinese, _) => {
            format!("点击按钮后，微信会显示二维码，由账号管理员用微信扫描，在手机上{choices}。之后可随时取消授权。")
        }
        (Language::English, Browser::WechatOnPhone) => {
            format!(
                "Tap the button. An administrator of the account {choices}; there is nothing to scan. The \
                 authorization can be withdrawn at any time."
            )
        }
        (Language::English, _) => {
            format!(
                "The button takes you to WeChat's page with a QR code. An administrator of the account scans it with \
                 WeChat, then {choices} on the phone. The authorization can be withdrawn at any time."
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use base::ids::AppId;
    use store::Labels;

    use super::*;

    fn request(auth_type: u8) -> LinkRequest {
        LinkRequest {
            auth_type,
            biz_appid: None,
            category_ids: Vec::new(),
            return_url: None,
            requester_name: None,
            labels: Labels::default(),
            made_by: None,
        }
    }

    fn asks(request: &LinkRequest) -> [String; 2] {
        Language::ALL.map(|language| LaunchTexts::new(language, request, None, Browser::Computer).asks)
    }

    #[test]
    fn the_page_names_what_the_link_asks_for() {
        for (auth_type, chinese, english) in [
            (1, "您的公众号的", "for your WeChat official account."),
            (2, "您的小程序的", "for your WeChat mini program."),
            (3, "您的公众号或小程序的", "for your WeChat official account or mini program."),
            (5, "您的视频号的", "for your WeChat Channels account."),
        ] {
            let [in_chinese, in_english] = asks(&request(auth_type));
            assert!(in_chinese.contains(chinese), "{in_chinese}");
            assert!(in_english.ends_with(english), "{in_english}");
        }
        let one = LinkRequest { biz_appid: Some(AppId::parse("wx1234567890abcdef").unwrap()), ..request(1) };
        assert_eq!(asks(&one)[0], "服务商申请获得此账号的授权。");
    }

    #[test]
    fn whoever_the_link_names_asks_and_else_the_provider() {
        let named = LinkRequest { requester_name: Some("小店".into()), ..request(1) };
        for (request, provider, expected) in [
            (&named, Some("示例科技"), Some("小店")),
            (&request(1), Some("示例科技"), Some("示例科技")),
            (&request(1), None, None),
        ] {
            let texts = LaunchTexts::new(Language::Chinese, request, provider, Browser::Computer);
            assert_eq!(texts.asker, expected);
        }
    }

    #[test]
    fn nobody_is_told_to_scan_inside_wechat_on_a_phone() {
        for language in Language::ALL {
            let texts = |browser| explains(language, Wanted::Either, browser);
            let scans = language.pick("用微信扫描", "scans it with");
            assert!(!texts(Browser::WechatOnPhone).contains(scans));
            assert!(texts(Browser::Computer).contains(scans) && texts(Browser::WechatOnComputer).contains(scans));
        }
    }
}
