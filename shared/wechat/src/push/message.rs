//! Messages and events of authorized accounts (protocol section 3.3), typed, together with all their fields.
//!
//! Nothing is required: whatever WeChat has signed is a message, and missing members are absent. [`Content`] has the
//! known members of each kind of message; [`AccountMessage::fields`] has everything that WeChat sent, for readers that
//! know more.

use std::fmt;

use base::clock::Timestamp;
use base::digest_id;
use base::ids::{AppId, Digest};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::{Fields, Reply, inner};

/// An authentic message or event of an account.
pub struct AccountMessage {
    /// `ToUserName`: the account that it was sent to, such as `gh_0123456789ab`; opaque.
    pub user_name: Option<String>,
    /// `FromUserName`: the sender, usually the follower's openid; opaque.
    pub open_id: Option<String>,
    /// `CreateTime`: WeChat's own time.
    pub create_time: Option<Timestamp>,
    /// `MsgId`: messages have one, events usually do not.
    pub msg_id: Option<String>,
    /// Its typed content.
    pub content: Content,
    /// Everything, under WeChat's names.
    pub fields: Fields,
    /// Whether it could be read completely. If not, `fields` has what comes before the problem.
    pub is_whole: bool,
    /// The decrypted XML.
    pub xml: SecretString,
}

/// The members of every message. A message in which one is missing or malformed is delivered without it.
const MEMBERS: [&str; 4] = ["ToUserName", "FromUserName", "CreateTime", "MsgType"];

/// The type of a message without one.
const NO_TYPE: &str = "unknown";

/// The typed content of a message, if its kind is known. Elements that are missing or unreadable are absent.
#[derive(Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Content {
    /// `text`.
    Text {
        /// `Content`, as it was typed.
        content: String,
    },
    /// `image`.
    Image(Media),
    /// `voice`.
    Voice(Media),
    /// `video`.
    Video(Media),
    /// `shortvideo`.
    ShortVideo(Media),
    /// `location`.
    Location {
        /// `Location_X`, in degrees.
        #[serde(skip_serializing_if = "Option::is_none")]
        latitude: Option<f64>,
        /// `Location_Y`, in degrees.
        #[serde(skip_serializing_if = "Option::is_none")]
        longitude: Option<f64>,
        /// `Scale`: how far the map was zoomed in.
        #[serde(skip_serializing_if = "Option::is_none")]
        scale: Option<i64>,
        /// `Label`: the place in words.
        #[serde(skip_serializing_if = "Option::is_none")]
        label: Option<String>,
    },
    /// `link`.
    Link {
        /// `Title`.
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// `Description`.
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// `Url`.
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<String>,
    },
    /// `event`.
    Event(AccountEvent),
    /// A kind that is new or unknown.
    #[serde(untagged)]
    Other {
        /// `MsgType`.
        #[serde(rename = "type")]
        msg_type: String,
    },
}

/// An image, a recording or a video: what is needed to fetch it with WeChat's media API.
#[derive(Clone, PartialEq, Eq, Default, Serialize)]
pub struct Media {
    /// `MediaId`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_id: Option<String>,
    /// `PicUrl`, of images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pic_url: Option<String>,
    /// `Format`, of voice, such as `amr`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// `Recognition`: the recognized speech, if the account has speech recognition switched on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recognition: Option<String>,
    /// `ThumbMediaId`, of videos.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumb_media_id: Option<String>,
}

/// An event. Each member after its name belongs only to some events.
#[derive(Clone, PartialEq, Default, Serialize)]
pub struct AccountEvent {
    /// `Event`, in WeChat's spelling: `subscribe`, `SCAN`, `weapp_audit_success`, …; empty if there is none.
    pub event: String,
    /// `EventKey`, of subscribing by a QR code (`qrscene_…`), `SCAN`, and menus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_key: Option<String>,
    /// `Ticket` of the QR code that was scanned; not a credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// `Latitude` of `LOCATION`, in degrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latitude: Option<f64>,
    /// `Longitude` of `LOCATION`, in degrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longitude: Option<f64>,
    /// `Precision` of `LOCATION`, in metres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<f64>,
    /// `MenuId` of `VIEW`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub menu_id: Option<String>,
    /// `Status` of finished jobs, such as `success`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// `SuccTime` of `weapp_audit_success`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_time: Option<i64>,
    /// `FailTime` of `weapp_audit_fail` and of verifications.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_time: Option<i64>,
    /// `DelayTime` of `weapp_audit_delay`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_time: Option<i64>,
    /// `Reason` of `weapp_audit_fail` and `weapp_audit_delay`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `ScreenShot` of `weapp_audit_fail`: media ids, separated by `|`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub screenshot: Option<String>,
}

digest_id! {
    /// The id of a message: the same at each of its deliveries.
    MessageId
}

impl MessageId {
    /// The number, from 0, of the part that this message is in if all messages are divided into `parts` equal parts;
    /// `parts` is at least 1.
    #[must_use]
    pub fn part(&self, parts: u64) -> u64 {
        self.0.part(parts)
    }
}

impl AccountMessage {
    /// Parses a decrypted message, which is kept in the result, as far as possible.
    #[must_use]
    pub fn parse(xml: SecretString) -> Self {
        let document = inner::read(xml.expose_secret());
        let is_whole = document.is_whole;
        let fields = Fields::of(document);
        let text = |name| fields.value(name).map(str::to_owned);
        Self {
            user_name: text("ToUserName"),
            open_id: text("FromUserName"),
            create_time: fields.value("CreateTime").and_then(super::parse::create_time),
            msg_id: text("MsgId"),
            content: Content::read(fields.value("MsgType").unwrap_or(NO_TYPE), &fields),
            fields,
            is_whole,
            xml,
        }
    }

    /// The members of every message that are missing or malformed in this one.
    pub fn missing(&self) -> impl Iterator<Item = &'static str> {
        MEMBERS.into_iter().filter(|name| match *name {
            "CreateTime" => self.create_time.is_none(),
            name => self.fields.value(name).is_none(),
        })
    }

    /// Whether it contains the recipient and the sender of a reply.
    #[must_use]
    pub const fn can_be_answered(&self) -> bool {
        self.user_name.is_some() && self.open_id.is_some()
    }

    /// The plaintext XML of a reply to it, created `at`; `None` if it cannot be answered.
    #[must_use]
    pub fn reply(&self, reply: &Reply, at: Timestamp) -> Option<SecretString> {
        Some(reply.xml(self.open_id.as_deref()?, self.user_name.as_deref()?, at).into())
    }

    /// The same for every delivery of one message to `authorizer`, different for any two messages.
    ///
    /// It covers everything that WeChat promises to repeat when it sends a message again: account, sender, `CreateTime`
    /// and `MsgId`. `MsgId` alone is not unique: messages of two followers have come with the same one. Events have
    /// none, or that of the job that they report on, and several may come in the same second, so all of their content
    /// belongs to their identity. A message that does not name its account has the same identity wherever it is sent.
    #[must_use]
    pub fn id(&self, authorizer: &AppId) -> MessageId {
        let account = if self.user_name.is_some() { authorizer.as_str() } else { "" };
        let sender = self.open_id.as_deref().unwrap_or_default();
        let time = self.create_time.map_or_else(String::new, |at| at.unix().to_string());
        if let Some(id) = self.unique_id() {
            return MessageId(Digest::of(&["message", account, sender, &time, id]));
        }
        let mut parts = vec!["event", account, sender, &time];
        if self.is_whole {
            parts.extend(self.fields.parts());
        } else {
            parts.push(self.xml.expose_secret());
        }
        MessageId(Digest::of(&parts))
    }

    /// `MsgId`, if it distinguishes one message of a sender from the next.
    fn unique_id(&self) -> Option<&str> {
        let id = self.msg_id.as_deref().filter(|id| id.bytes().any(|digit| digit != b'0'))?;
        (!matches!(self.content, Content::Event(_))).then_some(id)
    }
}

impl fmt::Debug for AccountMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountMessage")
            .field("kind", &self.content.kind())
            .field("create_time", &self.create_time)
            .finish_non_exhaustive()
    }
}

impl Content {
    fn read(msg_type: &str, fields: &Fields) -> Self {
        let text = |name: &str| fields.text(name).map(str::to_owned);
        let media = || Media {
            media_id: text("MediaId"),
            pic_url: text("PicUrl"),
            format: text("Format"),
            recognition: text("Recognition"),
            thumb_media_id: text("ThumbMediaId"),
        };
        match msg_type {
            "text" => Self::Text { content: text("Content").unwrap_or_default() },
            "image" => Self::Image(media()),
            "voice" => Self::Voice(media()),
            "video" => Self::Video(media()),
            "shortvideo" => Self::ShortVideo(media()),
            "location" => Self::Location {
                latitude: number(fields, "Location_X"),
                longitude: number(fields, "Location_Y"),
                scale: integer(fields, "Scale"),
                label: text("Label"),
            },
            "link" => Self::Link { title: text("Title"), description: text("Description"), url: text("Url") },
            "event" => Self::Event(AccountEvent::read(fields)),
            other => Self::Other { msg_type: other.to_owned() },
        }
    }

    /// A word from a small set, for metrics: new names from WeChat must not create new values.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Image(_) => "image",
            Self::Voice(_) => "voice",
            Self::Video(_) => "video",
            Self::ShortVideo(_) => "shortvideo",
            Self::Location { .. } => "location",
            Self::Link { .. } => "link",
            Self::Event(_) => "event",
            Self::Other { .. } => "unknown",
        }
    }

    /// `Event` of an event.
    #[must_use]
    pub fn event_name(&self) -> Option<&str> {
        match self {
            Self::Event(event) => Some(&event.event),
            _ => None,
        }
    }
}

impl AccountEvent {
    fn read(fields: &Fields) -> Self {
        let text = |name: &str| fields.text(name).map(str::to_owned);
        Self {
            event: fields.value("Event").unwrap_or_default().to_owned(),
            event_key: text("EventKey"),
            ticket: text("Ticket"),
            latitude: number(fields, "Latitude"),
            longitude: number(fields, "Longitude"),
            precision: number(fields, "Precision"),
            menu_id: text("MenuId"),
            status: text("Status"),
            success_time: integer(fields, "SuccTime"),
            fail_time: integer(fields, "FailTime"),
            delay_time: integer(fields, "DelayTime"),
            reason: text("Reason"),
            screenshot: text("ScreenShot"),
        }
    }
}

/// A finite number: JSON has neither infinity nor NaN.
fn number(fields: &Fields, name: &str) -> Option<f64> {
    fields.value(name)?.parse().ok().filter(|number: &f64| number.is_finite())
}

fn integer(fields: &Fields, name: &str) -> Option<i64> {
    fields.value(name)?.parse().ok()
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
