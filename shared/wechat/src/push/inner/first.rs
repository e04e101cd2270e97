//! Reading each element up to its first end tag: correct if no text contains markup, and as far as possible if the
//! document cannot be read completely.

use std::borrow::Cow;

use quick_xml::escape::unescape;

use super::tags::{DATA_END, Kind, Tag, data_after, skip_space, tag_at};
use super::{Element, MAX_DEPTH, Value, is_wechats_own};

/// The elements that could be read.
pub(super) struct Reading<'text> {
    pub(super) elements: Vec<Element<'text>>,
    /// Whether they are all.
    pub(super) is_whole: bool,
}

/// Reads the elements of one level.
pub(super) fn read(inside: &str, depth: usize) -> Reading<'_> {
    let mut elements = Vec::new();
    let end = children(inside, 0, depth, &mut elements);
    Reading { elements, is_whole: end == Some(inside.len()) }
}

/// Reads elements from `at` on and returns where they end: at the end of the text or at an end tag. `None` if anything
/// else is there.
fn children<'text>(text: &'text str, mut at: usize, depth: usize, elements: &mut Vec<Element<'text>>) -> Option<usize> {
    loop {
        at = skip_space(text, at);
        if at == text.len() {
            return Some(at);
        }
        let tag = tag_at(text, at)?;
        let (value, after) = match tag.kind {
            Kind::End => return Some(at),
            Kind::Empty => (Value::Plain(Cow::Borrowed("")), tag.after),
            Kind::Start => value(text, &tag, depth)?,
        };
        elements.push(Element { name: tag.name, value });
        at = after;
    }
}

/// The value of an element, and the position after the element.
fn value<'text>(text: &'text str, tag: &Tag<'text>, depth: usize) -> Option<(Value<'text>, usize)> {
    if let Some(from) = data_after(text, tag.after) {
        let (to, after) = first_end(text, from, tag.name)?;
        return Some((Value::Typed(text.get(from..to)?), after));
    }
    if let Some(plain) = plain(text, tag) {
        return Some(plain);
    }
    if depth + 1 >= MAX_DEPTH || is_wechats_own(tag.name) {
        return None;
    }
    let mut elements = Vec::new();
    let end = tag_at(text, children(text, tag.after, depth + 1, &mut elements)?)?;
    (end.name == tag.name).then_some((Value::Elements(elements), end.after))
}

/// The text of an element that contains nothing else, and the position after the element.
pub(super) fn plain<'text>(text: &'text str, tag: &Tag<'text>) -> Option<(Value<'text>, usize)> {
    let inside = text.get(tag.after..)?;
    let length = inside.find('<')?;
    let end = tag_at(text, tag.after + length).filter(|end| end.kind == Kind::End && end.name == tag.name)?;
    let written = inside.get(..length)?.trim_ascii();
    // An invalid reference is left as it is.
    Some((Value::Plain(unescape(written).unwrap_or(Cow::Borrowed(written))), end.after))
}

/// The first end of an element's CDATA section, and the position after the element.
fn first_end(text: &str, from: usize, name: &str) -> Option<(usize, usize)> {
    text.get(from..)?.match_indices(DATA_END).find_map(|(length, _)| {
        let to = from + length;
        let end = tag_at(text, skip_space(text, to + DATA_END.len()))?;
        (end.kind == Kind::End && end.name == name).then_some((to, end.after))
    })
}
