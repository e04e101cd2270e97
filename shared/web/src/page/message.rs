//! A page of a few sentences: what has happened, and the next step.

use askama::Template;
use base::ids::AppId;
use base::language::Language;
use store::Details;
use wechat::api::Profile;

use super::{initial, picture};

/// The tone of a page, shown by its icon and colour: whose turn it is. Every result follows this rule, so that a reader
/// sees before reading whether to do something here or to ask somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nobody's: the reader's request succeeded.
    Success,
    /// Ours: the request is being processed without the reader.
    Waiting,
    /// The reader's: the next step, such as trying again, needs nobody else. If it has an address, it is the page's
    /// button.
    Warning,
    /// Somebody else's: nothing that the reader does here leads on before the provider or the shop has acted, for
    /// example with a new link.
    Failure,
}

impl Tone {
    /// The class of the page's content.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Waiting => "waiting",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }

    /// The strokes of its icon, on a disc of 24 by 24 units.
    pub(super) const fn strokes(self) -> &'static str {
        match self {
            Self::Success => "M7 12.5l3.5 3.5L17 9",
            Self::Waiting => "M12 7v5.5l3.5 2",
            Self::Warning => "M12 6.5v7M12 17.25v.01",
            Self::Failure => "M8.5 8.5l7 7M15.5 8.5l-7 7",
        }
    }
}

/// The next step, as a button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Button<'a> {
    /// Its label.
    pub label: &'a str,
    /// Its target.
    pub url: &'a str,
}

impl Button<'_> {
    /// Loads the same page again, which failed.
    #[must_use]
    pub const fn try_again(language: Language) -> Self {
        Self::reload(language.pick("重试", "Try again"))
    }

    /// Loads the same page again, which shows the result as soon as there is one.
    #[must_use]
    pub const fn check_result(language: Language) -> Self {
        Self::reload(language.pick("查看结果", "Check the result"))
    }

    const fn reload(label: &'static str) -> Self {
        Self { label, url: "" }
    }
}

/// An account as WeChat shows it: its picture, its name, and a line of ours.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "account.html")]
pub struct AccountCard {
    name: String,
    /// The line with the appid, if the name does not say which account it is.
    appid: Option<String>,
    picture: Option<String>,
    line: String,
}

impl AccountCard {
    /// The card of an account, which has no name if the name cannot be read, so that no page fails because of that. One
    /// read.
    pub async fn read(details: &Details, language: Language, account: &AppId, line: &str) -> Self {
        let profile = details.profile(account).await.unwrap_or_else(|error| {
            tracing::warn!(authorizer = %account, "a page shows account {account} without its name: {error}");
            None
        });
        Self::of(language, account, profile.as_ref(), line)
    }

    /// The card of an account with this profile. Without a name it says so, and shows the appid. The picture is shown
    /// if its address is one of WeChat's.
    #[must_use]
    pub fn of(language: Language, account: &AppId, profile: Option<&Profile>, line: &str) -> Self {
        let name = profile.and_then(Profile::name);
        let nameless = language.pick("账号（名称暂未获取）", "Account (name not available yet)");
        let appid = match language {
            Language::Chinese => format!("AppID：{account}"),
            Language::English => format!("AppID: {account}"),
        };
        Self {
            name: name.unwrap_or(nameless).trim().to_owned(),
            appid: name.is_none().then_some(appid),
            picture: profile.and_then(|profile| picture(profile.head_img.as_deref()?)).map(String::from),
            line: line.to_owned(),
        }
    }

    /// The line on the card of an authorized account: for whom the merchant has authorized it, if that has a name.
    #[must_use]
    pub fn authorized(language: Language, asker: Option<&str>) -> String {
        match (language, asker) {
            (Language::Chinese, Some(name)) => format!("已授权给 {name}"),
            (Language::Chinese, None) => "已授权".to_owned(),
            (Language::English, Some(name)) => format!("Authorized for {name}"),
            (Language::English, None) => "Authorized".to_owned(),
        }
    }

    /// The character that is shown until the picture has been loaded, or if it cannot be loaded.
    fn initial(&self) -> String {
        initial(&self.name)
    }
}

/// A page of a few sentences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its tone.
    pub tone: Tone,
    /// Its title.
    pub title: &'a str,
    /// The account that it is about.
    pub account: Option<&'a AccountCard>,
    /// Its paragraphs.
    pub paragraphs: &'a [&'a str],
    /// The next step, if there is one.
    pub button: Option<Button<'a>>,
    /// Whether the provider can help; then its contact is next to the button.
    pub asks_provider: bool,
}

impl<'a> Message<'a> {
    /// A message without a next step.
    #[must_use]
    pub const fn new(tone: Tone, title: &'a str, paragraphs: &'a [&'a str]) -> Self {
        Self { tone, title, account: None, paragraphs, button: None, asks_provider: false }
    }

    /// The same about an account, if one is known.
    #[must_use]
    pub const fn about(self, account: Option<&'a AccountCard>) -> Self {
        Self { account, ..self }
    }

    /// The same with a button.
    #[must_use]
    pub const fn with(self, button: Button<'a>) -> Self {
        Self { button: Some(button), ..self }
    }

    /// The same with the provider's contact.
    #[must_use]
    pub const fn asking(self) -> Self {
        Self { asks_provider: true, ..self }
    }
}

/// Defines a function of the crate that returns a [`Message`] in the given language: its tone, title and paragraph in
/// Chinese, then in English.
#[macro_export]
macro_rules! message {
    (
        $(#[$doc:meta])* $name:ident, $tone:ident,
        $zh_title:literal, $zh:literal, $en_title:literal, $en:literal $(,)?
    ) => {
        $(#[$doc])*
        pub(crate) const fn $name(language: $crate::Language) -> $crate::Message<'static> {
            match language {
                $crate::Language::Chinese => $crate::Message::new($crate::Tone::$tone, $zh_title, &[$zh]),
                $crate::Language::English => $crate::Message::new($crate::Tone::$tone, $en_title, &[$en]),
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn card(language: Language, name: &str, head_img: Option<&str>) -> String {
        let profile = json!({ "kind": "official_account", "nick_name": name, "head_img": head_img });
        let profile: Profile = serde_json::from_value(profile).unwrap();
        let account = AppId::parse("wx1234567890abcdef").unwrap();
        AccountCard::of(language, &account, Some(&profile), "已授权").render().unwrap()
    }

    #[test]
    fn a_card_shows_how_the_name_begins_until_there_is_a_picture() {
        for head_img in [None, Some("https://evil.example/x")] {
            let plain = card(Language::Chinese, " <小店>", head_img);
            assert!(
                plain.contains("aria-hidden=\"true\">&#60;<") && plain.contains("<bdi>&#60;小店&#62;</bdi>"),
                "{plain}"
            );
            assert!(!plain.contains("<img") && !plain.contains("AppID"), "{plain}");
        }
        let card = card(Language::Chinese, "小店", Some("http://wx.qlogo.cn/mmopen/x/0"));
        assert!(
            card.contains("src=\"https://wx.qlogo.cn/mmopen/x/0\" alt=\"\" referrerpolicy=\"no-referrer\""),
            "{card}"
        );
    }

    #[test]
    fn an_appid_is_not_shown_as_a_name() {
        for (language, name, appid) in [
            (Language::Chinese, "账号（名称暂未获取）", "AppID：wx1234567890abcdef"),
            (Language::English, "Account (name not available yet)", "AppID: wx1234567890abcdef"),
        ] {
            let blank = card(language, " ", None);
            assert!(blank.contains(&format!("<bdi>{name}</bdi>")), "{blank}");
            assert!(blank.contains(&format!("<br><span class=\"soft\">{appid}</span>")), "{blank}");
        }
    }
}
