//! A message as a bubble of the chat page: any kind, from XML or from the JSON of a customer-service message.
//!
//! Text is shown unchanged. Of everything else the leaves are shown in their order, whatever the kind, so that nothing
//! that a platform sends is hidden.

use serde_json::Value;
use url::Url;

use crate::xml::Element;

/// How many parts of a message are shown: eight articles of four parts, and some more.
const MAX_PARTS: usize = 40;
/// How many characters of a part are shown: more than the longest text of a customer-service message.
const MAX_CHARACTERS: usize = 4096;

/// A message for display.
#[derive(Clone)]
pub(crate) struct Bubble {
    /// The kind in Chinese; none for a text.
    pub(super) label: Option<&'static str>,
    /// `MsgType`.
    pub(super) kind: String,
    pub(super) parts: Vec<Part>,
}

/// A piece of a message.
#[derive(Clone)]
pub(super) struct Part {
    /// The name of the field, if the text is not clear without it.
    pub(super) name: Option<String>,
    pub(super) text: String,
    /// Whether it should be seen first.
    pub(super) is_title: bool,
    /// Whether it is the URL of a web page.
    pub(super) is_link: bool,
}

impl Bubble {
    /// A message or a passive reply.
    pub(crate) fn of_xml(message: &Element) -> Self {
        let mut bubble = Self::new(message.text_of("MsgType").unwrap_or_default());
        for child in &message.children {
            if !matches!(child.name.as_str(), "ToUserName" | "FromUserName" | "CreateTime" | "MsgType" | "MsgId") {
                bubble.add_element(child);
            }
        }
        bubble
    }

    /// The body of a customer-service message.
    pub(crate) fn of_json(body: &Value) -> Self {
        let kind = body.get("msgtype").and_then(Value::as_str).unwrap_or_default();
        let mut bubble = Self::new(kind);
        if let Some(content) = body.get(kind) {
            bubble.add_value(kind, content);
        }
        bubble
    }

    /// Whether it is an event, not a message.
    pub(super) fn is_event(&self) -> bool {
        self.kind == "event"
    }

    fn new(kind: &str) -> Self {
        let label = match kind {
            "text" => None,
            "image" => Some("图片"),
            "voice" => Some("语音"),
            "video" => Some("视频"),
            "shortvideo" => Some("小视频"),
            "music" => Some("音乐"),
            "news" | "mpnews" | "mpnewsarticle" => Some("图文"),
            "location" => Some("位置"),
            "link" => Some("链接"),
            "event" => Some("事件"),
            "msgmenu" => Some("菜单"),
            "miniprogrampage" => Some("小程序卡片"),
            "wxcard" => Some("卡券"),
            "transfer_customer_service" => Some("转接人工客服"),
            _ => Some("消息"),
        };
        Self { label, kind: kind.to_owned(), parts: Vec::new() }
    }

    fn add_element(&mut self, element: &Element) {
        for child in &element.children {
            self.add_element(child);
        }
        if element.children.is_empty() {
            self.add(&element.name, &element.text);
        }
    }

    fn add_value(&mut self, name: &str, value: &Value) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| self.add_value(name, value)),
            Value::Array(values) => values.iter().for_each(|value| self.add_value(name, value)),
            Value::String(text) => self.add(name, text),
            Value::Number(number) => self.add(name, &number.to_string()),
            Value::Bool(_) | Value::Null => {}
        }
    }

    fn add(&mut self, name: &str, text: &str) {
        if text.is_empty() || name == "ArticleCount" || self.parts.len() == MAX_PARTS {
            return;
        }
        let lower_case = name.to_ascii_lowercase();
        let is_title = matches!(lower_case.as_str(), "title" | "event");
        let speaks_for_itself = is_title || lower_case.ends_with("content") || lower_case == "description";
        let is_link = Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        self.parts.push(Part {
            name: (!speaks_for_itself).then(|| name.to_owned()),
            text: text.chars().take(MAX_CHARACTERS).collect(),
            is_title,
            is_link: is_link && !speaks_for_itself,
        });
    }
}
