//! Customer-service messages (客服消息, protocol section 5.6): what of a body is checked, and what is remembered.
//!
//! Not modelled: the window of 48 hours, the number of messages in it, and whether a medium exists.

use serde_json::{Map, Value};

use crate::chat::bubble::Bubble;
use crate::chat::transcript::Speaker;
use crate::refusal::Refusal;
use crate::sent::SentMessage;
use crate::simulator::{Simulator, lock};
use crate::world::{Sender, follower_of};

/// How many messages are remembered, the latest.
const REMEMBERED: usize = 1_000;
/// The longest text, in bytes of UTF-8.
const MAX_TEXT: usize = 2048;

impl Simulator {
    /// The customer-service messages that were accepted, in their order, the latest 1,000 of them.
    #[must_use]
    pub fn sent(&self) -> Vec<SentMessage> {
        lock(&self.0.sent).iter().cloned().collect()
    }

    pub(crate) fn keep_sent(&self, sender: Sender, to: &str, body: &Map<String, Value>) {
        let Sender { authorizer, code } = sender;
        let body = Value::Object(body.clone());
        if to == follower_of(&authorizer) {
            lock(&self.0.transcript).add(&authorizer, self.now(), Speaker::Service, Bubble::of_json(&body));
        }
        let mut sent = lock(&self.0.sent);
        if sent.len() == REMEMBERED {
            sent.pop_front();
        }
        sent.push_back(SentMessage { authorizer, to: to.to_owned(), body, at: self.now(), code });
    }
}

/// Checks a body and returns `touser`.
pub(crate) fn check(body: &Map<String, Value>) -> Result<&str, Refusal> {
    let to = text(body, "touser");
    if to.is_empty() || !to.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
        return Err(Refusal::new(40003, "invalid openid"));
    }
    let msg_type = text(body, "msgtype");
    let required: &[&str] = match msg_type {
        "" => return Err(missing("msgtype")),
        "text" => &[],
        "image" | "voice" | "video" | "mpnews" => &["media_id"],
        "music" => &["musicurl", "hqmusicurl", "thumb_media_id"],
        "news" => &["articles"],
        "mpnewsarticle" => &["article_id"],
        "msgmenu" => &["list"],
        "wxcard" => &["card_id"],
        "miniprogrampage" => &["title", "pagepath", "thumb_media_id"],
        "link" => &["title", "description", "url", "thumb_url"],
        _ => return Err(Refusal::new(40008, "invalid message type")),
    };
    let content = body.get(msg_type).and_then(Value::as_object).ok_or_else(|| missing(msg_type))?;
    for name in required {
        if content.get(*name).is_none_or(|value| matches!(value.as_str(), Some("")) || value.is_null()) {
            return Err(if name.ends_with("media_id") {
                Refusal::new(40007, "invalid media_id")
            } else {
                missing(&format!("{msg_type}.{name}"))
            });
        }
    }
    match msg_type {
        "text" => check_text(content)?,
        "news" => check_news(content)?,
        _ => {}
    }
    Ok(to)
}

fn check_text(content: &Map<String, Value>) -> Result<(), Refusal> {
    match text(content, "content") {
        "" => Err(Refusal::new(44004, "empty content")),
        text if text.len() > MAX_TEXT => Err(Refusal::new(45002, "content size out of limit")),
        _ => Ok(()),
    }
}

fn check_news(content: &Map<String, Value>) -> Result<(), Refusal> {
    match content.get("articles").and_then(Value::as_array).map(Vec::len) {
        None | Some(0) => Err(missing("news.articles")),
        Some(1) => Ok(()),
        Some(_) => Err(Refusal::new(45008, "article size out of limit")),
    }
}

/// A text field; missing, empty and of another type are alike.
fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn missing(name: &str) -> Refusal {
    Refusal::new(40097, format!("invalid args: {name} is missing"))
}
