//! The passive reply (protocol section 3.4): what an account says to its follower in the response to a message.
//!
//! [`Reply::parse`] reads the JSON of the business's webhook, [`Reply::xml`] writes what WeChat expects, ready to be
//! sealed. WeChat accepts every [`Reply`]: what is required is there, nothing is too long, and no character is invalid
//! in XML. For anything else WeChat tells the follower that the account is out of order (该公众号提供的服务出现故障), so it is
//! refused here, where the business can be told the reason. Ends of CDATA in texts are split.

use std::fmt;

use base::clock::Timestamp;
use serde_json::{Map, Value};

/// The greatest number of articles that WeChat accepts in one reply.
const MAX_ARTICLES: usize = 8;

/// The longest text that WeChat accepts, in bytes of UTF-8: with one more, the follower reads that the account is out
/// of order. WeChat documents no limit for titles, descriptions, addresses and ids; longer ones are useless.
const LONGEST_TEXT: usize = 2_047;

/// A reply to one message. Its `Debug` shows only the type.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply(Kind);

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Text { content: String },
    Image { media_id: String },
    Voice { media_id: String },
    Video { media_id: String, title: Option<String>, description: Option<String> },
    Music(Music),
    News { articles: Vec<Article> },
    TransferCustomerService { kf_account: Option<String> },
}

#[derive(Clone, PartialEq, Eq)]
struct Music {
    title: Option<String>,
    description: Option<String>,
    url: Option<String>,
    hq_url: Option<String>,
    thumb_media_id: String,
}

#[derive(Clone, PartialEq, Eq)]
struct Article {
    title: String,
    description: String,
    pic_url: String,
    url: String,
}

/// Why a webhook's response is not a reply. No error contains any content.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum ReplyError {
    /// It is not a JSON object.
    #[error("the response is not a JSON object")]
    NotJson,
    /// `type` is missing or unknown.
    #[error("type is not one of text, image, voice, video, music, news, transfer_customer_service and none")]
    Type,
    /// A member that the reply needs is missing or blank.
    #[error("the reply lacks {0}")]
    Missing(&'static str),
    /// A member has the wrong JSON type.
    #[error("{0} has the wrong JSON type")]
    Malformed(&'static str),
    /// A member is longer than WeChat accepts.
    #[error("{0} has more than {LONGEST_TEXT} bytes")]
    TooLong(&'static str),
    /// A member has a character that is invalid in XML, or white space in an identifier.
    #[error("{0} contains a character that is not allowed")]
    Character(&'static str),
    /// There is no article, or too many.
    #[error("a news reply must have 1 to {MAX_ARTICLES} articles")]
    Articles,
}

impl Reply {
    /// A text reply.
    #[must_use]
    pub fn text(content: impl Into<String>) -> Self {
        Self(Kind::Text { content: content.into() })
    }

    /// Parses a webhook's response: `{"type":"text","content":"…"}` and the like. An empty body, `null` and
    /// `{"type":"none"}` mean that there is no reply.
    ///
    /// # Errors
    /// [`ReplyError`], which says what is wrong and quotes nothing.
    pub fn parse(json: &[u8]) -> Result<Option<Self>, ReplyError> {
        if json.trim_ascii().is_empty() {
            return Ok(None);
        }
        // The parser's own message may quote the response.
        let answer: Value = serde_json::from_slice(json).map_err(|_| ReplyError::NotJson)?;
        let mut stated = match answer {
            Value::Null => return Ok(None),
            answer => Members::of(answer, ReplyError::NotJson)?,
        };
        let kind = match stated.optional("type")?.as_deref() {
            Some("none") => return Ok(None),
            Some("text") => Kind::Text { content: stated.needed("content")? },
            Some("image") => Kind::Image { media_id: stated.name("media_id")? },
            Some("voice") => Kind::Voice { media_id: stated.name("media_id")? },
            Some("video") => Kind::Video {
                media_id: stated.name("media_id")?,
                title: stated.optional("title")?,
                description: stated.optional("description")?,
            },
            Some("music") => Kind::Music(Music {
                title: stated.optional("title")?,
                description: stated.optional("description")?,
                url: stated.optional("music_url")?,
                hq_url: stated.optional("hq_music_url")?,
                thumb_media_id: stated.name("thumb_media_id")?,
            }),
            Some("news") => Kind::News { articles: stated.articles()? },
            Some("transfer_customer_service") => Kind::TransferCustomerService {
                kf_account: match stated.optional("kf_account")?.filter(|account| !is_blank(account)) {
                    Some(account) => Some(without_space("kf_account", account)?),
                    None => None,
                },
            },
            _ => return Err(ReplyError::Type),
        };
        Ok(Some(Self(kind)))
    }

    /// The reply as WeChat's XML: to the follower `to` (an openid) from the account `from` (`gh_…`), created `at`.
    #[must_use]
    pub fn xml(&self, to: &str, from: &str, at: Timestamp) -> String {
        let mut xml = Xml(String::from("<xml>"));
        xml.text("ToUserName", to);
        xml.text("FromUserName", from);
        xml.number("CreateTime", at.unix());
        xml.text("MsgType", self.msg_type());
        match &self.0 {
            Kind::Text { content } => xml.text("Content", content),
            Kind::Image { media_id } => xml.element("Image", |xml| xml.text("MediaId", media_id)),
            Kind::Voice { media_id } => xml.element("Voice", |xml| xml.text("MediaId", media_id)),
            Kind::Video { media_id, title, description } => xml.element("Video", |xml| {
                xml.text("MediaId", media_id);
                xml.optional("Title", title.as_deref());
                xml.optional("Description", description.as_deref());
            }),
            Kind::Music(music) => xml.element("Music", |xml| music.write(xml)),
            Kind::News { articles } => {
                xml.number("ArticleCount", articles.len());
                xml.element("Articles", |xml| {
                    for article in articles {
                        xml.element("item", |xml| article.write(xml));
                    }
                });
            }
            Kind::TransferCustomerService { kf_account: Some(account) } => {
                xml.element("TransInfo", |xml| xml.text("KfAccount", account));
            }
            Kind::TransferCustomerService { kf_account: None } => {}
        }
        xml.0.push_str("</xml>");
        xml.0
    }

    const fn msg_type(&self) -> &'static str {
        match &self.0 {
            Kind::Text { .. } => "text",
            Kind::Image { .. } => "image",
            Kind::Voice { .. } => "voice",
            Kind::Video { .. } => "video",
            Kind::Music(_) => "music",
            Kind::News { .. } => "news",
            Kind::TransferCustomerService { .. } => "transfer_customer_service",
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({})", self.msg_type())
    }
}

impl Music {
    fn write(&self, xml: &mut Xml) {
        xml.optional("Title", self.title.as_deref());
        xml.optional("Description", self.description.as_deref());
        xml.optional("MusicUrl", self.url.as_deref());
        xml.optional("HQMusicUrl", self.hq_url.as_deref());
        xml.text("ThumbMediaId", &self.thumb_media_id);
    }
}

impl Article {
    fn parse(value: Value) -> Result<Self, ReplyError> {
        let mut stated = Members::of(value, ReplyError::Malformed("articles"))?;
        Ok(Self {
            title: stated.needed("title")?,
            description: stated.optional("description")?.unwrap_or_default(),
            pic_url: stated.optional("pic_url")?.unwrap_or_default(),
            url: stated.needed("url")?,
        })
    }

    /// Always writes all four elements: WeChat documents each as required, and accepts empty ones.
    fn write(&self, xml: &mut Xml) {
        xml.text("Title", &self.title);
        xml.text("Description", &self.description);
        xml.text("PicUrl", &self.pic_url);
        xml.text("Url", &self.url);
    }
}

/// The members of a JSON object. Missing and `null` are the same; unknown members are ignored, for later versions.
struct Members(Map<String, Value>);

impl Members {
    fn of(value: Value, otherwise: ReplyError) -> Result<Self, ReplyError> {
        match value {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(otherwise),
        }
    }

    fn optional(&mut self, name: &'static str) -> Result<Option<String>, ReplyError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.len() > LONGEST_TEXT => Err(ReplyError::TooLong(name)),
            Some(Value::String(text)) if !text.chars().all(is_xml) => Err(ReplyError::Character(name)),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(ReplyError::Malformed(name)),
        }
    }

    fn needed(&mut self, name: &'static str) -> Result<String, ReplyError> {
        self.optional(name)?.filter(|text| !is_blank(text)).ok_or(ReplyError::Missing(name))
    }

    /// An identifier of WeChat's.
    fn name(&mut self, name: &'static str) -> Result<String, ReplyError> {
        without_space(name, self.needed(name)?)
    }

    fn articles(&mut self) -> Result<Vec<Article>, ReplyError> {
        match self.0.remove("articles") {
            Some(Value::Array(articles)) if (1..=MAX_ARTICLES).contains(&articles.len()) => {
                articles.into_iter().map(Article::parse).collect()
            }
            None | Some(Value::Null | Value::Array(_)) => Err(ReplyError::Articles),
            Some(_) => Err(ReplyError::Malformed("articles")),
        }
    }
}

fn without_space(name: &'static str, text: String) -> Result<String, ReplyError> {
    if text.contains(char::is_whitespace) { Err(ReplyError::Character(name)) } else { Ok(text) }
}

/// Whether nothing of the text is visible.
fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || !is_xml(c))
}

/// Whether XML 1.0 (its production 2) allows the character: of the control characters only these three, and not the
/// last two code points of the basic plane.
const fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// A document under construction. Element names are ours, texts can be anything.
struct Xml(String);

impl Xml {
    fn element(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        for piece in ["<", name, ">"] {
            self.0.push_str(piece);
        }
        content(self);
        for piece in ["</", name, ">"] {
            self.0.push_str(piece);
        }
    }

    fn number(&mut self, name: &str, number: impl fmt::Display) {
        self.element(name, |xml| xml.0.push_str(&number.to_string()));
    }

    fn text(&mut self, name: &str, text: &str) {
        self.element(name, |xml| xml.cdata(text));
    }

    fn optional(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    fn cdata(&mut self, text: &str) {
        self.0.push_str("<![CDATA[");
        for c in text.chars().filter(|c| is_xml(*c)) {
            // `]]>` cannot be in a section: it is split between two. The written text is checked, since a dropped
            // character may have been in the middle of it.
            if c == '>' && self.0.ends_with("]]") {
                self.0.push_str("]]><![CDATA[");
            }
            self.0.push(c);
        }
        self.0.push_str("]]>");
    }
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
