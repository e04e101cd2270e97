//! A bounded, strict parser of the XML that comes from the internet: `<xml>` with fields directly below it.
//!
//! It is a pull parser over a borrowed text: no tree, no document type, no entities beyond XML's own five, a bounded
//! depth, and nothing but white space around the root. Memory and time grow at most linearly with the length of the
//! text, which the caller bounds. [`super::envelope`] interprets the elements. The decrypted message inside is not
//! well-formed XML: [`super::inner`] parses it.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, Event};

use super::PushError;

/// The greatest depth. Real envelopes have two levels.
const MAX_DEPTH: usize = 8;

/// The one root element of every push.
const ROOT: &str = "xml";

/// A node of the document.
pub(super) enum Node<'name, 'text> {
    /// The end of a direct child of the root.
    Field {
        /// The element's name; its case matters.
        name: &'name str,
        /// Its text without the white space around it that is not in CDATA; `None` where it has child elements.
        text: Option<Cow<'text, str>>,
    },
    /// The end of an element below a field. It comes before the end of its parent.
    Nested {
        /// The element's name.
        name: &'name str,
    },
    /// A comment or a processing instruction.
    Comment,
}

/// Walks through `xml` and passes each node to `visit`.
///
/// # Errors
/// [`PushError`] if the document is malformed, or the first error of `visit`.
pub(super) fn walk<'text>(
    xml: &'text str,
    mut visit: impl FnMut(Node<'_, 'text>) -> Result<(), PushError>,
) -> Result<(), PushError> {
    let mut reader = Reader::from_str(xml);
    let mut place = Place { depth: 0, rooted: false, text: None, exact: 0 };
    loop {
        match reader.read_event().map_err(|_| PushError::IllFormed)? {
            Event::Start(tag) => place.enter(tag.name().as_ref())?,
            Event::Empty(tag) => {
                place.enter(tag.name().as_ref())?;
                place.leave(tag.name().as_ref(), &mut visit)?;
            }
            Event::End(tag) => place.leave(tag.name().as_ref(), &mut visit)?,
            Event::Text(text) => place.append(text.into_inner())?,
            Event::CData(text) if place.depth > 0 => place.append_exactly(text.into_inner()),
            Event::GeneralRef(reference) if place.depth > 0 => place.append_exactly(resolve(&reference)?),
            Event::Comment(_) | Event::PI(_) => visit(Node::Comment)?,
            Event::Decl(_) if place.depth == 0 && !place.rooted => {}
            Event::DocType(_) => return Err(PushError::DocumentType),
            Event::Eof if place.depth == 0 && place.rooted => return Ok(()),
            Event::CData(_) | Event::GeneralRef(_) | Event::Decl(_) | Event::Eof => return Err(PushError::IllFormed),
        }
    }
}

/// The state of the walk.
struct Place<'text> {
    /// The number of open elements: 1 inside the root, 2 inside a field.
    depth: usize,
    /// Whether the root has begun.
    rooted: bool,
    /// Text of the innermost open element so far; `None` in the root, and once an element has child elements.
    text: Option<Cow<'text, str>>,
    /// The length of the text that must not be trimmed: it ends with CDATA or a reference.
    exact: usize,
}

impl<'text> Place<'text> {
    fn enter(&mut self, name: &str) -> Result<(), PushError> {
        self.depth += 1;
        match self.depth {
            1 if self.rooted || name != ROOT => return Err(PushError::IllFormed),
            1 => self.rooted = true,
            2..=MAX_DEPTH => {
                self.text = Some(Cow::Borrowed(""));
                self.exact = 0;
            }
            _ => return Err(PushError::Depth),
        }
        Ok(())
    }

    fn leave(
        &mut self,
        name: &str,
        visit: &mut impl FnMut(Node<'_, 'text>) -> Result<(), PushError>,
    ) -> Result<(), PushError> {
        // The reader already refuses an end tag without a start tag.
        self.depth = self.depth.checked_sub(1).ok_or(PushError::IllFormed)?;
        let text = self.text.take().map(|text| trimmed_behind(text, self.exact));
        match self.depth {
            0 => Ok(()),
            1 => visit(Node::Field { name, text }),
            _ => visit(Node::Nested { name }),
        }
    }

    /// Appends plain text, without the white space around the element's text.
    fn append(&mut self, piece: Cow<'text, str>) -> Result<(), PushError> {
        match &mut self.text {
            // Around the root only white space is allowed.
            _ if self.depth == 0 && !piece.trim_ascii().is_empty() => return Err(PushError::IllFormed),
            Some(text) if text.is_empty() && self.exact == 0 => *text = trimmed_before(piece),
            Some(text) => text.to_mut().push_str(&piece),
            None => {}
        }
        Ok(())
    }

    /// Appends CDATA or a reference, exactly as it is.
    fn append_exactly(&mut self, piece: Cow<'text, str>) {
        if let Some(text) = &mut self.text {
            if text.is_empty() {
                *text = piece;
            } else {
                text.to_mut().push_str(&piece);
            }
            self.exact = text.len();
        }
    }
}

/// Trims all white space, even if it came from CDATA: for values that never contain any.
pub(super) fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
    trimmed_behind(trimmed_before(text), 0)
}

fn trimmed_before(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_ascii_start()),
        Cow::Owned(text) => Cow::Owned(text.trim_ascii_start().to_owned()),
    }
}

/// Trims the white space at the end, as far as it comes after `exact`.
fn trimmed_behind(text: Cow<'_, str>, exact: usize) -> Cow<'_, str> {
    let end = text.trim_ascii_end().len().max(exact);
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(..end).unwrap_or(text)),
        Cow::Owned(mut text) => {
            text.truncate(end);
            Cow::Owned(text)
        }
    }
}

fn resolve(reference: &BytesRef<'_>) -> Result<Cow<'static, str>, PushError> {
    if let Some(character) = reference.resolve_char_ref().map_err(|_| PushError::Entity)? {
        return Ok(Cow::Owned(character.to_string()));
    }
    resolve_xml_entity(reference).map(Cow::Borrowed).ok_or(PushError::Entity)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(xml: &str) -> Result<Vec<(String, Option<String>)>, PushError> {
        let mut fields = vec![];
        walk(xml, |node| {
            if let Node::Field { name, text } = node {
                fields.push((name.to_owned(), text.map(Cow::into_owned)));
            }
            Ok(())
        })?;
        Ok(fields)
    }

    fn field(xml: &str) -> Option<String> {
        fields(&format!("<xml><a>{xml}</a></xml>")).unwrap().remove(0).1
    }

    #[test]
    fn text_cdata_and_references_of_a_field_are_one_trimmed_text() {
        assert_eq!(field("plain").unwrap(), "plain");
        assert_eq!(field("\n <![CDATA[ticket@@@1]]> \n").unwrap(), "ticket@@@1");
        assert_eq!(field("a<![CDATA[<b>]]> &amp;&#64;&#x5b57; c").unwrap(), "a<b> &@字 c");
        assert_eq!(field("<![CDATA[]]>").unwrap(), "");
        assert_eq!(field("<![CDATA[a]]]]><![CDATA[>b]]>").unwrap(), "a]]>b");
        assert_eq!(field("<![CDATA[]]> \n").unwrap(), "");
    }

    #[test]
    fn white_space_that_was_written_on_purpose_is_kept() {
        assert_eq!(field(" <![CDATA[ two  spaces \n]]> ").unwrap(), " two  spaces \n");
        assert_eq!(field("\n&#32;x&#10;\n").unwrap(), " x\n");
        assert_eq!(field("<![CDATA[ ]]>").unwrap(), " ");
    }

    #[test]
    fn elements_below_a_field_come_before_it() {
        let mut nodes = vec![];
        walk("<xml><a><b> 1 <c/></b><d>2</d></a></xml>", |node| {
            nodes.push(match node {
                Node::Field { name, text } => format!("0 {name} {text:?}"),
                Node::Nested { name } => name.to_owned(),
                Node::Comment => unreachable!(),
            });
            Ok(())
        })
        .unwrap();
        assert_eq!(nodes, ["c", "b", "d", "0 a None"]);
    }

    #[test]
    fn a_field_with_children_has_no_text() {
        assert_eq!(field("x<b>1</b>y"), None);
        assert_eq!(
            fields("<?xml version=\"1.0\"?>\n<xml><a/><b><c>1</c></b>loose</xml>\n").unwrap(),
            [("a".into(), Some(String::new())), ("b".into(), None)]
        );
    }

    #[test]
    fn documents_of_another_form_are_refused_by_reason() {
        let deep = format!("<xml>{}{}</xml>", "<a>".repeat(MAX_DEPTH), "</a>".repeat(MAX_DEPTH));
        for (xml, reason) in [
            ("", PushError::IllFormed),
            ("plain", PushError::IllFormed),
            ("<xml>", PushError::IllFormed),
            ("<xml/><xml/>", PushError::IllFormed),
            ("<html/>", PushError::IllFormed),
            ("<xml></XML>", PushError::IllFormed),
            ("<xml></xml>rest", PushError::IllFormed),
            ("<xml></xml><![CDATA[ ]]>", PushError::IllFormed),
            ("<xml></xml>&amp;", PushError::IllFormed),
            ("<xml><a><xml>", PushError::IllFormed),
            ("<xml></xml><?xml version=\"1.0\"?>", PushError::IllFormed),
            ("<xml><a>&</a></xml>", PushError::IllFormed),
            ("<xml><a><![CDATA[x</a></xml>", PushError::IllFormed),
            ("<xml><a>&own;</a></xml>", PushError::Entity),
            ("<xml><a>&#xD800;</a></xml>", PushError::Entity),
            ("<!DOCTYPE xml [<!ENTITY own 'x'>]><xml/>", PushError::DocumentType),
            ("<xml><!DOCTYPE xml></xml>", PushError::DocumentType),
            (&deep, PushError::Depth),
        ] {
            assert_eq!(fields(xml).unwrap_err(), reason, "{xml}");
        }
    }
}
