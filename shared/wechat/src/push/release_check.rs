//! WeChat's automated check before a platform goes live, 全网发布接入检测 (protocol section 7).
//!
//! WeChat authorizes the platform for one of its own test accounts, sends messages as a follower of it, and expects
//! fixed replies. Any follower of an account can send it any text. So only the harmless case is recognized by its
//! content alone; the cases that echo an event or make the platform call WeChat are only for the test accounts. The
//! check's messages to a test account are answered before anything about the account is looked up, and are never
//! delivered to the business.

use base::ids::AppId;
use secrecy::SecretString;

use super::{AccountMessage, Content, Reply};

/// The check's text message; the reply is the same with [`CALLBACK`] appended.
const TEXT: &str = "TESTCOMPONENT_MSG_TYPE_TEXT";

/// Appended to the text.
const CALLBACK: &str = "_callback";

/// Appended to the name of an event.
const FROM_CALLBACK: &str = "from_callback";

/// The prefix of the authorization code that is to be exchanged.
const QUERY_AUTH_CODE: &str = "QUERY_AUTH_CODE:";

/// Appended to that code in the customer-service message.
const FROM_API: &str = "_from_api";

/// WeChat's test accounts and their original ids: five groups, each with an official account and a mini program.
const WECHATS: [(&str, &str); 10] = [
    ("wx570bc396a51b8ff8", "gh_3c884a361561"),
    ("wxd101a85aa106f53e", "gh_8dad206e9538"),
    ("wx9252c5e0bb1836fc", "gh_c0f28a78b318"),
    ("wxc39235c15087f6f3", "gh_905ae9d01059"),
    ("wx8e1097c5bc82cde9", "gh_3f222ed8d140"),
    ("wx7720d01d4b2a4500", "gh_393666f1fdf4"),
    ("wx14550af28c71a144", "gh_26128078e9ab"),
    ("wx05d483572dcd5d8b", "gh_39abb5d4e1b7"),
    ("wxa35b9c23cfe664eb", "gh_2b3713f184a6"),
    ("wx5910277cae6fd970", "gh_7818dcb60240"),
];

/// The accounts with which the check is run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TestAccounts {
    more: Vec<AppId>,
}

impl TestAccounts {
    /// WeChat's ten accounts, and `more` that it may have added since.
    #[must_use]
    pub const fn with(more: Vec<AppId>) -> Self {
        Self { more }
    }

    /// WeChat's ten accounts with their original ids, in groups of an official account and a mini program.
    #[must_use]
    pub const fn groups() -> &'static [[(&'static str, &'static str); 2]] {
        WECHATS.as_chunks().0
    }

    /// Whether the account is one of them.
    #[must_use]
    pub fn contain(&self, authorizer: &AppId) -> bool {
        Self::user_name(authorizer).is_some() || self.more.contains(authorizer)
    }

    /// The original id of one of WeChat's ten.
    #[must_use]
    pub fn user_name(authorizer: &AppId) -> Option<&'static str> {
        WECHATS.iter().find(|(appid, _)| *appid == authorizer.as_str()).map(|(_, user_name)| *user_name)
    }
}

/// What the check expects of a message.
pub enum ReleaseCheck {
    /// This reply, to the text.
    Text(Reply),
    /// This reply, to an event.
    Event(Reply),
    /// An empty response at once, then [`ApiCase`].
    Api,
}

impl ReleaseCheck {
    /// What the check expects in response to a message to `authorizer`; `None` if the message is not part of the check.
    #[must_use]
    pub fn of(message: &AccountMessage, authorizer: &AppId, accounts: &TestAccounts) -> Option<Self> {
        if !message.can_be_answered() {
            return None;
        }
        match &message.content {
            Content::Text { content } if content == TEXT => Some(Self::Text(Reply::text(format!("{TEXT}{CALLBACK}")))),
            _ if !accounts.contain(authorizer) => None,
            Content::Text { content } if content.starts_with(QUERY_AUTH_CODE) => Some(Self::Api),
            Content::Event(event) => Some(Self::Event(Reply::text(format!("{}{FROM_CALLBACK}", event.event)))),
            _ => None,
        }
    }

    /// The name of the case in metrics.
    #[must_use]
    pub const fn case(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Event(_) => "event",
            Self::Api => "api",
        }
    }
}

/// A code to be exchanged, and a customer-service message to be sent with exactly the token from that exchange.
pub struct ApiCase {
    /// The code.
    pub code: SecretString,
    /// The message's text, which repeats the code.
    pub text: SecretString,
}

impl ApiCase {
    /// The case in a message; `None` if it contains no code.
    #[must_use]
    pub fn of(message: &AccountMessage) -> Option<Self> {
        let Content::Text { content } = &message.content else { return None };
        let code = content.strip_prefix(QUERY_AUTH_CODE).filter(|code| !code.is_empty())?;
        Some(Self { code: code.into(), text: format!("{code}{FROM_API}").into() })
    }
}

#[cfg(test)]
mod tests {
    use base::clock::Timestamp;
    use secrecy::ExposeSecret as _;

    use super::*;

    fn message(inner: &str) -> AccountMessage {
        let head = "<ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><CreateTime>1</CreateTime>";
        AccountMessage::parse(format!("<xml>{head}{inner}</xml>").into())
    }

    fn text(content: &str) -> AccountMessage {
        message(&format!("<MsgType>text</MsgType><Content><![CDATA[{content}]]></Content>"))
    }

    fn answer(message: &AccountMessage, authorizer: &str) -> Option<String> {
        let authorizer = AppId::parse(authorizer).unwrap();
        let more = TestAccounts::with(vec![AppId::parse("wxaddedtestaccount").unwrap()]);
        ReleaseCheck::of(message, &authorizer, &more).map(|check| match check {
            ReleaseCheck::Text(reply) | ReleaseCheck::Event(reply) => reply.xml("o1", "gh_1", Timestamp::from_unix(1)),
            ReleaseCheck::Api => "api".to_owned(),
        })
    }

    #[test]
    fn only_the_exact_text_gets_the_checks_reply() {
        let reply = answer(&text(TEXT), "wxanybody").unwrap();
        assert!(reply.contains("TESTCOMPONENT_MSG_TYPE_TEXT_callback"), "{reply}");
        for other in ["TESTCOMPONENT_MSG_TYPE_TEX", "testcomponent_msg_type_text", " TESTCOMPONENT_MSG_TYPE_TEXT", ""] {
            assert!(answer(&text(other), "wx570bc396a51b8ff8").is_none(), "{other}");
        }
    }

    #[test]
    fn only_test_accounts_get_replies_to_events_and_codes() {
        let event = message("<MsgType>event</MsgType><Event>LOCATION</Event>");
        let code = text("QUERY_AUTH_CODE:queryauthcode@@@x");
        for account in WECHATS.into_iter().map(|(appid, _)| appid).chain(["wxaddedtestaccount"]) {
            assert!(answer(&event, account).unwrap().contains("LOCATIONfrom_callback"), "{account}");
            assert_eq!(answer(&code, account).unwrap(), "api", "{account}");
            assert!(answer(&text("hello"), account).is_none(), "{account}");
        }
        assert!(answer(&event, "wx570bc396a51b8ff9").is_none() && answer(&code, "wx570bc396a51b8ff9").is_none());
    }

    #[test]
    fn there_are_five_groups_of_two() {
        assert_eq!(TestAccounts::groups().as_flattened(), WECHATS);
        assert_eq!(TestAccounts::groups().len(), 5);
    }

    #[test]
    fn the_code_is_taken_unchanged() {
        let case = ApiCase::of(&text("QUERY_AUTH_CODE:queryauthcode@@@a-b_C")).unwrap();
        assert_eq!(case.code.expose_secret(), "queryauthcode@@@a-b_C");
        assert_eq!(case.text.expose_secret(), "queryauthcode@@@a-b_C_from_api");
        assert!(ApiCase::of(&text("QUERY_AUTH_CODE:")).is_none());
    }
}
