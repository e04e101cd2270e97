//! The tokens of a document: tags without attributes, and CDATA sections.

/// The beginning of a CDATA section.
pub(super) const DATA_BEGIN: &str = "<![CDATA[";

/// The end of a CDATA section.
pub(super) const DATA_END: &str = "]]>";

/// The kind of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Start,
    /// `<name/>`.
    Empty,
    End,
}

/// A tag.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tag<'text> {
    /// The position where it begins.
    pub(super) at: usize,
    /// The position after it.
    pub(super) after: usize,
    pub(super) name: &'text str,
    pub(super) kind: Kind,
}

/// The tag that begins at `at`.
pub(super) fn tag_at(text: &str, at: usize) -> Option<Tag<'_>> {
    let inside = text.get(at..)?.strip_prefix('<')?;
    let (inside, is_end) = inside.strip_prefix('/').map_or((inside, false), |inside| (inside, true));
    let length = inside.find(|c: char| !is_of_name(c)).filter(|length| *length > 0)?;
    let (name, rest) = inside.split_at_checked(length)?;
    let closing = rest.trim_ascii_start();
    let (kind, rest) = match (closing.strip_prefix('>'), closing.strip_prefix("/>")) {
        (Some(rest), _) => (if is_end { Kind::End } else { Kind::Start }, rest),
        (None, Some(rest)) if !is_end => (Kind::Empty, rest),
        _ => return None,
    };
    Some(Tag { at, after: text.len() - rest.len(), name, kind })
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':')
}

/// All tags in order, including those in CDATA.
pub(super) fn tags(text: &str) -> impl DoubleEndedIterator<Item = Tag<'_>> {
    text.match_indices('<').filter_map(|(at, _)| tag_at(text, at))
}

/// The first position from `at` on that is not white space.
pub(super) fn skip_space(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    text.len() - rest.trim_ascii_start().len()
}

/// Where the contents of an element's CDATA section begin, if its start tag ends at `at`.
pub(super) fn data_after(text: &str, at: usize) -> Option<usize> {
    let at = skip_space(text, at);
    text.get(at..)?.starts_with(DATA_BEGIN).then_some(at + DATA_BEGIN.len())
}

/// Where the contents of an element's CDATA section end, if its end tag begins at `at`.
pub(super) fn data_before(text: &str, at: usize) -> Option<usize> {
    text.get(..at)?.trim_ascii_end().strip_suffix(DATA_END).map(str::len)
}
