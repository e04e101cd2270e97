//! The decrypted document: XML as WeChat writes it, with strangers' text in it.
//!
//! WeChat puts what people type into CDATA without escaping it: `]]>` in a follower's message ends the section early,
//! and what follows may look like WeChat's own elements. An XML parser would either refuse such a document, so that its
//! message is lost, or take the stranger's elements for WeChat's. So this is not an XML parser. It looks for an
//! interpretation of the document that WeChat could have written:
//!
//! - the root contains elements and nothing between them, each with CDATA, plain text, or child elements;
//! - no name occurs twice, except as a list: elements that follow each other, which in the root must be structures;
//! - strangers' text is only in CDATA, and never in an element named in [`is_wechats_own`].
//!
//! [`first`] reads every element up to its first end tag, which is correct if no text contains markup. If that fails or
//! is ambiguous, [`resolve`] accepts only those end tags after which the rest of the document can be read completely,
//! and [`order`] says whether WeChat writes such an end there. For the kinds of message that the tests list, these
//! properties hold:
//!
//! - WeChat's own elements before and after strangers' text are what WeChat sent, whatever was typed. An imitated
//!   element is part of its text.
//! - A single stranger's text in the root is returned as it was typed. If there are several, such as the title and the
//!   description of a link, different pairs can produce the same bytes: then the earlier text is assumed to be the
//!   longer one, unless it imitates the end of the later one. Inside a structure, a text can pass for a list of texts.
//!
//! The order of elements is unknown for a kind of message without a sample. If such a message has one of WeChat's own
//! elements between two texts, or no element of a name that a text imitates, nothing shows which one is WeChat's.
//!
//! A document that cannot be read completely is read as far as possible, and [`Document::is_whole`] says so. Nothing is
//! refused here, even if it is malformed or truncated. Time and memory are bounded by the length, which the caller
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

/// How many structures of one document are examined to find their ends. Real documents have a handful.
const MAX_EXAMINED: u32 = 256;

const BEGIN: &str = "<xml>";
const END: &str = "</xml>";

/// A decrypted document, as far as it can be read.
#[derive(Debug, Default)]
pub(super) struct Document<'text> {
    /// The elements in the root, in order.
    pub(super) elements: Vec<Element<'text>>,
    /// Whether the whole document was read.
    pub(super) is_whole: bool,
}

/// An element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element<'text> {
    pub(super) name: &'text str,
    pub(super) value: Value<'text>,
}

/// The value of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'text> {
    /// The exact contents of a CDATA section.
    Typed(&'text str),
    /// Text outside CDATA, trimmed, with its references resolved.
    Plain(Cow<'text, str>),
    /// Child elements.
    Elements(Vec<Element<'text>>),
}

/// Parses a decrypted document.
pub(super) fn read(text: &str) -> Document<'_> {
    let Some(Root { inside, is_closed }) = root(text) else { return Document::default() };
    if is_closed && let Some(elements) = level(inside, 0, &Cell::new(MAX_EXAMINED)) {
        return Document { elements, is_whole: true };
    }
    Document { elements: first::read(inside, 0).elements, is_whole: false }
}

/// The elements of one level, if all of `inside` can be read as elements.
fn level<'text>(inside: &'text str, depth: usize, looks: &Cell<u32>) -> Option<Vec<Element<'text>>> {
    let reading = first::read(inside, depth);
    if reading.is_whole && is_certain(&reading.elements, depth) {
        return Some(reading.elements);
    }
    resolve::read(inside, depth, looks)
}

/// Whether certainly no text ended too early: no text contains an end of CDATA, and no name occurs twice except as a
/// list.
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

/// Whether this is one of WeChat's names for members of a list.
pub(super) fn is_list(name: &str) -> bool {
    matches!(name, "item" | "List")
}

/// Whether only WeChat chooses the values of elements with this name: they never contain markup or child elements.
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

/// The contents of the root element; `None` without one. The last end tag counts, since a text may contain an earlier
/// one.
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
