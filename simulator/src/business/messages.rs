//! Customer-service messages (客服消息, protocol section 5.6): the checks of a body, and the record of messages.
//!
//! Not modelled: the window of 48 hours, and the number of messages in it.

use serde_json::{Map, Value, json};

use super::users::is_openid;
use crate::api::{Outcome, Request, ok};
use crate::chat::bubble::Bubble;
use crate::chat::transcript::Speaker;
use crate::refusal::Refusal;
use crate::sent::SentMessage;
use crate::simulator::{Simulator, lock};
use crate::world::{Holder, follower_of};

/// How many messages are remembered, the latest ones.
const REMEMBERED: usize = 1_000;
/// The longest text, in bytes of UTF-8.
const MAX_TEXT: usize = 2048;

impl Simulator {
    /// The customer-service messages that were accepted, in order, the latest 1,000 of them.
    #[must_use]
    pub fn sent(&self) -> Vec<SentMessage> {
        lock(&self.0.sent).iter().cloned().collect()
    }

    fn keep_sent(&self, sender: &Holder, to: &str, body: &Map<String, Value>) {
        let authorizer = sender.account.clone();
        let body = Value::Object(body.clone());
        if to == follower_of(&authorizer) {
            lock(&self.0.transcript).add(&authorizer, self.now(), Speaker::Service, Bubble::of_json(&body));
        }
        let mut sent = lock(&self.0.sent);
        if sent.len() == REMEMBERED {
            sent.pop_front();
        }
        sent.push_back(SentMessage { authorizer, to: to.to_owned(), body, at: self.now(), code: sender.code.clone() });
    }
}

pub(crate) fn send(simulator: &Simulator, request: &Request, sender: &Holder) -> Outcome {
    let to = check(&request.body)?;
    let content = text(&request.body, "msgtype");
    for name in ["media_id", "thumb_media_id"] {
        if let Some(id) = request.body.get(content).and_then(|content| content.get(name)).and_then(Value::as_str)
            && !simulator.has_medium(&sender.account, id)
        {
            return Err(Refusal::invalid_medium());
        }
    }
    simulator.keep_sent(sender, to, &request.body);
    Ok(ok(json!({})))
}

pub(crate) fn typing(_: &Simulator, request: &Request, _: &Holder) -> Outcome {
    receiver(&request.body)?;
    match text(&request.body, "command") {
        "Typing" | "CancelTyping" => Ok(ok(json!({}))),
        _ => Err(Refusal::new(45072, "invalid command")),
    }
}

/// `touser`.
pub(super) fn receiver(body: &Map<String, Value>) -> Result<&str, Refusal> {
    let to = text(body, "touser");
    if is_openid(to) { Ok(to) } else { Err(Refusal::new(40003, "invalid openid")) }
}

/// Checks a body and returns `touser`.
fn check(body: &Map<String, Value>) -> Result<&str, Refusal> {
    let to = receiver(body)?;
    let msg_type = text(body, "msgtype");
    let required: &[&str] = match msg_type {
        "" => return Err(Refusal::missing("msgtype")),
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
    let content = body.get(msg_type).and_then(Value::as_object).ok_or_else(|| Refusal::missing(msg_type))?;
    for name in required {
        if content.get(*name).is_none_or(|value| matches!(value.as_str(), Some("")) || value.is_null()) {
            return Err(if name.ends_with("media_id") {
                Refusal::invalid_medium()
            } else {
                Refusal::missing(&format!("{msg_type}.{name}"))
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
        None | Some(0) => Err(Refusal::missing("news.articles")),
        Some(1) => Ok(()),
        Some(_) => Err(Refusal::new(45008, "article size out of limit")),
    }
}

/// A text field; a missing or empty one, and one of another type, are alike.
fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}
