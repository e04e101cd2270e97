//! Messages and events of authorized accounts (protocol section 3.3), as a follower causes them: built as a
//! [`Message`], sealed into a [`crate::SealedPush`], sent with [`crate::Simulator::send_message`].
//!
//! A message gets its `CreateTime` and `MsgId` when it is sealed for the first time and keeps them: whatever is sent
//! again, by a test or because no response came, is the same message. Each sealing has a timestamp and a nonce of its
//! own.

use std::sync::{Arc, OnceLock};

use base::clock::Timestamp;
use base::ids::AppId;
use base::random::Random;

use crate::push::Envelope;
use crate::world::Account;
use crate::xml::{Element, element};

/// A `MsgId` has 19 digits and fits into 63 bits: more than a JavaScript number can hold, like WeChat's.
const LOWEST_ID: u64 = 1_000_000_000_000_000_000;
/// How many ids there are from there on.
const IDS: u64 = 8_000_000_000_000_000_000;

/// A message or an event before it is sealed. Clones are the same message. No `Debug`: it contains a follower's text.
#[derive(Clone)]
pub struct Message {
    authorizer: AppId,
    xml: Source,
}

#[derive(Clone)]
enum Source {
    /// Any XML, sealed unchanged.
    Whole(String),
    /// `CreateTime` and `MsgId` are added unless they are among the fields.
    Fields { fields: Vec<(String, String)>, stamp: Arc<OnceLock<(Timestamp, u64)>> },
}

impl Message {
    /// A text message.
    #[must_use]
    pub fn text(to: &Account, open_id: &str, content: &str) -> Self {
        Self::new(to, open_id, "text").with("Content", content)
    }

    /// A picture.
    #[must_use]
    pub fn image(to: &Account, open_id: &str, pic_url: &str, media_id: &str) -> Self {
        Self::new(to, open_id, "image").with("PicUrl", pic_url).with("MediaId", media_id)
    }

    /// An event such as `subscribe` or `CLICK`; more fields with [`Message::with`].
    #[must_use]
    pub fn event(to: &Account, open_id: &str, event: &str) -> Self {
        Self::new(to, open_id, "event").with("Event", event)
    }

    /// A message of any `MsgType`, from the follower `open_id` to the account.
    #[must_use]
    pub fn new(to: &Account, open_id: &str, msg_type: &str) -> Self {
        let fields = vec![
            ("ToUserName".to_owned(), to.user_name.clone()),
            ("FromUserName".to_owned(), open_id.to_owned()),
            ("MsgType".to_owned(), msg_type.to_owned()),
        ];
        Self { authorizer: to.appid.clone(), xml: Source::Fields { fields, stamp: Arc::default() } }
    }

    /// Any inner XML for this account, sealed unchanged. It need not even be XML.
    #[must_use]
    pub fn of(authorizer: &AppId, xml: impl Into<String>) -> Self {
        Self { authorizer: authorizer.clone(), xml: Source::Whole(xml.into()) }
    }

    /// The message with this field, which replaces another one of the name. `CreateTime` and `MsgId` can be given too.
    /// A message of [`Message::of`] stays unchanged.
    #[must_use]
    pub fn with(mut self, name: &str, text: &str) -> Self {
        if let Source::Fields { fields, stamp } = &mut self.xml {
            // Another text is another message: it must not inherit the id of what was sealed before.
            *stamp = Arc::default();
            match fields.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => text.clone_into(known),
                None => fields.push((name.to_owned(), text.to_owned())),
            }
        }
        self
    }

    /// The message as it is sent; `now` and `random` matter only the first time.
    pub(crate) fn written(&self, now: Timestamp, random: &Random) -> Written {
        match &self.xml {
            Source::Whole(xml) => {
                let tree = Element::parse(xml).unwrap_or_else(|_| head_of(xml));
                Written::of(self.authorizer.clone(), tree, xml.clone())
            }
            Source::Fields { fields, stamp } => {
                let (at, id) = stamp.get_or_init(|| (now, LOWEST_ID + random.up_to(IDS - 1)));
                let elements = elements(fields, *at, *id);
                let written: String = elements.iter().map(|(name, text)| element(name, text)).collect();
                let xml = format!("<xml>{written}</xml>");
                Written::of(self.authorizer.clone(), Element::of_texts(&elements), xml)
            }
        }
    }
}

/// The elements in WeChat's order. Events have no `MsgId`.
fn elements(fields: &[(String, String)], at: Timestamp, id: u64) -> Vec<(String, String)> {
    let has = |name: &str| fields.iter().any(|(known, _)| known == name);
    let is_event = fields.iter().any(|(name, text)| name == "MsgType" && text == "event");
    let mut elements = Vec::new();
    for (name, text) in fields {
        if name == "MsgType" && !has("CreateTime") {
            elements.push(("CreateTime".to_owned(), at.unix().to_string()));
        }
        elements.push((name.clone(), text.clone()));
    }
    if !is_event && !has("MsgId") {
        elements.push(("MsgId".to_owned(), id.to_string()));
    }
    elements
}

/// The elements of a message before the sender's text, for XML that no parser reads because of that text.
fn head_of(xml: &str) -> Element {
    let text = |name: &str| {
        let (_, rest) = xml.split_once(&format!("<{name}>"))?;
        let (text, _) = rest.split_once(&format!("</{name}>"))?;
        let text = text.trim().trim_start_matches("<![CDATA[").trim_end_matches("]]>");
        Some((name.to_owned(), text.to_owned()))
    };
    let names = ["ToUserName", "FromUserName", "CreateTime", "MsgType", "Event"];
    Element::of_texts(&names.into_iter().filter_map(text).collect::<Vec<_>>())
}

/// A message as it is sent, and WeChat's knowledge of it.
pub(crate) struct Written {
    pub(crate) authorizer: AppId,
    /// `ToUserName`: `gh_…`.
    pub(crate) user_name: String,
    /// `FromUserName`.
    pub(crate) open_id: String,
    /// The parsed elements, as far as they could be read.
    pub(crate) tree: Element,
    /// `message.text` or `event.CLICK`.
    name: String,
    xml: String,
}

impl Written {
    fn of(authorizer: AppId, tree: Element, xml: String) -> Self {
        let text = |name: &str| tree.text_of(name).unwrap_or_default().trim().to_owned();
        let (msg_type, event) = (text("MsgType"), text("Event"));
        let name = if msg_type == "event" { format!("event.{event}") } else { format!("message.{msg_type}") };
        let (user_name, open_id) = (text("ToUserName"), text("FromUserName"));
        Self { authorizer, user_name, open_id, tree, name, xml }
    }

    pub(crate) fn envelope(&self) -> Envelope<'_> {
        Envelope {
            info_type: &self.name,
            authorizer: Some(&self.authorizer),
            head: element("ToUserName", &self.user_name),
            open_id: Some(&self.open_id),
            message: &self.xml,
        }
    }
}
