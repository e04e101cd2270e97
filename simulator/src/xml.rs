//! The XML of messages (protocol sections 3.1, 3.3 and 3.4): reads any document into a small tree, and writes elements.
//!
//! A reader of its own, not the platform's: an error common to both readers would go unnoticed. Text is kept as it was
//! sent, except white space between elements; depth is bounded, document types are refused.

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::Event;

/// The greatest depth of a message.
const MAX_DEPTH: usize = 16;

/// Elements whose text WeChat writes without CDATA, as long as it is a number.
const NUMBERS: [&str; 11] = [
    "CreateTime",
    "MsgId",
    "Location_X",
    "Location_Y",
    "Scale",
    "Latitude",
    "Longitude",
    "Precision",
    "SuccTime",
    "FailTime",
    "DelayTime",
];

/// The text is not one XML document.
#[derive(Debug, thiserror::Error)]
#[error("not an XML document")]
pub(crate) struct NotXml;

/// An element with everything inside it.
#[derive(Default)]
pub(crate) struct Element {
    pub(crate) name: String,
    /// Its own text, with CDATA and references resolved, without that of its children.
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

impl Element {
    /// A document with these elements in its root, each with a text.
    pub(crate) fn of_texts(texts: &[(String, String)]) -> Self {
        let child = |(name, text): &(String, String)| Self { name: name.clone(), text: text.clone(), children: vec![] };
        Self { name: "xml".to_owned(), text: String::new(), children: texts.iter().map(child).collect() }
    }

    /// Reads a document.
    pub(crate) fn parse(xml: &str) -> Result<Self, NotXml> {
        let mut reader = Reader::from_str(xml);
        // The lowest entry represents the document itself.
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event().map_err(|_| NotXml)? {
                Event::Start(tag) if open.len() <= MAX_DEPTH => {
                    open.push(Self { name: tag.name().as_ref().to_owned(), ..Self::default() });
                }
                Event::Empty(tag) => {
                    let empty = Self { name: tag.name().as_ref().to_owned(), ..Self::default() };
                    open.last_mut().ok_or(NotXml)?.children.push(empty);
                }
                Event::End(_) => {
                    let done = open.pop().ok_or(NotXml)?;
                    open.last_mut().ok_or(NotXml)?.children.push(done);
                }
                Event::Text(text) => {
                    let text = text.into_inner();
                    // Layout between elements contains a line break; a blank between two references belongs to the
                    // text.
                    if !text.trim_ascii().is_empty() || !text.contains('\n') {
                        open.last_mut().ok_or(NotXml)?.text.push_str(&text);
                    }
                }
                Event::CData(text) => open.last_mut().ok_or(NotXml)?.text.push_str(&text.into_inner()),
                Event::GeneralRef(reference) => {
                    let text = &mut open.last_mut().ok_or(NotXml)?.text;
                    match reference.resolve_char_ref().map_err(|_| NotXml)? {
                        Some(character) => text.push(character),
                        None => text.push_str(resolve_xml_entity(&reference).ok_or(NotXml)?),
                    }
                }
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
                Event::Eof => break,
                Event::Start(_) | Event::DocType(_) => return Err(NotXml),
            }
        }
        let mut document = open.pop().filter(|_| open.is_empty()).ok_or(NotXml)?;
        match document.children.pop() {
            Some(root) if document.children.is_empty() && document.text.trim_ascii().is_empty() => Ok(root),
            _ => Err(NotXml),
        }
    }

    /// The first child of this name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child of this name.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }
}

/// An element as WeChat writes it: its text in CDATA, unless it is one of the numbers. The text is not escaped, like
/// WeChat's.
pub(crate) fn element(name: &str, text: &str) -> String {
    let is_number = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-'));
    if is_number && NUMBERS.contains(&name) {
        return format!("<{name}>{text}</{name}>");
    }
    format!("<{name}><![CDATA[{text}]]></{name}>")
}
