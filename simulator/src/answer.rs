//! The platform's response to a message, read as WeChat reads it (protocol sections 3.3 and 3.4).
//!
//! A valid response is 200 with an empty body, 200 with `success`, or 200 with a sealed reply from the account to the
//! follower. Anything else is garbage, and so is silence: the follower reads [`FOLLOWER_SEES`].

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wechat::crypto::{Keyring, OpenError, Signed};

use crate::faults::{from_milliseconds, to_milliseconds};
use crate::message::Written;
use crate::push::PushAnswer;
use crate::xml::Element;

/// What a follower sees if the response is garbage or missing.
pub const FOLLOWER_SEES: &str = "该公众号暂时无法提供服务";

/// The outcome of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageOutcome {
    /// The last response, as it came.
    pub answer: PushAnswer,
    /// How often it was sent: more than once only if redelivery is on.
    pub attempts: u32,
    /// How long the last response took (whole milliseconds in JSON).
    #[serde(rename = "elapsed_ms", serialize_with = "to_milliseconds", deserialize_with = "from_milliseconds")]
    pub elapsed: Duration,
    /// The inner XML of a sealed reply that WeChat accepts.
    pub reply: Option<String>,
    /// Why the response is garbage; `None` if it is valid.
    pub fault: Option<AnswerFault>,
}

/// Why a response is garbage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerFault {
    /// No response came in time, or there is no message URL.
    #[error("no response came")]
    Unanswered,
    /// The status is not 200.
    #[error("the status is not 200")]
    Status,
    /// The body is neither empty nor `success` nor `<xml>` with the four elements of a sealed reply.
    #[error("neither empty, nor success, nor a sealed reply")]
    NotSealed,
    /// `MsgSignature` does not match token, `TimeStamp`, `Nonce` and `Encrypt`.
    #[error("the MsgSignature of the reply does not match")]
    Signature,
    /// Sealed with another key, or incomplete.
    #[error("the reply cannot be decrypted")]
    Undecipherable,
    /// The sealed text ends with another appid than the platform's.
    #[error("the reply is sealed for another appid")]
    AppId,
    /// The sealed text is not the XML of a reply.
    #[error("the sealed reply is not the XML of a message")]
    NotXml,
    /// `ToUserName` is not the follower, or `FromUserName` not the account.
    #[error("the reply does not go from the account to the follower")]
    Addressee,
    /// A `MsgType` that replies cannot have.
    #[error("the reply has no MsgType that WeChat knows")]
    MsgType,
    /// An element that the `MsgType` requires is missing.
    #[error("the reply lacks an element that its MsgType requires")]
    Incomplete,
    /// A text of more than 2,047 bytes.
    #[error("the text of the reply is longer than WeChat accepts")]
    TooLong,
}

/// The longest text that WeChat accepts, in bytes.
const LONGEST_TEXT: usize = 2_047;

impl MessageOutcome {
    /// 200 with an empty body or `success`: the account does not reply.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fault.is_none() && self.reply.is_none()
    }

    /// The text of a sealed text reply.
    #[must_use]
    pub fn reply_text(&self) -> Option<String> {
        let reply = Element::parse(self.reply.as_deref()?).ok()?;
        (reply.text_of("MsgType") == Some("text")).then(|| reply.text_of("Content").map(str::to_owned))?
    }

    /// Checks a response to `message`.
    pub(crate) fn of(
        answer: PushAnswer,
        message: &Written,
        keyring: &Keyring,
        attempts: u32,
        elapsed: Duration,
    ) -> Self {
        let judged = match &answer {
            PushAnswer::Unanswered { .. } => Err(AnswerFault::Unanswered),
            PushAnswer::Answered { status: 200, body } if body.is_empty() || body == "success" => Ok(None),
            PushAnswer::Answered { status: 200, body } => open(body, keyring).and_then(|xml| {
                let reply = Element::parse(&xml).map_err(|_| AnswerFault::NotXml)?;
                check(&reply, message).map(|()| Some(xml))
            }),
            PushAnswer::Answered { .. } => Err(AnswerFault::Status),
        };
        let (reply, fault) = match judged {
            Ok(reply) => (reply, None),
            Err(fault) => (None, Some(fault)),
        };
        Self { answer, attempts, elapsed, reply, fault }
    }
}

/// Opens a sealed reply.
fn open(body: &str, keyring: &Keyring) -> Result<String, AnswerFault> {
    let outer = Element::parse(body).ok().filter(|outer| outer.name == "xml").ok_or(AnswerFault::NotSealed)?;
    let text = |name: &str| outer.text_of(name).ok_or(AnswerFault::NotSealed);
    let signed = Signed {
        timestamp: text("TimeStamp")?,
        nonce: text("Nonce")?,
        msg_signature: text("MsgSignature")?,
        encrypt: text("Encrypt")?,
    };
    let opened = keyring.open(&signed).map_err(|error| match error {
        OpenError::Signature => AnswerFault::Signature,
        OpenError::AppId => AnswerFault::AppId,
        OpenError::Base64 | OpenError::CipherLength | OpenError::Padding | OpenError::MessageLength => {
            AnswerFault::Undecipherable
        }
    })?;
    String::from_utf8(opened.message).map_err(|_| AnswerFault::NotXml)
}

/// Checks that an opened reply belongs to this message.
fn check(reply: &Element, message: &Written) -> Result<(), AnswerFault> {
    if reply.name != "xml" {
        return Err(AnswerFault::NotXml);
    }
    let is = |name, expected: &str| reply.text_of(name) == Some(expected);
    if !is("ToUserName", &message.open_id) || !is("FromUserName", &message.user_name) {
        return Err(AnswerFault::Addressee);
    }
    let has = |group: &str, name: &str| {
        reply.child(group).and_then(|group| group.text_of(name)).is_some_and(|text| !text.is_empty())
    };
    let complete = match reply.text_of("MsgType").ok_or(AnswerFault::MsgType)? {
        "text" => reply.text_of("Content").is_some_and(|content| !content.is_empty()),
        "image" => has("Image", "MediaId"),
        "voice" => has("Voice", "MediaId"),
        "video" => has("Video", "MediaId"),
        "music" => has("Music", "ThumbMediaId"),
        "news" => is_news(reply),
        "transfer_customer_service" => true,
        _ => return Err(AnswerFault::MsgType),
    };
    if reply.text_of("Content").is_some_and(|content| content.len() > LONGEST_TEXT) {
        return Err(AnswerFault::TooLong);
    }
    let dated = reply.text_of("CreateTime").is_some_and(|time| time.parse::<i64>().is_ok());
    if complete && dated { Ok(()) } else { Err(AnswerFault::Incomplete) }
}

/// One to eight articles, as many as `ArticleCount` says.
fn is_news(reply: &Element) -> bool {
    let articles = reply.child("Articles").map_or(0, |articles| articles.children.len());
    (1..=8).contains(&articles) && reply.text_of("ArticleCount") == Some(articles.to_string().as_str())
}
