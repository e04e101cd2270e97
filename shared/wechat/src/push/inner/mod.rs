//! The decrypted document: XML as WeChat writes it, with strangers' text in it.
//!
//! WeChat puts what people type into CDATA without escaping it: `]]>` in a follower's message ends the section early, and
//! what comes after it may look like elements of WeChat's. An XML reader would refuse such a document, and the message in
//! it would be lost, or would take the stranger's elements for WeChat's. So this is no XML reader. It asks which way of
//! reading the document is one that WeChat could have written:
//!
//! - the root holds elements and nothing between them, each with CDATA, plain text, or elements of its own;
//! - no name comes twice, unless as a list: elements that follow each other, in the root structures only;
//! - strangers' text is in CDATA only, and never under one of the names in [`is_wechats_own`].
//!
//! [`first`] reads every element to its first end, which is right where no text has markup in it. Where that breaks off or
//! leaves a doubt, [`resolve`] takes those ends only after which the document can be read to its own end, and [`order`]
//! says whether WeChat writes such an end there. The properties in the tests hold, of the kinds of message that they name:
//!
//! - WeChat's own elements before and behind strangers' text are what WeChat sent, whatever was typed. One that a text
//!   imitates is part of that text.
//! - With one stranger's text in the root it comes out as it was typed. With several, such as the title and the
//!   description of a link, two of them can add up to the same bytes: then the earlier one is taken for the longer, unless
//!   an imitation of the later one's end is in it. Inside of a structure a text can pass for a list of texts.
//!
//! Of a kind of message that nobody has a sample of, the order is not known. Where it has an element of WeChat's own
//! between two texts, or none of a name that a text imitates, nothing shows which is WeChat's.
//!
//! What cannot be read to its end is read as far as it goes, and [`Document::is_whole`] says so. Not text in an
//! encoding, not well-formed, cut: nothing is refused here. Time and memory are bounded by the length, which the caller
//! bounds, nesting by [`MAX_DEPTH`].

mod first;
mod order;
mod resolve;
mod tags;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::cell::Cell;

/// The deepest real message (pictures chosen from an album) has three levels below the root.
pub(super) const MAX_DEPTH: usize = 8;

/// How many structures of one document are looked into to decide where they end. Real ones have a handful.
const MOST_LOOKS: u32 = 256;

const BEGIN: &str = "<xml>";
const END: &str = "</xml>";

/// A decrypted document, as far as it can be read.
#[derive(Debug, Default)]
pub(super) struct Document<'text> {
    /// The elements in the root, in their order.
    pub(super) elements: Vec<Element<'text>>,
    /// Whether that is all of it.
    pub(super) is_whole: bool,
}

/// An element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element<'text> {
    pub(super) name: &'text str,
    pub(super) value: Value<'text>,
}

/// What is in an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'text> {
    /// The contents of a CDATA section, to the letter.
    Typed(&'text str),
    /// Text outside of CDATA, without white space around it, its references resolved.
    Plain(Cow<'text, str>),
    /// Elements.
    Elements(Vec<Element<'text>>),
}

/// Reads a decrypted document.
pub(super) fn read(text: &str) -> Document<'_> {
    let Some(Root { inside, is_closed }) = root(text) else { return Document::default() };
    if is_closed && let Some(elements) = level(inside, 0, &Cell::new(MOST_LOOKS)) {
        return Document { elements, is_whole: true };
    }
    Document { elements: first::read(inside, 0).elements, is_whole: false }
}

/// The elements of one level, where all of `inside` can be read as such.
fn level<'text>(inside: &'text str, depth: usize, looks: &Cell<u32>) -> Option<Vec<Element<'text>>> {
    let reading = first::read(inside, depth);
    if reading.is_whole && is_certain(&reading.elements, depth) {
        return Some(reading.elements);
    }
    resolve::read(inside, depth, looks)
}

/// Whether no text can have ended too early: then no end is left in a text, and nothing is there twice that is no list.
fn is_certain(elements: &[Element<'_>], depth: usize) -> bool {
    elements.iter().enumerate().all(|(place, element)| {
        let is_fine = match &element.value {
            Value::Typed(text) => !text.contains(tags::DATA_END),
            Value::Plain(text) => !text.contains(tags::DATA_END),
            Value::Elements(children) => is_certain(children, depth + 1),
        };
        let before = elements.iter().take(place).enumerate().rfind(|(_, before)| before.name == element.name);
        let is_list = before.is_none_or(|(at, before)| match (&before.value, &element.value) {
            (Value::Plain(_), Value::Plain(_)) => true,
            (Value::Elements(_), _) => at + 1 == place,
            _ => at + 1 == place && depth > 0,
        });
        is_fine && (is_list || self::is_list(element.name))
    })
}

/// Names of WeChat's for members of a list.
pub(super) fn is_list(name: &str) -> bool {
    matches!(name, "item" | "List")
}

/// Whether WeChat itself makes up what is in the elements of this name: there is never markup in it, and no structure.
pub(super) fn is_wechats_own(name: &str) -> bool {
    const NAMES: [&str; 23] = [
        "ToUserName",
        "FromUserName",
        "CreateTime",
        "MsgType",
        "Event",
        "MsgId",
        "MsgID",
        "MsgDataId",
        "MediaId",
        "ThumbMediaId",
        "Format",
        "ScanType",
        "AppId",
        "InfoType",
        "ComponentVerifyTicket",
        "AuthorizerAppid",
        "AuthorizationCode",
        "AuthorizationCodeExpiredTime",
        "PreAuthCode",
        "appid",
        "status",
        "auth_code",
        "authorizer_appid",
    ];
    NAMES.contains(&name)
}

struct Root<'text> {
    inside: &'text str,
    is_closed: bool,
}

/// What is in the root element; `None` without one. Its end is the last one: a text may name it before.
fn root(text: &str) -> Option<Root<'_>> {
    let text = text.trim_start_matches('\u{feff}').trim_ascii();
    let text = match text.strip_prefix("<?xml") {
        Some(declaration) => declaration.split_once("?>")?.1.trim_ascii_start(),
        None => text,
    };
    let inside = text.strip_prefix(BEGIN)?;
    Some(match inside.strip_suffix(END) {
        Some(inside) => Root { inside, is_closed: true },
        None => Root { inside, is_closed: false },
    })
}
