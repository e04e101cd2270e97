//! Messages and events of authorized accounts (protocol section 3.3), typed, with every field kept next to the type.
//!
//! Nothing is demanded: whatever WeChat has signed is a message, and what it lacks is absent.
//! [`Content`] is what is known about a kind of message; [`AccountMessage::fields`] is all that WeChat sent, for readers
//! that know more.

use std::fmt;

use base::clock::Timestamp;
use base::digest_id;
use base::ids::{AppId, Digest};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::{Fields, Reply, inner};

/// An authentic message or event of an account.
pub struct AccountMessage {
    /// `ToUserName`: the account it was sent to, such as `gh_0123456789ab`; opaque text.
    pub user_name: Option<String>,
    /// `FromUserName`: who sent it, the follower's openid as a rule; opaque text.
    pub open_id: Option<String>,
    /// `CreateTime`: WeChat's own time.
    pub create_time: Option<Timestamp>,
    /// `MsgId`: messages have one, events as a rule none.
    pub msg_id: Option<String>,
    /// What it says.
    pub content: Content,
    /// Everything, under WeChat's names.
    pub fields: Fields,
    /// Whether it could be read to its end. Where not, `fields` has what comes before the place.
    pub is_whole: bool,
    /// The decrypted XML it was read from.
    pub xml: SecretString,
}

/// What every message has. A message in which one of them is missing, or no name or time, is delivered without.
const MEMBERS: [&str; 4] = ["ToUserName", "FromUserName", "CreateTime", "MsgType"];

/// The type of a message that names none.
const NO_TYPE: &str = "unknown";

/// What a message says, as far as its kind is known. Elements that are missing or unreadable are absent.
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
    /// A kind that WeChat has introduced since, or one about which nothing is known.
    #[serde(untagged)]
    Other {
        /// `MsgType`.
        #[serde(rename = "type")]
        msg_type: String,
    },
}

/// A picture, a recording or a film: what WeChat's media API needs to fetch it.
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
    /// `Recognition`: what was spoken, where the account has recognition switched on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recognition: Option<String>,
    /// `ThumbMediaId`, of films.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumb_media_id: Option<String>,
}

/// An event. The members that follow its name belong to some events each.
#[derive(Clone, PartialEq, Default, Serialize)]
pub struct AccountEvent {
    /// `Event`, in WeChat's spelling: `subscribe`, `SCAN`, `weapp_audit_success`, …; empty where there is none.
    pub event: String,
    /// `EventKey`: of subscribing by a code (`qrscene_…`), `SCAN`, and menus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_key: Option<String>,
    /// `Ticket` of the QR code that was scanned; no credential.
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
    /// `Status` of jobs that have ended, such as `success`.
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
    /// Which of `parts` equal parts of all messages this one is in, counted from 0; `parts` is at least 1.
    #[must_use]
    pub fn part(&self, parts: u64) -> u64 {
        self.0.part(parts)
    }
}

impl AccountMessage {
    /// Reads a decrypted message, which is kept in the result, as far as it can be read.
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

    /// The members of every message that this one lacks, or has without a name or a time in them.
    pub fn missing(&self) -> impl Iterator<Item = &'static str> {
        MEMBERS.into_iter().filter(|name| match *name {
            "CreateTime" => self.create_time.is_none(),
            name => self.fields.value(name).is_none(),
        })
    }

    /// Whether it says whom a reply would go to, and from whom.
    #[must_use]
    pub const fn can_be_answered(&self) -> bool {
        self.user_name.is_some() && self.open_id.is_some()
    }

    /// The plain XML of a reply to it, made `at`; `None` where it cannot be answered.
    #[must_use]
    pub fn reply(&self, reply: &Reply, at: Timestamp) -> Option<SecretString> {
        Some(reply.xml(self.open_id.as_deref()?, self.user_name.as_deref()?, at).into())
    }

    /// The same for every delivery of one message to `authorizer`, different for any two messages.
    ///
    /// It is made of everything that WeChat promises to repeat when it sends a message again: account, sender,
    /// `CreateTime` and `MsgId`. `MsgId` alone is no identity: two followers' messages have come with one. Events have
    /// none, or that of the job they report on, and several may come in one second: all that they say belongs to their
    /// identity. A message that does not say which account it is for has the same identity wherever it is sent.
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

    /// `MsgId` where it distinguishes one message of a sender from the next.
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

    /// A word of a small set, for metrics: names that WeChat makes up must not make new ones.
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

/// JSON knows neither infinity nor "not a number".
fn number(fields: &Fields, name: &str) -> Option<f64> {
    fields.value(name)?.parse().ok().filter(|number: &f64| number.is_finite())
}

fn integer(fields: &Fields, name: &str) -> Option<i64> {
    fields.value(name)?.parse().ok()
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
